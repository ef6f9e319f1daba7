"""Audit messages by what PS3.15 A.5 says that each event has."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from xml.etree.ElementTree import fromstring

import pytest

from aiodicom.router.audit.messages import Action, Outcome, Participant, StudyObject, Trail

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
TRAIL = Trail("router-1", "ward", ["ROUTER"], "4711")
SOURCE = Participant("CT1", is_requestor=True, address="10.0.0.7")
HERE = Participant("4711", ae_titles=("ROUTER",), address="router.example")
STUDY = StudyObject("1.2.3", "P1", "Doe^Jane", ("A9",), {"1.2.840.10008.5.1.4.1.1.2": 120})


def test_a_start() -> None:
    root = fromstring(TRAIL.started(WHEN))
    event = root.find("EventIdentification")
    assert event is not None
    assert event.attrib == {
        "EventActionCode": "E",
        "EventDateTime": "2026-01-02T03:04:05.678+00:00",
        "EventOutcomeIndicator": "0",
    }
    assert root.find("EventIdentification/EventID[@csd-code='110100'][@codeSystemName='DCM']") is not None
    assert root.find("EventIdentification/EventTypeCode[@csd-code='110120']") is not None
    participant = root.find("ActiveParticipant")
    assert participant is not None
    assert participant.attrib == {"UserID": "4711", "UserIsRequestor": "false", "AlternativeUserID": "AETITLES=ROUTER"}
    source = root.find("AuditSourceIdentification")
    assert source is not None
    assert source.attrib == {"AuditSourceID": "router-1", "AuditEnterpriseSiteID": "ward"}
    stop = fromstring(TRAIL.stopped(WHEN))
    assert stop.find("EventIdentification/EventTypeCode[@csd-code='110121']") is not None


def test_a_transfer_has_its_studies_and_patients() -> None:
    root = fromstring(TRAIL.transferred(WHEN, SOURCE, HERE, [STUDY], Outcome.MINOR_FAILURE, Action.CREATE))
    assert root.find("EventIdentification[@EventOutcomeIndicator='4']/EventID[@csd-code='110104']") is not None
    roles = {
        each.attrib["UserID"]: role.attrib["csd-code"]
        for each in root.iter("ActiveParticipant")
        for role in each.iter("RoleIDCode")
    }
    assert roles == {"CT1": "110153", "4711": "110152"}
    assert {each.get("NetworkAccessPointTypeCode") for each in root.iter("ActiveParticipant")} == {"1", "2"}
    study = root.find("ParticipantObjectIdentification[@ParticipantObjectID='1.2.3']")
    assert study is not None
    assert study.find("ParticipantObjectIDTypeCode[@csd-code='110180']") is not None
    assert study.find("ParticipantObjectDescription/Accession[@Number='A9']") is not None
    assert study.find("ParticipantObjectDescription/SOPClass[@NumberOfInstances='120']") is not None
    patient = root.find("ParticipantObjectIdentification[@ParticipantObjectID='P1']")
    assert patient is not None
    assert patient.get("ParticipantObjectTypeCode") == "1"
    assert patient.findtext("ParticipantObjectName") == "Doe^Jane"
    # What it has begins before its end, and objects come last (A.5.1's schema).
    assert [each.tag for each in root] == [
        "EventIdentification", "ActiveParticipant", "ActiveParticipant", "AuditSourceIdentification",
        "ParticipantObjectIdentification", "ParticipantObjectIdentification",
    ]  # fmt: skip


def test_a_query_has_what_was_asked() -> None:
    root = fromstring(TRAIL.queried(WHEN, SOURCE, HERE, "1.2.840.10008.5.1.4.31", b"\x08\0\x05\0", "1.2.840.10008.1.2"))
    asked = root.find("ParticipantObjectIdentification")
    assert asked is not None
    assert base64.b64decode(asked.findtext("ParticipantObjectQuery") or "") == b"\x08\0\x05\0"
    detail = asked.find("ParticipantObjectDetail[@type='TransferSyntax']")
    assert detail is not None
    assert base64.b64decode(detail.attrib["value"]) == b"1.2.840.10008.1.2"


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.SERIOUS_FAILURE])
def test_a_login(outcome: Outcome) -> None:
    root = fromstring(TRAIL.logged_in(WHEN, Participant("operator", is_requestor=True), outcome))
    assert (
        root.find(f"EventIdentification[@EventOutcomeIndicator='{int(outcome)}']/EventTypeCode[@csd-code='110122']")
        is not None
    )


def test_a_node_that_is_not_let_in() -> None:
    root = fromstring(TRAIL.node_refused(WHEN, Participant("EVIL"), "not known"))
    assert root.find("EventIdentification/EventTypeCode[@csd-code='110126']") is not None


def test_what_xml_cannot_say_does_not_break_it() -> None:
    study = StudyObject("1.2.3", "P\0\x1b<&\ud800", 'x"\uffff')
    root = fromstring(TRAIL.transferred(WHEN, SOURCE, HERE, [study]))
    assert root.find("ParticipantObjectIdentification[@ParticipantObjectID='P??<&?']") is not None


def test_a_time_without_a_zone_is_none() -> None:
    with pytest.raises(ValueError, match="time zone"):
        TRAIL.started(datetime(2026, 1, 2))
