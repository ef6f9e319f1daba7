"""Attributes and their values as they are written on the command line: the `-k` of DCMTK's tools.

    PatientName=Doe*
    (0008,0020)=20240101-20240131
    ScheduledProcedureStepSequence[0].Modality=CT
    ModalitiesInStudy=CT\\MR
    StudyDescription

A key is a path of attributes, each a keyword or a tag; what is nested stands behind its sequence, and [0] is the first
item. Behind the first = are the values, separated by backslashes. Nothing here does IO.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from aiodicom.cli.output import quoted, shortened
from aiodicom.dataset import DataElement, Dataset, Sequence
from aiodicom.standard.dictionary import entry_for_tag, similar_keyword, tag_for_keyword
from aiodicom.standard.uids import is_valid_uid, uid_of_keyword

__all__ = [
    "BadKey",
    "BadRange",
    "Key",
    "Path",
    "Step",
    "find_values",
    "parse_key",
    "parse_path",
    "path_text",
    "put",
    "vr_of",
]


class BadKey(ValueError):
    """A key that can't be understood; the text says which, and what would be right."""


class BadRange(BadKey):
    """A key that nothing can match: a range that ends before it begins."""


class Step(NamedTuple):
    """An attribute of a path, and the number of the item that the path goes on in; None where it ends here."""

    tag: int
    item: int | None = None


Path = tuple[Step, ...]


class Key(NamedTuple):
    """A path, and the values there: None where the key has no =, which asks for the attribute."""

    path: Path
    values: tuple[Any, ...] | None = None


#: How deep a path can be.
_DEEPEST: Final = 32

_STEP: Final = re.compile(
    r"(?P<tag>\(?[0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)?|[0-9A-Fa-f]{8})(?P<tag_item>\[[^\]]*\])?"
    r"|(?P<keyword>[A-Za-z][A-Za-z0-9]*)(?P<keyword_item>\[[^\]]*\])?"
)

