"""Names for what is stored, and arguments for what is run, from the attributes of an object: templates.

    {StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}.dcm

A placeholder is the keyword of a top-level attribute whose value is text. What comes from the network is made harmless
here, and cannot leave its place: one component of a path, or a part of one argument.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from string import Formatter
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from aiodicom.errors import DecodeError
from aiodicom.part10.meta import read_file_meta
from aiodicom.standard.dictionary import entry_for_keyword, tag_for_keyword
from aiodicom.standard.uids import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, is_valid_uid

if TYPE_CHECKING:
    from aiodicom.dataset import DataElement, Dataset

__all__ = ["EMPTY", "FileTemplate", "InvalidUID", "Part", "parse", "read_header", "values_of"]

#: What stands for an attribute that is absent or empty.
EMPTY: Final = "UNKNOWN"

#: How many bytes of a value are used, by VR: what PS3.5 table 6.2-1 lets the short ones have.
_SIZES: Final = {"AE": 16, "AS": 4, "CS": 16, "DA": 8, "DS": 16, "DT": 26, "IS": 12, "TM": 16, "UI": 64}
_LONG_SIZE: Final = 64
_TEXT_VRS: Final = frozenset((*_SIZES, "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))

#: What separates the components of a path, or is special in names, on some system.
_FORBIDDEN: Final = frozenset('/\\<>:"|?*')

#: How much of a deflated data set is inflated to find the attributes.
_INFLATED: Final = 8 << 20

#: The bytes of a name on every file system that is in use.
_LONGEST_NAME: Final = 255


class InvalidUID(ValueError):
    """An attribute of VR UI has a value that is no UID (PS3.5 9.1)."""


class Part(NamedTuple):
    """Literal text, and the keyword whose value follows it ("" for none)."""

    literal: str
    keyword: str

    def text(self, values: Mapping[str, str]) -> str:
        return self.literal + (values[self.keyword] if self.keyword else "")


def parse(template: str, others: Iterable[str] = ()) -> list[Part]:
    """The parts of a template; ``{{`` and ``}}`` are braces. Raises ValueError for one that cannot be.

    `others` are placeholders that are no keywords.
    """
    parts: list[Part] = []
    for literal, keyword, specification, conversion in Formatter().parse(template):
        if keyword is None:
            parts.append(Part(literal, ""))
            continue
        if specification or conversion:
            raise ValueError(f"{{{keyword}}} takes no format")
        if keyword not in others:
            entry = entry_for_keyword(keyword)
            if entry is None:
                raise ValueError(f"{{{keyword}}} is no keyword of PS3.6, such as {{StudyInstanceUID}}")
            if entry.vr not in _TEXT_VRS:
                raise ValueError(f"{{{keyword}}} is no text, but {entry.vr}")
        parts.append(Part(literal, keyword))
    return parts


def values_of(data_set: Dataset, keywords: Iterable[str]) -> dict[str, str]:
    """What stands for each of `keywords`. Raises `InvalidUID`."""
    return {keyword: _value(keyword, data_set.data_element(keyword)) for keyword in keywords}


def read_header(file: BinaryIO, keywords: Collection[str]) -> Dataset:
    """The data set of an open file up to the last of `keywords`, long values left in the file. Blocks.

    Of a deflated one, what inflates to 8 MiB. Raises `DecodeError` for one that ends or breaks before that, OSError.
    """
    from aiodicom.dataset import Dataset

    stop_before = max(map(_tag, keywords), default=-1) + 1
    meta = read_file_meta(file.fileno())
    syntax = meta.transfer_syntax
    inflated = None
    if syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        syntax = EXPLICIT_VR_LITTLE_ENDIAN
        file.seek(meta.data_offset)
        inflated = _inflated(file)
    if inflated is None:
        data_set = Dataset.from_file(file, syntax, offset=meta.data_offset, stop_before=stop_before)
    else:
        data_set = Dataset.from_bytes(inflated, syntax, stop_before=stop_before)
    if data_set.truncated is not None:
        raise data_set.truncated
    return data_set


def _inflated(file: BinaryIO) -> bytes | None:
    """What is deflated there; None where the label is wrong, and the data set is not."""
    import zlib

    from aiodicom.dataset._dataset import is_native

    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = b""
    data = b""
    try:
        while len(inflated) < _INFLATED and not inflater.eof:
            data = inflater.unconsumed_tail or file.read(1 << 16)
            if not data:
                break
            inflated += inflater.decompress(data, _INFLATED - len(inflated))
    except zlib.error as error:
        if not inflated:
            if is_native(data):
                return None
            raise DecodeError(f"the deflated data are corrupt ({error})", 0) from error
    return inflated


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return tag


def _value(keyword: str, element: DataElement | None) -> str:
    entry = entry_for_keyword(keyword)
    assert entry is not None
    value = None if element is None else element.value
    if isinstance(value, list):
        value = value[0] if value else None
    # Of anything else the explicit VR, not the dictionary, says what it is. Numbers keep their text.
    text = str(value).strip(" \0") if isinstance(value, (str, int, float)) else ""
    if entry.vr == "UI":
        if text and not is_valid_uid(text):
            raise InvalidUID(f"{keyword} is no UID (PS3.5 9.1)")
        return text or EMPTY
    return harmless(text, _SIZES.get(entry.vr, _LONG_SIZE)) or EMPTY


def harmless(text: str, size: int) -> str:
    """`text` without anything that is special in a name, at most `size` bytes of UTF-8.

    What separates, controls, or begins a hidden name (.) or an option (-) becomes ``_``.
    """
    text = "".join("_" if c in _FORBIDDEN or not c.isprintable() else c for c in text[:size])
    text = text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
    begins = len(text) - len(text.lstrip(".-"))
    return ("_" * begins + text[begins:]).strip(" ")


class FileTemplate:
    """Where the file of an object goes: the folder `root`, and a path below it.

    `root` is what stands before the first component with a placeholder. Raises ValueError for a template that says no
    path below a folder, that could name two objects alike, or whose names could be too long for file systems.
    """

    def __init__(self, template: str) -> None:
        components = [parse(component) for component in template.split("/")]
        first = next((number for number, parts in enumerate(components) if _keywords(parts)), None)
        if first is None:
            raise ValueError("no placeholder such as {SOPInstanceUID}")
        root = "/".join("".join(part.literal for part in parts) for parts in components[:first])
        self.root = root or ("/" if first else ".")
        self._components = components[first:]
        #: Every keyword that is used.
        self.keywords = frozenset(keyword for parts in self._components for keyword in _keywords(parts))
        if "SOPInstanceUID" not in self.keywords:
            raise ValueError("without {SOPInstanceUID}, objects would replace one another")
        for parts in self._components:
            _check(parts)

    def path(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The components of the path below `root`, the name of the file last, for `values_of` an object."""
        return tuple("".join(part.text(values) for part in parts) for parts in self._components)

    def study_folder(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """How `path` begins where the objects of its study are: up to the folder that StudyInstanceUID names."""
        for number, parts in enumerate(self._components[:-1]):
            if "StudyInstanceUID" in _keywords(parts):
                return path[: number + 1]
        return ()


def _keywords(parts: list[Part]) -> list[str]:
    return [part.keyword for part in parts if part.keyword]


def _check(parts: list[Part]) -> None:
    literal = "".join(part.literal for part in parts)
    if not parts or (not _keywords(parts) and literal in ("", ".", "..")):
        raise ValueError(f"{literal!r} is no name of a folder or file")
    if parts[0].literal.startswith("."):
        raise ValueError(f"a name that begins with {parts[0].literal!r} would be hidden")
    if not literal.isprintable() or "\\" in literal:
        raise ValueError(f"{literal!r} has characters that names may not have")
    size = len(literal.encode())
    for keyword in _keywords(parts):
        entry = entry_for_keyword(keyword)
        assert entry is not None
        size += max(_SIZES.get(entry.vr, _LONG_SIZE), len(EMPTY))
    if size > _LONGEST_NAME:
        raise ValueError(f"a name could have {size} bytes, more than the {_LONGEST_NAME} of file systems")
