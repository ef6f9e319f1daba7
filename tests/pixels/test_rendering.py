"""Pictures: modality LUT, windows, VOI LUTs, MONOCHROME1, colour, overlays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest

import aiodicom
from aiodicom.errors import PixelDataError
from aiodicom.pixels.rendering import Window, encode_png, render, views_of

from .images import data_set, describe

EXPLICIT = "1.2.840.10008.1.2.1"


def made(values: Any, kind: str = "16", **elements: Any) -> aiodicom.Dataset:
    cells = numpy.array(values)
    shape = cells.shape
    described = describe(kind, rows=shape[0], columns=shape[1])
    value = cells.astype(f"{'i' if described.signed else 'u'}{described.width}").tobytes()
    return data_set(described, value + b"\0" * (len(value) % 2), EXPLICIT, **elements)


def picture(data_set: aiodicom.Dataset, frame: int = 0, **options: Any) -> Any:
    return render(data_set.frames[frame], data_set, **options).tolist()


def test_without_a_view_all_values_are_in_it() -> None:
    assert picture(made([[100, 200, 300]])) == [[0, 128, 255]]
    assert picture(made([[7, 7]])) == [[128, 128]]
    # Padding is not looked at, and is black where it is less.
    padded = made([[-2000, 100, 200]], "signed 16")
    padded.add_new("PixelPaddingValue", "SS", -2000)
    assert picture(padded) == [[0, 0, 255]]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(50, 101), [0, 128, 255]),
        (Window(50, 100, "LINEAR_EXACT"), [0, 128, 255]),
        (Window(50, 1), [0, 255, 255]),
        (Window(50, 100, "SIGMOID"), [30, 128, 225]),
    ],
)
def test_windows(window: Window, expected: list[int]) -> None:
    image = made([[0, 50, 100]])
    got = picture(image, window=window)[0]
    assert all(abs(one - other) <= 2 for one, other in zip(got, expected, strict=True))
    # As the data set has it.
    image.WindowCenter, image.WindowWidth, image.VOILUTFunction = window
    assert picture(image)[0] == got


def test_windows_that_cannot_be() -> None:
    nan, infinity = float("nan"), float("inf")
    for window in (Window(1, 0), Window(1, -5), Window(1, 0, "SIGMOID"), Window(1, nan), Window(1, infinity)):
        with pytest.raises(PixelDataError, match="window of width"):
            picture(made([[0, 1]]), window=window)
    for center in (nan, infinity):
        with pytest.raises(PixelDataError, match=f"window of center {center}"):
            picture(made([[0, 1]]), window=(center, 5))
    # Such ones of a data set are passed over: of constant images some write a width of 0.
    assert picture(made([[0, 1]], WindowCenter=[5, 0.5, 7], WindowWidth=[0, 1, -1])) == [[0, 255]]
    assert picture(made([[7, 7]], WindowCenter=7, WindowWidth=0)) == [[128, 128]]


def test_the_formula_of_the_standard() -> None:
    """PS3.3 C.11.2.1.2.1, as written there, with ymin 0 and ymax 255."""
    values = numpy.arange(-1200, 1200)
    for center, width in ((40, 400), (2048, 4096), (0, 100), (0, 1)):

        def wanted(x: int, c: float = center, w: float = width) -> float:
            if x <= c - 0.5 - (w - 1) / 2:
                return 0
            if x > c - 0.5 + (w - 1) / 2:
                return 255
            return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255

        image = made([values], "signed 16")
        got = numpy.array(picture(image, window=(center, width))[0])
        assert numpy.abs(got - [wanted(int(x)) for x in values]).max() <= 0.5


def test_several_views() -> None:
    table = aiodicom.Dataset(LUTExplanation="INVERSE")
    table.add_new("LUTDescriptor", "US", [3, 0, 8])
    table.add_new("LUTData", "OW", bytes([255, 0, 100, 0, 0, 0]))
    image = made([[0, 1, 2, 3]], WindowCenter=[1, 2], WindowWidth=[3, 1], VOILUTSequence=[table])
    assert len(views_of(image)) == 3
    assert picture(image, voi=1) == [[0, 0, 255, 255]]
    assert picture(image, voi=2) == [[255, 100, 0, 0]]
    with pytest.raises(IndexError):
        picture(image, voi=3)


def test_entries_beyond_the_bits_of_a_voi_lut_are_white() -> None:
    table = aiodicom.Dataset()
    table.add_new("LUTDescriptor", "US", [3, 0, 12])
    table.add_new("LUTData", "US", [0, 4095, 65535])
    assert picture(made([[0, 1, 2]], VOILUTSequence=[table])) == [[0, 255, 255]]


def test_rescale_and_modality_lut() -> None:
    image = made([[0, 500, 1000]], RescaleSlope=2, RescaleIntercept=-1000)
    assert picture(image, window=(0, 2001)) == [[0, 128, 255]]
    table = aiodicom.Dataset()
    table.add_new("LUTDescriptor", "US", [3, 10, 16])
    table.add_new("LUTData", "US", [0, 30000, 60000])
    image = made([[0, 10, 11, 12, 99]], ModalityLUTSequence=[table])
    assert picture(image) == [[0, 0, 128, 255, 255]]
    table.add_new("LUTDescriptor", "US", [9, 10, 16])
    image.ModalityLUTSequence = [table]
    with pytest.raises(PixelDataError, match="LUT of 9 entries"):
        picture(image)


def test_what_enhanced_objects_say_of_frames() -> None:
    image = made([[0, 50, 100], [0, 50, 100]])
    image.Rows, image.NumberOfFrames = 1, 2
    shared = aiodicom.Dataset(
        PixelValueTransformationSequence=[aiodicom.Dataset(RescaleSlope=1, RescaleIntercept=-50)],
        FrameVOILUTSequence=[aiodicom.Dataset(WindowCenter=0, WindowWidth=101)],
    )
    own = aiodicom.Dataset(FrameVOILUTSequence=[aiodicom.Dataset(WindowCenter=50, WindowWidth=1)])
    image.SharedFunctionalGroupsSequence = [shared]
    image.PerFrameFunctionalGroupsSequence = [aiodicom.Dataset(), own]
    assert picture(image, 0) == [[1, 129, 255]]
    assert picture(image, 1) == [[0, 0, 255]]


def test_monochrome1_is_the_other_way_round() -> None:
    image = made([[100, 200, 300]], PhotometricInterpretation="MONOCHROME1")
    assert picture(image) == [[255, 128, 0]]


def test_colours() -> None:
    described = describe("RGB 16", rows=1, columns=2)
    value = numpy.array([[[0, 256, 65535], [255, 32768, 1]]], "<u2").tobytes()
    assert picture(data_set(described, value, EXPLICIT)) == [[[0, 1, 255], [0, 128, 0]]]
    image = made([[0, 1, 9]], "palette")
    for colour in ("Red", "Green", "Blue"):
        image.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [2, 0, 16])
        data = numpy.array([0x1200, 0xFF00 if colour == "Red" else 0], "<u2").tobytes()
        image.add_new(f"{colour}PaletteColorLookupTableData", "OW", data)
    assert picture(image) == [[[0x12, 0x12, 0x12], [255, 0, 0], [255, 0, 0]]]


def test_overlays() -> None:
    image = made(numpy.tile(numpy.arange(8), (4, 1)), WindowCenter=100, WindowWidth=1)
    for offset, value in ((0x0010, 2), (0x0011, 3)):
        image.add_new(0x60020000 | offset, "US", value)
    image.add_new(0x60020040, "CS", "G")
    image.add_new(0x60020050, "SS", [2, 7])
    image.add_new(0x60023000, "OW", b"\x2b\0")  # 110 101, of which a column is beyond the image
    shown = numpy.array(picture(image))
    assert numpy.argwhere(shown).tolist() == [[1, 6], [1, 7], [2, 6]]
    assert not numpy.array(picture(image, overlays=False)).any()
    # Before the first row and column.
    image.add_new(0x60020050, "SS", [0, 0])
    assert numpy.argwhere(picture(image)).tolist() == [[0, 1]]


def test_overlays_that_are_not_what_they_say() -> None:
    image = made([[1, 2]])
    image.add_new(0x60000010, "US", 60000)
    image.add_new(0x60000011, "US", 60000)
    image.add_new(0x60003000, "OW", b"\1\1")
    plain = picture(image, overlays=False)
    assert picture(image) == plain
    image.add_new(0x60000010, "US", 0)
    image.add_new(0x60000050, "UT", "here")
    assert picture(image) == plain


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_palette.dcm", "JPEG2000.dcm"])
def test_as_pydicom_renders(name: str) -> None:

    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

    path = Path(pydicom.__file__).parent / "data" / "test_files" / name
    theirs, ours = pydicom.dcmread(path), aiodicom.dcmread(path)
    if name == "examples_palette.dcm":
        wanted = apply_color_lut(theirs.pixel_array, theirs) >> 8
    else:
        wanted = apply_voi_lut(apply_modality_lut(theirs.pixel_array, theirs), theirs).astype("f8")
        least, most = wanted.min(), wanted.max()
        if views_of(ours):
            slope, intercept = float(theirs.get("RescaleSlope", 1)), float(theirs.get("RescaleIntercept", 0))
            most = (1 << theirs.BitsStored - theirs.PixelRepresentation) - 1
            least = -most - 1 if theirs.PixelRepresentation else 0
            least, most = least * slope + intercept, most * slope + intercept
        wanted = (wanted - least) / (most - least) * 255
        if theirs.PhotometricInterpretation == "MONOCHROME1":
            wanted = 255 - wanted
    got = render(ours.frames[0], ours, overlays=False)
    assert numpy.abs(got.astype("f8") - wanted).max() <= 1


def test_png() -> None:
    import imagecodecs

    grey = render(made([[0, 100, 200]]).frames[0], made([[0, 100, 200]]))
    assert imagecodecs.png_decode(encode_png(grey)).tolist() == [[0, 128, 255]]
