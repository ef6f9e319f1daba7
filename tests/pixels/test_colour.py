"""Colour: palettes and YBR to RGB, and what a JPEG says of its own colour."""

from __future__ import annotations

import struct
from typing import Any

import numpy
import pytest

from aiodicom.dataset import Dataset
from aiodicom.errors import PixelDataError
from aiodicom.pixels.codecs import codec_for
from aiodicom.pixels.palette import Palette

from .images import data_set, describe, image

LITTLE = "1.2.840.10008.1.2.1"
BASELINE = "1.2.840.10008.1.2.4.50"
COLOURS = ("Red", "Green", "Blue")


def palette_set(tables: list[bytes], descriptor: list[int], segmented: bool = False, **elements: Any) -> Dataset:
    made = data_set(describe("palette", 2, 2), bytes((5, 6, 7, 6)), LITTLE)
    for colour, table in zip(COLOURS, tables, strict=True):
        made.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", descriptor)
        made.add_new(f"{'Segmented' * segmented}{colour}PaletteColorLookupTableData", "OW", table)
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


TABLES = [struct.pack("<3H", *numbers) for numbers in ((1, 2, 300), (4, 5, 600), (7, 8, 900))]
RGB = [[[1, 4, 7], [2, 5, 8]], [[300, 600, 900], [2, 5, 8]]]


def test_a_palette_of_words() -> None:
    made = palette_set(TABLES, [3, 5, 16])
    found = made.frames[0].to_numpy(rgb=True)
    assert (found.tolist(), found.dtype) == (RGB, numpy.dtype("u2"))
    assert made.frames[0].to_numpy().tolist() == [[5, 6], [7, 6]]


@pytest.mark.parametrize("in_words", [False, True])
def test_a_palette_of_bytes(in_words: bool) -> None:
    tables = [bytes((1, 2, 3)), bytes((4, 5, 6)), bytes((7, 8, 9))]
    if in_words:
        tables = [bytes(byte for each in table for byte in (each, 0)) for table in tables]
    found = palette_set(tables, [3, 5, 8]).frames[0].to_numpy(rgb=True)
    assert (found.tolist(), found.dtype) == ([[[1, 4, 7], [2, 5, 8]], [[3, 6, 9], [2, 5, 8]]], numpy.dtype("u1"))


def test_a_palette_in_big_endian() -> None:
    made = palette_set(TABLES, [3, 5, 16])
    big = Dataset.from_bytes(made.to_bytes("1.2.840.10008.1.2.2"), "1.2.840.10008.1.2.2")
    assert big.frames[0].to_numpy(rgb=True).tolist() == RGB


def test_indexes_with_a_sign() -> None:
    made = palette_set(TABLES, [3, 0xFFFE, 16], PixelRepresentation=1, PixelData=bytes((0xFE, 0xFF, 0, 0xFF)))
    assert made.frames[0].to_numpy(rgb=True).tolist() == RGB


def test_an_index_that_the_palette_has_not() -> None:
    made = palette_set(TABLES, [3, 6, 16])
    with pytest.raises(
        PixelDataError, match=r"frames\[0\]: palette index 5 at row 0, column 0, of a palette from 6 to 8"
    ):
        made.frames[0].to_numpy(rgb=True)
    assert made.frames[0].to_numpy(rgb=True, clamp=True)[0, 0].tolist() == [1, 4, 7]
    made = palette_set(TABLES, [3, 4, 16])
    with pytest.raises(PixelDataError, match="palette index 7 at row 1, column 0"):
        made.frames[0].to_numpy(rgb=True)


def test_65536_entries_are_written_as_none() -> None:
    tables = [numpy.arange(65536).astype("<u2").tobytes()] * 3
    assert Palette.of(palette_set(tables, [0, 0, 16]), False).size == 65536


SEGMENTS = struct.pack(
    "<2H2H 3H 4H 3H",
    *(0, 2, 10, 20),  # discrete
    *(1, 2, 40),  # linear: 30, 40
    *(2, 1, 0, 0),  # the first segment once more
    *(1, 1, 9),
)


def test_a_segmented_palette() -> None:
    palette = Palette.of(palette_set([SEGMENTS] * 3, [7, 0, 16], segmented=True), False)
    entries = numpy.frombuffer(palette.entries, "u2").reshape(-1, 3)
    assert entries[:, 0].tolist() == [10, 20, 30, 40, 10, 20, 9]
    assert (entries[:, 1] == entries[:, 2]).all()


