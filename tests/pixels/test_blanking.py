"""Parts of frames blanked."""

from __future__ import annotations

import numpy
import pytest

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.errors import LocalError
from aiodicom.pixels.blanking import blank
from aiodicom.pixels.rectangle import Rectangle
from aiodicom.standard.transfer_syntaxes import SHORT_NAMES
from tests.pixels.images import COLUMNS, ROWS, data_set, describe, image

EXPLICIT = "1.2.840.10008.1.2.1"
PARTS = [Rectangle(3, 5, 10, 4), Rectangle(COLUMNS - 6, ROWS - 3, 100, 100), Rectangle(COLUMNS, 0, 5, 5)]
LOSSLESS = ["rle-lossless", "jpeg-lossless", "jpeg-ls-lossless", "jpeg-2000-lossless", "htj2k-lossless", "explicit-le"]


def native(kind: str, frames: int = 2, **elements: object) -> Dataset:
    cells = [image(kind, seed) for seed in range(1, frames + 1)]
    value = b"".join(each.tobytes() for each in cells)
    if kind == "bit":
        bits = numpy.concatenate([each.reshape(-1) for each in cells])
        value = numpy.packbits(bits, bitorder="little").tobytes()
    described = describe(kind, number_of_frames=frames)
    return data_set(described, value + bytes(len(value) % 2), EXPLICIT, SOPInstanceUID="1.2.3", **elements)


def inside() -> numpy.ndarray[tuple[int, int], numpy.dtype[numpy.bool_]]:
    mask = numpy.zeros((ROWS, COLUMNS), bool)
    mask[5:9, 3:13] = True
    mask[ROWS - 3 :, COLUMNS - 6 :] = True
    return mask


@pytest.mark.parametrize("kind", ["bit", "8", "12 of 16", "signed 16", "RGB", "RGB 16", "palette"])
def test_native(kind: str) -> None:
    source = native(kind)
    before = source.to_bytes()
    blanked = blank(source, PARTS)
    assert source.to_bytes() == before
    old, new = source.frames.to_numpy(), blanked.frames.to_numpy()
    assert not new[:, inside()].any()
    assert numpy.array_equal(new[:, ~inside()], old[:, ~inside()])
    assert blanked.get("LossyImageCompression") is None
    again = Dataset.from_bytes(blanked.to_bytes(EXPLICIT), EXPLICIT)
    assert numpy.array_equal(again.frames.to_numpy(), new)


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("kind", ["8", "12 of 16", "RGB"])
def test_compressed(name: str, kind: str) -> None:
    source = aiodicom.transcode(native(kind), name)
    blanked = blank(source, PARTS)
    written = Dataset.from_bytes(blanked.to_bytes(SHORT_NAMES[name]), SHORT_NAMES[name])
    old, new = source.frames.to_numpy(rgb=True), written.frames.to_numpy(rgb=True)
    assert not new[:, inside()].any()
    assert numpy.array_equal(new[:, ~inside()], old[:, ~inside()])


@pytest.mark.parametrize("name", ["jpeg-baseline", "jpeg-2000-lossy", "htj2k-lossy"])
def test_with_loss(name: str) -> None:
    """It says so once more, and stays the image that others refer to."""
    source = aiodicom.transcode(native("RGB"), name)
    blanked = blank(source, PARTS)
    old, new = (each.frames.to_numpy(rgb=True).astype(int) for each in (source, blanked))
    core = (slice(None), slice(6, 8), slice(5, 11))
    assert abs(new[core]).max() < 40
    assert abs(new - old)[:, 16:28].max() < 40
    assert blanked.SOPInstanceUID == source.SOPInstanceUID
    assert len(blanked.LossyImageCompressionRatio) == 2
    assert len(blanked.SourceImageSequence) == len(source.SourceImageSequence)
    del source.SOPInstanceUID, source.SourceImageSequence
    assert {"SOPInstanceUID", "SourceImageSequence"}.isdisjoint(blank(source, PARTS).dir())


def test_colour_is_without_colour() -> None:
    blanked = blank(native("YBR_FULL"), PARTS)
    assert (blanked.frames.to_numpy()[:, inside()] == (0, 128, 128)).all()
    assert not blanked.frames.to_numpy(rgb=True)[:, inside()].any()


def test_bits_of_overlays() -> None:
    cells = image("12 of 16").copy()
    cells |= (numpy.arange(ROWS * COLUMNS, dtype="u2").reshape(ROWS, COLUMNS) % 2) << 13
    source = data_set(describe("12 of 16"), cells.tobytes() + b"", EXPLICIT)
    for keyword, value in (("OverlayBitsAllocated", 16), ("OverlayBitPosition", 13)):
        setattr(source, keyword, value)
    assert source.frames[0].overlays()[0x6000].any()
    blanked = blank(source, [], bits=[13])
    assert not blanked.frames[0].overlays()[0x6000].any()
    assert numpy.array_equal(blanked.frames[0].to_numpy(), source.frames[0].to_numpy())


def test_what_is_not_blanked() -> None:
    source = native("8")
    source.transfer_syntax = SHORT_NAMES["explicit-be"]
    with pytest.raises(LocalError, match="transcode the object first"):
        blank(source, PARTS)
