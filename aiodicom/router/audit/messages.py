"""Audit messages as XML (PS3.15 A.5): what was done, by whom, to which studies of which patient. Knows no clock."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

__all__ = ["Action", "Code", "Outcome", "Participant", "StudyObject", "Trail"]


class Code(NamedTuple):
    """A coded entry (PS3.15 A.5.1)."""

    value: str
    meaning: str
    scheme: str = "DCM"


class Action(StrEnum):
    """Event Action Code."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


class Outcome(IntEnum):
    """Event Outcome Indicator."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


# DCM codes of CID 400, 401, 402 and 404 (PS3.16).
_APPLICATION_ACTIVITY: Final = Code("110100", "Application Activity")
_INSTANCES_TRANSFERRED: Final = Code("110104", "DICOM Instances Transferred")
_QUERY: Final = Code("110112", "Query")
_SECURITY_ALERT: Final = Code("110113", "Security Alert")
_USER_AUTHENTICATION: Final = Code("110114", "User Authentication")
_START: Final = Code("110120", "Application Start")
_STOP: Final = Code("110121", "Application Stop")
_LOGIN: Final = Code("110122", "Login")
_NODE_AUTHENTICATION: Final = Code("110126", "Node Authentication")
_APPLICATION: Final = Code("110150", "Application")
_DESTINATION: Final = Code("110152", "Destination Role ID")
_SOURCE: Final = Code("110153", "Source Role ID")
_STUDY_INSTANCE_UID: Final = Code("110180", "Study Instance UID")
_SOP_CLASS_UID: Final = Code("110181", "SOP Class UID")
_NODE_ID: Final = Code("110182", "Node ID")
_PATIENT_NUMBER: Final = Code("2", "Patient Number", "RFC-3881")

#: Participant Object Type Codes and their roles.
_PERSON, _SYSTEM = "1", "2"
_PATIENT_ROLE, _REPORT_ROLE, _SECURITY_RESOURCE_ROLE = "1", "3", "13"


class Participant(NamedTuple):
    """Who takes part: an AE, or somebody who logs in."""

    user_id: str
    is_requestor: bool = False
    #: AE titles of a process, whose user ID is something else.
    ae_titles: tuple[str, ...] = ()
    #: Host name or address, where it is known.
    address: str = ""


@dataclass(frozen=True, slots=True)
class StudyObject:
    """A study, with the number of its instances by SOP class."""

    study_instance_uid: str
    patient_id: str = ""
    patient_name: str = ""
    accession_numbers: tuple[str, ...] = ()
    sop_classes: dict[str, int] = field(default_factory=dict)


class Trail:
    """Makes the messages of one application, as XML: `source_id` names it in the repository, `site` where it stands."""

    def __init__(self, source_id: str, site: str = "", ae_titles: Iterable[str] = (), process_id: str = "") -> None:
        self._source_id = source_id
        self._site = site
        self._process_id = process_id or source_id
        self._ae_titles = tuple(ae_titles)

    def started(self, when: datetime) -> bytes:
        """The application has started (A.5.3.1)."""
        return self._activity(when, _START)

    def stopped(self, when: datetime) -> bytes:
        """The application is about to stop (A.5.3.1)."""
        return self._activity(when, _STOP)

    def _activity(self, when: datetime, kind: Code) -> bytes:
        root = _event(when, _APPLICATION_ACTIVITY, Action.EXECUTE, Outcome.SUCCESS, kind)
        _participate(root, Participant(self._process_id, ae_titles=self._ae_titles), _APPLICATION)
        return self._finish(root)

    def transferred(
        self,
        when: datetime,
        source: Participant,
        destination: Participant,
        studies: Sequence[StudyObject],
        outcome: Outcome = Outcome.SUCCESS,
        action: Action = Action.CREATE,
    ) -> bytes:
        """The transfer of instances has ended (A.5.3.7); an application that receives them says so for each study."""
        root = _event(when, _INSTANCES_TRANSFERRED, action, outcome)
        _participate(root, source, _SOURCE)
        _participate(root, destination, _DESTINATION)
        objects = [_study(study) for study in studies]
        patients = {study.patient_id: study.patient_name for study in studies if study.patient_id}
        return self._finish(root, [*objects, *(_patient(*each) for each in patients.items())])

    def queried(
        self,
        when: datetime,
        source: Participant,
        destination: Participant,
        sop_class_uid: str,
        query: bytes,
        transfer_syntax: str,
        outcome: Outcome = Outcome.SUCCESS,
    ) -> bytes:
        """Somebody has asked by C-FIND (A.5.3.10); `query` is the identifier as it was encoded."""
        root = _event(when, _QUERY, Action.EXECUTE, outcome)
        _participate(root, source, _SOURCE)
        _participate(root, destination, _DESTINATION)
        asked = _object(sop_class_uid, _SYSTEM, _REPORT_ROLE, _SOP_CLASS_UID)
        SubElement(asked, "ParticipantObjectQuery").text = base64.b64encode(query).decode("ascii")
        _detail(asked, "TransferSyntax", transfer_syntax)
        return self._finish(root, [asked])

    def logged_in(self, when: datetime, user: Participant, outcome: Outcome) -> bytes:
        """Somebody has, or has not, been let in (A.5.3.12)."""
        root = _event(when, _USER_AUTHENTICATION, Action.EXECUTE, outcome, _LOGIN)
        _participate(root, user)
        _participate(root, Participant(self._process_id, ae_titles=self._ae_titles))
        return self._finish(root)

    def node_refused(self, when: datetime, node: Participant, why: str) -> bytes:
        """A node was not let in (A.5.3.11)."""
        root = _event(when, _SECURITY_ALERT, Action.EXECUTE, Outcome.MINOR_FAILURE, _NODE_AUTHENTICATION)
        _participate(root, Participant(self._process_id, ae_titles=self._ae_titles))
        _participate(root, node)
        alerted = _object(node.user_id, _SYSTEM, _SECURITY_RESOURCE_ROLE, _NODE_ID)
        _detail(alerted, "Alert Description", why)
        return self._finish(root, [alerted])

    def _finish(self, root: Element, objects: Iterable[Element] = ()) -> bytes:
        source = SubElement(root, "AuditSourceIdentification", AuditSourceID=_clean(self._source_id))
        if self._site:
            source.set("AuditEnterpriseSiteID", _clean(self._site))
        # 4: an application server process (table A.5.2-1)
        SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})
        root.extend(objects)
        message: bytes = tostring(root, "utf-8", xml_declaration=True)
        return message


def _event(when: datetime, event: Code, action: Action, outcome: Outcome, kind: Code | None = None) -> Element:
    if when.tzinfo is None:
        raise ValueError("an audit message says when in a time zone")
    root = Element("AuditMessage")
    identification = SubElement(
        root,
        "EventIdentification",
        EventActionCode=str(action),
        EventDateTime=when.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=str(int(outcome)),
    )
    _coded(identification, "EventID", event)
    if kind is not None:
        _coded(identification, "EventTypeCode", kind)
    return root


def _participate(root: Element, participant: Participant, role: Code | None = None) -> None:
    element = SubElement(
        root,
        "ActiveParticipant",
        UserID=_clean(participant.user_id),
        UserIsRequestor="true" if participant.is_requestor else "false",
    )
    if participant.ae_titles:
        element.set("AlternativeUserID", "AETITLES=" + ";".join(map(_clean, participant.ae_titles)))
    if participant.address:
        element.set("NetworkAccessPointID", _clean(participant.address))
        # 1: a machine name, 2: an IP address
        element.set("NetworkAccessPointTypeCode", "2" if _is_address(participant.address) else "1")
    if role is not None:
        _coded(element, "RoleIDCode", role)


def _object(identifier: str, kind: str, role: str, id_type: Code) -> Element:
    element = Element(
        "ParticipantObjectIdentification",
        ParticipantObjectID=_clean(identifier),
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )
    _coded(element, "ParticipantObjectIDTypeCode", id_type)
    return element


def _study(study: StudyObject) -> Element:
    element = _object(study.study_instance_uid, _SYSTEM, _REPORT_ROLE, _STUDY_INSTANCE_UID)
    description = Element("ParticipantObjectDescription")
    for number in study.accession_numbers:
        SubElement(description, "Accession", Number=_clean(number))
    for uid, instances in study.sop_classes.items():
        SubElement(description, "SOPClass", UID=_clean(uid), NumberOfInstances=str(instances))
    if len(description):
        element.append(description)
    return element


def _patient(patient_id: str, patient_name: str) -> Element:
    element = _object(patient_id, _PERSON, _PATIENT_ROLE, _PATIENT_NUMBER)
    if patient_name:
        SubElement(element, "ParticipantObjectName").text = _clean(patient_name)
    return element


def _detail(element: Element, kind: str, value: str) -> None:
    encoded = base64.b64encode(value.encode()).decode("ascii")
    SubElement(element, "ParticipantObjectDetail", type=kind, value=encoded)


def _coded(parent: Element, name: str, code: Code) -> None:
    SubElement(parent, name, {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning})


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot say: what comes from a data set may have anything in it."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _is_address(text: str) -> bool:
    return ":" in text or text.replace(".", "").isdigit()