def test_a_segmented_palette_of_bytes() -> None:
    table = bytes((0, 2, 10, 20, 1, 2, 40, 2, 1, 0, 0, 0, 0, 0))
    palette = Palette.of(palette_set([table] * 3, [6, 0, 8], segmented=True), False)
    assert list(palette.entries[::3]) == [10, 20, 30, 40, 10, 20]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (struct.pack("<2H", 0, 0xFFFF), "a discrete segment is not whole"),
        (struct.pack("<3H", 1, 3, 5), "a linear segment without its ends"),
        (struct.pack("<6H", 0, 1, 5, 1, 0, 5), "a linear segment without its ends"),
        (struct.pack("<3H", 0, 1, 5), "has 1 entries, not 100"),
        (struct.pack("<5H", 2, 0xFFFF, 0xFFFF, 0xFFFF, 0), "leads out of the table"),
        (struct.pack("<4H", 2, 0xFFFF, 0, 0), "a segment of type 2"),
        (struct.pack("<4H", 2, 1, 0, 0)[:6], "an indirect segment is not whole"),
        (struct.pack("<3H", 7, 1, 5), "a segment of type 7"),
        (struct.pack("<1H", 0), "a segment is not whole"),
    ],
)
def test_segments_that_are_malformed(table: bytes, why: str) -> None:
    with pytest.raises(PixelDataError, match=why):
        Palette.of(palette_set([table] * 3, [100, 0, 16], segmented=True), False)


@pytest.mark.parametrize(
    ("tables", "descriptor", "why"),
    [
        (TABLES, [4, 5, 16], "has 6 bytes for 4 entries of 16 bits"),
        (TABLES, [3, 5, 12], "is 3, 5, 12"),
        (TABLES, [3, 5], "no RedPaletteColorLookupTableDescriptor"),
        ([b"", *TABLES[1:]], [3, 5, 16], "has 0 bytes"),
    ],
)
def test_palettes_that_are_not_what_they_say(tables: list[bytes], descriptor: list[int], why: str) -> None:
    with pytest.raises(PixelDataError, match=why):
        palette_set(tables, descriptor).frames[0].to_numpy(rgb=True)


def test_palettes_that_differ_or_are_not_there() -> None:
    made = palette_set(TABLES, [3, 5, 16])
    made.GreenPaletteColorLookupTableDescriptor = [3, 6, 16]
    with pytest.raises(PixelDataError, match="described differently"):
        made.frames[0].to_numpy(rgb=True)
    with pytest.raises(PixelDataError, match="no RedPalette"):
        data_set(describe("palette", 2, 2), bytes(4), LITTLE).frames[0].to_numpy(rgb=True)


def test_monochrome_stays_as_it_is() -> None:
    frame = data_set(describe("8"), image("8").tobytes(), LITTLE).frames[0]
    assert numpy.array_equal(frame.to_numpy(rgb=True), image("8"))


@pytest.mark.parametrize("interpretation", ["YBR_FULL", "YBR_PARTIAL_422", "HSV"])
def test_colours_that_are_not_rgb(interpretation: str) -> None:
    described = describe("YBR_FULL", 1, 2, photometric_interpretation=interpretation)
    content = bytes((235, 235, 128, 128)) if described.subsampled else bytes((255, 128, 128)) * 2
    frame = data_set(described, content, LITTLE).frames[0]
    if interpretation == "HSV":
        with pytest.raises(PixelDataError, match="HSV is not converted"):
            frame.to_numpy(rgb=True)
    else:
        assert frame.to_numpy(rgb=True).tolist() == [[[255] * 3] * 2]


@pytest.mark.parametrize(("declared", "transform"), [("RGB", None), ("YBR_FULL", None), ("RGB", 1), ("YBR_FULL", 0)])
def test_what_a_jpeg_says_of_its_colour(declared: str, transform: int | None) -> None:
    """YBR in a stream that says so, by JFIF or Adobe's segment, is YBR even where the data set says RGB."""
    rgb, described = image("RGB"), describe("RGB")
    encoded = codec_for(BASELINE).encode(rgb, described, 95)
    stream = encoded.data
    start = stream.index(b"\xff\xe0")
    length = int.from_bytes(stream[start + 2 : start + 4], "big")
    if transform is not None:
        adobe = b"\xff\xee\x00\x0eAdobe" + struct.pack(">HHHB", 100, 0, 0, transform)
        stream = stream[:start] + adobe + stream[start + 2 + length :]
    frame = data_set(describe("RGB", photometric_interpretation=declared), [stream], BASELINE).frames[0]
    assert numpy.abs(frame.to_numpy(rgb=True).astype(int) - rgb).max() < 30
    assert frame.decode().photometric_interpretation == "YBR_FULL"
