"""Group 0002 of a file, element by element: its length in (0002,0000) is often wrong or missing (PS3.10 7.1).

Every length is checked against the file before it is used, and no value is read that is not asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final

from aiodicom.errors import DecodeError
from aiodicom.standard.uids import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN

__all__ = [
    "GROUP_LENGTH",
    "LONG_VRS",
    "SHORT_VRS",
    "TRANSFER_SYNTAX",
    "Read",
    "elements_of",
    "path_of",
    "reading",
]

#: ``read(offset, count)`` gives up to `count` bytes of the file from `offset` on; fewer at its end alone.
Read = Callable[[int, int], bytes]

#: The VRs with two reserved bytes and a 32-bit length (PS3.5 7.1.2), and the others.
LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())

GROUP_LENGTH: Final = 0x0000
TRANSFER_SYNTAX: Final = 0x0010

#: What one read takes: the usual file meta information has about 200 bytes after the preamble.
_WINDOW: Final = 1024

_header: Final = Struct("<HH2sH")
_uint32: Final = Struct("<I")
_DEFLATED: Final = DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.encode()


def reading(descriptor: int) -> Read:
    """Reads a file a window at a time, for the many small reads of its head; its position is neither used nor moved."""
    window, base = b"", 0

    def read(offset: int, count: int) -> bytes:
        nonlocal window, base
        at = offset - base
        if at < 0 or at + count > len(window):
            window = os.pread(descriptor, max(count, _WINDOW), offset)
            base, at = offset, 0
        return window[at : at + count]

    return read


def elements_of(read: Read, size: int, offset: int) -> Iterator[tuple[int, int, int, bool]]:
    """The elements of group 0002 that stand from `offset` on in a file of `size` bytes: the number of each, where its
    value starts and ends, and whether it is in implicit VR.

    Ends before what is no whole header of group 0002. A deflated data set may begin with any bytes, so there the group
    length, where there is one, says where it does. Raises DecodeError where the file ends inside an element.
    """
    stated_end = -1
    is_deflated = False
    while offset + 8 <= size and not (is_deflated and offset == stated_end):
        header = read(offset, 12)
        if len(header) < 8:
            raise DecodeError("the file ends within its file meta information", offset)
        group, element, vr, length = _header.unpack_from(header)
        if group != 2:
            return
        start = offset + 8
        is_implicit = False
        if vr in LONG_VRS:
            start += 4
            if start > size or len(header) < 12:
                raise DecodeError("the file ends within the length of an element", offset + 8, path_of(element))
            (length,) = _uint32.unpack_from(header, 8)
        elif vr not in SHORT_VRS and not (vr.isalpha() and vr.isupper()):
            is_implicit = True
            (length,) = _uint32.unpack_from(header, 4)
        if length > size - start:
            raise DecodeError(f"a length of {length} reaches beyond the end of the file", offset, path_of(element))
        if element == GROUP_LENGTH and length == 4:
            stated_end = start + 4 + int.from_bytes(read(start, 4), "little")
        elif element == TRANSFER_SYNTAX:
            is_deflated = read(start, min(length, 66)).rstrip(b"\0 ") == _DEFLATED
        offset = start + length
        yield element, start, offset, is_implicit


def path_of(element: int) -> str:
    """An element of group 0002 as `DecodeError.path` has it."""
    return f"(0002,{element:04X})"
