"""`aiodicom.pixels.description`: what group 0028 may say."""

from __future__ import annotations

from typing import Any

import pytest

from aiodicom.dataset import Dataset
from aiodicom.errors import PixelDataError
from aiodicom.pixels.description import Description

PLAIN: dict[str, Any] = {
    "Rows": 4,
    "Columns": 5,
    "SamplesPerPixel": 1,
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 1,
    "PhotometricInterpretation": "MONOCHROME1",
}


def test_what_is_said() -> None:
    described = Description.of(Dataset(**PLAIN, NumberOfFrames=7, PlanarConfiguration=1))
    assert described == Description(4, 5, 1, 16, 12, 11, True, "MONOCHROME1", 0, 7)
    assert (described.pixels, described.width, described.decoded_size, described.native_size) == (20, 2, 40, 40)


def test_what_is_not_said() -> None:
    assert Description.of(Dataset(Rows=2, Columns=3, BitsAllocated=8)) == Description(2, 3)
    colour = Description.of(Dataset(Rows=2, Columns=3, BitsAllocated=8, SamplesPerPixel=3, NumberOfFrames="0"))
    assert (colour.photometric_interpretation, colour.number_of_frames) == ("RGB", 1)


def test_single_bits_follow_each_other_without_a_gap() -> None:
    described = Description(3, 3, 1, 1, 1, 0)
    assert (described.native_bits, described.native_size, described.decoded_size) == (9, 2, 9)


def test_two_pixels_in_four_samples() -> None:
    described = Description(3, 3, 3, photometric_interpretation="YBR_FULL_422")
    assert (described.native_size, described.decoded_size) == (20, 27)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Rows": 0}, "0 rows of 5 columns"),
        ({"Columns": 0}, "4 rows of 0 columns"),
        ({"Rows": None}, "no Rows"),
        ({"SamplesPerPixel": 2}, "2 samples per pixel"),
        ({"SamplesPerPixel": 3}, "MONOCHROME1 with 3 samples"),
        ({"PhotometricInterpretation": "RGB"}, "RGB with 1 samples"),
        ({"BitsAllocated": 12}, "Bits Allocated 12"),
        ({"BitsAllocated": 24}, "Bits Allocated 24"),
        ({"BitsAllocated": 0}, "Bits Allocated 0"),
        ({"BitsStored": 17}, "Bits Stored 17 of Bits Allocated 16"),
        ({"BitsStored": 0}, "Bits Stored 0"),
        ({"HighBit": 16}, "High Bit 16"),
        ({"HighBit": 65535}, "High Bit 65535"),
        ({"HighBit": 10}, "High Bit 10"),
        ({"NumberOfFrames": "-1"}, "-1 frames"),
        ({"NumberOfFrames": "1A"}, "NumberOfFrames is '1A'"),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(PixelDataError, match=why) as caught:
        Description.of(Dataset(**(PLAIN | changes)))
    assert caught.value.frame is None


def test_a_planar_configuration_that_is_none() -> None:
    with pytest.raises(PixelDataError, match="Planar Configuration 2"):
        Description.of(Dataset(Rows=2, Columns=3, BitsAllocated=8, SamplesPerPixel=3, PlanarConfiguration=2))


def test_frames_that_are_too_large() -> None:
    data_set = Dataset(Rows=65535, Columns=65535, BitsAllocated=64, SamplesPerPixel=4, NumberOfFrames=2**31 - 1)
    data_set.PhotometricInterpretation = "CMYK"
    with pytest.raises(PixelDataError, match="takes 137434759200 bytes, more than the 1073741824"):
        Description.of(data_set)
    assert Description.of(data_set, max_frame=1 << 38).decoded_size == 137434759200


@pytest.mark.parametrize(("keyword", "bits"), [("FloatPixelData", 32), ("DoubleFloatPixelData", 64)])
def test_floating_point(keyword: str, bits: int) -> None:
    described = Description.of(Dataset(Rows=2, Columns=2, **{keyword: bytes(32)}))
    assert (described.kind, described.bits_allocated, described.bits_stored) == (keyword, bits, bits)
    with pytest.raises(PixelDataError, match="Bits Allocated 16"):
        Description.of(Dataset(Rows=2, Columns=2, BitsAllocated=16, **{keyword: bytes(32)}))


def test_changed_ones_are_checked() -> None:
    described = Description(2, 3)
    assert described.changed(rows=3).rows == 3
    with pytest.raises(PixelDataError):
        described.changed(bits_stored=9)
