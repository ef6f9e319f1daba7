"""What a data set says of its pixels, and what is blanked."""

from __future__ import annotations

import pytest

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.deidentify import Deidentifier, DeviceRules, Options
from aiodicom.errors import LocalError
from tests.pixels.images import data_set, describe, image

KEY = bytes(range(32))
EXPLICIT = "1.2.840.10008.1.2.1"
RULES = DeviceRules.from_toml(
    """
    [[device]]
    manufacturer = "ACME"
    blank = [[0, 0, 47, 4]]

    [[device]]
    manufacturer = "CLEAN"

    [[device]]
    manufacturer = "ACME"
    visual_features = true
    blank = [[0, 20, 47, 3]]
    """
)


def image_of(manufacturer: str, **values: object) -> Dataset:
    cells = image("8")
    source = data_set(describe("8"), cells.tobytes() + bytes(cells.nbytes % 2), EXPLICIT)
    for keyword, value in {"SOPInstanceUID": "1.2.3", "Modality": "US", "Manufacturer": manufacturer, **values}.items():
        setattr(source, keyword, value)
    return source


def apply(source: Dataset, *clean: str, **others: str) -> Dataset:
    return Deidentifier(Options.named((), clean, **others), key=KEY, devices=RULES).apply(source)


def codes(result: Dataset) -> set[str]:
    return {code.CodeValue for code in result.DeidentificationMethodCodeSequence}


@pytest.mark.parametrize("flag", ["BurnedInAnnotation", "RecognizableVisualFeatures"])
def test_what_says_that_it_identifies_is_refused(flag: str) -> None:
    source = image_of("OTHER", **{flag: "YES"})
    with pytest.raises(LocalError, match="allow what is burned in"):
        apply(source)
    kept = apply(source, burned_in="keep")
    assert kept.PatientIdentityRemoved == "NO"
    assert kept.get(flag) == "YES"
    with pytest.raises(LocalError, match="device rules"):
        apply(source, "pixels", "visual-features")


def test_text_is_blanked() -> None:
    source = image_of("ACME", BurnedInAnnotation="YES")
    result = apply(source, "pixels")
    pixels = result.frames[0].to_numpy()
    assert not pixels[:4].any()
    assert (pixels[4:] == image("8")[4:]).all()
    assert result.BurnedInAnnotation == "NO"
    assert result.PatientIdentityRemoved == "YES"
    assert "113101" in codes(result)
    assert source.BurnedInAnnotation == "YES"
    assert source.frames[0].to_numpy()[:4].any()


def test_features_are_blanked() -> None:
    result = apply(image_of("ACME", RecognizableVisualFeatures="YES"), "pixels", "visual-features")
    pixels = result.frames[0].to_numpy()
    assert not pixels[:4].any()
    assert not pixels[20:23].any()
    assert result.RecognizableVisualFeatures == result.BurnedInAnnotation == "NO"
    assert {"113101", "113102"} <= codes(result)


def test_compressed_ones_are_blanked_too() -> None:
    source = aiodicom.transcode(image_of("ACME"), "jpeg-ls-lossless")
    result = apply(source, "pixels")
    assert not result.frames[0].to_numpy()[:4].any()
    assert result.frames.transfer_syntax == source.frames.transfer_syntax


def test_what_is_claimed_has_been_done() -> None:
    """Images of a modality that writes into its pixels have to say that they have nothing, or a rule has."""
    with pytest.raises(LocalError, match="may have burned in annotation"):
        apply(image_of("OTHER"), "pixels")
    for source in (image_of("OTHER", BurnedInAnnotation="NO"), image_of("CLEAN")):
        result = apply(source, "pixels")
        assert "113101" in codes(result)
        assert result.PixelData == source.PixelData
    # A CT image seldom has any; nobody has looked, and nobody claims it.
    assert "113101" not in codes(apply(image_of("OTHER", Modality="CT"), "pixels"))
    assert "113102" not in codes(apply(image_of("OTHER", Modality="CT"), "visual-features"))


def test_overlays_in_bits_of_the_pixels_go() -> None:
    cells = image("12 of 16") | 0x2000
    source = data_set(describe("12 of 16"), cells.tobytes(), EXPLICIT, Modality="CT")
    for keyword, value in {"OverlayBitsAllocated": 16, "OverlayBitPosition": 13, "OverlayType": "G"}.items():
        setattr(source, keyword, value)
    result = apply(source)
    assert not (result.frames[0].decode().cells & 0x2000).any()
    assert (result.frames[0].to_numpy() == image("12 of 16")).all()
    assert "OverlayBitPosition" not in result
    source.OverlayType = "R"
    assert apply(source, "graphics").PixelData == source.PixelData
