"""What is read of a stream before a library sees it: headers that promise more than there is."""

from __future__ import annotations

import struct
import time
import tracemalloc

import numpy
import pytest

from aiodicom.errors import PixelDataError
from aiodicom.pixels import _markers
from aiodicom.pixels.codecs import codec_for, codestream
from aiodicom.pixels.codecs.jpeg_xl_codestream import Codestream
from aiodicom.pixels.description import Description

from .images import describe, image

JPEG = "1.2.840.10008.1.2.4."


def encoded(number: int, kind: str = "8") -> bytearray:
    return bytearray(codec_for(f"{JPEG}{number}").encode(image(kind), describe(kind)).data)


def refused(number: int, stream: bytes | bytearray, why: str, described: Description | None = None) -> None:
    """At once, and without memory for what the stream promises."""
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(PixelDataError, match=why):
            codec_for(f"{JPEG}{number}").decode(bytes(stream), described or describe("8"))
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 1


def test_jpeg_of_other_dimensions() -> None:
    stream = encoded(50)
    at = stream.index(b"\xff\xc0")
    stream[at + 5 : at + 9] = struct.pack(">HH", 65500, 65500)
    refused(50, stream, "has 65500 x 65500 pixels, the data set 33 x 47")
    stream[at + 5 : at + 9] = struct.pack(">HH", 0, 47)
    refused(50, stream, "has 0 x 47 pixels")


@pytest.mark.parametrize(("number", "marker"), [(50, 0xC0), (51, 0xC1), (70, 0xC3), (53, 0xC2)])
def test_jpeg_of_more_pixels_than_its_bytes_can_hold(number: int, marker: int) -> None:
    """libjpeg makes up what is missing: a gigabyte, for ten seconds, of a few bytes that have said so."""
    kind = "12 of 16" if number == 51 else "8"
    stream = encoded(50 if number == 53 else number, kind)
    start = stream.index(b"\xff\xc0" if number == 53 else bytes((0xFF, marker)))
    stream[start + 1] = marker
    stream[start + 5 : start + 9] = struct.pack(">HH", 65000, 8000)
    refused(number, stream, "cannot hold 65000 x 8000 pixels", describe(kind, rows=65000, columns=8000))


@pytest.mark.parametrize("number", [50, 51, 57, 70])
@pytest.mark.parametrize("kind", ["8", "RGB"])
def test_jpeg_of_nothing_but_black_is_held_by_few_bytes(number: int, kind: str) -> None:
    described = describe(kind, 512, 512)
    cells = numpy.zeros((512, 512, 3) if kind == "RGB" else (512, 512), "u1")
    codec = codec_for(f"{JPEG}{number}")
    made = codec.encode(cells, described)
    assert len(made.data) < 110_000
    described = described.changed(photometric_interpretation=made.photometric_interpretation)
    assert codec.decode(made.data, described).cells.shape == cells.shape


def test_jpeg_of_another_process() -> None:
    stream = encoded(50)
    stream[stream.index(b"\xff\xc0") + 1] = 0xC9
    refused(50, stream, "the process of SOF9 is not decoded")
    refused(80, encoded(50), "one of JPEG")
    refused(50, encoded(80), "the process of SOF55 is not decoded")


def test_scans_without_end() -> None:
    stream = encoded(50)
    at = stream.index(b"\xff\xda")
    scan = bytes(stream[at : at + 2 + stream[at + 3]])
    refused(50, stream[:-2] + scan * 10, "11 scans")
    stream[stream.index(b"\xff\xc0") + 1] = 0xC2
    refused(50, stream[:-2] + scan * 200_000, "200001 scans")


def test_a_jpeg_ls_stream_without_its_end() -> None:
    """It does not take the library seconds to say so, whatever precedes the scan."""
    stream = bytes(encoded(80))
    scan = stream.index(b"\xff\xda")
    comment = stream[:scan] + b"\xff\xfe\x00\x06\xff\xda\xff\xd9" + stream[scan:]
    assert (codec_for(f"{JPEG}80").decode(comment, describe("8")).cells == image("8")).all()
    for cut in range(scan + 2, len(stream) - 1, 7):
        refused(80, stream[:cut], "ends before EOI")
        refused(80, comment[: cut + 8], "ends before EOI")


