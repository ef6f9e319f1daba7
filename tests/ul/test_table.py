"""Table 9-10 and the actions, against the standard's own rules and against pynetdicom's copy of them."""

from __future__ import annotations

import re

import pynetdicom.fsm
import pytest

from aiodicom.ul.table import ACTIONS, TABLE, Event, State, action_of, as_markdown

PDU_EVENTS = [event for event in Event if event.name.endswith("_PDU")]


def test_states_and_events_are_those_of_the_standard() -> None:
    assert [state.value for state in State] == list(range(1, 14))
    assert [state.name for state in State] == [f"Sta{number}" for number in range(1, 14)]
    assert [event.value for event in Event] == list(range(1, 20))
    assert all(member.description for member in [*State, *Event])
    assert [event.value for event in PDU_EVENTS] == [3, 4, 6, 10, 12, 13, 16, 19]


def test_the_literal_is_laid_out_as_printed() -> None:
    head, *rows = [line.split("|") for line in TABLE.strip("\n").splitlines()]
    assert [cell.strip() for cell in head] == ["", *(state.name for state in State)]
    assert [row[0].strip() for row in rows] == [f"Evt{event.value}" for event in Event]
    assert {len(row) for row in rows} == {14}
    used = {cell.strip() for row in rows for cell in row[1:]} - {""}
    assert used == set(ACTIONS)


def test_the_table_is_pynetdicoms() -> None:
    ours = {
        (f"Evt{event.value}", state.name): action_of(event, state)
        for event in Event
        for state in State
        if action_of(event, state)
    }
    assert ours == pynetdicom.fsm.TRANSITION_TABLE


def test_the_actions_are_all_there() -> None:
    expected = [f"AE-{n}" for n in range(1, 9)] + ["DT-1", "DT-2"]
    expected += [f"AR-{n}" for n in range(1, 11)] + [f"AA-{n}" for n in range(1, 9)]
    assert list(ACTIONS) == expected
    assert set(expected) == set(pynetdicom.fsm.ACTIONS)


@pytest.mark.parametrize("name", ACTIONS)
def test_next_states_are_pynetdicoms(name: str) -> None:
    theirs = pynetdicom.fsm.ACTIONS[name][2]
    action = ACTIONS[name]
    ours = [outcome.next_state.name for outcome in (action.outcome, action.otherwise) if outcome]
    assert sorted(ours) == sorted([theirs] if isinstance(theirs, str) else theirs)
    assert (action.otherwise is not None) == bool(action.outcome.condition)


def test_no_peer_can_reach_a_blank_cell() -> None:
    # There is no connection in Sta1, nor one that has been opened in Sta4.
    for state in set(State) - {State.Sta1, State.Sta4}:
        for event in [*PDU_EVENTS, Event.TRANSPORT_CLOSED]:
            assert action_of(event, state), (event, state)
    assert action_of(Event.TRANSPORT_CLOSED, State.Sta4)


def test_what_can_refuse_comes_before_what_changes_something() -> None:
    for action in ACTIONS.values():
        for outcome in (action.outcome, action.otherwise):
            if outcome is None:
                continue
            takes_pdu = [
                step.startswith(("send_associate", "send_p_data", "confirm", "indicate", "connect"))
                for step in outcome.steps
            ]
            if outcome.steps and outcome.steps[0] != "send_provider_abort":
                assert not any(takes_pdu[1:]), outcome


def test_artim_runs_in_two_states_only() -> None:
    # Started on the way into them, stopped or gone on the way out (PS3.8 9.1.5).
    waiting = {State.Sta2, State.Sta13}
    for event in Event:
        for state in State:
            name = action_of(event, state)
            if not name:
                continue
            for outcome in (ACTIONS[name].outcome, ACTIONS[name].otherwise):
                if outcome is None:
                    continue
                if outcome.next_state in waiting and state not in waiting:
                    assert "start_artim" in outcome.steps
                if outcome.next_state not in waiting:
                    assert "start_artim" not in outcome.steps
                    assert state not in waiting or "stop_artim" in outcome.steps


def test_it_renders_as_markdown() -> None:
    text = as_markdown()
    rows = [line for line in text.splitlines() if line.startswith("| Evt") and "Sta" not in line[:8]]
    cells = [re.split(r" *\| *", row.strip("|"))[2:] for row in rows if not row.startswith("| Event")]
    assert [[cell.strip() for cell in row] for row in cells] == [
        [action_of(event, state) for state in State] for event in Event
    ]
    assert "| AE-6 | stop ARTIM;" in text
    assert "| Sta3 if acceptable, else Sta13 |" in text
    assert "| Sta9 if requestor, else Sta10 |" in text
    assert text.endswith("|\n")
