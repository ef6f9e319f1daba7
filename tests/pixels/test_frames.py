"""`Dataset.frames`: which bytes are a frame, read when they are asked for, and the arrays that they become."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.errors import CodecMissing, PixelDataError
from aiodicom.pixels.codecs import codec_for
from aiodicom.pixels.encapsulation import encapsulate
from aiodicom.pixels.frames import Frames

from .images import data_set, describe, image

LITTLE, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
GE_PRIVATE = "1.2.840.113619.5.2"
RLE = "1.2.840.10008.1.2.5"


def values(count: int, type_: str) -> Any:
    return (numpy.arange(count, dtype="u8") * 0x0123456789ABCDEF).astype(type_)


def test_native_frames() -> None:
    frames = data_set(describe("16", 3, 5, number_of_frames=4), values(60, "<u2").tobytes(), LITTLE).frames
    assert (len(frames), frames[2].description.rows, repr(frames[2])) == (4, 3, "<frame 2 of 4, 3 x 5>")
    assert bytes(frames[2].encoded) == values(60, "<u2")[30:45].tobytes()
    array = frames[-2].to_numpy()
    assert numpy.array_equal(array, values(60, "<u2")[30:45].reshape(3, 5))
    assert array.dtype == numpy.dtype("u2")
    assert numpy.array_equal(frames.to_numpy(), values(60, "<u2").reshape(4, 3, 5))
    assert [frame.number for frame in frames] == [0, 1, 2, 3] == [frame.number for frame in frames[:]]
    for index in (4, -5):
        with pytest.raises(IndexError):
            frames[index]


@pytest.mark.parametrize("kind", ["8", "16", "12 of 16", "RGB"])
def test_an_array_is_the_callers_own(kind: str) -> None:
    """Whatever the data set was decoded from may be written to."""
    described = describe(kind, 3, 5)
    encoded = data_set(described, bytes(described.native_size + described.native_size % 2), LITTLE).to_bytes(LITTLE)
    made = Dataset.from_bytes(bytearray(encoded), LITTLE)
    array = made.frames[0].to_numpy(rgb=True)
    array += 1
    assert not made.frames[0].to_numpy().any()


@pytest.mark.parametrize("vr", ["OB", "OW"])
@pytest.mark.parametrize("kind", ["8", "16", "signed 16", "32", "RGB", "RGB 16"])
def test_both_byte_orders_and_odd_frames(kind: str, vr: str) -> None:
    described = describe(kind, 3, 3, number_of_frames=3)
    count = 27 * described.samples
    cells = values(count, f"{'i' if described.signed else 'u'}{described.width}")
    native = cells.tobytes()
    little = data_set(described, native + bytes(len(native) % 2), LITTLE)
    little["PixelData"].vr = vr if described.width == 1 else "OW"
    expected = cells.reshape(3, 3, 3, *[described.samples] * (described.samples > 1))
    for syntax in (LITTLE, IMPLICIT, BIG):
        read = Dataset.from_bytes(little.to_bytes(syntax), syntax)
        if syntax == BIG and described.width > 2:
            # What words of more than 16 bits are in big endian, DICOM leaves to be known: pydicom, DCMTK and we turn
            # all of them.
            swapped = little.copy()
            swapped.PixelData = cells.byteswap().view("<u2").byteswap().tobytes()
            read = Dataset.from_bytes(swapped.to_bytes(syntax), syntax)
        found = read.frames.to_numpy()
        assert found.dtype == cells.dtype
        assert numpy.array_equal(found, expected), syntax
        assert bytes(read.frames[1].encoded) == expected[1].tobytes()


def test_pixel_data_in_big_endian_alone() -> None:
    cells = values(12, "<u2")
    made = data_set(describe("16", 3, 4), cells.byteswap().tobytes(), IMPLICIT)
    read = Dataset.from_bytes(made.to_bytes(IMPLICIT), GE_PRIVATE)
    assert numpy.array_equal(read.frames[0].to_numpy(), cells.reshape(3, 4))


@pytest.mark.parametrize("syntax", [LITTLE, BIG])
def test_single_bits_that_begin_within_a_byte(syntax: str) -> None:
    described = describe("bit", 3, 5, number_of_frames=5)
    bits = numpy.random.default_rng(1).integers(0, 2, (5, 3, 5), "u1")
    packed = numpy.packbits(bits.reshape(-1), bitorder="little").tobytes()
    made = data_set(described, packed, LITTLE)
    made["PixelData"].vr = "OW"
    frames = Dataset.from_bytes(made.to_bytes(syntax), syntax).frames
    assert numpy.array_equal(frames.to_numpy(), bits)
    assert bytes(frames[3].encoded) == numpy.packbits(bits[3].reshape(-1), bitorder="little").tobytes()


@pytest.mark.parametrize("kind", ["RGB", "RGB 16"])
def test_planes_of_colours(kind: str) -> None:
    described = describe(kind, 3, 5, planar_configuration=1, number_of_frames=2)
    cells = values(90, f"u{described.width}").reshape(2, 3, 3, 5)
    found = data_set(described, cells.tobytes(), LITTLE).frames.to_numpy()
    assert numpy.array_equal(found, numpy.moveaxis(cells, 1, -1))
    assert found.flags.c_contiguous


@pytest.mark.parametrize("columns", [2, 3])
def test_two_pixels_in_four_samples(columns: int) -> None:
    described = describe("YBR_FULL", 3, columns, photometric_interpretation="YBR_FULL_422", number_of_frames=2)
    packed = values(2 * described.native_size, "u1")
    frames = data_set(described, packed.tobytes(), LITTLE).frames
    first, second = frames[1].decode().cells.reshape(-1, 3)[:2]
    y0, y1, b, r = packed[described.native_size :][:4]
    assert (first.tolist(), second.tolist()) == ([y0, b, r], [y1, b, r])
    assert frames[1].decode().photometric_interpretation == "YBR_FULL"


@pytest.mark.parametrize(
    ("keyword", "vr", "type_"), [("FloatPixelData", "OF", "f4"), ("DoubleFloatPixelData", "OD", "f8")]
)
@pytest.mark.parametrize("syntax", [LITTLE, BIG])
def test_floating_point(keyword: str, vr: str, type_: str, syntax: str) -> None:
    cells = numpy.linspace(-1, 1, 12).astype(f"<{type_}")
    made = Dataset(Rows=2, Columns=3, NumberOfFrames=2, BitsAllocated=8 * cells.itemsize)
    made.add_new(keyword, vr, cells.tobytes())
    frames = Dataset.from_bytes(made.to_bytes(syntax), syntax).frames
    assert numpy.array_equal(frames.to_numpy(), cells.reshape(2, 2, 3))
    assert frames[0].to_numpy().dtype == numpy.dtype(type_)


def test_bits_that_are_not_stored() -> None:
    cells = numpy.array([[0xF801, 0x07FF], [0x1800, 0x8000]], "<u2")
    described = describe("12 of 16", 2, 2)
    assert data_set(described, cells.tobytes(), LITTLE).frames[0].to_numpy().tolist() == [[0x801, 0x7FF], [0x800, 0]]
    signed = describe("signed 12 of 16", 2, 2)
    assert data_set(signed, cells.tobytes(), LITTLE).frames[0].to_numpy().tolist() == [[-2047, 2047], [-2048, 0]]
    high = describe("12 of 16", 2, 2, high_bit=15)
    assert data_set(high, cells.tobytes(), LITTLE).frames[0].to_numpy().tolist() == [[0xF80, 0x7F], [0x180, 0x800]]


def overlays(described: Any, cells: bytes, position: int, **elements: Any) -> dict[int, Any]:
    made = data_set(described, cells, LITTLE)
    made.add_new((0x6002, 0x0100), "US", described.bits_allocated)
    made.add_new((0x6002, 0x0102), "US", position)
    for tag, value in elements.items():
        made.add_new(int(tag[1:], 16), "OW", value)
    return made.frames[0].overlays()


def test_overlays_in_unused_bits() -> None:
    described = describe("signed 12 of 16", 2, 2)
    cells = numpy.array([[0x8801, 0x47FF], [0x1800, 0xFFFF]], "<u2").tobytes()
    assert overlays(described, cells, 15)[0x6002].tolist() == [[1, 0], [0, 1]]
    assert overlays(described, cells, 12)[0x6002].tolist() == [[0, 0], [1, 1]]
    assert overlays(described, cells, 12, x60023000=bytes(2)) == {}
    assert data_set(described, cells, LITTLE).frames[0].overlays() == {}
    for position in (11, 0, 16):
        with pytest.raises(PixelDataError, match=rf"frames\[0\]: an overlay in bit {position}"):
            overlays(described, cells, position)


def test_frames_are_read_from_the_file_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Native, and encapsulated with a table."""
    described = describe("16", 100, 100, number_of_frames=10)
    cells = values(100_000, "<u2")
    native = data_set(described, cells.tobytes(), LITTLE, SOPClassUID="1.2", SOPInstanceUID="1.3")
    frames = [codec_for(RLE).encode(one, described).data for one in cells.reshape(10, 100, 100)]
    packed = data_set(described, frames, RLE, SOPClassUID="1.2", SOPInstanceUID="1.3")
    for made, whole in ((native, len(cells.tobytes())), (packed, sum(map(len, frames)))):
        aiodicom.dcmwrite(tmp_path / "image.dcm", made)
        read = aiodicom.dcmread(tmp_path / "image.dcm")
        element = read["PixelData"]
        assert element.deferred
        taken = []
        real = aiodicom.dataset.stored.StoredFile.read

        def counted(self: Any, offset: int, length: int, real: Any = real, taken: list[int] = taken) -> bytes:
            taken.append(length)
            return real(self, offset, length)

        monkeypatch.setattr(aiodicom.dataset.stored.StoredFile, "read", counted)
        assert numpy.array_equal(read.frames[7].to_numpy(), cells.reshape(10, 100, 100)[7])
        monkeypatch.undo()
        assert sum(taken) < whole / 8
        assert numpy.array_equal(read.frames.to_numpy(), cells.reshape(10, 100, 100))


