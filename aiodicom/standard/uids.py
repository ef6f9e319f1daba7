"""UIDs: the well-known ones by name, the rules they obey (PS3.5 9.1), and look-up in the tables of PS3.6 annex A.

The table is imported by the first look-up; the constants cost nothing.
"""

from __future__ import annotations

from functools import cache

from aiodicom.standard._valid_uids import is_valid_uid

__all__ = [
    "APPLICATION_CONTEXT_NAME",
    "DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN",
    "EXPLICIT_VR_BIG_ENDIAN",
    "EXPLICIT_VR_LITTLE_ENDIAN",
    "IMPLEMENTATION_CLASS_UID",
    "IMPLEMENTATION_VERSION_NAME",
    "IMPLICIT_VR_LITTLE_ENDIAN",
    "INSTANCE_AVAILABILITY_NOTIFICATION",
    "MODALITY_PERFORMED_PROCEDURE_STEP",
    "MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION",
    "MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE",
    "STORAGE_COMMITMENT_PUSH_MODEL",
    "STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE",
    "UNIFIED_PROCEDURE_STEP_EVENT",
    "UNIFIED_PROCEDURE_STEP_PUSH",
    "UPS_FILTERED_GLOBAL_SUBSCRIPTION",
    "UPS_GLOBAL_SUBSCRIPTION",
    "VERIFICATION",
    "generate_uid",
    "is_valid_uid",
    "standard_uids",
    "storage_sop_classes",
    "transfer_syntaxes",
    "uid_name",
    "uid_of_keyword",
]

#: PS3.7 A.2.1
APPLICATION_CONTEXT_NAME = "1.2.840.10008.3.1.1.1"
#: PS3.4 A.4
VERIFICATION = "1.2.840.10008.1.1"

# SOP classes with services of their own, and the well-known instances of some (PS3.4 annexes F, J, R and CC); those
# that are queried are in `aiodicom.standard.models`.
MODALITY_PERFORMED_PROCEDURE_STEP = "1.2.840.10008.3.1.2.3.3"
MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE = "1.2.840.10008.3.1.2.3.4"
MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION = "1.2.840.10008.3.1.2.3.5"
STORAGE_COMMITMENT_PUSH_MODEL = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
INSTANCE_AVAILABILITY_NOTIFICATION = "1.2.840.10008.5.1.4.33"
UNIFIED_PROCEDURE_STEP_PUSH = "1.2.840.10008.5.1.4.34.6.1"
UNIFIED_PROCEDURE_STEP_EVENT = "1.2.840.10008.5.1.4.34.6.4"
UPS_GLOBAL_SUBSCRIPTION = "1.2.840.10008.5.1.4.34.5"
UPS_FILTERED_GLOBAL_SUBSCRIPTION = "1.2.840.10008.5.1.4.34.5.1"

# PS3.5 section 10 and annex A
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"

#: What names this implementation on an association (PS3.7 D.3.3.2.1) and in files (PS3.10 7.1); derived from a UUID
#: as PS3.5 B.2 has it, and never changed.
IMPLEMENTATION_CLASS_UID = "2.25.308969206848810652589824944504445902420"
#: At most 16 characters (PS3.7 D.3.3.2.3); follows the version of the package.
IMPLEMENTATION_VERSION_NAME = "AIODICOM_0_1_0"


def generate_uid() -> str:
    """A new UID below 2.25, made of a random UUID (PS3.5 B.2)."""
    import uuid

    return f"2.25.{uuid.uuid4().int}"


def uid_name(uid: str) -> str:
    """The name that PS3.6 annex A gives ``uid``, or ``uid`` itself where it gives none."""
    entry = _table().get(uid)
    return entry[0] or uid if entry else uid


def uid_of_keyword(keyword: str) -> str | None:
    """The UID of a keyword of PS3.6 annex A, such as ``CTImageStorage``, or None."""
    return _uids_by_keyword().get(keyword)


@cache
def _uids_by_keyword() -> dict[str, str]:
    return {keyword: uid for uid, (_, _, keyword, _) in _table().items() if keyword}


@cache
def standard_uids() -> frozenset[str]:
    """Every UID in PS3.6 annex A, of whatever kind, retired ones included."""
    return frozenset(_table())


@cache
def transfer_syntaxes() -> frozenset[str]:
    """The UIDs of every transfer syntax in PS3.6 table A-1, retired ones included."""
    return frozenset(uid for uid, (_, kind, _, _) in _table().items() if kind == "Transfer Syntax")


@cache
def storage_sop_classes() -> frozenset[str]:
    """The UIDs of every SOP class whose instances are transferred by C-STORE: those of the Storage service class (PS3.4
    annex B) and of Non-Patient Object Storage (annex GG), retired ones included.

    The standard names every one of them "... Storage", and besides them only the DICOMDIR, which exists in files
    alone, and the two classes of Storage Commitment, which have N-services.
    """
    return frozenset(
        uid
        for uid, (name, kind, _, _) in _table().items()
        if kind == "SOP Class"
        and "Storage" in name.split()
        and not name.startswith(("Media Storage Directory", "Storage Commitment"))
    )


def _table() -> dict[str, tuple[str, str, str, bool]]:
    from aiodicom.standard._uids import UIDS

    return UIDS
