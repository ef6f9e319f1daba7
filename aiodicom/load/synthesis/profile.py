"""What makes a kind of object: `Profile`, and the modules that all kinds have in common (PS3.3 C.7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from numpy.random import Generator
from numpy.typing import NDArray

from aiodicom.dataset import Dataset
from aiodicom.standard.uids import IMPLEMENTATION_VERSION_NAME

__all__ = [
    "DATE",
    "TIME",
    "Place",
    "Profile",
    "Reference",
    "Size",
    "code",
    "common",
    "describe_acquisition",
    "describe_pixels",
    "describe_plane",
    "place_plane",
]

#: When studies are made, unless another date is asked for.
DATE: Final = "20260101"
TIME: Final = "120000"


class Size(NamedTuple):
    """Of the pixel data of one object."""

    rows: int
    columns: int
    frames: int = 1


class Reference(NamedTuple):
    """An object of the study, for those that refer to it."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


class Place(NamedTuple):
    """Where an object is in its study."""

    #: Of the object in its series, from 0 on.
    number: int
    study_instance_uid: str
    #: The images of the series before.
    before: Sequence[Reference]


@dataclass(frozen=True)
class Profile:
    """A kind of object. `describe` sets what all objects of a series have alike, `place` what is each one's own."""

    #: As the command line calls it.
    name: str
    title: str
    sop_class_uid: str
    #: Modality (0008,0060).
    modality: str
    describe: Callable[[Dataset, Size], None]
    place: Callable[[Dataset, Place], None]
    #: Unless asked for otherwise; a kind without frames of its own number has one. None for what has no pixels.
    size: Size | None = None
    is_multi_frame: bool = False
    #: Objects of a series, unless asked for otherwise.
    images: int = 1
    #: Makes one frame of so many rows and columns, for the object of that index.
    frame: Callable[[Generator, int, int, int], NDArray[Any]] | None = None


def code(value: str, scheme: str, meaning: str) -> list[Dataset]:
    """A sequence of one coded entry (PS3.3 8.8)."""
    return [Dataset(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]


def common(profile: Profile) -> Dataset:
    """The modules of patient, study, series and equipment, and what says what the object is (PS3.3 C.7, C.12.1)."""
    return Dataset(
        SpecificCharacterSet="ISO_IR 100",
        SOPClassUID=profile.sop_class_uid,
        StudyDate=DATE,
        StudyTime=TIME,
        SeriesDate=DATE,
        SeriesTime=TIME,
        ContentDate=DATE,
        ContentTime=TIME,
        AccessionNumber="",
        Modality=profile.modality,
        Manufacturer="aiodicom",
        ReferringPhysicianName="",
        StudyDescription="Synthetic study",
        SeriesDescription=f"Synthetic {profile.title}",
        ManufacturerModelName="aiodicom load",
        PatientName="",
        PatientID="",
        PatientBirthDate="19700101",
        PatientSex="O",
        DeviceSerialNumber="1",
        SoftwareVersions=IMPLEMENTATION_VERSION_NAME,
        StudyID="",
        SeriesNumber="1",
        InstanceNumber="1",
    )


def describe_acquisition(data_set: Dataset, *image_type: str) -> None:
    """What images say of how they came to be (PS3.3 C.7.6.1)."""
    data_set.ImageType = list(image_type)
    data_set.AcquisitionDate = DATE
    data_set.AcquisitionTime = TIME
    data_set.AcquisitionNumber = "1"
    data_set.BurnedInAnnotation = "NO"
    data_set.LossyImageCompression = "00"


def describe_pixels(data_set: Dataset, size: Size, bits: int, *, is_colour: bool = False) -> None:
    """The attributes of native pixel data (PS3.3 C.7.6.3): grey in `bits` stored bits, or RGB in 8."""
    data_set.SamplesPerPixel = 3 if is_colour else 1
    data_set.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        data_set.PlanarConfiguration = 0
    data_set.Rows, data_set.Columns, _ = size
    data_set.BitsAllocated = 16 if bits > 8 else 8
    data_set.BitsStored = bits
    data_set.HighBit = bits - 1
    data_set.PixelRepresentation = 0


def describe_plane(data_set: Dataset, spacing: str, thickness: str) -> None:
    """Planes that lie across a patient (PS3.3 C.7.6.2, C.7.4.1), `spacing` and `thickness` in mm."""
    data_set.FrameOfReferenceUID = "2.25.3"
    data_set.PositionReferenceIndicator = ""
    data_set.PatientPosition = "HFS"
    data_set.PixelSpacing = [spacing, spacing]
    data_set.SliceThickness = thickness
    data_set.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]


def place_plane(data_set: Dataset, place: Place, apart: float) -> None:
    """One of the planes of a stack, `apart` from one another in mm."""
    where = f"{place.number * apart:g}"
    data_set.ImagePositionPatient = ["-200", "-200", where]
    data_set.SliceLocation = where