def test_a_part_of_a_value(tmp_path: Path) -> None:
    made = Dataset(SOPClassUID="1.2", SOPInstanceUID="1.3")
    made.add_new("PixelData", "OB", bytes(range(256)) * 400)
    aiodicom.dcmwrite(tmp_path / "image.dcm", made)
    for element in (made["PixelData"], aiodicom.dcmread(tmp_path / "image.dcm")["PixelData"]):
        for start, length in ((0, 3), (300, 700), (102_390, 100), (102_400, 1), (1 << 40, 1 << 40)):
            assert bytes(element.raw_part(start, length)) == bytes(element.raw[start : start + length])


def test_what_the_transfer_syntax_is_taken_from() -> None:
    cells = image("16")
    made = data_set(describe("16"), [codec_for(RLE).encode(cells, describe("16")).data], RLE)
    assert numpy.array_equal(made.frames[0].to_numpy(), cells)
    made.transfer_syntax = LITTLE
    with pytest.raises(PixelDataError, match="encapsulated pixel data, in"):
        _ = made.frames
    made.file_meta = Dataset(TransferSyntaxUID=RLE)
    assert made.frames.transfer_syntax == RLE
    assert Frames(made, transfer_syntax="1.2.840.10008.1.2.4.50").transfer_syntax == "1.2.840.10008.1.2.4.50"
    native = data_set(describe("8", 1, 2), b"ab", "")
    assert native.frames.transfer_syntax == LITTLE
    with pytest.raises(PixelDataError, match="not encapsulated"):
        Frames(native, transfer_syntax=RLE)


