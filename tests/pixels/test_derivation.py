"""What a data set says after its pixel data have been transcoded, and what cannot be transcoded."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy
import pytest

import aiodicom
from aiodicom.errors import CodecMissing, DecodeError, LocalError, PixelDataError
from aiodicom.pixels import recoding
from aiodicom.pixels.encapsulation import encapsulate
from aiodicom.pixels.transcode import transcode_data_set

from .images import data_set, describe, image

EXPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4."


def native(kind: str = "8", count: int = 1, **elements: Any) -> aiodicom.Dataset:
    described = describe(kind, number_of_frames=count)
    value = b"".join(image(kind, seed).tobytes() for seed in range(count))
    elements = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "SOPInstanceUID": "1.2.3"} | elements
    return data_set(described, value + b"\0" * (len(value) % 2), EXPLICIT, **elements)


# --- loss -------------------------------------------------------------------------------------------------------------


def test_loss_makes_another_instance() -> None:
    made = native("RGB", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], DerivationDescription="cut out")
    made.file_meta = aiodicom.Dataset(TransferSyntaxUID=EXPLICIT, MediaStorageSOPInstanceUID="1.2.3")
    lossy = aiodicom.transcode(made, "jpeg-baseline", quality=70)
    assert lossy.SOPInstanceUID.startswith("2.25.")
    assert lossy.file_meta is not None
    assert lossy.file_meta.MediaStorageSOPInstanceUID == lossy.SOPInstanceUID
    assert lossy.ImageType == ["DERIVED", "PRIMARY", "AXIAL"]
    assert lossy.LossyImageCompression == "01"
    assert lossy.LossyImageCompressionMethod == "ISO_10918_1"
    ratio = float(lossy.LossyImageCompressionRatio)
    assert ratio == pytest.approx(33 * 47 * 3 / len(bytes(lossy.frames[0].encoded)), rel=0.01)
    assert lossy.DerivationDescription.startswith("cut out; Lossy compression: JPEG Baseline (Process 1), quality 70")
    assert lossy.DerivationCodeSequence[0].CodeValue == "113040"
    assert lossy.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3"
    assert lossy.SourceImageSequence[0].ReferencedSOPClassUID == made.SOPClassUID
    assert lossy.PhotometricInterpretation == "YBR_FULL_422"
    # The same again is the same instance, and something else is another.
    assert aiodicom.transcode(made, "jpeg-baseline", quality=70).SOPInstanceUID == lossy.SOPInstanceUID
    others = [("jpeg-baseline", 71), ("jpeg-baseline", None), ("jpeg-2000-lossy", 70)]
    uids = {aiodicom.transcode(made, to, quality=quality).SOPInstanceUID for to, quality in others}
    assert len(uids | {lossy.SOPInstanceUID}) == 4


def test_loss_upon_loss_is_added() -> None:
    once = aiodicom.transcode(native("8"), "jpeg-baseline")
    twice = aiodicom.transcode(once, "htj2k-lossy")
    assert twice.LossyImageCompressionMethod == ["ISO_10918_1", "ISO_15444_15"]
    assert len(twice.LossyImageCompressionRatio) == 2
    assert len(twice.SourceImageSequence) == len(twice.DerivationCodeSequence) == 2
    assert twice.SourceImageSequence[1].ReferencedSOPInstanceUID == once.SOPInstanceUID
    assert twice.DerivationDescription.count("Lossy compression") == 2


def test_a_derivation_description_that_would_be_too_long() -> None:
    lossy = aiodicom.transcode(native("8", DerivationDescription="x" * 1000), "jpeg-ls-lossy")
    assert lossy.DerivationDescription.startswith("Lossy compression: JPEG-LS")


@pytest.mark.parametrize("to", ["explicit-le", "jpeg-ls", "jpeg-xl-recompression"])
def test_what_jpeg_had_lost_is_known_when_it_is_no_longer_jpeg(to: str) -> None:
    jpeg = aiodicom.transcode(native("8"), "jpeg-baseline")
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        delattr(jpeg, keyword)
    transcoded = aiodicom.transcode(jpeg, to)
    assert transcoded.SOPInstanceUID == jpeg.SOPInstanceUID
    assert (transcoded.LossyImageCompression, transcoded.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert 1 < float(transcoded.LossyImageCompressionRatio) < 100


def test_near_lossless_without_loss_is_the_same_instance() -> None:
    transcoded = aiodicom.transcode(native("12 of 16"), "jpeg-ls-lossy", quality=0)
    assert transcoded.SOPInstanceUID == "1.2.3"
    assert "LossyImageCompression" not in transcoded
    assert numpy.array_equal(transcoded.frames[0].to_numpy(), image("12 of 16", 0))


def test_words_of_no_more_than_bytes_become_bytes_for_baseline_jpeg() -> None:
    transcoded = aiodicom.transcode(native("6 of 16"), "jpeg-baseline")
    assert (transcoded.BitsAllocated, transcoded.BitsStored, transcoded.HighBit) == (8, 8, 7)
    assert transcoded.frames[0].to_numpy().dtype == numpy.uint8


# --- what follows the pixel data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["rle", "jpeg-ls"])
def test_offset_tables(to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = native("8", 3)
    basic = aiodicom.transcode(made, to)
    assert bytes(basic["PixelData"].raw[4:8]) == (12).to_bytes(4, "little")
    assert "ExtendedOffsetTable" not in basic
    # More than a basic one can say.
    monkeypatch.setattr(recoding, "_LONGEST_VALUE", 1000)
    extended = aiodicom.transcode(made, to)
    assert len(extended.ExtendedOffsetTable) == len(extended.ExtendedOffsetTableLengths) == 24
    monkeypatch.undo()
    assert numpy.array_equal(extended.frames.to_numpy(), made.frames.to_numpy())
    # Who has one keeps one; native pixel data have none.
    other = aiodicom.transcode(extended, "htj2k")
    assert len(other.ExtendedOffsetTable) == 24
    assert other.ExtendedOffsetTable != extended.ExtendedOffsetTable
    assert numpy.array_equal(other.frames.to_numpy(), made.frames.to_numpy())
    back = aiodicom.transcode(extended, "explicit-le")
    assert "ExtendedOffsetTable" not in back
    assert "ExtendedOffsetTableLengths" not in back
    assert back.to_bytes() == made.to_bytes()


def test_vr_of_pixel_data() -> None:
    for kind, vr in (("8", "OB"), ("16", "OW"), ("bit", "OB")):
        made = native(kind) if kind != "bit" else aiodicom.transcode(bits(1), "rle")
        encapsulated = aiodicom.transcode(made, "encapsulated")
        assert encapsulated["PixelData"].vr == "OB"
        assert aiodicom.transcode(encapsulated, "explicit-le")["PixelData"].vr == vr


def test_colour_and_planes() -> None:
    described = describe("RGB", planar_configuration=1)
    value = image("RGB").transpose(2, 0, 1).tobytes()
    made = data_set(described, value + b"\0", EXPLICIT)
    for to, interpretation, planar in (
        ("jpeg-2000", "YBR_RCT", 0),
        ("htj2k", "YBR_RCT", 0),
        ("jpeg-lossless", "RGB", 0),
        ("jpeg-2000-lossy", "YBR_ICT", 0),
        ("jpeg-xl-lossy", "XYB", 0),
        ("rle", "RGB", 1),
        ("encapsulated", "RGB", 1),
        ("implicit-le", "RGB", 1),
    ):
        transcoded = aiodicom.transcode(made, to)
        assert (transcoded.PhotometricInterpretation, transcoded.PlanarConfiguration) == (interpretation, planar), to
        assert aiodicom.transcode(transcoded, "explicit-le").PhotometricInterpretation == "RGB"


def bits(count: int) -> aiodicom.Dataset:
    cells = numpy.stack([image("bit", seed) for seed in range(count)])
    value = numpy.packbits(cells, bitorder="little").tobytes()
    return data_set(describe("bit", number_of_frames=count), value + b"\0" * (len(value) % 2), EXPLICIT)


@pytest.mark.parametrize("to", ["rle", "encapsulated", "deflated-frames"])
def test_single_bits_follow_each_other_without_a_gap(to: str) -> None:
    made = bits(5)
    back = aiodicom.transcode(aiodicom.transcode(made, to), "explicit-le")
    assert bytes(back.PixelData) == bytes(made.PixelData)


@pytest.mark.parametrize("kind", ["8", "16", "signed 12 of 16", "32", "RGB"])
def test_big_endian(kind: str) -> None:
    """Also where the words of OW are not the cells."""
    made = native(kind, 2)
    big = aiodicom.transcode(made, "explicit-be")
    assert numpy.array_equal(big.frames.to_numpy(), made.frames.to_numpy())
    compressed = aiodicom.transcode(made, "rle")
    assert bytes(aiodicom.transcode(compressed, "explicit-be")["PixelData"].raw) == bytes(big["PixelData"].raw)
    assert aiodicom.transcode(big, "explicit-le").to_bytes() == made.to_bytes()


def test_pixel_data_in_big_endian_behind_a_private_label() -> None:
    made = data_set(describe("16"), image("16").byteswap().tobytes(), "1.2.840.113619.5.2", SOPInstanceUID="1.2.3")
    for to in ("explicit-le", "implicit-le", "explicit-be", "jpeg-ls"):
        assert numpy.array_equal(aiodicom.transcode(made, to).frames[0].to_numpy(), image("16")), to


def test_an_icon_is_left_alone_unless_nobody_could_decode_it() -> None:
    icon = native("8", SOPInstanceUID="")
    made = native("8", IconImageSequence=[icon])
    kept = aiodicom.transcode(made, "jpeg-ls")
    assert kept.IconImageSequence[0].to_bytes() == icon.to_bytes()
    compressed = aiodicom.transcode(icon, "jpeg-ls")
    encapsulate([frame.encoded for frame in compressed.frames]).put_into(icon)
    both = aiodicom.transcode(native("8"), "jpeg-ls")
    both.IconImageSequence = [icon]
    before = both.to_bytes()
    for to in ("explicit-le", "rle"):
        (made_native,) = aiodicom.transcode(both, to).IconImageSequence
        assert not made_native["PixelData"].undefined_length
        assert numpy.array_equal(made_native.frames[0].to_numpy(), image("8", 0))
    assert both.to_bytes() == before


def test_sequences_that_are_none() -> None:
    """A peer may give them any VR: an icon stays what it is, and what loss says of itself takes their place."""
    made = native("8", SOPClassUID="1.2")
    for keyword in ("IconImageSequence", "DerivationCodeSequence", "SourceImageSequence"):
        made.add_new(keyword, "LO", "none")
    lossy = aiodicom.transcode(made, "jpeg-baseline")
    assert lossy.IconImageSequence == "none"
    assert lossy.SourceImageSequence[0].ReferencedSOPInstanceUID == made.SOPInstanceUID
    assert lossy.DerivationCodeSequence[0].CodeValue == "113040"


def test_a_data_set_without_pixel_data_is_encoded_anew() -> None:
    report = aiodicom.Dataset(SOPInstanceUID="1.2", PatientName="A")
    for to in ("implicit-le", "deflated-le", "explicit-be", "jpeg-ls"):
        transcoded = aiodicom.transcode(report, to)
        assert transcoded.PatientName == "A"
        assert transcoded.to_bytes() == report.to_bytes(transcoded.transfer_syntax)


# --- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "to", "reason"),
    [
        ("16", "jpeg-baseline", "16 bits stored of 16 allocated do not fit JPEG with 8 bits"),
        ("12 of 16", "jpeg-baseline", "12 bits stored"),
        ("16", "jpeg-extended", "do not fit JPEG with 12 bits"),
        ("signed 8", "jpeg-baseline", "no signed samples"),
        ("32", "jpeg-ls", "no samples of 32 bits allocated"),
        ("palette", "jpeg-2000-lossy", "indexes of a palette"),
        ("8", "jpeg-xl-recompression", "made of JPEG frames"),
        ("8", f"{JPEG}92", "decoded only"),
        ("8", f"{JPEG}94", "not in the data set"),
    ],
)
def test_an_error_names_the_reason(kind: str, to: str, reason: str) -> None:
    with pytest.raises(LocalError, match=reason):
        aiodicom.transcode(native(kind), to)


def test_video_passes_and_is_not_transcoded() -> None:
    mpeg = f"{JPEG}102"
    made = data_set(describe("RGB", number_of_frames=9), [b"\0\0\1\xb3 video stream"], mpeg, SOPInstanceUID="1.2")
    assert aiodicom.transcode(made, mpeg).to_bytes() == made.to_bytes()
    with pytest.raises(CodecMissing, match="video"):
        aiodicom.transcode(made, "explicit-le")
    with pytest.raises(CodecMissing, match="video"):
        aiodicom.transcode(native("RGB"), mpeg)
    with pytest.raises(ValueError, match="no transfer syntax"):
        aiodicom.transcode(made, "1.2.3.4")


def test_floating_point_pixels_are_never_compressed() -> None:
    made = aiodicom.Dataset(Rows=2, Columns=2, BitsAllocated=32, SamplesPerPixel=1, SOPInstanceUID="1.2")
    made.add_new("FloatPixelData", "OF", numpy.arange(4, dtype="<f4").tobytes())
    with pytest.raises(LocalError, match="FloatPixelData is never compressed"):
        aiodicom.transcode(made, "rle")
    big = aiodicom.transcode(made, "explicit-be")
    assert numpy.array_equal(big.frames[0].to_numpy(), made.frames[0].to_numpy())


def test_overlays_in_unused_bits_survive_without_loss_and_forbid_loss() -> None:
    cells = image("12 of 16") | (numpy.indices((33, 47)).sum(0) % 2 << 15).astype("u2")
    made = data_set(describe("12 of 16"), cells.tobytes(), EXPLICIT)
    made.add_new(0x60000100, "US", 16)
    made.add_new(0x60000102, "US", 15)
    for to in ("jpeg-ls", "htj2k", "jpeg-2000", "rle", "jpeg-lossless", "jpeg-xl"):
        overlays = aiodicom.transcode(made, to).frames[0].overlays()
        assert numpy.array_equal(overlays[0x6000], cells >> 15), to
    with pytest.raises(LocalError, match="overlays"):
        aiodicom.transcode(made, "jpeg-2000-lossy")


@pytest.mark.parametrize("to", ["explicit-le", "rle"])
def test_a_corrupt_frame(to: str, tmp_path: Path) -> None:
    made = aiodicom.transcode(native("16", 3), "jpeg-ls")
    encoded = [bytes(frame.encoded) for frame in made.frames]
    encapsulate([encoded[0], encoded[1], encoded[2][:40]]).put_into(made)
    with pytest.raises(PixelDataError, match=r"frames\[2\]"):
        aiodicom.transcode(made, to)
    aiodicom.dcmwrite(tmp_path / "in", made)
    with pytest.raises(PixelDataError):
        aiodicom.transcode_file(tmp_path / "in", tmp_path / "out", to)
    assert os.listdir(tmp_path) == ["in"]
    whole = (tmp_path / "in").read_bytes()
    (tmp_path / "in").write_bytes(whole[:-100])
    with pytest.raises(DecodeError, match="ends"):
        aiodicom.transcode_file(tmp_path / "in", tmp_path / "out", to)


def test_frames_that_are_of_different_colours() -> None:
    made = aiodicom.transcode(native("RGB", 2), "jpeg-baseline")
    grey = aiodicom.transcode(native("8"), "jpeg-baseline")
    encapsulate([made.frames[0].encoded, grey.frames[0].encoded]).put_into(made)
    with pytest.raises(PixelDataError):
        aiodicom.transcode(made, "explicit-le")


# --- file to file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["jpeg-ls", "explicit-le", "deflated-le", "explicit-be"])
def test_frame_by_frame_in_bounded_memory(to: str, tmp_path: Path) -> None:
    """32 MiB of frames; numpy's memory is traced too."""
    described = describe("16", rows=512, columns=512, number_of_frames=64)
    noise = numpy.random.default_rng(1).integers(0, 1 << 16, (512, 512), "u2")
    if to == "jpeg-ls":
        made = data_set(described, noise.tobytes() * 64, EXPLICIT)
    else:
        encoded = aiodicom.transcode(data_set(described.changed(number_of_frames=1), noise.tobytes(), EXPLICIT), "rle")
        made = data_set(described, [bytes(encoded.frames[0].encoded)] * 64, "1.2.840.10008.1.2.5")
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    aiodicom.dcmwrite(tmp_path / "in", made)
    del made
    tracemalloc.start()
    try:
        aiodicom.transcode_file(tmp_path / "in", tmp_path / "out", to)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 14 << 20
    frames = aiodicom.dcmread(tmp_path / "out").frames
    for number in (0, 63):
        assert numpy.array_equal(frames[number].to_numpy(), noise)


def test_without_overwriting(tmp_path: Path) -> None:
    aiodicom.dcmwrite(tmp_path / "in", native("8"))
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        aiodicom.transcode_file(tmp_path / "in", tmp_path / "out", "rle", overwrite=False)
    assert (tmp_path / "out").read_bytes() == b"mine"
    aiodicom.transcode_file(tmp_path / "in", tmp_path / "new", "rle", overwrite=False, fsync=True)
    assert sorted(os.listdir(tmp_path)) == ["in", "new", "out"]


def test_what_is_not_taken_leaves_no_file_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoding, "_IN_MEMORY", 10)
    transcoded = transcode_data_set(native("8"), "jpeg-ls")
    next(iter(transcoded.pieces))
    del transcoded