#: VRs whose values may have backslashes in them (PS3.5 6.2).
_SINGLE: Final = frozenset(("LT", "ST", "UR", "UT"))
_BINARY: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_LONGEST: Final = {"AE": 16, "CS": 16, "LO": 64, "SH": 16}
_NUMBERS: Final = {
    "SS": (-(1 << 15), (1 << 15) - 1),
    "SL": (-(1 << 31), (1 << 31) - 1),
    "SV": (-(1 << 63), (1 << 63) - 1),
    "US": (0, (1 << 16) - 1),
    "UL": (0, (1 << 32) - 1),
    "UV": (0, (1 << 64) - 1),
    "IS": (-(1 << 31), (1 << 31) - 1),
}
_DATE: Final = re.compile(r"\d{8}", re.ASCII)
_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII)
_MOMENT: Final = re.compile(r"\d{4}(\d{2}){0,5}(\.\d{1,6})?([+-]\d{4})?", re.ASCII)
_AGE: Final = re.compile(r"\d{3}[DWMY]", re.ASCII)
#: Dates and times as people write them, and our tables show them.
_WRITTEN: Final = {
    "DA": re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b", re.ASCII),
    "TM": re.compile(r"\b(\d{2}):(\d{2})(?::(\d{2}))?", re.ASCII),
}
_CODE: Final = re.compile(r"[A-Z0-9 _*?]*", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def parse_key(text: str, *, is_matched: bool = True) -> Key:
    """The key that `text` says. Raises `BadKey`.

    `is_matched`: values are those of a query, in which dates and times can be ranges.
    """
    before, equals, after = text.partition("=")
    path = parse_path(before.strip())
    if not equals or not after:
        return Key(path, () if equals else None)
    vr = vr_of(path[-1].tag)
    name = path_text(path)
    if path[-1].item is not None or vr == "SQ":
        raise BadKey(f"{name} is a sequence: name what is in it, such as {_item_of(path)}.KEYWORD=...")
    if vr in _BINARY:
        raise BadKey(f"{name} has binary values ({vr}), which no text stands for")
    values = [after] if vr in _SINGLE else after.split("\\")
    return Key(path, tuple(_value(vr, value.strip(" "), name, is_matched) for value in values))


def parse_path(text: str) -> Path:
    """The path that `text` says. Raises `BadKey`."""
    if not text:
        raise BadKey("a key begins with a keyword or a tag, such as PatientID=12345 or (0010,0020)=12345")
    steps: list[Step] = []
    offset = 0
    while True:
        found = _STEP.match(text, offset)
        rest = text[found.end() :] if found else ""
        if found is None or (rest and not rest.startswith(".")):
            raise BadKey(
                f"{quoted(text[offset:])} is neither a keyword nor a tag, such as PatientID or (0010,0020); "
                "what is in a sequence is ScheduledProcedureStepSequence[0].Modality"
            )
        tag = _tag(found["tag"]) if found["tag"] else _tag_of_keyword(found["keyword"])
        item = found["tag_item"] or found["keyword_item"]
        number = _item(item, text) if item else None
        if number is not None or rest:
            vr = vr_of(tag)
            if vr != "SQ":
                raise BadKey(f"{path_text((Step(tag),))} is no sequence ({vr}): nothing is in it")
        if not rest:
            return (*steps, Step(tag, number))
        steps.append(Step(tag, number or 0))
        if len(steps) >= _DEEPEST:
            raise BadKey(f"a path of more than {_DEEPEST} attributes")
        offset = found.end() + 1


def _tag(text: str) -> int:
    tag = int(text.strip("()").replace(",", ""), 16)
    group = tag >> 16
    if group < 8 or not tag & 0xFFFF or tag >= 0xFFFE0000:
        raise BadKey(f"({group:04X},{tag & 0xFFFF:04X}) is no attribute of a data set")
    return tag


def _tag_of_keyword(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise BadKey(f"{shortened(keyword)} is no keyword of PS3.6{_similar(keyword)}")
    return _tag(f"{tag:08X}")


def _similar(keyword: str) -> str:
    known = similar_keyword(keyword)
    return "" if known is None else f" ({known} is)"


def _item(text: str, path: str) -> int:
    number = text[1:-1]
    if not (number.isascii() and number.isdigit() and len(number) <= 4):
        raise BadKey(f"{shortened(path)}: {shortened(text)} is no number of an item; the first one is [0]")
    return int(number)


def vr_of(tag: int) -> str:
    """The VR that values get: of a choice the first; of what the standard doesn't know UN."""
    entry = entry_for_tag(tag)
    return "UN" if entry is None or entry.vr == "NONE" else entry.vr[:2]


def path_text(path: Path) -> str:
    """The path as it is written: keywords where there are some, items only where the path goes on in them."""
    return ".".join(_name(step.tag) + ("" if step.item is None else f"[{step.item}]") for step in path)


def _name(tag: int) -> str:
    entry = entry_for_tag(tag)
    if entry is not None and entry.keyword and tag_for_keyword(entry.keyword) == tag:
        return entry.keyword
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _item_of(path: Path) -> str:
    *before, last = path
    return path_text((*before, Step(last.tag, last.item or 0)))


# --- values ----------------------------------------------------------------------------------------------------------


def _value(vr: str, text: str, name: str, is_matched: bool) -> Any:
    """A value of a data set. Raises `BadKey` for a text that is none."""
    if not text:
        return None if vr in _NUMBERS or vr in ("AT", "DS", "FD", "FL") else ""
    if any(c not in "\t\n\f\r" if vr in _SINGLE else True for c in text if ord(c) < 32 or ord(c) == 127):
        raise BadKey(f"{name}: {quoted(text)} has control characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadKey(f"{name}: {quoted(text)} is no text") from None
    if vr in _NUMBERS:
        return _number(vr, text, name)
    if vr == "UI":
        return _uid(text, name)
    if vr == "AT":
        path = parse_path(text)
        if len(path) > 1 or path[0].item is not None:
            raise BadKey(f"{name}: {quoted(text)} is no tag, such as (0010,0020)")
        return path[0].tag
    check = _CHECKS.get(vr)
    if check is not None:
        is_right, right = check
        given = text
        if vr in _WRITTEN:
            text = _WRITTEN[vr].sub(lambda found: "".join(found.groups("")), text)
        if not is_right(text) and not (is_matched and vr in _RANGES and _is_range(text, is_right)):
            ranges = f", or a range of them such as {_RANGES[vr]}" if is_matched and vr in _RANGES else ""
            raise BadKey(f"{name}: {quoted(given)} is no {right}{ranges}")
        first, _, last = text.partition("-")
        if vr == "DA" and last and last < first:  # which nothing can match
            raise BadRange(f"{name}: {quoted(given)} ends before it begins")
    longest = _LONGEST.get(vr)
    if longest is not None and len(text) > longest:
        raise BadKey(f"{name}: {quoted(text)} is longer than {longest} characters")
    if vr in ("FD", "FL"):
        return float(text)
    return text


def _number(vr: str, text: str, name: str) -> Any:
    least, most = _NUMBERS[vr]
    digits = text[1:] if text[0] in "+-" else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20 and least <= int(text) <= most):
        raise BadKey(f"{name}: {quoted(text)} is no integer from {least} to {most}")
    return text if vr == "IS" else int(text)


def _uid(text: str, name: str) -> str:
    if is_valid_uid(text):
        return text
    known = uid_of_keyword(text)
    if known is None:
        raise BadKey(f"{name}: {quoted(text)} is no UID, such as 1.2.840.10008.1.1, nor the keyword of one")
    return known


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


_CHECKS: Final[dict[str, tuple[Callable[[str], object], str]]] = {
    "AE": (lambda text: text.isascii(), "AE title, of ASCII characters"),
    "AS": (_AGE.fullmatch, "age, such as 045Y"),
    "CS": (_CODE.fullmatch, "code of capital letters, digits, blanks and _, such as CT"),
    "DA": (_is_date, "date, such as 20240131"),
    "DS": (lambda text: len(text) <= 16 and _DECIMAL.fullmatch(text), "number, of at most 16 characters"),
    "DT": (_MOMENT.fullmatch, "date and time, such as 20240131120000"),
    "FD": (_DECIMAL.fullmatch, "number"),
    "FL": (_DECIMAL.fullmatch, "number"),
    "TM": (_TIME.fullmatch, "time, such as 1200 or 120000"),
}
_RANGES: Final = {"DA": "20240101-20240131", "DT": "20240101-20240131", "TM": "0800-1200"}


def _is_range(text: str, is_right: Callable[[str], object]) -> bool:
    """Whether it is ``a-b``, ``a-`` or ``-b`` (PS3.4 C.2.2.2.5); a - may be the sign of a zone as well."""
    hyphens = [at for at, letter in enumerate(text) if letter == "-"]
    return len(text) > 1 and any(
        (not text[:at] or is_right(text[:at])) and (not text[at + 1 :] or is_right(text[at + 1 :])) for at in hyphens
    )


# --- data sets -------------------------------------------------------------------------------------------------------


def put(data_set: Dataset, key: Key) -> None:
    """Sets the value of a key, and makes the items that its path goes through. Raises `BadKey` for an item that would
    leave a gap.
    """
    for step in key.path:
        if step.item is None:
            break
        if step.tag not in data_set:
            data_set.add(DataElement(step.tag, "SQ", Sequence()))
        items = data_set[step.tag].value
        if step.item > len(items):
            raise BadKey(f"{path_text(key.path)}: item [{step.item}] without an item [{len(items)}]")
        if step.item == len(items):
            items.append(Dataset())
        data_set = items[step.item]
    else:
        return
    vr = vr_of(step.tag)
    if vr == "SQ":
        data_set.add(DataElement(step.tag, vr, Sequence()))
    elif not key.values:
        data_set.add(DataElement(step.tag, vr, None))
    else:
        data_set.add(DataElement(step.tag, vr, key.values[0] if len(key.values) == 1 else list(key.values)))


def find_values(data_set: Dataset, path: Path) -> Iterable[DataElement]:
    """The elements at a path, of every item of its sequences: there may be more than were asked for."""
    *before, last = path
    data_sets = [data_set]
    for step in before:
        data_sets = [
            item
            for each in data_sets
            for element in ([each[step.tag]] if step.tag in each else [])
            if element.vr == "SQ"
            for item in element.value
        ]
    return [each[last.tag] for each in data_sets if last.tag in each]