def test_a_number_of_frames_that_lies() -> None:
    described = describe("16", 3, 5, number_of_frames=2**31 - 1)
    frames = data_set(described, bytes(62), LITTLE).frames
    assert frames[1].to_numpy().shape == (3, 5)
    with pytest.raises(PixelDataError, match=r"frames\[2\]: the pixel data have 62 bytes, and 90 with this frame"):
        frames[2].to_numpy()
    with pytest.raises(PixelDataError, match="more than the 4294967296 allowed"):
        frames.to_numpy()
    with pytest.raises(PixelDataError, match=r"frames\[2147483646\]: the pixel data have 62 bytes"):
        frames.to_numpy(max_bytes=1 << 62)
    with pytest.raises(PixelDataError, match="cannot be in 1 fragments"):
        _ = _empty_table(described).frames[1].encoded


def _empty_table(described: Any) -> Dataset:
    made = data_set(described, b"", RLE)
    encapsulate([b"ab"], table="empty").put_into(made)
    return made


def test_a_file_that_ends_too_early(tmp_path: Path) -> None:
    made = data_set(
        describe("16", 100, 100), values(10_000, "<u2").tobytes(), LITTLE, SOPClassUID="1.2", SOPInstanceUID="1"
    )
    aiodicom.dcmwrite(tmp_path / "image.dcm", made)
    os.truncate(tmp_path / "image.dcm", os.path.getsize(tmp_path / "image.dcm") - 10)
    with pytest.raises(PixelDataError, match=r"frames\[0\]: the pixel data have 19990 bytes, and 20000"):
        aiodicom.dcmread(tmp_path / "image.dcm").frames[0].to_numpy()


