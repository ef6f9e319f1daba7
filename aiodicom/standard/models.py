"""Information models: the SOP classes by which a model is queried and its instances are retrieved (PS3.4)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from aiodicom.standard.sop_classes import Service, is_storage, sop_classes
from aiodicom.standard.uids import VERIFICATION

__all__ = [
    "CompositeInstanceRetrieveWithoutBulkData",
    "CompositeInstanceRoot",
    "InformationModel",
    "ModalityWorklist",
    "PatientRoot",
    "PatientStudyOnly",
    "StudyRoot",
    "UPSPull",
    "UPSQuery",
    "UPSWatch",
    "normalized_sop_classes",
    "operation_of",
]


class InformationModel(NamedTuple):
    """An information model: its SOP class for each of C-FIND, C-MOVE and C-GET, None where it has none."""

    name: str
    find: str | None = None
    move: str | None = None
    get: str | None = None


#: PS3.4 C.6.1
PatientRoot = InformationModel(
    "Patient Root",
    "1.2.840.10008.5.1.4.1.2.1.1",
    "1.2.840.10008.5.1.4.1.2.1.2",
    "1.2.840.10008.5.1.4.1.2.1.3",
)
#: PS3.4 C.6.2
StudyRoot = InformationModel(
    "Study Root",
    "1.2.840.10008.5.1.4.1.2.2.1",
    "1.2.840.10008.5.1.4.1.2.2.2",
    "1.2.840.10008.5.1.4.1.2.2.3",
)
#: Retired: PS3.4-2004 C.6.3
PatientStudyOnly = InformationModel(
    "Patient/Study Only",
    "1.2.840.10008.5.1.4.1.2.3.1",
    "1.2.840.10008.5.1.4.1.2.3.2",
    "1.2.840.10008.5.1.4.1.2.3.3",
)
#: Composite instances and frames of them by their UIDs: PS3.4 Y.6
CompositeInstanceRoot = InformationModel(
    "Composite Instance Root", None, "1.2.840.10008.5.1.4.1.2.4.2", "1.2.840.10008.5.1.4.1.2.4.3"
)
#: PS3.4 Z.6
CompositeInstanceRetrieveWithoutBulkData = InformationModel(
    "Composite Instance Retrieve Without Bulk Data", None, None, "1.2.840.10008.5.1.4.1.2.5.3"
)
#: PS3.4 K.6.1
ModalityWorklist = InformationModel("Modality Worklist", "1.2.840.10008.5.1.4.31")
#: Unified Procedure Step: PS3.4 CC.2
UPSWatch = InformationModel("Unified Procedure Step - Watch", "1.2.840.10008.5.1.4.34.6.2")
UPSPull = InformationModel("Unified Procedure Step - Pull", "1.2.840.10008.5.1.4.34.6.3")
UPSQuery = InformationModel("Unified Procedure Step - Query", "1.2.840.10008.5.1.4.34.6.5")

#: SOP classes of C-FIND whose keyword does not end so; those of UPS take N services besides.
_FIND = {
    "RepositoryQuery",
    "UnifiedProcedureStepPull",
    "UnifiedProcedureStepQuery",
    "UnifiedProcedureStepWatch",
    "GeneralRelevantPatientInformationQuery",
    "BreastImagingRelevantPatientInformationQuery",
    "CardiacRelevantPatientInformationQuery",
    "ProductCharacteristicsQuery",
    "SubstanceApprovalQuery",
}
_SUFFIXES = {"Find": "C-FIND", "Get": "C-GET", "Move": "C-MOVE"}


@cache
def operation_of(operation: str) -> frozenset[str]:
    """The UIDs of every SOP class of PS3.6 that has this operation: ``C-FIND``, ``C-GET`` or ``C-MOVE``."""
    return frozenset(
        known.uid
        for known in sop_classes().values()
        if any(known.keyword.endswith(suffix) and name == operation for suffix, name in _SUFFIXES.items())
        or (operation == "C-FIND" and known.keyword in _FIND)
    )


@cache
def normalized_sop_classes() -> frozenset[str]:
    """The UIDs of every SOP class of PS3.6 that has operations of the DIMSE-N services."""
    composite = operation_of("C-FIND") | operation_of("C-GET") | operation_of("C-MOVE")
    return frozenset(
        known.uid
        for known in sop_classes().values()
        if not is_storage(known.uid)
        and known.keyword != "MediaStorageDirectoryStorage"
        and known.uid != VERIFICATION
        and (known.uid not in composite or known.service is Service.UNIFIED_PROCEDURE_STEP)
    )
