"""Projection radiography: CR, and the digital images of DX and mammography (PS3.3 A.2, A.26, A.27)."""

from __future__ import annotations

from aiodicom.dataset import Dataset

from . import pixels
from .profile import Place, Profile, Size, code, describe_acquisition, describe_pixels

__all__ = ["CR", "DX", "MG"]

#: The standard views of a mammographic examination: laterality, view, and where rows and columns point to.
_VIEWS = (
    ("R", "399162004", "cranio-caudal", ("P", "L")),
    ("L", "399162004", "cranio-caudal", ("A", "R")),
    ("R", "399368009", "medio-lateral oblique", ("P", "FL")),
    ("L", "399368009", "medio-lateral oblique", ("A", "FR")),
)


def _describe_cr(data_set: Dataset, size: Size) -> None:
    describe_acquisition(data_set, "ORIGINAL", "PRIMARY")
    describe_pixels(data_set, size, 12)
    data_set.BodyPartExamined = "CHEST"
    data_set.ViewPosition = "PA"
    data_set.PatientOrientation = ["L", "F"]
    data_set.KVP = "125"
    data_set.ImagerPixelSpacing = ["0.2", "0.2"]
    data_set.WindowCenter = "2048"
    data_set.WindowWidth = "4096"


def _describe_digital(data_set: Dataset, size: Size, bits: int) -> None:
    """The modules of DX, which mammography has too (PS3.3 C.8.11)."""
    describe_acquisition(data_set, "ORIGINAL", "PRIMARY")
    data_set.ImageType = ["ORIGINAL", "PRIMARY", ""]
    describe_pixels(data_set, size, bits)
    data_set.PresentationIntentType = "FOR PRESENTATION"
    data_set.PixelIntensityRelationship = "LOG"
    data_set.PixelIntensityRelationshipSign = -1
    data_set.RescaleIntercept = "0"
    data_set.RescaleSlope = "1"
    data_set.RescaleType = "US"
    data_set.PresentationLUTShape = "IDENTITY"
    data_set.WindowCenter = str(1 << bits - 1)
    data_set.WindowWidth = str(1 << bits)
    data_set.DetectorType = "DIRECT"
    data_set.AcquisitionContextSequence = []


def _describe_dx(data_set: Dataset, size: Size) -> None:
    _describe_digital(data_set, size, 14)
    data_set.BodyPartExamined = "CHEST"
    data_set.AnatomicRegionSequence = code("51185008", "SCT", "Chest")
    data_set.ImageLaterality = "U"
    data_set.PatientOrientation = ["L", "F"]
    data_set.PositionerType = "COLUMN"
    data_set.ViewCodeSequence = _view("399348003", "postero-anterior")
    data_set.ImagerPixelSpacing = ["0.148", "0.148"]


def _describe_mg(data_set: Dataset, size: Size) -> None:
    _describe_digital(data_set, size, 12)
    data_set.BodyPartExamined = "BREAST"
    data_set.AnatomicRegionSequence = code("76752008", "SCT", "Breast")
    data_set.OrganExposed = "BREAST"
    data_set.PositionerType = "MAMMOGRAPHIC"
    data_set.BreastImplantPresent = "NO"
    data_set.ImagerPixelSpacing = ["0.07", "0.07"]
    data_set.KVP = "29"
    data_set.BodyPartThickness = "50"


def _view(value: str, meaning: str) -> list[Dataset]:
    [view] = code(value, "SCT", meaning)
    view.ViewModifierCodeSequence = []
    return [view]


def _place_radiograph(_data_set: Dataset, _place: Place) -> None:
    """Nothing but the number of the image tells one from another."""


def _place_mg(data_set: Dataset, place: Place) -> None:
    laterality, view, meaning, orientation = _VIEWS[place.number % len(_VIEWS)]
    data_set.ImageLaterality = laterality
    data_set.PatientOrientation = list(orientation)
    data_set.ViewCodeSequence = _view(view, meaning)


CR = Profile(
    name="CR",
    title="computed radiography",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
    modality="CR",
    describe=_describe_cr,
    place=_place_radiograph,
    size=Size(2048, 2048),
    frame=lambda random, rows, columns, _: pixels.computed_radiograph(random, rows, columns),
)

DX = Profile(
    name="DX",
    title="digital radiography",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
    modality="DX",
    describe=_describe_dx,
    place=_place_radiograph,
    size=Size(2800, 2300),
    frame=lambda random, rows, columns, _: pixels.digital_radiograph(random, rows, columns),
)

MG = Profile(
    name="MG",
    title="mammography",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
    modality="MG",
    describe=_describe_mg,
    place=_place_mg,
    size=Size(3328, 2560),
    images=len(_VIEWS),
    frame=lambda random, rows, columns, index: pixels.mammogram(
        random, rows, columns, is_right=_VIEWS[index % len(_VIEWS)][0] == "R"
    ),
)