def test_no_pixel_data() -> None:
    with pytest.raises(PixelDataError, match="no pixel data"):
        _ = Dataset(Rows=2, Columns=2, BitsAllocated=8).frames
    with pytest.raises(PixelDataError, match="no BitsAllocated"):
        _ = Dataset(PixelData=b"").frames
    with pytest.raises(PixelDataError, match="no pixel data"):
        _ = Dataset().frames


def test_video_is_one_stream() -> None:
    """MPEG and HEVC stay as they are."""
    syntax = "1.2.840.10008.1.2.4.102"
    described = describe("YBR_FULL", 4, 4, number_of_frames=20, photometric_interpretation="YBR_PARTIAL_420")
    made = data_set(described, [b"\0\0\1\xb3stream"], syntax)
    frames = made.frames
    assert len(frames) == 20
    with pytest.raises(CodecMissing, match="they are one stream"):
        frames[0].to_numpy()
    with pytest.raises(CodecMissing, match="they are one stream"):
        _ = frames[3].encoded
    assert Dataset.from_bytes(made.to_bytes(syntax), syntax)["PixelData"].fragments[1] == b"\0\0\1\xb3stream"


def test_an_error_has_the_frame() -> None:
    described = describe("16", 2, 2, number_of_frames=2)
    good = codec_for(RLE).encode(values(4, "u2"), described).data
    with pytest.raises(PixelDataError) as caught:
        data_set(described, [good, good[:70]], RLE).frames.to_numpy()
    assert (caught.value.frame, str(caught.value)) == (1, f"frames[1]: {caught.value.reason}")
    assert isinstance(caught.value, aiodicom.errors.DecodeError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.reason, again.frame) == (str(caught.value), caught.value.reason, 1)


def test_numpy_is_loaded_with_the_first_array() -> None:
    code = f"""
import sys, aiodicom
ds = aiodicom.Dataset(Rows=2, Columns=2, BitsAllocated=8)
ds.add_new("PixelData", "OB", bytes(4))
assert "aiodicom.pixels" not in sys.modules
assert bytes(ds.frames[0].encoded) == bytes(4) and len(ds.frames) == 1
assert "numpy" not in sys.modules and "aiodicom.pixels.codecs.codec" not in sys.modules
ds.frames[0].to_numpy()
assert "numpy" in sys.modules and "imagecodecs" not in sys.modules
assert ds.frames.transfer_syntax == "{LITTLE}"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fragments_and_their_table_are_what_the_bytes_say() -> None:
    described = describe("16", 2, 2, number_of_frames=2)
    made = data_set(described, [b"abcd", b"efgh"], RLE)
    assert [frame.locate() for frame in made.frames] == [[(24, 4)], [(36, 4)]]
    assert made.PixelData[:16] == struct.pack("<HHIII", 0xFFFE, 0xE000, 8, 0, 12)
