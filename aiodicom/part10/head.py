"""Where the parts of a file begin: preamble, file meta information, data set (PS3.10 7), also where they are not right.

Files that come without preamble, without file meta information, with a wrong group length, or whose data set is not in
the transfer syntax that they state are found out by looking, as every reader that people use does.
"""

from __future__ import annotations

from typing import NamedTuple

from aiodicom.errors import DecodeError
from aiodicom.standard.uids import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

from .group2 import GROUP_LENGTH, LONG_VRS, SHORT_VRS, TRANSFER_SYNTAX, Read, elements_of

__all__ = ["Head", "find_head", "guess_transfer_syntax"]

_VRS = LONG_VRS | SHORT_VRS


class Head(NamedTuple):
    """Offsets are bytes from the beginning of the file."""

    #: the 128 bytes before the prefix, empty where the file has none
    preamble: bytes
    #: group 0002 as it stands; `meta_implicit` where it wrongly is in implicit VR
    meta: bytes
    meta_implicit: bool
    #: Transfer Syntax UID (0002,0010), None where the file does not say
    transfer_syntax: str | None
    #: where the data set begins
    data_offset: int
    #: what the file breaks of PS3.10 7.1, empty if nothing
    fault: str
    #: where and why the file ends within its file meta information, None where it does not
    truncated: DecodeError | None = None


def find_head(read: Read, size: int, *, force: bool = False) -> Head:
    """Takes the head of a file of `size` bytes apart.

    Raises DecodeError for what does not look like a DICOM file at all, unless `force`d to try.
    """
    start = read(0, 132)
    preamble, offset, fault = b"", 0, ""
    if start[128:132] == b"DICM":
        preamble, offset = start[:128], 132
    elif start[:4] == b"DICM":
        offset, fault = 4, "no preamble (PS3.10 7.1)"
    else:
        fault = "no preamble and no prefix DICM (PS3.10 7.1)"
        if not force and not _plausible(start[:12], size):
            raise DecodeError("not a DICOM file: neither a prefix DICM nor elements of a data set", 0)
    return _walk(read, size, offset, preamble, fault)


def _plausible(start: bytes, size: int) -> bool:
    """Whether `start` is the beginning of a data set, in any transfer syntax, or of file meta information."""
    if len(start) < 8 or not any(start):
        return False
    for byte_order in ("little", "big"):
        group = int.from_bytes(start[:2], byte_order)
        if group % 2 or not 0 <= group <= 0x0040:
            continue
        if start[4:6] in _VRS:
            return True
        if byte_order == "little" and int.from_bytes(start[4:8], "little") <= size - 8 and _known(start):
            return True
    return False


def _known(start: bytes) -> bool:
    from aiodicom.standard.dictionary import entry_for_tag

    group, element = int.from_bytes(start[:2], "little"), int.from_bytes(start[2:4], "little")
    return entry_for_tag(group << 16 | element) is not None


def _walk(read: Read, size: int, offset: int, preamble: bytes, fault: str) -> Head:
    begin = offset
    is_implicit = False
    transfer_syntax: str | None = None
    stated_end: int | None = None
    truncated: DecodeError | None = None
    try:
        for element, start, end, implicit in elements_of(read, size, offset):
            offset = end
            is_implicit |= implicit
            if element == TRANSFER_SYNTAX:
                uid = read(start, min(end - start, 128)).decode("latin_1").strip("\0 ")
                transfer_syntax = uid or None
            elif element == GROUP_LENGTH and end - start == 4:
                stated_end = end + int.from_bytes(read(start, 4), "little")
        if stated_end is not None and offset < stated_end and size - offset < 8:
            truncated, offset = DecodeError("the file ends within its file meta information", offset), size
    except DecodeError as error:
        truncated, offset = error, size
    if truncated is not None:
        fault = str(truncated)
    elif is_implicit:
        fault = fault or "file meta information is not in explicit VR (PS3.10 7.1)"
    elif offset == begin:
        fault = fault or "no file meta information (PS3.10 7.1)"
    elif stated_end is None:
        fault = fault or "no File Meta Information Group Length (0002,0000)"
    elif stated_end != offset:
        fault = fault or "wrong File Meta Information Group Length (0002,0000)"
    return Head(preamble, read(begin, offset - begin), is_implicit, transfer_syntax, offset, fault, truncated)


def guess_transfer_syntax(start: bytes, size: int) -> str:
    """The transfer syntax of a data set of `size` bytes, without fragments, that its file does not state.

    `start` is what the data set begins with.
    """
    if start[4:6] not in _VRS:
        return IMPLICIT_VR_LITTLE_ENDIAN
    from aiodicom.dataset._dataset import found_encoding

    _, big = found_encoding(start, size, False, False)
    return EXPLICIT_VR_BIG_ENDIAN if big else EXPLICIT_VR_LITTLE_ENDIAN
