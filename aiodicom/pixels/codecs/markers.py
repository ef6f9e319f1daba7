"""The head of JPEG (ISO/IEC 10918-1) and JPEG-LS (ISO/IEC 14495-1) streams, read before a library sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.errors import PixelDataError

if TYPE_CHECKING:
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["Header", "has_end", "read_header"]

#: SOFn (ISO/IEC 10918-1 table B.1), and SOF55 of JPEG-LS.
_FRAME_HEADERS: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})

#: TEM and RSTn, which have no length.
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})

#: Segments and fill bytes before the frame header. A profile of 16 MiB takes 256.
_MOST: Final = 1000

#: Scans of a progressive stream; each costs as much as the whole image.
_MOST_SCANS: Final = 100


class Header(NamedTuple):
    """The frame header: ``process`` is n of SOFn. ``adobe`` is the transform of the Adobe APP14 segment, or None."""

    process: int
    precision: int
    rows: int
    columns: int
    components: tuple[int, ...]
    jfif: bool
    adobe: int | None


def read_header(data: Buffer, name: str) -> Header:
    """What stands before and in the frame header of a stream.

    Raises `aiodicom.errors.PixelDataError` where there is none, and for more scans than an honest stream has.
    """
    if len(data) < 4 or data[0] != 0xFF or data[1] != 0xD8:
        raise PixelDataError(f"no {name} stream: it does not begin with SOI")
    at, end = 2, len(data)
    jfif, adobe = False, None
    for _ in range(_MOST):
        if end - at < 4:
            raise PixelDataError(f"the {name} stream ends before its frame header")
        if data[at] != 0xFF:
            raise PixelDataError(f"no marker at byte {at} of the {name} stream")
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in (0xD9, 0xDA):
            raise PixelDataError(f"the {name} stream has no frame header")
        length = data[at + 2] << 8 | data[at + 3]
        if length < 2 or length > end - at - 2:
            raise PixelDataError(f"segment FF{marker:02X} of the {name} stream has {length} bytes")
        segment = bytes(data[at + 4 : at + 2 + min(length, 800)])
        at += 2 + length
        if marker in _FRAME_HEADERS:
            header = _frame_header(marker, segment, jfif, adobe, name)
            if marker != 0xF7:  # JPEG-LS has a component in one scan, whatever there is
                _count_scans(header, bytes(data[at:]), name)
            return header
        if marker == 0xE0 and segment.startswith(b"JFIF"):
            jfif = True
        elif marker == 0xEE and segment.startswith(b"Adobe") and len(segment) >= 12:
            adobe = segment[11]
    raise PixelDataError(f"more than {_MOST} segments before the frame header of the {name} stream")


def has_end(data: Buffer) -> bool:
    """Whether EOI is there, and behind all scans.

    Of a scan that ends too early, libjpeg makes up the rest, and says so to nobody here; CharLS 2.4 may count to 2**32,
    for seconds.
    """
    return _has_end(bytes(data[-64:])) or _has_end(bytes(data))


def _has_end(stream: bytes) -> bool:
    end = stream.rfind(b"\xff\xd9")
    return end >= 0 and stream.find(b"\xff\xda", end) < 0


def _frame_header(marker: int, segment: bytes, jfif: bool, adobe: int | None, name: str) -> Header:
    if len(segment) < 6 or len(segment) < 6 + 3 * segment[5]:
        raise PixelDataError(f"the frame header of the {name} stream is too short")
    return Header(
        process=marker - 0xC0,
        precision=segment[0],
        rows=int.from_bytes(segment[1:3], "big"),
        columns=int.from_bytes(segment[3:5], "big"),
        components=tuple(segment[6 : 6 + 3 * segment[5] : 3]),
        jfif=jfif,
        adobe=adobe,
    )


def _count_scans(header: Header, rest: bytes, name: str) -> None:
    progressive = header.process in (2, 6, 10, 14)
    scans = rest.count(b"\xff\xda")
    # Where not progressive, a component is in one scan (ISO/IEC 10918-1 A.2.2). FFDA may also be within a segment.
    if scans > (_MOST_SCANS if progressive else len(header.components) + 4):
        raise PixelDataError(f"{scans} scans in the {name} stream")
