"""Transfers gathered by study, without a clock."""

from __future__ import annotations

import math

from aiodicom.router.audit.messages import Outcome, Participant, StudyObject
from aiodicom.router.audit.transfers import Transfers

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
SOURCE, HERE = Participant("CT1"), Participant("ROUTER")


def add(transfers: Transfers, study: str, now: float, sop_class: str = CT, outcome: Outcome = Outcome.SUCCESS) -> None:
    transfers.add(SOURCE, HERE, sop_class, StudyObject(study), outcome, now)


def test_a_study_is_told_of_once_it_is_quiet() -> None:
    transfers = Transfers(quiet=10)
    for now in range(5):
        add(transfers, "1.2", now)
    add(transfers, "1.2", 5, MR)
    add(transfers, "1.3", 6)
    assert list(transfers.due(14)) == []
    (told,) = transfers.due(15)
    assert told.study == StudyObject("1.2", sop_classes={CT: 5, MR: 1})
    assert transfers.next_deadline == 16


def test_a_stream_without_end_is_told_of_in_parts() -> None:
    transfers = Transfers(quiet=10, longest=30)
    told = []
    for now in range(100):
        add(transfers, "1.2", now)
        told += transfers.due(now)
    told += transfers.due(math.inf)
    assert [each.study.sop_classes[CT] for each in told] == [31, 31, 31, 7]
    assert transfers.next_deadline is None


def test_failures_are_told_apart_and_not_too_much_is_gathered() -> None:
    transfers = Transfers(most=2)
    add(transfers, "1.2", 0)
    add(transfers, "1.2", 0, outcome=Outcome.MINOR_FAILURE)
    add(transfers, "1.3", 0)
    assert [each.outcome for each in transfers.due(0)] == [Outcome.SUCCESS]
