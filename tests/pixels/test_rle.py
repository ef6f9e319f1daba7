"""`aiodicom.pixels._rle` against PS3.5 annex G in plain Python, and against pylibjpeg-rle."""

from __future__ import annotations

import random
import struct
import tracemalloc

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodicom.errors import PixelDataError
from aiodicom.pixels._rle import decode, encode

SHAPES = [(1, 1), (1, 2), (2, 3), (2, 4), (3, 1), (3, 2), (3, 4), (1, 8), (4, 2)]


def unpacked(segment: bytes) -> bytes:
    """PS3.5 G.3.2, to the letter."""
    out = bytearray()
    at = 0
    while at < len(segment):
        code = segment[at] - 256 if segment[at] > 127 else segment[at]
        at += 1
        if 0 <= code <= 127:
            out += segment[at : at + code + 1]
            at += code + 1
        elif -127 <= code <= -1:
            out += segment[at : at + 1] * (1 - code)
            at += 1
    return bytes(out)


def decoded_by_the_book(data: bytes, pixels: int, samples: int, width: int) -> bytes:
    count, *offsets = struct.unpack_from("<16I", data)
    assert count == samples * width
    ends = [*offsets[1:count], len(data)]
    out = bytearray(pixels * samples * width)
    for number, (start, end) in enumerate(zip(offsets[:count], ends, strict=True)):
        sample, byte = divmod(number, width)
        out[sample * width + width - 1 - byte :: samples * width] = unpacked(data[start:end])[:pixels]
    return bytes(out)


def again(data: bytes, rows: int, columns: int, samples: int, width: int) -> bytes:
    target = bytearray(rows * columns * samples * width)
    decode(data, target, rows, columns, samples, width)
    return bytes(target)


def frame(segments: list[bytes]) -> bytes:
    """A frame of packed segments."""
    offsets, at = [], 64
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    return struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


runs = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 300)), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(runs, st.integers(1, 40), st.sampled_from(SHAPES), st.integers(0, 2**32))
def test_what_is_encoded_is_decoded_by_the_book_and_by_us(
    pieces: list[tuple[int, int]], columns: int, shape: tuple[int, int], seed: int
) -> None:
    samples, width = shape
    random_bytes = random.Random(seed).randbytes
    content = b"".join(bytes((value,)) * count if value else random_bytes(count) for value, count in pieces)
    row = columns * samples * width
    content += bytes(-len(content) % row)
    rows = len(content) // row
    data = encode(content, rows, columns, samples, width)
    assert len(data) % 2 == 0
    assert decoded_by_the_book(data, rows * columns, samples, width) == content
    assert again(data, rows, columns, samples, width) == content


@pytest.mark.parametrize(
    "pattern", [b"a", b"ab", b"aab", b"aabb", b"aaab", b"abc" * 43 + b"ddd", bytes(range(128)) + b"zz"]
)
def test_a_row_is_packed_as_well_as_it_can_be(pattern: bytes) -> None:
    """PS3.5 G.3.1: no run goes beyond its row, and none is longer than 128."""
    for count in (1, 2, 3, 126, 127, 128, 129, 130, 131, 255, 256, 257, 258, 259, 400):
        row = (pattern * count)[:count]
        data = encode(row, 1, count, 1, 1)
        assert unpacked(data[64:])[:count] == row
        least = _least(row)
        # Literal runs of more than 128 bytes may break at a worse place.
        assert len(data) - 64 <= least + least % 2 + (2 if count > 128 else 0)


def _least(row: bytes) -> int:
    """The fewest bytes that a row can be packed into, by trying everything."""
    best = [0] + [1 << 30] * len(row)
    for start in range(len(row)):
        longest = 1
        while longest < 128 and start + longest < len(row) and row[start + longest] == row[start]:
            longest += 1
        for length in range(2, longest + 1):
            best[start + length] = min(best[start + length], best[start] + 2)
        for length in range(1, min(128, len(row) - start) + 1):
            best[start + length] = min(best[start + length], best[start] + 1 + length)
    return best[-1]


def test_rows_are_packed_alone() -> None:
    data = encode(bytes(300), 3, 100, 1, 1)
    assert data[64:] == bytes((257 - 100, 0)) * 3


