"""Attributes that are set, removed, and given a prefix; and how a step gets at them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from aiodicom.dataset import Dataset
from aiodicom.dataset.charset import can_encode, encodings_for
from aiodicom.errors import DecodeError, TransformationFailed
from aiodicom.router.conditions.kinds import Kind, kind_of, vr_of
from aiodicom.router.conditions.reading import SINGLE, find_holders, find_tag, value_of
from aiodicom.router.conditions.syntax import Path, PrivateTag
from aiodicom.router.origin import Origin
from aiodicom.router.transformations.pipeline import Change

__all__ = [
    "LONGEST",
    "check_characters",
    "check_everywhere",
    "holders_of",
    "prefixing",
    "removing",
    "replace_values",
    "setting",
]

#: Characters that values may have, of VRs that a name or number of somebody's stands in (PS3.5 6.2).
LONGEST: Final = {"AE": 16, "CS": 16, "LO": 64, "PN": 64, "SH": 16, "UI": 64}

_UTF_8: Final = "ISO_IR 192"


def _each_data_set(data_set: Dataset) -> Iterator[Dataset]:
    """A data set, and all items of its sequences, at whatever depth."""
    waiting = [data_set]
    while waiting:
        one = waiting.pop()
        yield one
        for element in one:
            if element.vr == "SQ":
                waiting.extend(element.value)


def holders_of(data_set: Dataset, path: Path, everywhere: bool) -> Iterable[Dataset]:
    """The data sets that the attribute of a path is changed in."""
    return _each_data_set(data_set) if everywhere else find_holders(data_set, path.steps)


def replace_values(holder: Dataset, tag: int, replaced: Callable[[Any], Any]) -> None:
    """Puts what `replaced` makes of each value in its place; None for an empty one."""
    value = value_of(holder, tag, None)
    if value is None or value == "":
        return
    if isinstance(value, SINGLE):
        made = replaced(value)
    else:
        values = list(value)
        made = [one if one is None or one == "" else replaced(one) for one in values]
        value = values
    if made != value:
        element = holder._element(tag)
        assert element is not None
        element.value = made


def check_characters(data_set: Dataset, value: Any) -> None:
    """Raises ValueError for text that the character set of an object lacks; what is not ASCII is looked at alone."""
    for text in _several(value):
        if isinstance(text, str) and not text.isascii():
            terms = data_set.get("SpecificCharacterSet")
            if not can_encode(text, encodings_for(terms, lambda problem: None)):
                known = "\\".join(_several(terms)) if terms else "ASCII"
                raise ValueError(f"the object's character set ({known}) lacks characters of the value")


# --- set -------------------------------------------------------------------------------------------------------------


def setting(values: Mapping[Path, Any], missing_only: bool) -> Change:
    """Gives attributes values, in the items that are there. Raises ValueError for values that no data set may have."""
    for path, value in values.items():
        _check_value(path, value)

    def change(data_set: Dataset, origin: Origin) -> Dataset:
        for path, value in values.items():
            last = path.steps[-1].tag
            for holder in find_holders(data_set, path.steps):
                tag = find_tag(holder, last)
                before = None if tag is None else value_of(holder, tag, None)
                if before == value or (missing_only and before is not None and before != ""):
                    continue
                check_characters(data_set, value)
                _put(holder, last, value)
        return data_set

    return change


def _put(holder: Dataset, tag: int | PrivateTag, value: Any) -> None:
    # A list may be changed in place by who gets it from the data set.
    value = list(value) if isinstance(value, list) else value
    if isinstance(tag, PrivateTag):
        block = holder.private_block(tag.group, tag.creator, create=True)
        block.add_new(tag.element, _vr_of_private(tag, value), value)
    else:
        holder._set(tag, value)


def _vr_of_private(tag: PrivateTag, value: Any) -> str:
    known = vr_of(tag)
    if known != "UN":
        return known
    return "LO" if all(isinstance(one, str) for one in _several(value)) else "DS"


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _check_value(path: Path, value: Any) -> None:
    last = path.steps[-1].tag
    kind = kind_of(last)
    if kind in (Kind.ITEMS, Kind.BYTES):
        raise ValueError(f"{path} is {kind.value}, and cannot be set")
    if kind is Kind.ANY and isinstance(last, int):
        raise ValueError(f"{path} is in no dictionary: nobody knows the VR that a value of it has")
    for one in _several(value):
        is_number = isinstance(one, (int, float)) and not isinstance(one, bool)
        if not isinstance(one, str) and not is_number:
            raise ValueError(f"{path}: a text, a number or a list of them is wanted")
        if kind not in (Kind.NUMBER, Kind.ANY) and is_number:
            raise ValueError(f'{path} is {kind.value}: write "{one}"')
        if kind is Kind.NUMBER and not is_number and one != "":
            raise ValueError(f"{path} is a number: write it without quotation marks")
    data_set = Dataset(SpecificCharacterSet=_UTF_8)
    try:
        _put(data_set, last, value)
        for element in Dataset.from_bytes(data_set.to_bytes(), strict=True):
            _ = element.value
    except (DecodeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {getattr(error, 'reason', error)}") from None


# --- remove ----------------------------------------------------------------------------------------------------------


def removing(paths: Iterable[Path], private: bool, everywhere: bool) -> Change:
    """Takes attributes away, where they are there."""
    wanted = list(paths)
    check_everywhere(wanted, everywhere)

    def change(data_set: Dataset, origin: Origin) -> Dataset:
        if private and any(element.is_private for one in _each_data_set(data_set) for element in one):
            data_set.remove_private_tags()
        for path in wanted:
            for holder in list(holders_of(data_set, path, everywhere)):
                tag = find_tag(holder, path.steps[-1].tag)
                if tag is not None and tag in holder:
                    del holder[tag]
        return data_set

    return change


def check_everywhere(paths: Iterable[Path], everywhere: bool) -> None:
    """Raises ValueError for paths into a sequence that are looked for everywhere."""
    for path in paths:
        if everywhere and len(path.steps) > 1:
            raise ValueError(f"{path} leads into a sequence, where everywhere looks into all: name {path.steps[-1]}")


# --- prefix ----------------------------------------------------------------------------------------------------------


def prefixing(path: Path, text: str) -> Change:
    """Has values begin with a text; those that do are left alone, so that a second router adds nothing."""
    vr = vr_of(path.steps[-1].tag)
    longest = LONGEST.get(vr)
    if longest is None or vr == "UI":
        raise ValueError(f"{path} is {kind_of(path.steps[-1].tag).value} ({vr}), which takes no prefix")
    _check_value(path, text)
    if text != text.strip(" ") or "\\" in text or not text.isascii():
        raise ValueError("a prefix is ASCII, with no spaces around it and no backslash")

    def prefixed(value: Any) -> str:
        before = str(value).strip(" ")
        made = before if before.startswith(text) else text + before
        if len(made) > longest:
            raise TransformationFailed(
                f"prefix {path}", f"the value would have {len(made)} characters, and {vr} has {longest} at the most"
            )
        return made

    def change(data_set: Dataset, origin: Origin) -> Dataset:
        for holder in find_holders(data_set, path.steps):
            tag = find_tag(holder, path.steps[-1].tag)
            if tag is not None:
                replace_values(holder, tag, prefixed)
        return data_set

    return change
