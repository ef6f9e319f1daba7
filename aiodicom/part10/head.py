"""Where the parts of a file begin: preamble, file meta information, data set (PS3.10 7), also where they are not right.

Files that come without preamble, without file meta information, with a wrong group length, or whose data set is not in
the transfer syntax that they state are found out by looking, as every reader that people use does.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from aiodicom.errors import DecodeError
from aiodicom.standard.transfer_syntaxes import transfer_syntax
from aiodicom.standard.uids import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

__all__ = ["Head", "Read", "find_head", "guess_transfer_syntax"]

#: ``read(offset, count)`` gives up to `count` bytes of the file from `offset` on; fewer at its end alone.
Read = Callable[[int, int], bytes]

_tag_and_length = Struct("<HHI")
_explicit_header = Struct("<HH2sH")
_uint32 = Struct("<I")

#: The VRs with two reserved bytes and a 32-bit length (PS3.5 7.1.2).
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_VRS = _LONG_VRS | _SHORT_VRS

_TRANSFER_SYNTAX = 0x0010


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

    group, element, _ = _tag_and_length.unpack_from(start)
    return entry_for_tag(group << 16 | element) is not None


def _walk(read: Read, size: int, offset: int, preamble: bytes, fault: str) -> Head:
    """Follows group 0002 element by element: its length in (0002,0000) is often wrong."""
    begin = offset
    implicit = deflated = False
    transfer_syntax_uid: str | None = None
    stated_end: int | None = None
    while offset + 8 <= size:
        header = read(offset, 12)
        group, element, vr, length = _explicit_header.unpack_from(header)
        if group != 2 or (offset == stated_end and deflated):
            # What is deflated may begin with any bytes, so there the stated length is all there is to go by.
            break
        value = offset + 8
        if vr in _LONG_VRS:
            if len(header) < 12:
                break
            (length,) = _uint32.unpack_from(header, 8)
            value += 4
        elif vr not in _SHORT_VRS:
            implicit = True
            fault = fault or "file meta information is not in explicit VR (PS3.10 7.1)"
            (length,) = _uint32.unpack_from(header, 4)
        if length > size - value:
            fault = f"the file ends inside (0002,{element:04X})"
            offset = size
            break
        if element == _TRANSFER_SYNTAX:
            uid = read(value, min(length, 128)).decode("latin_1").strip("\0 ")
            transfer_syntax_uid = uid or None
            deflated = transfer_syntax(uid).deflated
        elif element == 0 and length == 4:
            stated_end = value + 4 + _uint32.unpack(read(value, 4))[0]
        offset = value + length
    if offset == begin:
        fault = fault or "no file meta information (PS3.10 7.1)"
    elif stated_end is None:
        fault = fault or "no File Meta Information Group Length (0002,0000)"
    elif stated_end != offset:
        fault = fault or "wrong File Meta Information Group Length (0002,0000)"
    return Head(preamble, read(begin, offset - begin), implicit, transfer_syntax_uid, offset, fault)


def guess_transfer_syntax(start: bytes, size: int) -> str:
    """The transfer syntax of a data set of `size` bytes, without fragments, that its file does not state.

    `start` is what the data set begins with.
    """
    if start[4:6] not in _VRS:
        return IMPLICIT_VR_LITTLE_ENDIAN
    from aiodicom.dataset._dataset import found_encoding

    _, big = found_encoding(start, size, False, False)
    return EXPLICIT_VR_BIG_ENDIAN if big else EXPLICIT_VR_LITTLE_ENDIAN
