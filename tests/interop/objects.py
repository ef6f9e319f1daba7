"""DICOM objects to send: real ones out of pydicom's test data, and a CT slice of 525 kB made here.

The parsing here is the least that is needed and shares nothing with aiodicom.
"""

from __future__ import annotations

import functools
import importlib.util
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.interop.processes import PeerMissing

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"

#: VRs of explicit VR encodings with a length of 32 bits after two reserved bytes (PS3.5 7.1.2).
_LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}


@dataclass(frozen=True)
class Part10:
    """A DICOM file: what its meta information says, and where its data set begins."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    offset: int

    def data_set(self) -> bytes:
        """The encoded data set: what follows the file meta information."""
        return self.path.read_bytes()[self.offset :]

    def element(self, group: int, element: int) -> str:
        """A text value of the data set, empty where there is none, or none that is text; read by pydicom."""
        from pydicom import dcmread

        found = dcmread(self.path, stop_before_pixels=True).get((group, element))
        return found.value if found is not None and isinstance(found.value, str) else ""


def split(content: bytes) -> tuple[dict[tuple[int, int], bytes], int]:
    """The elements of the file meta information (PS3.10 7.1) and the offset of the data set behind it."""
    if content[128:132] != b"DICM":
        raise ValueError("no DICM at 128")
    meta: dict[tuple[int, int], bytes] = {}
    offset = 132
    while content[offset : offset + 2] == b"\x02\x00":
        group, element, vr, length = struct.unpack_from("<HH2sH", content, offset)
        offset += 8
        if vr in _LONG_VRS:
            (length,) = struct.unpack_from("<L", content, offset)
            offset += 4
        meta[group, element] = content[offset : offset + length]
        offset += length
    return meta, offset


def data_set_of(content: bytes) -> bytes:
    """The encoded data set of a Part 10 file's content."""
    return content[split(content)[1] :]


def part10(path: Path) -> Part10:
    meta, offset = split(path.read_bytes())
    sop_class, instance, syntax = (
        meta[0x0002, element].rstrip(b"\0 ").decode("ascii") for element in (0x0002, 0x0003, 0x0010)
    )
    return Part10(path, sop_class, instance, syntax, offset)


@functools.cache
def pydicom_objects() -> tuple[Part10, ...]:
    """Every storage object among the files in pydicom's wheel whose meta information names it fully; sorted by path.

    An instance that is there in several encodings is there several times.
    """
    spec = importlib.util.find_spec("pydicom")
    if spec is None or spec.origin is None:
        raise PeerMissing("pydicom is not installed")
    found: list[Part10] = []
    for path in sorted((Path(spec.origin).parent / "data" / "test_files").rglob("*")):
        if not path.is_file():
            continue
        try:
            candidate = part10(path)
        except (ValueError, KeyError, struct.error):
            continue
        if candidate.sop_class_uid not in ("", MEDIA_STORAGE_DIRECTORY) and _is_uid(candidate.sop_instance_uid):
            found.append(candidate)
    return tuple(found)


def _is_uid(text: str) -> bool:
    return 0 < len(text) <= 64 and all(part.isdigit() and (part == "0" or part[0] != "0") for part in text.split("."))


#: Files that other implementations refuse or repair, for reasons of their content.
_DAMAGED = (
    "truncated",
    "badVR",
    "rtdose_rle",
    "mismatch",
    "sequence-delimiter",
    "no_meta",
    "priv_SQ",
    "UN_sequence",
    "_KY",
)


@functools.cache
def one_of_each_transfer_syntax() -> dict[str, Part10]:
    """For each transfer syntax that pydicom's test data has, its largest undamaged object below 1 MB."""
    chosen: dict[str, Part10] = {}
    for each in sorted(pydicom_objects(), key=lambda each: (each.path.stat().st_size, each.path)):
        if each.path.stat().st_size < 1_000_000 and not any(word in each.path.name for word in _DAMAGED):
            chosen[each.transfer_syntax] = each
    return dict(sorted(chosen.items()))


def some_instances() -> list[Part10]:
    """Those of `one_of_each_transfer_syntax`, less the ones that are the same instance in another transfer syntax."""
    return list({each.sop_instance_uid: each for each in one_of_each_transfer_syntax().values()}.values())


# ---- a synthetic CT slice

ROOT = "1.2.826.0.1.3680043.10.1234"
SIZE, SMALL = 512, 64


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    if len(value) % 2:
        value += b"\0" if vr in (b"UI", b"OB") else b" "
    form, reserved = ("<HH2sHL", (0,)) if vr in _LONG_VRS else ("<HH2sH", ())
    return struct.pack(form, group, element, vr, *reserved, len(value)) + value