@pytest.mark.parametrize(("samples", "width"), [(1, 1), (1, 2), (1, 4), (3, 1), (3, 2)])
def test_pylibjpeg_rle_reads_what_we_write_and_writes_no_less(samples: int, width: int) -> None:
    rle = pytest.importorskip("rle").rle
    generator = numpy.random.default_rng(1)
    wave = numpy.add.outer(numpy.arange(60), numpy.arange(70))[..., None].repeat(samples * width, -1)
    content = (wave // 9 + generator.integers(0, 2, wave.shape)).astype("u1").tobytes()
    ours = encode(content, 60, 70, samples, width)
    theirs = bytes(rle.encode_frame(content, 60, 70, samples, 8 * width, "<"))
    assert len(ours) <= len(theirs)
    assert again(theirs, 60, 70, samples, width) == content
    planes = numpy.frombuffer(content, f"<u{width}").reshape(-1, samples).T.tobytes()
    assert bytes(rle.decode_frame(ours, 60 * 70, 8 * width, "<")) == planes


def test_what_means_nothing_is_skipped() -> None:
    """-128 (PS3.5 G.3.2), and what stands behind the last byte that is needed."""
    assert again(frame([b"\x80\x03abcd\x80\x80\xff\xff"]), 2, 2, 1, 1) == b"abcd"
    assert again(frame([b"\x80\xfdx\x7f"]), 2, 2, 1, 1) == b"xxxx"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 bytes, less than the RLE header"),
        (bytes(63), "63 bytes, less than the RLE header"),
        (bytes(64), "0 RLE segments, not 1"),
        (frame([b"\x03abcd"] * 2), "2 RLE segments, not 1"),
        (struct.pack("<16I", 0xFFFFFFFF, *[64] * 15), "4294967295 RLE segments"),
        (struct.pack("<16I", 1, 0xFFFFFFFF, *[0] * 14), "segment 1 begins at 4294967295 of 64"),
        (struct.pack("<16I", 1, 8, *[0] * 14) + b"\x03abcd", "segment 1 begins at 8"),
        (frame([b""]), "segment 1 has 0 bytes, not 4"),
        (frame([b"\x02abc"]), "segment 1 has 3 bytes, not 4"),
        (frame([b"\x80" * 1000]), "segment 1 has 0 bytes, not 4"),
        (frame([b"\x03abc"]), "segment 1 ends within a run"),
        (frame([b"\xfd"]), "segment 1 ends within a run"),
        (frame([b"\x7f" + bytes(128)]), "segment 1 has more than 4 bytes"),
        (frame([b"\x81a"]), "segment 1 has more than 4 bytes"),
        (frame([b"\x01ab\x81a"]), "segment 1 has more than 4 bytes"),
    ],
)
def test_segments_that_are_not_what_they_must_be(data: bytes, why: str) -> None:
    with pytest.raises(PixelDataError, match=why) as caught:
        again(data, 2, 2, 1, 1)
    assert caught.value.frame is None


def test_segments_in_the_wrong_order() -> None:
    data = bytearray(frame([b"\x03abcd", b"\x03abcd"]))
    data[4:12] = data[8:12] + data[4:8]
    with pytest.raises(PixelDataError, match="segment 2 begins at 64"):
        again(bytes(data), 2, 2, 1, 2)


def test_a_segment_does_not_read_the_next_one() -> None:
    with pytest.raises(PixelDataError, match="segment 1 ends within a run"):
        again(frame([b"\x03abc", b"\x03abcd"]), 2, 2, 1, 2)


def test_memory_is_bounded_by_the_frame() -> None:
    """However many bytes the runs promise."""
    data = frame([b"\x81a" * 100_000])
    tracemalloc.start()
    try:
        with pytest.raises(PixelDataError, match="more than 4 bytes"):
            again(data, 2, 2, 1, 1)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("size", "shape", "why"),
    [
        (3, (2, 2, 1, 1), "size of the frame"),
        (5, (2, 2, 1, 1), "size of the frame"),
        (0, (0, 2, 1, 1), "has rows"),
        (16, (2, 2, 4, 4), "at most 15 segments"),
        (4, (1 << 32, 1 << 32, 1, 1), "has rows"),
        (4, (0xFFFFFFFF, 0xFFFFFFFF, 1, 1), "size of the frame"),
        (4, (1, 1, 1 << 60, 16), "at most 15 segments"),
    ],
)
def test_buffers_that_do_not_fit_the_frame(size: int, shape: tuple[int, int, int, int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode(bytes(64), bytearray(size), *shape)
    with pytest.raises(ValueError, match=why):
        encode(bytes(size), *shape)
