"""Ultrasound loops and secondary captures, in colour (PS3.3 A.7, A.8)."""

from __future__ import annotations

from aiodicom.dataset import Dataset

from . import pixels
from .profile import Place, Profile, Size, describe_acquisition, describe_pixels

__all__ = ["SC", "US"]

#: Milliseconds from frame to frame.
_FRAME_TIME = "33.3"


def _describe_us(data_set: Dataset, size: Size) -> None:
    describe_acquisition(data_set, "ORIGINAL", "PRIMARY", "ABDOMINAL", "0001")
    describe_pixels(data_set, size, 8, is_colour=True)
    data_set.BodyPartExamined = "ABDOMEN"
    data_set.PatientOrientation = ""
    data_set.NumberOfFrames = str(size.frames)
    data_set.FrameIncrementPointer = 0x00181063
    data_set.FrameTime = _FRAME_TIME
    data_set.UltrasoundColorDataPresent = 1


def _describe_sc(data_set: Dataset, size: Size) -> None:
    data_set.ImageType = ["DERIVED", "SECONDARY"]
    data_set.ConversionType = "WSD"
    data_set.BodyPartExamined = "CHEST"
    data_set.PatientOrientation = ""
    data_set.BurnedInAnnotation = "NO"
    data_set.LossyImageCompression = "00"
    describe_pixels(data_set, size, 8, is_colour=True)


def _place(_data_set: Dataset, _place: Place) -> None:
    """Nothing but the number of the image tells where it is."""


US = Profile(
    name="US",
    title="ultrasound loop",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
    modality="US",
    describe=_describe_us,
    place=_place,
    size=Size(480, 640, 30),
    is_multi_frame=True,
    images=2,
    frame=lambda random, rows, columns, _: pixels.ultrasound(random, rows, columns),
)

SC = Profile(
    name="SC",
    title="secondary capture",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
    modality="OT",
    describe=_describe_sc,
    place=_place,
    size=Size(768, 1024),
    frame=lambda random, rows, columns, _: pixels.screen(random, rows, columns),
)
