"""Structured reports: Enhanced SR, with text, measurements and the images that they are about (PS3.3 A.35.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiodicom.dataset import Dataset

from .profile import Place, Profile, Reference, Size, code

__all__ = ["SR"]

#: Images that a report refers to, at most: key images, not the study over again.
_MOST_IMAGES = 20

_FINDINGS = (
    "The lungs are clear. No focal consolidation, pleural effusion or pneumothorax is seen.",
    "The heart is of normal size. The mediastinal contours are unremarkable.",
    "No acute osseous abnormality. Mild degenerative changes of the thoracic spine.",
)


def _describe(data_set: Dataset, _size: Size) -> None:
    data_set.ReferencedPerformedProcedureStepSequence = []
    data_set.PerformedProcedureCodeSequence = []
    data_set.CompletionFlag = "COMPLETE"
    data_set.VerificationFlag = "UNVERIFIED"
    data_set.ValueType = "CONTAINER"
    data_set.ContinuityOfContent = "SEPARATE"
    data_set.ConceptNameCodeSequence = code("18748-4", "LN", "Diagnostic Imaging Report")
    data_set.ContentTemplateSequence = [Dataset(MappingResource="DCMR", TemplateIdentifier="2000")]


def _place(data_set: Dataset, place: Place) -> None:
    images = place.before[:: max(len(place.before) // _MOST_IMAGES, 1)][:_MOST_IMAGES]
    data_set.ContentSequence = [
        _code_item("HAS CONCEPT MOD", code("121049", "DCM", "Language of Content Item and Descendants"), _ENGLISH),
        _code_item("HAS OBS CONTEXT", code("121005", "DCM", "Observer Type"), code("121007", "DCM", "Device")),
        _item("HAS OBS CONTEXT", "UIDREF", code("121012", "DCM", "Device Observer UID"), UID="2.25.6"),
        _item(
            "CONTAINS",
            "CONTAINER",
            code("121070", "DCM", "Findings"),
            ContinuityOfContent="SEPARATE",
            ContentSequence=[
                *(_item("CONTAINS", "TEXT", code("121071", "DCM", "Finding"), TextValue=text) for text in _FINDINGS),
                _measurement(12.5 + place.number),
                *map(_image, images),
            ],
        ),
    ]
    if images:
        data_set.CurrentRequestedProcedureEvidenceSequence = [_evidence(place.study_instance_uid, images)]


_ENGLISH = code("en", "RFC5646", "English")


def _item(relationship: str, kind: str, concept: list[Dataset] | None = None, **values: Any) -> Dataset:
    """A content item (PS3.3 C.17.3)."""
    item = Dataset(RelationshipType=relationship, ValueType=kind, **values)
    if concept is not None:
        item.ConceptNameCodeSequence = concept
    return item


def _code_item(relationship: str, concept: list[Dataset], value: list[Dataset]) -> Dataset:
    return _item(relationship, "CODE", concept, ConceptCodeSequence=value)


def _measurement(millimetres: float) -> Dataset:
    value = Dataset(MeasurementUnitsCodeSequence=code("mm", "UCUM", "mm"), NumericValue=f"{millimetres:g}")
    return _item("CONTAINS", "NUM", code("103339001", "SCT", "Long Axis"), MeasuredValueSequence=[value])


def _image(image: Reference) -> Dataset:
    return _item("CONTAINS", "IMAGE", None, ReferencedSOPSequence=[_reference(image)])


def _reference(image: Reference) -> Dataset:
    return Dataset(ReferencedSOPClassUID=image.sop_class_uid, ReferencedSOPInstanceUID=image.sop_instance_uid)


def _evidence(study_instance_uid: str, images: Sequence[Reference]) -> Dataset:
    series: dict[str, list[Dataset]] = {}
    for image in images:
        series.setdefault(image.series_instance_uid, []).append(_reference(image))
    return Dataset(
        StudyInstanceUID=study_instance_uid,
        ReferencedSeriesSequence=[
            Dataset(SeriesInstanceUID=uid, ReferencedSOPSequence=references) for uid, references in series.items()
        ],
    )


SR = Profile(
    name="SR",
    title="report",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.88.22",
    modality="SR",
    describe=_describe,
    place=_place,
)
