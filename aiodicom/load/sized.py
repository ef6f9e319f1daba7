"""Objects of any SOP class, in any transfer syntax, of a size that is given, each a new instance.

An image that is not compressed has pixels; what else is missing to the size stands in a private element of noise, which
no SOP class and no transfer syntax forbids (PS3.5 7.8).
"""

from __future__ import annotations

import itertools
import zlib
from functools import lru_cache
from hashlib import blake2b
from math import isqrt
from random import Random
from struct import pack
from typing import Final

from aiodicom.dataset import Dataset
from aiodicom.dataset.transfer import TransferSyntax, encoding_of
from aiodicom.load.supply import Instance
from aiodicom.load.template import Slot, Template
from aiodicom.net.sources import Buffer
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN, uid_name

__all__ = ["PATIENT_ID", "PATIENT_NAME", "SizedObjects"]

#: Whose all of it is.
PATIENT_ID: Final = "LOADTEST"
PATIENT_NAME: Final = "Load^Test"

#: Noise compresses as little as what a detector has seen; every object is made of the same.
_NOISE: Final = memoryview(Random(0).randbytes(1 << 20))
_CREATOR: Final = b"AIODICOM LOAD "
#: The UIDs that each instance has others in place of.
_INSTANCE, _STUDY, _SERIES = (f"1.2.3.{number}" for number in range(3))
#: Smaller ones are no images.
_LEAST_IMAGE: Final = 4096
_MOST_ROWS: Final = 0xFFFF


class SizedObjects:
    """Makes them; the same seed makes the same. No UID is given twice."""

    def __init__(self, seed: int | str) -> None:
        digest = blake2b(f"objects {seed}".encode(), digest_size=14).digest()
        # 39 digits, as few UUIDs have less (PS3.5 B.2).
        self._base = 10**38 + int.from_bytes(digest) * 10**4
        self._numbers = itertools.count(1)
        self._studies: dict[int, tuple[bytes, bytes]] = {}

    def instance(self, sop_class: str, transfer_syntax: str, size: int, study: int) -> Instance:
        """Returns a new instance of the study of this number, `size` bytes large as far as that can be.

        Data sets have an even number of bytes, and not less than their UIDs need. What is deflated (PS3.5 A.5) is a
        little larger.
        """
        encoding = encoding_of(transfer_syntax)
        syntax = EXPLICIT_VR_LITTLE_ENDIAN if encoding.deflated else transfer_syntax
        head = _head(sop_class, syntax, 0)
        room = (size - head.size) // 2 * 2
        side = 0
        if size >= _LEAST_IMAGE and not encoding.encapsulated and uid_name(sop_class).endswith("Image Storage"):
            side = _side(room, encoding)
            head = _head(sop_class, syntax, side)
            room = size // 2 * 2 - head.size
        study_uid, series_uid = self._study(study)
        values: dict[Slot, bytes] = {_INSTANCE: self.uid().encode(), _STUDY: study_uid, _SERIES: series_uid}
        copy = head.copy(values)
        buffers: tuple[Buffer, ...] = (*copy.buffers, *_bulk(room, side, encoding))
        if encoding.deflated:
            buffers = (_stored(b"".join(buffers)),)
        return Instance(sop_class, copy.sop_instance_uid, transfer_syntax, buffers, sum(map(len, buffers)))

    def study_instance_uid(self, study: int) -> str:
        """The UID of the study of this number."""
        return self._study(study)[0].decode()

    def uid(self) -> str:
        """Returns a new UID."""
        return f"2.25.{self._base + next(self._numbers)}"

    def forget(self, study: int) -> None:
        """Nothing more of this study is wanted."""
        self._studies.pop(study, None)

    def _study(self, number: int) -> tuple[bytes, bytes]:
        if number not in self._studies:
            self._studies[number] = self.uid().encode(), self.uid().encode()
        return self._studies[number]


@lru_cache(maxsize=256)
def _head(sop_class: str, transfer_syntax: str, side: int) -> Template:
    """What comes before the bulk."""
    data_set = Dataset(
        SpecificCharacterSet="ISO_IR 100",
        SOPClassUID=sop_class,
        SOPInstanceUID=_INSTANCE,
        StudyDate="20260101",
        StudyTime="120000",
        AccessionNumber="",
        Modality="OT",
        PatientName=PATIENT_NAME,
        PatientID=PATIENT_ID,
        PatientBirthDate="",
        PatientSex="O",
        StudyInstanceUID=_STUDY,
        SeriesInstanceUID=_SERIES,
        StudyID="1",
        SeriesNumber=1,
        InstanceNumber=1,
    )
    if side:
        for keyword, value in {
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": side,
            "Columns": side,
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 0,
        }.items():
            setattr(data_set, keyword, value)
    return Template(data_set, transfer_syntax, ())


def _side(room: int, encoding: TransferSyntax) -> int:
    """The rows and columns of a square image that leaves room for the private elements after it."""
    image_module = 8 * 16  # at the most, of what `_head` adds
    pixels = room - image_module - _header_size(encoding) - len(_private(encoding, 0))
    return min(isqrt(max(pixels, 0) // 2), _MOST_ROWS)


def _bulk(room: int, side: int, encoding: TransferSyntax) -> list[Buffer]:
    """Pixel Data (7FE0,0010) of `side` rows and columns, and private elements that fill the room."""
    buffers: list[Buffer] = []
    if side:
        size = 2 * side * side
        buffers += (_header(0x7FE0, 0x0010, b"OW", size, encoding), *_noise(size))
        room -= _header_size(encoding) + size
    size = room - len(_private(encoding, 0))
    if size >= 0:
        buffers += (_private(encoding, size), *_noise(size))
    return buffers


def _private(encoding: TransferSyntax, size: int) -> bytes:
    """A private creator, and the header of its element."""
    tag = pack("<HH" if encoding.little_endian else ">HH", 0x7FE1, 0x0010)
    if encoding.explicit:
        creator = tag + b"LO" + pack("<H" if encoding.little_endian else ">H", len(_CREATOR))
    else:
        creator = tag + pack("<I", len(_CREATOR))
    return creator + _CREATOR + _header(0x7FE1, 0x1010, b"OB", size, encoding)


def _header(group: int, element: int, vr: bytes, size: int, encoding: TransferSyntax) -> bytes:
    order = "<" if encoding.little_endian else ">"
    if encoding.explicit:
        return pack(f"{order}HH2sHI", group, element, vr, 0, size)
    return pack(f"{order}HHI", group, element, size)


def _header_size(encoding: TransferSyntax) -> int:
    return 12 if encoding.explicit else 8


def _noise(size: int) -> list[Buffer]:
    """So many bytes, of which nothing is copied."""
    whole, rest = divmod(size, len(_NOISE))
    return [*[_NOISE] * whole, _NOISE[:rest]] if rest else [_NOISE] * whole


def _stored(data: bytes) -> bytes:
    """A deflated stream of blocks that are not compressed (RFC 1951 3.2.4), padded to an even length."""
    deflate = zlib.compressobj(0, zlib.DEFLATED, -zlib.MAX_WBITS)
    stream = deflate.compress(data) + deflate.flush()
    return stream + bytes(len(stream) % 2)
