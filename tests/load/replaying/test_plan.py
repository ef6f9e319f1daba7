"""What a replay does when, from records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiodicom.load.recording.trace import AssociationRecord, Context, EndRecord, Head, OperationRecord, Record
from aiodicom.load.replaying.plan import Closing, Invocation, Opening, plan_of, read_plan

CT, IMPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"


def association(number: int, at: float, *abstract_syntaxes: str, **values: Any) -> AssociationRecord:
    contexts = tuple(Context(uid, (IMPLICIT,), IMPLICIT) for uid in abstract_syntaxes or (CT,))
    return AssociationRecord(association=number, at_s=at, contexts=contexts, **values)


def operation(number: int, service: str, at: float, **values: Any) -> OperationRecord:
    values.setdefault("transfer_syntax", IMPLICIT)
    return OperationRecord(association=number, service=service, at_s=at, **values)


def test_times_order_and_speed() -> None:
    records: list[Record] = [
        Head(),
        association(1, 10.0, window=(4, 1)),
        operation(1, "C-STORE", 11.0, sop_class=CT),
        association(2, 11.0),
        operation(1, "C-ECHO", 10.5),
        EndRecord(association=1, at_s=12.0, how="released"),
        operation(2, "C-ECHO", 13.0),
    ]
    plan = plan_of(records, 2.0)
    assert [(type(step), step.at, step.association) for step in plan.steps] == [
        (Opening, 0.0, 1),
        (Invocation, 0.25, 1),
        (Opening, 0.5, 2),
        (Invocation, 0.5, 1),
        (Closing, 1.0, 1),
        (Invocation, 1.5, 2),
        # The trace ends before the association does.
        (Closing, 1.5, 2),
    ]
    opening = plan.steps[0]
    assert isinstance(opening, Opening)
    assert (opening.contexts, opening.receives, opening.window) == (((CT, (IMPLICIT,)),), (), 4)
    assert plan.most_associations == 2
    assert not plan.skipped


def test_names_and_what_is_not_replayed() -> None:
    step, push = "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.1.20.1"
    services = [
        ("C-ECHO", "", "echo"),
        ("C-STORE", CT, "store"),
        ("C-FIND", "1.2.840.10008.5.1.4.1.2.2.1", "find"),
        ("C-FIND", "1.2.840.10008.5.1.4.31", "worklist"),
        ("C-GET", GET, "get"),
        ("C-MOVE", "1.2.840.10008.5.1.4.1.2.2.2", "move"),
        ("N-ACTION", push, "commitment"),
        ("N-CREATE", step, "mpps"),
        ("N-SET", step, "mpps"),
        ("N-GET", step, None),
        ("N-CREATE", "1.2.3", None),
    ]
    records = [association(1, 0.0, GET, CT)]
    records += [operation(1, service, 1.0, sop_class=uid) for service, uid, _ in services]  # type: ignore[misc]
    records += [operation(1, "N-EVENT-REPORT", 1.0, by_acceptor=True)]  # type: ignore[list-item]
    plan = plan_of(records, 1.0)
    names = [each.name for each in plan.steps if isinstance(each, Invocation)]
    assert names == [name for _, _, name in services if name]
    assert plan.skipped == {"N-GET": 1, "N-CREATE": 1}
    opening = plan.steps[0]
    assert isinstance(opening, Opening)
    # Of what is retrieved we are the SCP.
    assert (opening.contexts, opening.receives) == (((GET, (IMPLICIT,)),), ((CT, (IMPLICIT,)),))


@pytest.mark.parametrize(
    ("records", "wrong"),
    [
        ([operation(1, "C-ECHO", 1.0)], "association 1, which was not opened"),
        ([AssociationRecord(association=1, at_s=0.0)], "cannot be proposed"),
        ([association(1, 0.0, "1.2.x")], "cannot be proposed"),
        ([association(1, 0.0), operation(1, "C-STORE", 1.0, transfer_syntax="none")], "'none' is no transfer syntax"),
    ],
)
def test_records_that_do_not_belong_together(records: list[Record], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        plan_of(records, 1.0)


def test_an_empty_trace_and_none(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text('{"what": "recording"}\n')
    assert read_plan(path, 1.0).steps == ()
    path.write_text("nothing\n")
    with pytest.raises(ValueError, match=r"\A\S+trace\.jsonl, line 1: [^\n]+\Z"):
        read_plan(path, 1.0)
