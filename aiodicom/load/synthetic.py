"""Synthetic CT images, each a new instance, at the price of copying a UID.

The data set is encoded once. An instance is the same bytes with another SOP Instance UID in the middle, so it comes as
three buffers, of which the last, with the pixels, is shared by all.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator
from math import isqrt
from struct import pack

from aiodicom.load.supply import Instance, Series, Study
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN, generate_uid

__all__ = ["CT_IMAGE_STORAGE", "SyntheticCT"]

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

#: The digits of an instance's number: its UID has the same length for each of them.
_DIGITS = 10


class SyntheticCT:
    """One series of CT images of `rows` x `columns` pixels of 16 bits, explicit VR little endian (PS3.3 A.3).

    Every series has UIDs of its own below 2.25 (PS3.5 B.2); `next()` gives its next instance. The patient is invented.
    """

    sop_class_uid = CT_IMAGE_STORAGE
    transfer_syntax = EXPLICIT_VR_LITTLE_ENDIAN

    def __init__(self, rows: int = 512, columns: int = 512) -> None:
        if not (0 < rows <= 65535 and 0 < columns <= 65535):
            raise ValueError(f"{rows} x {columns} pixels are not what Rows and Columns can say (PS3.3 C.7.6.3)")
        root = generate_uid()
        self._prefix = f"{root}.9."
        self._numbers = itertools.count(10 ** (_DIGITS - 1))
        uid_length = len(self._prefix) + _DIGITS
        self._padding = b"\0" * (uid_length % 2)
        head, tail = _data_set(root, rows, columns)
        self._head = head + pack("<HH2sH", 0x0008, 0x0018, b"UI", uid_length + len(self._padding))
        self._tail = tail
        #: bytes of an encoded data set
        self.size = len(self._head) + uid_length + len(self._padding) + len(tail)
        self.contexts = ((CT_IMAGE_STORAGE, (EXPLICIT_VR_LITTLE_ENDIAN,)),)
        self._root = root

    def next(self) -> Instance:
        """The next instance."""
        uid = f"{self._prefix}{next(self._numbers)}"
        return Instance(
            CT_IMAGE_STORAGE,
            uid,
            EXPLICIT_VR_LITTLE_ENDIAN,
            (self._head, uid.encode() + self._padding, self._tail),
            self.size,
        )

    def studies(self) -> Iterator[Study]:
        """The one study that all instances belong to, one instance at a time."""
        while True:
            series = Series(f"{self._root}.2", "CT", [self.next()])
            yield Study(f"{self._root}.1", "SYNTHETIC", "Synthetic^Load", "", [series])


def _data_set(root: str, rows: int, columns: int) -> tuple[bytes, bytes]:
    """What comes before and after (0008,0018): the elements of types 1 and 2 of the CT Image IOD."""
    before = b"".join(
        (
            _element(0x0008, 0x0005, b"CS", "ISO_IR 100"),
            _element(0x0008, 0x0008, b"CS", "ORIGINAL\\PRIMARY\\AXIAL"),
            _element(0x0008, 0x0016, b"UI", CT_IMAGE_STORAGE),
        )
    )
    after = b"".join(
        (
            _element(0x0008, 0x0020, b"DA", "20260101"),
            _element(0x0008, 0x0030, b"TM", "120000"),
            _element(0x0008, 0x0050, b"SH", ""),
            _element(0x0008, 0x0060, b"CS", "CT"),
            _element(0x0008, 0x0070, b"LO", "aiodicom"),
            _element(0x0008, 0x0090, b"PN", ""),
            _element(0x0010, 0x0010, b"PN", "Synthetic^Load"),
            _element(0x0010, 0x0020, b"LO", "SYNTHETIC"),
            _element(0x0010, 0x0030, b"DA", ""),
            _element(0x0010, 0x0040, b"CS", "O"),
            _element(0x0018, 0x0050, b"DS", "1"),
            _element(0x0018, 0x0060, b"DS", "120"),
            _element(0x0020, 0x000D, b"UI", f"{root}.1"),
            _element(0x0020, 0x000E, b"UI", f"{root}.2"),
            _element(0x0020, 0x0010, b"SH", "1"),
            _element(0x0020, 0x0011, b"IS", "1"),
            _element(0x0020, 0x0012, b"IS", "1"),
            _element(0x0020, 0x0013, b"IS", "1"),
            _element(0x0020, 0x0032, b"DS", "0\\0\\0"),
            _element(0x0020, 0x0037, b"DS", "1\\0\\0\\0\\1\\0"),
            _element(0x0020, 0x0052, b"UI", f"{root}.3"),
            _element(0x0020, 0x1040, b"LO", ""),
            _element(0x0028, 0x0002, b"US", 1),
            _element(0x0028, 0x0004, b"CS", "MONOCHROME2"),
            _element(0x0028, 0x0010, b"US", rows),
            _element(0x0028, 0x0011, b"US", columns),
            _element(0x0028, 0x0030, b"DS", "1\\1"),
            _element(0x0028, 0x0100, b"US", 16),
            _element(0x0028, 0x0101, b"US", 12),
            _element(0x0028, 0x0102, b"US", 11),
            _element(0x0028, 0x0103, b"US", 0),
            _element(0x0028, 0x1052, b"DS", "-1024"),
            _element(0x0028, 0x1053, b"DS", "1"),
            _element(0x0028, 0x1054, b"LO", "HU"),
            pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, rows * columns * 2) + _phantom(rows, columns),
        )
    )
    return before, after


def _element(group: int, element: int, vr: bytes, value: str | int) -> bytes:
    if isinstance(value, int):
        encoded = pack("<H", value)
    else:
        encoded = value.encode("ascii")
        encoded += (b"\0" if vr == b"UI" else b" ") * (len(encoded) % 2)
    return pack("<HH2sH", group, element, vr, len(encoded)) + encoded


def _phantom(rows: int, columns: int) -> bytes:
    """A disc of water with a rod of bone, in air: 12 bits, little endian, CT numbers + 1024."""
    air, water, bone = 24, 1024, 2024
    middle, radius = rows // 2, min(rows, columns) * 2 // 5
    pixels = array("H")
    for row in range(rows):
        line = array("H", [air]) * columns
        for value, reach in ((water, radius), (bone, radius // 4)):
            distance = abs(row - middle)
            if distance < reach:
                half = isqrt(reach * reach - distance * distance)
                line[columns // 2 - half : columns // 2 + half] = array("H", [value]) * (2 * half)
        pixels += line
    if pack("=H", 1) != pack("<H", 1):
        pixels.byteswap()
    return pixels.tobytes()
