"""What a modality says of a performed procedure step (PS3.4 F.7.2), out of what it has: a worklist item, and files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiodicom.dataset import Dataset
from aiodicom.part10.reader import dcmread
from aiodicom.standard.sop_classes import sop_class
from aiodicom.standard.uids import generate_uid

__all__ = ["DISCONTINUATION_REASONS", "discontinuation_reason", "performed_series", "scheduled_step"]

#: PS3.16 CID 9300, of the coding scheme DCM
DISCONTINUATION_REASONS: Final[Mapping[str, str]] = {
    "110500": "Doctor canceled procedure",
    "110501": "Equipment failure",
    "110502": "Incorrect procedure ordered",
    "110503": "Patient allergic to media/contrast",
    "110504": "Patient died",
    "110505": "Patient refused to continue procedure",
    "110506": "Patient taken for treatment or surgery",
    "110507": "Patient did not arrive",
    "110508": "Patient pregnant",
    "110509": "Change of procedure for correct charging",
    "110510": "Duplicate order",
    "110511": "Nursing unit cancel",
    "110512": "Incorrect side ordered",
    "110513": "Discontinued for unspecified reason",
    "110514": "Incorrect worklist entry selected",
    "110515": "Patient condition prevented continuing",
}

_PATIENT: Final = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_REQUEST: Final = ("AccessionNumber", "RequestedProcedureID", "RequestedProcedureDescription")
_SCHEDULED: Final = ("ScheduledProcedureStepID", "ScheduledProcedureStepDescription")
#: What of the items of sequences is repeated.
_REFERENCED: Final = ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")
_CODE: Final = ("CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning")
#: Nothing behind Series Instance UID is looked at.
_BEHIND_SERIES: Final = 0x0020000F


def scheduled_step(item: Dataset | None = None) -> Dataset:
    """The attributes of a step that a worklist item (PS3.4 K.6) has scheduled, as far as the item says them: for
    `aiodicom.services.mpps.mpps`.

    Without an item, those of an unscheduled step of a new study. The identifiers of the study and the request go to
    Scheduled Step Attributes Sequence, as IHE has it for the images as well.
    """
    item = Dataset() if item is None else item
    scheduled = next(iter(item.get("ScheduledProcedureStepSequence") or ()), Dataset())
    attributes = Dataset(StudyInstanceUID=str(item.get("StudyInstanceUID") or "") or generate_uid())
    _take(attributes, item, _REQUEST)
    _take(attributes, scheduled, _SCHEDULED)
    attributes.ReferencedStudySequence = _items(item, "ReferencedStudySequence", _REFERENCED)
    attributes.ScheduledProtocolCodeSequence = _items(scheduled, "ScheduledProtocolCodeSequence", _CODE)
    step = Dataset(ScheduledStepAttributesSequence=[attributes])
    _take(step, item, _PATIENT)
    step.ReferencedPatientSequence = _items(item, "ReferencedPatientSequence", _REFERENCED)
    step.ProcedureCodeSequence = _items(item, "RequestedProcedureCodeSequence", _CODE)
    step.PerformedProtocolCodeSequence = _items(scheduled, "ScheduledProtocolCodeSequence", _CODE)
    for performed, planned in (
        ("Modality", "Modality"),
        ("PerformedStationAETitle", "ScheduledStationAETitle"),
        ("PerformedStationName", "ScheduledStationName"),
        ("PerformedLocation", "ScheduledProcedureStepLocation"),
        ("PerformedProcedureStepDescription", "ScheduledProcedureStepDescription"),
    ):
        value = scheduled.get(planned)
        if isinstance(value, list):
            value = value[0]
        if value:
            setattr(step, performed, value)
    return step


def _take(target: Dataset, source: Dataset, keywords: Iterable[str]) -> None:
    for keyword in keywords:
        setattr(target, keyword, source.get(keyword) or None)


def _items(source: Dataset, keyword: str, keywords: Iterable[str]) -> list[Dataset]:
    return [Dataset(**_present(item, keywords)) for item in source.get(keyword) or ()]


def _present(source: Dataset, keywords: Iterable[str]) -> dict[str, Any]:
    return {keyword: value for keyword in keywords if (value := source.get(keyword))}


def performed_series(files: Iterable[str | os.PathLike[str]]) -> list[Dataset]:
    """Items of Performed Series Sequence (0040,0340) for the objects in these DICOM files, in the order of the files.

    Blocks: the head of each file is read. Raises OSError, and `DecodeError` for what is no data set.
    """
    found: dict[str, Dataset] = {}
    for file in files:
        head = dcmread(file, stop_before=_BEHIND_SERIES)
        if head.truncated is not None:
            raise head.truncated
        uid = str(head.get("SeriesInstanceUID") or "")
        series = found.get(uid)
        if series is None:
            series = found[uid] = Dataset(
                SeriesInstanceUID=uid,
                SeriesDescription=head.get("SeriesDescription") or None,
                # Of type 1 here, and of type 3 in most objects.
                ProtocolName=head.get("ProtocolName") or head.get("SeriesDescription") or "UNKNOWN",
                PerformingPhysicianName=head.get("PerformingPhysicianName") or None,
                OperatorsName=head.get("OperatorsName") or None,
                RetrieveAETitle=None,
                ReferencedImageSequence=[],
                ReferencedNonImageCompositeSOPInstanceSequence=[],
            )
        sop_class_uid = str(head.get("SOPClassUID") or "")
        known = sop_class(sop_class_uid)
        is_image = known is not None and "Image" in known.keyword
        sequence = "ReferencedImageSequence" if is_image else "ReferencedNonImageCompositeSOPInstanceSequence"
        series[sequence].value.append(
            Dataset(
                ReferencedSOPClassUID=sop_class_uid,
                ReferencedSOPInstanceUID=str(head.get("SOPInstanceUID") or ""),
            )
        )
    return list(found.values())


def discontinuation_reason(code: str) -> Dataset:
    """An item of Performed Procedure Step Discontinuation Reason Code Sequence (0040,0281). Raises KeyError for a code
    that `DISCONTINUATION_REASONS` lacks.
    """
    return Dataset(CodeValue=code, CodingSchemeDesignator="DCM", CodeMeaning=DISCONTINUATION_REASONS[code])