def test_segments_and_fill_bytes_without_end() -> None:
    for filler in (b"\xff\xe1\x00\x02" * 300_000, b"\xff" * 3_000_000, b"\xff\xd0" * 1_000_000):
        refused(50, b"\xff\xd8" + filler, "more than 1000 segments")
        refused(80, b"\xff\xd8" + filler, "more than 1000 segments")


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"\xff\xd8\xff\xda\x00\x02", "has no frame header"),
        (b"\xff\xd8\xff\xd9\x00\x02", "has no frame header"),
        (b"\xff\xd8\xff\xc0\x00\x01" + bytes(9), "segment FFC0 of the JPEG stream has 1 bytes"),
        (b"\xff\xd8\xff\xc0\xff\xff" + bytes(9), "segment FFC0 of the JPEG stream has 65535 bytes"),
        (b"\xff\xd8\xff\xc0\x00\x08" + bytes(5) + b"\3", "frame header of the JPEG stream is too short"),
        (b"\xff\xd8\xff\xc0\x00\x04" + bytes(5), "frame header of the JPEG stream is too short"),
        (b"\xff\xd8\x00\xc0\x00\x04" + bytes(5), "no marker at byte 2"),
    ],
)
def test_jpeg_headers_that_are_malformed(stream: bytes, why: str) -> None:
    with pytest.raises(PixelDataError, match=why):
        _markers.read_header(stream, "JPEG")


@pytest.mark.parametrize("number", [90, 201])
def test_jpeg_2000_of_other_dimensions(number: int) -> None:
    stream = encoded(number)
    stream[8:16] = struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF)
    refused(number, stream, "4294967295 x 4294967295 pixels|promises|codestream")
    stream[8:24] = struct.pack(">4I", 47, 33, 47, 33)
    refused(number, stream, "has no image")


@pytest.mark.parametrize("number", [90, 201])
def test_tiles_and_packets_that_there_cannot_be(number: int) -> None:
    stream = encoded(number)
    tiny = bytes(stream[:24]) + struct.pack(">II", 1, 1) + bytes(stream[32:])
    refused(number, tiny, "promises 1551 tiles")
    style = stream.index(b"\xff\x52")
    layers = bytearray(stream)
    layers[style + 6 : style + 8] = b"\xff\xff"
    refused(number, layers, "more packets than")
    # Precincts of a single sample, by a COD of its own length.
    levels = stream[style + 9]
    precincts = b"\xff\x52" + struct.pack(">H", 13 + levels) + bytes((1,)) + bytes(stream[style + 5 : style + 14])
    small = bytes(stream[:style]) + precincts + bytes(levels + 1) + bytes(stream[style + 2 + stream[style + 3] :])
    large = small[:8] + struct.pack(">II", 400, 300) + small[16:24] + struct.pack(">II", 400, 300) + small[32:]
    refused(number, large, "more packets than", describe("8", 300, 400))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((40, b"\x00\x00"), "differ"),
        ((40, b"\xff\xff"), "is too short"),
        ((43, b"\x02"), "subsampled"),
        ((24, bytes(4)), "has no image"),
        ((4, b"\xff\xff"), "no marker segment"),
        ((4, b"\x00\x00"), "no marker segment"),
        ((4, b"\x00\x08"), "no marker segment"),
    ],
)
def test_jpeg_2000_headers_that_are_malformed(change: tuple[int, bytes], why: str) -> None:
    stream = encoded(90)
    at, content = change
    stream[at : at + len(content)] = content
    with pytest.raises(PixelDataError, match=why):
        codestream.read_header(bytes(stream))


def test_jpeg_2000_in_a_file_of_boxes() -> None:
    """Which DICOM forbids (PS3.5 A.4.4), and some write."""
    stream = bytes(encoded(90))
    signature = b"\0\0\0\x0cjP  \r\n\x87\n"
    kind = b"\0\0\0\x14ftypjp2 \0\0\0\0jp2 "
    for box in (struct.pack(">I", 8 + len(stream)), bytes(4)):
        wrapped = signature + kind + box + b"jp2c" + stream
        assert codec_for(f"{JPEG}90").begins(wrapped[:64])
        assert (codec_for(f"{JPEG}90").decode(wrapped, describe("8")).cells == image("8")).all()
    long = signature + kind + b"\0\0\0\1jp2c" + struct.pack(">Q", 16 + len(stream)) + stream
    assert (codec_for(f"{JPEG}90").decode(long, describe("8")).cells == image("8")).all()
    for wrong in (signature, signature + kind, signature + b"\0\0\0\x08free" * 200, signature + b"\0\0\0\x02free"):
        refused(90, wrong, "has no codestream")


