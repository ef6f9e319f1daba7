"""SOP classes with the service class (PS3.4) that each belongs to."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import NamedTuple

__all__ = ["Service", "SopClass", "is_storage", "sop_class", "sop_classes"]


class Service(StrEnum):
    """The service classes of PS3.4; the value is the name in the standard."""

    VERIFICATION = "Verification"
    STORAGE = "Storage"
    NON_PATIENT_OBJECT_STORAGE = "Non-Patient Object Storage"
    MEDIA_STORAGE = "Media Storage"
    STORAGE_COMMITMENT = "Storage Commitment"
    STORAGE_MANAGEMENT = "Storage Management"
    QUERY_RETRIEVE = "Query/Retrieve"
    INVENTORY_QUERY_RETRIEVE = "Inventory Query/Retrieve"
    HANGING_PROTOCOL_QUERY_RETRIEVE = "Hanging Protocol Query/Retrieve"
    COLOR_PALETTE_QUERY_RETRIEVE = "Color Palette Query/Retrieve"
    IMPLANT_TEMPLATE_QUERY_RETRIEVE = "Implant Template Query/Retrieve"
    DEFINED_PROCEDURE_PROTOCOL_QUERY_RETRIEVE = "Defined Procedure Protocol Query/Retrieve"
    PROTOCOL_APPROVAL_QUERY_RETRIEVE = "Protocol Approval Query/Retrieve"
    PRODUCT_CHARACTERISTICS_QUERY = "Product Characteristics Query"
    SUBSTANCE_APPROVAL_QUERY = "Substance Approval Query"
    RELEVANT_PATIENT_INFORMATION_QUERY = "Relevant Patient Information Query"
    BASIC_WORKLIST_MANAGEMENT = "Basic Worklist Management"
    MODALITY_PERFORMED_PROCEDURE_STEP = "Modality Performed Procedure Step"
    UNIFIED_PROCEDURE_STEP = "Unified Procedure Step"
    GENERAL_PURPOSE_WORKLIST = "General Purpose Worklist"
    INSTANCE_AVAILABILITY_NOTIFICATION = "Instance Availability Notification"
    STUDY_CONTENT_NOTIFICATION = "Study Content Notification"
    PATIENT_MANAGEMENT = "Patient Management"
    STUDY_MANAGEMENT = "Study Management"
    RESULTS_MANAGEMENT = "Results Management"
    PRINT_MANAGEMENT = "Print Management"
    MEDIA_CREATION_MANAGEMENT = "Media Creation Management"
    DISPLAY_SYSTEM_MANAGEMENT = "Display System Management"
    APPLICATION_EVENT_LOGGING = "Application Event Logging"
    RT_MACHINE_VERIFICATION = "RT Machine Verification"
    REAL_TIME_COMMUNICATION = "Real-Time Communication"


class SopClass(NamedTuple):
    """A SOP class, or a meta SOP class."""

    uid: str
    name: str
    keyword: str
    service: Service
    retired: bool


@cache
def sop_classes() -> dict[str, SopClass]:
    """Every SOP class of PS3.6 by UID."""
    from ._sop_classes import SOP_CLASSES

    classes = {}
    for line in SOP_CLASSES.splitlines():
        uid, service, retired, rest = line.split(" ", 3)
        keyword, _, name = rest.partition(" ")
        classes[uid] = SopClass(uid, name, "" if keyword == "-" else keyword, Service[service], retired == "r")
    return classes


def sop_class(uid: str) -> SopClass | None:
    """The SOP class of `uid`, or None where the standard has none."""
    return sop_classes().get(uid)


def is_storage(uid: str) -> bool:
    """`uid` names objects that C-STORE carries: of the Storage or the Non-Patient Object Storage Service Class."""
    known = sop_classes().get(uid)
    return known is not None and known.service in (Service.STORAGE, Service.NON_PATIENT_OBJECT_STORAGE)
