"""Synthetic studies: their shape, their transfer syntax, and pixels that compress like real ones."""

from __future__ import annotations

import io
from typing import Any

import numpy
import pydicom
import pytest

from aiodicom.errors import LocalError
from aiodicom.load.supply import Instance, Supply
from aiodicom.load.synthesis import KINDS, Shape, synthetic
from aiodicom.part10.meta import encode_file_meta
from aiodicom.standard.transfer_syntaxes import SHORT_NAMES
from aiodicom.standard.uids import EXPLICIT_VR_LITTLE_ENDIAN

#: By JPEG-LS, whose ratios are known for each modality (aiodicom.load.synthesis.pixels); JPEG 2000 has about the same
#: but for colour, and RLE, which packs bytes, less. From, to.
RATIOS = {
    "CT": {"jpeg-ls": (3.4, 4.8), "jpeg-2000": (3.4, 4.8), "rle": (1.5, 3)},
    "MR": {"jpeg-ls": (2.9, 4.2), "jpeg-2000": (2.9, 4.2), "rle": (1.3, 2.5)},
    "US": {"jpeg-ls": (2.6, 4.2), "jpeg-2000": (5, 12), "rle": (1.2, 3)},
    "MG": {"jpeg-ls": (2.6, 5), "jpeg-2000": (2.6, 5), "rle": (1.5, 3.5)},
    "CR": {"jpeg-ls": (2.8, 4), "jpeg-2000": (2.8, 4.2), "rle": (1.2, 2.5)},
    "DX": {"jpeg-ls": (2, 3), "jpeg-2000": (2, 3), "rle": (1.2, 2)},
    "SC": {"jpeg-ls": (3, 8), "jpeg-2000": (3, 8), "rle": (1.5, 5)},
    "enhanced-CT": {"jpeg-ls": (3.4, 4.8), "jpeg-2000": (3.4, 4.8), "rle": (1.5, 3)},
}
FEW_FRAMES = {"US": 2, "enhanced-CT": 2}
SMALL = {"rows": 24, "columns": 40}


def decoded(instance: Instance) -> pydicom.Dataset:
    head = encode_file_meta(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax)
    return pydicom.dcmread(io.BytesIO(head + b"".join(instance.buffers)))


def one(kind: str, **values: Any) -> Instance:
    return synthetic(Shape((kind,), images=1, frames=FEW_FRAMES.get(kind), **values), seed=1).next()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(kind: str) -> None:
    instance = one(kind, **SMALL)
    data_set = decoded(instance)
    assert data_set.SOPClassUID == instance.sop_class_uid == KINDS[kind].sop_class_uid
    assert data_set.Modality == KINDS[kind].modality
    assert list(data_set.keys()) == sorted(data_set.keys())
    if kind == "SR":
        assert "PixelData" not in data_set
        return
    pixels = data_set.pixel_array
    shape = [*([2] if kind in FEW_FRAMES else []), 24, 40, *([3] if data_set.SamplesPerPixel == 3 else [])]
    assert pixels.shape == tuple(shape)
    assert pixels.max() < 1 << data_set.BitsStored
    assert pixels.std() > 0


@pytest.mark.parametrize("kind", RATIOS)
def test_how_pixels_compress(kind: str) -> None:
    profile = KINDS[kind]
    assert profile.size is not None
    size = {"rows": min(profile.size.rows, 1024), "columns": min(profile.size.columns, 1024)}
    native = one(kind, **size).size
    for syntax, (least, most) in RATIOS[kind].items():
        assert least < native / one(kind, **size, transfer_syntax=syntax).size < most, syntax


@pytest.mark.parametrize("name", [name for name in SHORT_NAMES if "lossy" not in name])
def test_transfer_syntaxes(name: str) -> None:
    kind = "US" if name in ("jpeg-baseline", "jpeg-extended", "jpeg-xl-recompression") else "CT"
    if name == "jpeg-xl-recompression":
        with pytest.raises(LocalError):
            one(kind, transfer_syntax=name, **SMALL)
        return
    instance = one(kind, transfer_syntax=name, **SMALL)
    assert instance.transfer_syntax == SHORT_NAMES[name]
    if name in ("rle-lossless", "explicit-be", "implicit-le", "deflated-le"):
        assert numpy.array_equal(decoded(instance).pixel_array, decoded(one(kind, **SMALL)).pixel_array)


