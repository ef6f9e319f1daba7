"""Every pair of transfer syntaxes: samples stay what they are where nothing is lost, and so does everything else."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy
import pytest

import aiodicom
from aiodicom.errors import LocalError
from aiodicom.pixels.codecs.codec import stored_range
from aiodicom.pixels.description import Description
from aiodicom.pixels.recoding import LOSSY
from aiodicom.standard.transfer_syntaxes import SHORT_NAMES, named_transfer_syntax, transfer_syntax

from .images import data_set, describe, image

EXPLICIT = SHORT_NAMES["explicit-le"]
RECOMPRESSION = SHORT_NAMES["jpeg-xl-recompression"]
JPEG = (SHORT_NAMES["jpeg-baseline"], SHORT_NAMES["jpeg-extended"])

#: Kinds, with the number of frames.
KINDS = {
    "8": 1,
    "signed 8": 1,
    "12 of 16": 3,
    "signed 12 of 16": 1,
    "16": 1,
    "signed 16": 2,
    "RGB": 2,
    "YBR_FULL": 1,
    "palette": 1,
    "6 of 16": 1,
    "bit": 3,
    "32": 2,
}

#: What changes with the transfer syntax, and with loss.
_PIXELS = {
    "PixelData",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "DerivationDescription",
    "DerivationCodeSequence",
    "SourceImageSequence",
    "SOPInstanceUID",
    "ImageType",
}


def native(kind: str, planar: int = 0) -> tuple[aiodicom.Dataset, Description]:
    count = KINDS[kind]
    described = describe(kind, number_of_frames=count, planar_configuration=planar)
    frames = [image(kind, seed) for seed in range(count)]
    cells = numpy.stack(frames)
    if planar:
        cells = numpy.stack([frame.transpose(2, 0, 1) for frame in frames])
    value = cells.tobytes() if kind != "bit" else numpy.packbits(cells, bitorder="little").tobytes()
    made = data_set(described, value + b"\0" * (len(value) % 2), EXPLICIT, **elements())
    made.file_meta = aiodicom.Dataset(TransferSyntaxUID=EXPLICIT, SourceApplicationEntityTitle="FROM")
    return made, described


def elements() -> dict[str, Any]:
    return {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "SOPInstanceUID": "1.2.3.4",
        "PatientName": "Doe^Jane",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "ReferencedImageSequence": [aiodicom.Dataset(ReferencedSOPInstanceUID="1.2.3")],
        "DataSetTrailingPadding": b"\0\0",
    }


@cache
def source(kind: str, uid: str) -> aiodicom.Dataset | None:
    """A data set in a transfer syntax; None where it cannot be in that."""
    made, _ = native(kind)
    if uid == EXPLICIT:
        return made
    if uid == RECOMPRESSION:
        jpeg = source(kind, JPEG[0])
        return None if jpeg is None else aiodicom.transcode(jpeg, uid)
    try:
        return aiodicom.transcode(made, uid)
    except LocalError:
        return None


def attempt(made: aiodicom.Dataset, to: str) -> tuple[aiodicom.Dataset | None, str]:
    try:
        return aiodicom.transcode(made, to), ""
    except LocalError as error:
        return None, str(error)


def rest(data_set: aiodicom.Dataset) -> bytes:
    copy = data_set.copy()
    for keyword in _PIXELS & set(copy.dir()):
        delattr(copy, keyword)
    return copy.to_bytes(EXPLICIT)


def values(data_set: aiodicom.Dataset) -> Any:
    return data_set.frames.to_numpy(rgb=data_set.frames.description.samples == 3)


@pytest.mark.parametrize("own", SHORT_NAMES.values(), ids=SHORT_NAMES)
def test_every_pair(own: str) -> None:
    count = 0
    for kind in KINDS:
        made = source(kind, own)
        if made is None:
            continue
        before = values(made)
        for target in SHORT_NAMES.values():
            transcoded, refusal = attempt(made, target)
            if transcoded is None:
                if target == RECOMPRESSION and (own not in JPEG or made.BitsAllocated == 16):
                    assert "made of JPEG frames" in refusal or own == JPEG[1]
                else:
                    # Lossy ones may have more bits stored than there had been.
                    as_expected = source(kind, target) is None or (own in LOSSY and "bits stored" in refusal)
                    assert as_expected, (kind, target)
                continue
            count += 1
            assert transcoded.transfer_syntax == target
            assert rest(transcoded) == rest(made), (kind, target)
            after = values(transcoded)
            least, most = stored_range(made.frames.description)
            if target in LOSSY and not (own == RECOMPRESSION and target in JPEG):
                bound = 0.2 * (most - least)
            elif RECOMPRESSION in (own, target):
                bound = 0.05 * (most - least)  # two decoders of the same stream
            else:
                bound = 0.0
                assert after.dtype == before.dtype
            assert numpy.abs(after.astype("i8") - before.astype("i8")).max() <= bound, (kind, target)
    assert count > 20


@pytest.mark.parametrize("name", [name for name, uid in SHORT_NAMES.items() if transfer_syntax(uid).lossless])
def test_there_and_back_is_the_same_data_set(name: str) -> None:
    for kind in KINDS:
        for planar in (0, 1) if kind == "RGB" else (0,):
            made, _ = native(kind, planar)
            there, refusal = attempt(made, name)
            if there is None:
                assert kind in ("bit", "32")
                assert "bits allocated" in refusal
                continue
            back = aiodicom.transcode(there, EXPLICIT)
            if planar and back.PlanarConfiguration == 0:
                assert numpy.array_equal(values(back), values(made))
            else:
                assert rest(back) == rest(made)
                assert bytes(back["PixelData"].raw) == bytes(made["PixelData"].raw)
                assert back.frames.description == made.frames.description


def test_what_stands_in_a_transfer_syntax_that_is_more_general_is_not_encoded_anew() -> None:
    for own, target in (
        ("jpeg-lossless", "jpeg-lossless-p14"),
        ("jpeg-ls-lossless", "jpeg-ls-lossy"),
        ("jpeg-2000-lossless", "jpeg-2000-lossy"),
        ("htj2k-rpcl", "htj2k"),
        ("htj2k", "htj2k-lossy"),
        ("jpeg-baseline", "jpeg-extended"),
    ):
        made = source("8", named_transfer_syntax(own).uid)
        assert made is not None
        transcoded = aiodicom.transcode(made, target)
        assert transcoded.to_bytes() == made.to_bytes()
        assert transcoded.file_meta is not None
        assert transcoded.file_meta.TransferSyntaxUID == named_transfer_syntax(target).uid
    made = source("8", SHORT_NAMES["jpeg-2000-lossless"])
    assert made is not None
    assert aiodicom.transcode(made, "jpeg-2000-lossy", quality=30).LossyImageCompression == "01"


@pytest.mark.parametrize("name", ["jpeg-baseline", "jpeg-extended"])
@pytest.mark.parametrize("kind", ["8", "RGB"])
def test_recompressed_jpeg_comes_back_byte_by_byte(kind: str, name: str) -> None:
    jpeg = source(kind, SHORT_NAMES["jpeg-baseline"])
    assert jpeg is not None
    jpeg = aiodicom.transcode(jpeg, name)
    recompressed = aiodicom.transcode(jpeg, RECOMPRESSION)
    assert recompressed.SOPInstanceUID == jpeg.SOPInstanceUID
    back = aiodicom.transcode(recompressed, name)
    assert [bytes(frame.encoded) for frame in back.frames] == [bytes(frame.encoded) for frame in jpeg.frames]
    assert back.to_bytes() == jpeg.to_bytes()


@pytest.mark.parametrize("own", ["explicit-le", "explicit-be", "implicit-le", "rle", "jpeg-2000"])
def test_from_every_form(own: str, tmp_path: Any) -> None:
    made = source("12 of 16", named_transfer_syntax(own).uid)
    assert made is not None
    path = tmp_path / "file"
    aiodicom.dcmwrite(path, made)
    wanted = aiodicom.transcode(made, "htj2k").to_bytes()
    assert aiodicom.transcode(path, "htj2k").to_bytes() == wanted
    assert aiodicom.transcode(str(path), "1.2.840.10008.1.2.4.201").to_bytes() == wanted
    assert aiodicom.transcode(path.read_bytes(), "htj2k").to_bytes() == wanted
    assert aiodicom.transcode(aiodicom.to_pydicom(made), "htj2k").to_bytes() == wanted
    assert aiodicom.transcode(made, "htj2k", threads=3).to_bytes() == wanted
    uid = aiodicom.transcode_file(path, tmp_path / "other", "htj2k")
    assert uid == "1.2.3.4"
    written = aiodicom.dcmread(tmp_path / "other", strict=True)
    assert written.to_bytes() == wanted
    assert written.file_meta is not None
    assert written.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.201"
    # Over itself.
    aiodicom.transcode_file(path, path, "htj2k")
    assert path.read_bytes() == (tmp_path / "other").read_bytes()


def test_what_is_given_stays_as_it_is() -> None:
    made, _ = native("RGB")
    before = made.to_bytes(), made.file_meta
    transcoded = aiodicom.transcode(made, "jpeg-baseline")
    assert (made.to_bytes(), made.file_meta) == before
    assert made.file_meta is not None
    assert made.file_meta.TransferSyntaxUID == EXPLICIT
    assert transcoded.file_meta is not None
    assert transcoded.file_meta.SourceApplicationEntityTitle == "FROM"


def test_names() -> None:
    assert named_transfer_syntax("htj2k") is named_transfer_syntax("htj2k-lossless")
    assert named_transfer_syntax("1.2.840.10008.1.2.5") is named_transfer_syntax("rle")
    assert len(set(SHORT_NAMES.values())) == len(SHORT_NAMES)
    for name in ("", "jpg", "1.2.3", "-lossless"):
        with pytest.raises(ValueError, match="no transfer syntax"):
            named_transfer_syntax(name)