@functools.cache
def _pixels(side: int) -> bytes:
    """Noise of 12 bits in 16, the same in every run."""
    noise = bytearray(random.Random(2).randbytes(2 * side * side))
    noise[1::2] = bytes(value & 0x0F for value in noise[1::2])
    return bytes(noise)


def ct_uid(number: int) -> str:
    """The SOP Instance UID of the slice of this number: always 64 characters."""
    return f"{ROOT}.2.1{number:0{64 - len(ROOT) - 4}d}"


def ct_data_set(number: int, side: int = SIZE) -> tuple[bytes, int]:
    """A CT of 512 x 512 (or `side` x `side`) x 16 bit, explicit little endian, and the offset of its 64-byte SOP
    Instance UID value.
    """

    def us(value: int) -> bytes:
        return struct.pack("<H", value)

    head = _element(0x0008, 0x0008, b"CS", b"ORIGINAL\\PRIMARY\\AXIAL")
    head += _element(0x0008, 0x0016, b"UI", CT_IMAGE_STORAGE.encode())
    offset = len(head) + 8
    head += _element(0x0008, 0x0018, b"UI", ct_uid(number).encode())
    head += b"".join(
        (
            _element(0x0008, 0x0020, b"DA", b"20260101"),
            _element(0x0008, 0x0030, b"TM", b"120000"),
            _element(0x0008, 0x0050, b"SH", b"A1"),
            _element(0x0008, 0x0060, b"CS", b"CT"),
            _element(0x0008, 0x0070, b"LO", b"NOISE"),
            _element(0x0008, 0x0090, b"PN", b""),
            _element(0x0010, 0x0010, b"PN", b"TEST^NOISE"),
            _element(0x0010, 0x0020, b"LO", b"NOISE1"),
            _element(0x0010, 0x0030, b"DA", b""),
            _element(0x0010, 0x0040, b"CS", b"O"),
            _element(0x0020, 0x000D, b"UI", f"{ROOT}.3".encode()),
            _element(0x0020, 0x000E, b"UI", f"{ROOT}.4".encode()),
            _element(0x0020, 0x0010, b"SH", b"1"),
            _element(0x0020, 0x0011, b"IS", b"1"),
            _element(0x0020, 0x0013, b"IS", str(number).encode()),
            _element(0x0028, 0x0002, b"US", us(1)),
            _element(0x0028, 0x0004, b"CS", b"MONOCHROME2"),
            _element(0x0028, 0x0010, b"US", us(side)),
            _element(0x0028, 0x0011, b"US", us(side)),
            _element(0x0028, 0x0100, b"US", us(16)),
            _element(0x0028, 0x0101, b"US", us(12)),
            _element(0x0028, 0x0102, b"US", us(11)),
            _element(0x0028, 0x0103, b"US", us(0)),
            _element(0x0028, 0x1052, b"DS", b"-1024"),
            _element(0x0028, 0x1053, b"DS", b"1"),
        )
    )
    return head + _element(0x7FE0, 0x0010, b"OW", _pixels(side)), offset


def write_ct(path: Path, number: int = 1, side: int = SIZE) -> Part10:
    """Writes the CT of this number as a Part 10 file of 525 kB; of 9 kB where `side` is `SMALL`."""
    meta = b"".join(
        (
            _element(0x0002, 0x0001, b"OB", b"\0\1"),
            _element(0x0002, 0x0002, b"UI", CT_IMAGE_STORAGE.encode()),
            _element(0x0002, 0x0003, b"UI", ct_uid(number).encode()),
            _element(0x0002, 0x0010, b"UI", EXPLICIT_VR_LITTLE_ENDIAN.encode()),
            _element(0x0002, 0x0012, b"UI", f"{ROOT}.1".encode()),
        )
    )
    head = bytes(128) + b"DICM" + _element(0x0002, 0x0000, b"UL", struct.pack("<L", len(meta))) + meta
    path.write_bytes(head + ct_data_set(number, side)[0])
    return Part10(path, CT_IMAGE_STORAGE, ct_uid(number), EXPLICIT_VR_LITTLE_ENDIAN, len(head))


def write_cts(folder: Path, count: int, side: int = SIZE) -> Iterator[Part10]:
    """Writes a series of `count` slices, each with its own SOP Instance UID."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        yield write_ct(folder / f"ct{number:05d}.dcm", number, side)
