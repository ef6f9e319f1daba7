"""What is fuzzed of pixel data: RLE, encapsulation, the heads of compressed streams, palettes.

The libraries that decode the streams are not: they have fuzzers of their own.
"""

from __future__ import annotations

import struct
from contextlib import suppress

from aiodicom.dataset import Dataset
from aiodicom.errors import PixelDataError
from aiodicom.pixels import _markers, _rle
from aiodicom.pixels.codecs import codestream
from aiodicom.pixels.codecs.jpeg_xl_codestream import Codestream
from aiodicom.pixels.encapsulation import Buffer, Encapsulated, FragmentTable, encapsulate
from aiodicom.pixels.palette import Palette

__all__ = ["encapsulated", "palette", "pixel_seeds", "rle", "stream_head"]

#: Samples and bytes of each, by the first byte.
_SHAPES = ((1, 1), (1, 2), (3, 1), (3, 2), (1, 4), (1, 8))


def rle(data: bytes) -> None:
    """An RLE frame: three bytes choose samples and bytes, rows, columns."""
    if len(data) < 3:
        return
    samples, width = _SHAPES[data[0] % len(_SHAPES)]
    rows, columns, data = data[1] % 32 + 1, data[2] + 1, data[3:]
    size = rows * columns * samples * width
    target = bytearray(size)
    try:
        _rle.decode(data, target, rows, columns, samples, width)
    except PixelDataError:
        # What are no frames are samples.
        target[: len(data)] = data[:size]
        del target[size:]
    encoded = _rle.encode(target, rows, columns, samples, width)
    again = bytearray(size)
    _rle.decode(encoded, again, rows, columns, samples, width)
    assert again == target, "RLE does not come back as it was"


def encapsulated(data: bytes) -> None:
    """A value of encapsulated Pixel Data: four bytes say how many frames, and how long an extended offset table is."""
    if len(data) < 4:
        return
    frames, kind, length, other = data[0] % 8 + 1, data[1], data[2], data[3]
    tables, value = (data[4 : 4 + length], data[4 + length :]) if kind & 1 else (b"", data[4:])
    offsets = tables[: len(tables) // 2 + other % 3] or None

    def read(start: int, size: int) -> bytes:
        return value[start : start + size]

    try:
        contents = _contents(
            FragmentTable(
                read,
                len(value),
                frames,
                offsets=offsets,
                lengths=tables[len(offsets or b"") :],
                begins=(lambda fragment: bytes(fragment[:1]) == b"\xff") if kind & 2 else None,
            ),
            value,
            frames,
        )
    except PixelDataError:
        return
    assert sum(map(len, contents)) <= len(value), "fragments overlap"
    if all(contents):
        for made in (
            encapsulate(contents),
            encapsulate(contents, max_fragment=2 + 2 * (other % 5)),
            encapsulate(contents, table="extended"),
        ):
            _comes_back(made, contents)


def _contents(table: FragmentTable, value: bytes, frames: int) -> list[bytes]:
    return [b"".join(value[at : at + size] for at, size in table.fragments(number)) for number in range(frames)]


def _comes_back(made: Encapsulated, contents: list[bytes]) -> None:
    def read(start: int, size: int) -> Buffer:
        return made.value[start : start + size]

    table = FragmentTable(read, len(made.value), len(contents), offsets=made.offsets, lengths=made.lengths)
    found = _contents(table, made.value, len(contents))
    padded = [content + b"\0" * (len(content) % 2) for content in contents]
    assert found in (contents, padded), "frames do not come back as they were"


def stream_head(data: bytes) -> None:
    """The head of a JPEG, JPEG-LS, JPEG 2000 or JPEG XL stream."""
    for read in (
        lambda: _markers.read_header(data, "JPEG"),
        lambda: codestream.read_header(codestream.codestream(data)),
        lambda: Codestream(data).check_frames(),
    ):
        with suppress(PixelDataError):
            read()


def palette(data: bytes) -> None:
    """Palettes: six bytes are a descriptor, the seventh says of what kind and VR the tables are."""
    if len(data) < 7:
        return
    kind, table = data[6], data[7:]
    made = Dataset()
    for colour in ("Red", "Green", "Blue"):
        descriptor = list(struct.unpack("<3H", data[:6]))
        made.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", descriptor)
        keyword = f"{'Segmented' if kind & 1 else ''}{colour}PaletteColorLookupTableData"
        made.add_new(keyword, "OW", table)
    try:
        found = Palette.of(made, bool(kind & 2))
    except PixelDataError:
        return
    assert found.size == (descriptor[0] or 0x10000)
    assert found.width * 8 == descriptor[2]


def pixel_seeds() -> dict[str, list[bytes]]:
    """Of each kind what a program would have made."""
    rle_frames = [
        bytes((shape, 3, 15)) + _rle.encode(bytes(range(64)) * (samples * width), 4, 16, samples, width)
        for shape, (samples, width) in enumerate(_SHAPES)
    ]
    contents = [b"\xffone", b"\xffthree", b"\xfffive!"]
    extended = encapsulate(contents, table="extended")
    tables = (extended.offsets or b"") + (extended.lengths or b"")
    frames = [
        bytes((2, 0, 0, 0)) + encapsulate(contents).value,
        bytes((2, 2, 0, 1)) + encapsulate(contents, table="empty", max_fragment=2).value,
        bytes((0, 0, 0, 0)) + encapsulate(contents, max_fragment=4).value,
        bytes((2, 1, len(tables), 0)) + tables + extended.value,
    ]
    heads = []
    with suppress(ImportError):
        import imagecodecs
        import numpy

        grey = numpy.arange(300, dtype="u1").reshape(15, 20)
        rgb = numpy.stack([grey] * 3, -1)
        for image in (grey, rgb):
            heads += [
                imagecodecs.jpeg8_encode(image, 50),
                imagecodecs.jpegls_encode(image),
                imagecodecs.jpeg2k_encode(image, 30, codecformat="J2K"),
                imagecodecs.jpeg2k_encode(image, 30, codecformat="JP2"),
                imagecodecs.htj2k_encode(image, tlm=True),
                imagecodecs.jpegxl_encode(image, usecontainer=True),
                imagecodecs.jpegxl_encode(image, lossless=True, usecontainer=False),
            ]
    palettes = [
        struct.pack("<3HB", 3, 0, 16, 0) + bytes(range(6)),
        struct.pack("<3HB", 3, 65535, 8, 2) + bytes(range(6)),
        struct.pack("<3HB", 7, 0, 16, 1) + struct.pack("<14H", 0, 2, 10, 20, 1, 2, 40, 2, 1, 0, 0, 1, 1, 9),
        struct.pack("<3HB", 5, 0, 8, 1) + bytes((0, 2, 10, 20, 1, 2, 40, 0, 1, 9)),
    ]
    return {
        "rle": rle_frames,
        "encapsulated": frames,
        "stream_head": [bytes(each) for each in heads],
        "palette": palettes,
    }
