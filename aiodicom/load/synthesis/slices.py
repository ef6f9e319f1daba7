"""CT and MR images, one slice an object (PS3.3 A.3, A.4)."""

from __future__ import annotations

from aiodicom.dataset import Dataset

from . import pixels
from .profile import Place, Profile, Size, describe_acquisition, describe_pixels, describe_plane, place_plane

__all__ = ["CT", "MR"]


def _describe_ct(data_set: Dataset, size: Size) -> None:
    describe_acquisition(data_set, "ORIGINAL", "PRIMARY", "AXIAL")
    describe_plane(data_set, f"{400 / size.columns:.6g}", "1.25")
    describe_pixels(data_set, size, 12)
    data_set.BodyPartExamined = "CHEST"
    data_set.KVP = "120"
    data_set.ScanOptions = "HELIX"
    data_set.ExposureTime = "500"
    data_set.XRayTubeCurrent = "250"
    data_set.ConvolutionKernel = "STANDARD"
    data_set.RescaleIntercept = "-1024"
    data_set.RescaleSlope = "1"
    data_set.RescaleType = "HU"
    data_set.WindowCenter = "40"
    data_set.WindowWidth = "400"


def _describe_mr(data_set: Dataset, size: Size) -> None:
    describe_acquisition(data_set, "ORIGINAL", "PRIMARY", "OTHER")
    describe_plane(data_set, f"{230 / size.columns:.6g}", "5")
    describe_pixels(data_set, size, 12)
    data_set.BodyPartExamined = "BRAIN"
    data_set.ScanningSequence = "SE"
    data_set.SequenceVariant = "SK"
    data_set.ScanOptions = "PFP"
    data_set.MRAcquisitionType = "2D"
    data_set.RepetitionTime = "500"
    data_set.EchoTime = "15"
    data_set.EchoTrainLength = "1"
    data_set.MagneticFieldStrength = "1.5"
    data_set.ImagedNucleus = "1H"
    data_set.FlipAngle = "90"
    data_set.SpacingBetweenSlices = "6"
    data_set.WindowCenter = "450"
    data_set.WindowWidth = "900"


def _place_ct(data_set: Dataset, place: Place) -> None:
    place_plane(data_set, place, 1.25)


def _place_mr(data_set: Dataset, place: Place) -> None:
    place_plane(data_set, place, 6)


CT = Profile(
    name="CT",
    title="CT",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    modality="CT",
    describe=_describe_ct,
    place=_place_ct,
    size=Size(512, 512),
    images=50,
    frame=lambda random, rows, columns, _: pixels.ct_slice(random, rows, columns),
)

MR = Profile(
    name="MR",
    title="MR",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
    modality="MR",
    describe=_describe_mr,
    place=_place_mr,
    size=Size(256, 256),
    images=24,
    frame=lambda random, rows, columns, _: pixels.mr_slice(random, rows, columns),
)