def test_a_report_is_about_the_images_of_its_study() -> None:
    supply = synthetic(Shape(("CT", "MR", "SR"), series=2, images=3, **SMALL), seed=1)
    for study in (supply.study(0), supply.study(1)):
        assert [series.modality for series in study.series] == ["CT", "CT", "MR", "MR", "SR", "SR"]
        copies = [[decoded(instance) for instance in series.instances] for series in study.series]
        assert {copy.StudyInstanceUID for series in copies for copy in series} == {study.study_instance_uid}
        images = {copy.SOPInstanceUID: copy for series in copies[:4] for copy in series}
        assert len(images) == 12
        for report in copies[4] + copies[5]:
            [evidence] = report.CurrentRequestedProcedureEvidenceSequence
            assert evidence.StudyInstanceUID == study.study_instance_uid
            listed = {
                (series.SeriesInstanceUID, item.ReferencedSOPInstanceUID)
                for series in evidence.ReferencedSeriesSequence
                for item in series.ReferencedSOPSequence
            }
            assert listed == {(copy.SeriesInstanceUID, uid) for uid, copy in images.items()}
            [findings] = [item for item in report.ContentSequence if item.ValueType == "CONTAINER"]
            shown = [item.ReferencedSOPSequence[0] for item in findings.ContentSequence if item.ValueType == "IMAGE"]
            assert {item.ReferencedSOPInstanceUID for item in shown} == set(images)
            assert all(
                images[item.ReferencedSOPInstanceUID].SOPClassUID == item.ReferencedSOPClassUID for item in shown
            )
    frames = {
        kind: {copy.FrameOfReferenceUID for copy in images.values() if copy.Modality == kind} for kind in ("CT", "MR")
    }
    assert len(frames["CT"]) == len(frames["MR"]) == 1
    assert frames["CT"] != frames["MR"]


def test_slices_are_side_by_side() -> None:
    study = synthetic(Shape(images=4, **SMALL)).study(0)
    copies = [decoded(instance) for instance in study.series[0].instances]
    assert [copy.ImagePositionPatient[2] for copy in copies] == [0, 1.25, 2.5, 3.75]
    assert [copy.InstanceNumber for copy in copies] == [1, 2, 3, 4]


def test_how_many_pixels_differ() -> None:
    study = synthetic(Shape(images=7, distinct=3, **SMALL)).study(0)
    pixels = [decoded(instance).PixelData for instance in study.series[0].instances]
    assert len(set(pixels)) == 3
    assert pixels[0] == pixels[3] == pixels[6]
    frames = decoded(synthetic(Shape(("US",), images=1, frames=5, distinct=2, **SMALL)).next()).pixel_array
    assert len({frame.tobytes() for frame in frames}) == 2


def test_the_seed_decides_pixels_and_uids() -> None:
    def made(seed: int | None, kind: str = "CT") -> bytes:
        return b"".join(synthetic(Shape((kind,), **SMALL), seed=seed).next().buffers)

    assert made(1) == made(1)
    assert decoded_pixels(made(1)) != decoded_pixels(made(2))
    supplies: list[Supply] = [synthetic(Shape((kind,), **SMALL), seed=1) for kind in ("CT", "MR")]
    one, other = (next(supply.studies()) for supply in supplies)
    assert one.study_instance_uid != other.study_instance_uid
    assert one.patient_id != other.patient_id


def decoded_pixels(data: bytes) -> bytes:
    return data[-24 * 40 * 2 :]


def test_reports_are_not_compressed() -> None:
    supply = synthetic(Shape(("CT", "SR"), transfer_syntax="rle", images=1, **SMALL))
    [image, report] = [series.instances[0] for series in supply.study(0).series]
    assert (image.transfer_syntax, report.transfer_syntax) == (SHORT_NAMES["rle-lossless"], EXPLICIT_VR_LITTLE_ENDIAN)
    deflated = synthetic(Shape(("SR",), transfer_syntax="deflated-le", images=1)).next()
    assert deflated.transfer_syntax == SHORT_NAMES["deflated-le"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (7, 3)])
def test_very_small(kind: str, size: tuple[int, int]) -> None:
    instance = one(kind, rows=size[0], columns=size[1])
    assert instance.size % 2 == 0
    if kind != "SR":
        assert decoded(instance).pixel_array.size >= size[0] * size[1]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Shape(("XA",)), "no synthetic objects of 'XA': CT, MR"),
        (Shape(()), "series of something"),
        (Shape(rows=0), "0 rows"),
        (Shape(columns=65536), "65536 columns"),
        (Shape(images=0), "0 images"),
        (Shape(frames=2), "one frame is all that CT objects have; several: US, enhanced-CT"),
        (Shape(images=100_001), "100,001 objects"),
        (Shape(("MG",), rows=65535, columns=65535), "pixels of .* bytes"),
        (Shape(transfer_syntax="zip"), "'zip' is no transfer syntax"),
    ],
)
def test_what_cannot_be(shape: Shape, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthetic(shape)


def test_what_does_not_fit_a_transfer_syntax() -> None:
    with pytest.raises(LocalError, match="12 bits stored"):
        one("CT", transfer_syntax="jpeg-baseline", **SMALL)