def packed(*fields: tuple[int, int]) -> bytes:
    """(value, width) fields, the least significant bit first."""
    total = at = 0
    for value, width in fields:
        total |= value << at
        at += width
    return total.to_bytes((at + 7) // 8, "little")


def bits(*fields: tuple[int, int]) -> bytes:
    """A codestream's head, and zeros."""
    return b"\xff\x0a" + packed(*fields) + bytes(40)


#: 33 x 47: not small, 9 bits each, no ratio.
SIZE = ((0, 1), (0, 2), (32, 9), (0, 3), (0, 2), (46, 9))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (((0, 1), (3, 2), (2**30 - 1, 30), (1, 3)), "1073741824 x 1073741824 pixels"),
        (((1, 1), (3, 5), (2, 3)), "32 x 38 pixels"),
        ((*SIZE, (1, 1)), "3 components"),
        ((*SIZE, (0, 1), (1, 1), (4, 3), (0, 3)), "an orientation"),
        ((*SIZE, (0, 1), (1, 1), (0, 3), (0, 1), (1, 1)), "a preview"),
        ((*SIZE, (0, 1), (1, 1), (0, 3), (0, 1), (0, 1), (1, 1)), "an animation"),
        ((*SIZE, (0, 1), (0, 1), (1, 1)), "floating point"),
        ((*SIZE, (0, 1), (0, 1), (0, 1), (3, 2), (31, 6), (0, 1), (0, 2), (0, 1), (0, 1), (0, 1), (1, 2)), "32 bits"),
        ((*SIZE, (0, 1), (0, 1), (0, 1), (0, 2), (0, 1), (1, 2)), "extra channels"),
    ],
)
def test_jpeg_xl_headers(fields: tuple[tuple[int, int], ...], why: str) -> None:
    refused(110, bits(*fields), why)


def test_jpeg_xl_in_boxes() -> None:
    stream = bytes(encoded(110))
    signature = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl "
    wrapped = signature + struct.pack(">I", 8 + len(stream)) + b"jxlc" + stream
    assert (codec_for(f"{JPEG}110").decode(wrapped, describe("8")).cells == image("8")).all()
    head = (33, 47, 1, 8)
    assert Codestream(wrapped).header == head == Codestream(stream).header
    for first in (0, 1, 2, 3, len(stream)):
        parts = b"".join(
            struct.pack(">I4sI", 12 + len(part), b"jxlp", number) + part
            for number, part in ((0, stream[:first]), (1 << 31 | 1, stream[first:]))
        )
        assert Codestream(signature + parts).header == head
    long = signature + b"\0\0\0\1jxlc" + struct.pack(">Q", 16 + len(stream)) + stream
    assert Codestream(long).header == head
    for wrong in (signature, signature + b"\0\0\0\x08free" * 200, signature + b"\0\0\0\x02free"):
        refused(110, wrong, "no JPEG XL codestream")


#: ImageMetadata of a grey image of 8 bits: D65, sRGB's transfer function; nothing else.
GREY_IMAGE = (
    *((0, 1), (0, 1), (0, 1), (0, 2), (1, 1), (0, 2), (0, 1)),
    *((0, 1), (0, 1), (1, 2), (1, 2), (0, 1), (2, 2), (11, 4), (1, 2), (0, 2), (1, 1)),
)


def with_frame(kind: int, side: int, *, order: int = 0, times: int = 1) -> bytes:
    """33 x 47 pixels whose last frame follows others (2: for reference), cut to side x side pixels, in one section."""
    is_reference = kind == 2
    fields = [(0, 1), (kind, 2), (1, 1), (0, 2), (0, 1), (0, 2), (3, 2)]
    if not is_reference:
        fields += [(0, 2)]  # one pass
    fields += [(1, 1)]
    if not is_reference:
        fields += [(0, 2), (0, 8)] * 2  # from the corner on
    fields += [(0, 2), (side, 8)] * 2 if side < 256 else [(3, 2), (side - 18688, 30)] * 2
    if not is_reference:
        fields += [(0, 2), (0, 1)]  # replaces what was there; not the last
    fields += [(1, 2), (1, 1), (0, 2), (1, 1), (0, 2), (order, 1)]
    made = packed(*fields) + packed((0, 2), (40, 10)) + bytes(40)
    whole = bytes(encoded(110))
    head = b"\xff\x0a" + packed(*SIZE, *GREY_IMAGE)
    assert whole.startswith(head)
    return head + times * made + whole[len(head) :]


@pytest.mark.parametrize("kind", [0, 2])
def test_jpeg_xl_frames_within(kind: int) -> None:
    Codestream(with_frame(kind, 200)).check_frames()
    refused(110, with_frame(kind, 20000), "a frame of 20000 x 20000 pixels within the JPEG XL codestream of 33 x 47")
    refused(110, with_frame(kind, 200, times=40), "more than 32 frames")
    refused(110, with_frame(kind, 200, order=1), "an order of its own")
    refused(110, with_frame(kind, 200)[:40], "ends within its header")


def test_jpeg_xl_with_patches() -> None:
    """What repeats is in a frame of its own, which the encoder makes of text."""
    glyph = numpy.random.default_rng(0).random((12, 8)) > 0.5
    cells = numpy.full((256, 256), 30, "u1")
    for row in range(0, 240, 16):
        for column in range(0, 240, 12):
            cells[row : row + 12, column : column + 8][glyph] = 250
    described = Description(rows=256, columns=256)
    codec = codec_for(f"{JPEG}110")
    data = codec.encode(cells, described).data
    assert data[10] & 0b111 == 0b100  # its first frame is one for reference
    assert (codec.decode(data, described).cells == cells).all()
