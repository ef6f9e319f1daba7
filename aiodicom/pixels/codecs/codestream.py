"""The main header of a JPEG 2000 codestream (ISO/IEC 15444-1 annex A), read before a library sees it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.errors import PixelDataError

from .boxes import boxes

if TYPE_CHECKING:
    from aiodicom.pixels.encapsulation import Buffer

__all__ = ["Header", "begins", "codestream", "read_header"]

#: SOC and SIZ, which a codestream begins with, and the signature box of the file that DICOM does not want around it.
_START: Final = b"\xff\x4f\xff\x51"
_SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"

_SIZ: Final = struct.Struct(">H8IH")
_MOST_SEGMENTS: Final = 20000
_MOST_TILES: Final = 65535


class Header(NamedTuple):
    """What SIZ says of the image."""

    rows: int
    columns: int
    components: int
    precision: int


def begins(data: Buffer) -> bool:
    """Whether a fragment is the first of a frame."""
    start = bytes(data[:12])
    return start.startswith(_START) or start == _SIGNATURE


def codestream(data: Buffer) -> Buffer:
    """The codestream within a file of JP2 boxes (ISO/IEC 15444-1 annex I), which some wrap it in; else `data`."""
    if bytes(data[:12]) != _SIGNATURE:
        return data
    for kind, contents in boxes(data):
        if kind == b"jp2c":
            return contents
    raise PixelDataError("the JPEG 2000 file has no codestream")


def read_header(data: Buffer) -> Header:
    """The main header of a codestream.

    Raises `aiodicom.errors.PixelDataError` where it is not whole, of components that differ, and where it promises more
    tiles or packets than its bytes can hold: a library would make room for all of them.
    """
    if bytes(data[:4]) != _START:
        raise PixelDataError("no JPEG 2000 codestream: it does not begin with SOC and SIZ")
    size = None
    style: bytes | None = None
    others: list[bytes] = []
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if len(data) - at < 4:
            raise PixelDataError("the JPEG 2000 codestream ends within its main header")
        marker = data[at] << 8 | data[at + 1]
        if marker in (0xFF90, 0xFFD9):
            break
        length = data[at + 2] << 8 | data[at + 3]
        if marker < 0xFF00 or length < 2 or length > len(data) - at - 2:
            raise PixelDataError(f"no marker segment at byte {at} of the JPEG 2000 codestream")
        segment = bytes(data[at + 4 : at + 2 + length])
        if marker == 0xFF51:
            size = segment
        elif marker == 0xFF52:
            style = segment
        elif marker == 0xFF53:
            others.append(segment)
        at += 2 + length
    else:
        raise PixelDataError(f"more than {_MOST_SEGMENTS} segments in the main header of the JPEG 2000 codestream")
    if size is None or style is None or len(style) < 10:
        raise PixelDataError("the main header of the JPEG 2000 codestream lacks SIZ or COD")
    return _header(size, style, others, len(data))


def _header(size: bytes, style: bytes, others: list[bytes], length: int) -> Header:
    if len(size) < _SIZ.size or len(size) < _SIZ.size + 3 * (components := _SIZ.unpack_from(size)[9]):
        raise PixelDataError("SIZ of the JPEG 2000 codestream is too short")
    _, right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, _ = _SIZ.unpack_from(size)
    if not components or len({size[at : at + 3] for at in range(_SIZ.size, _SIZ.size + 3 * components, 3)}) > 1:
        raise PixelDataError("components of the JPEG 2000 codestream differ")
    depth, across, down = size[_SIZ.size : _SIZ.size + 3]
    if (across, down) != (1, 1):
        raise PixelDataError("components of the JPEG 2000 codestream are subsampled")
    if not (left < right and top < bottom and tile_width and tile_height and tile_left <= left and tile_top <= top):
        raise PixelDataError("SIZ of the JPEG 2000 codestream has no image")
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if tiles > min(_MOST_TILES, length // 12):
        raise PixelDataError(f"the JPEG 2000 codestream promises {tiles} tiles in {length} bytes")
    width, height = min(tile_width, right - left), min(tile_height, bottom - top)
    layers = int.from_bytes(style[2:4], "big")
    precincts = components * _precincts(style[5:], style[0] & 1, width, height)
    wide = 2 if components > 256 else 1
    precincts += sum(
        _precincts(each[wide + 1 :], each[wide] & 1, width, height) for each in others if len(each) >= wide + 6
    )
    # A packet takes a byte at least. At the borders there are fewer than reckoned here.
    if tiles * layers * precincts > 4 * length + 1000:
        raise PixelDataError(f"the JPEG 2000 codestream promises more packets than {length} bytes can hold")
    return Header(
        rows=bottom - top,
        columns=right - left,
        components=components,
        precision=(depth & 0x7F) + 1,
    )


def _precincts(parameters: bytes, sized: int, width: int, height: int) -> int:
    """Precincts of a component in a tile (ISO/IEC 15444-1 B.6), by the parameters of COD or COC (table A.15)."""
    levels = parameters[0]
    if levels > 32 or (sized and len(parameters) < 6 + levels):
        raise PixelDataError("the decomposition of the JPEG 2000 codestream is malformed")
    count = 0
    for resolution in range(levels + 1):
        exponents = parameters[5 + resolution] if sized else 0xFF
        reduction = levels - resolution
        across = -(-width >> reduction) * -1 if reduction else width
        down = -(-height >> reduction) * -1 if reduction else height
        count += -(-across >> (exponents & 0x0F)) * -(-down >> (exponents >> 4))
    return count
