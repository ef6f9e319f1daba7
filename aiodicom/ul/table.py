"""The state machine of PS3.8 9.2 as data: states, events, actions, and table 9-10; `machine` runs it.

A next state is said once, with its action, as the standard does; the steps of an action are names of what `machine`
knows how to do, those that can refuse before those that change something.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

__all__ = ["ACTIONS", "TABLE", "Action", "Event", "Outcome", "State", "action_of", "as_markdown"]


class State(IntEnum):
    """The states of tables 9-1 to 9-5; ``description`` says what each is."""

    description: str

    # An Enum's own hash is a call of Python code, and states are looked up for every message.
    __hash__ = int.__hash__

    def __new__(cls, value: int, description: str) -> State:
        member = int.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    Sta1 = 1, "idle"
    Sta2 = 2, "transport connection open, awaiting A-ASSOCIATE-RQ"
    Sta3 = 3, "awaiting the local user's A-ASSOCIATE response"
    Sta4 = 4, "awaiting the opening of the transport connection"
    Sta5 = 5, "awaiting A-ASSOCIATE-AC or -RJ"
    Sta6 = 6, "association established, ready for data transfer"
    Sta7 = 7, "awaiting A-RELEASE-RP"
    Sta8 = 8, "awaiting the local user's A-RELEASE response"
    Sta9 = 9, "release collision, requestor side: awaiting the local user's A-RELEASE response"
    Sta10 = 10, "release collision, acceptor side: awaiting A-RELEASE-RP"
    Sta11 = 11, "release collision, requestor side: awaiting A-RELEASE-RP"
    Sta12 = 12, "release collision, acceptor side: awaiting the local user's A-RELEASE response"
    Sta13 = 13, "association over, awaiting the close of the transport connection"


class Event(IntEnum):
    """The events of table 9-10, numbered as there; ``description`` says what each is."""

    description: str

    __hash__ = int.__hash__

    def __new__(cls, value: int, description: str) -> Event:
        member = int.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    A_ASSOCIATE_REQUEST = 1, "A-ASSOCIATE request of the local user"
    TRANSPORT_CONNECT_CONFIRM = 2, "transport connection opened, as asked for"
    A_ASSOCIATE_AC_PDU = 3, "A-ASSOCIATE-AC received"
    A_ASSOCIATE_RJ_PDU = 4, "A-ASSOCIATE-RJ received"
    TRANSPORT_CONNECT_INDICATION = 5, "transport connection opened by the peer"
    A_ASSOCIATE_RQ_PDU = 6, "A-ASSOCIATE-RQ received"
    A_ASSOCIATE_ACCEPT = 7, "A-ASSOCIATE response of the local user: accept"
    A_ASSOCIATE_REJECT = 8, "A-ASSOCIATE response of the local user: reject"
    P_DATA_REQUEST = 9, "P-DATA request of the local user"
    P_DATA_TF_PDU = 10, "P-DATA-TF received"
    A_RELEASE_REQUEST = 11, "A-RELEASE request of the local user"
    A_RELEASE_RQ_PDU = 12, "A-RELEASE-RQ received"
    A_RELEASE_RP_PDU = 13, "A-RELEASE-RP received"
    A_RELEASE_RESPONSE = 14, "A-RELEASE response of the local user"
    A_ABORT_REQUEST = 15, "A-ABORT request of the local user"
    A_ABORT_PDU = 16, "A-ABORT received"
    TRANSPORT_CLOSED = 17, "transport connection closed"
    ARTIM_EXPIRED = 18, "ARTIM timer expired"
    INVALID_PDU = 19, "unrecognized or invalid PDU received"


class Outcome(NamedTuple):
    """What an action does when ``condition`` holds: an empty one always does."""

    steps: tuple[str, ...]
    next_state: State
    condition: str = ""


class Action(NamedTuple):
    """An action of tables 9-6 to 9-9."""

    description: str
    outcome: Outcome
    #: where the outcome has a condition: what happens when it doesn't hold
    otherwise: Outcome | None = None


ACTIONS: dict[str, Action] = {
    # Table 9-6: association establishment
    "AE-1": Action("ask for a transport connection", Outcome(("connect",), State.Sta4)),
    "AE-2": Action("send the A-ASSOCIATE-RQ", Outcome(("send_associate_rq",), State.Sta5)),
    "AE-3": Action("tell the user that the association is accepted", Outcome(("confirm_associate",), State.Sta6)),
    "AE-4": Action(
        "tell the user that the association is rejected; close the transport connection",
        Outcome(("confirm_reject", "close"), State.Sta1),
    ),
    "AE-5": Action("take the transport connection; start ARTIM", Outcome(("start_artim",), State.Sta2)),
    "AE-6": Action(
        "stop ARTIM; tell the user of the A-ASSOCIATE-RQ if the provider can accept it, otherwise send A-ASSOCIATE-RJ "
        "and start ARTIM",
        Outcome(("indicate_associate", "stop_artim"), State.Sta3, "acceptable"),
        Outcome(("send_associate_rj", "start_artim"), State.Sta13),
    ),
    "AE-7": Action("send the A-ASSOCIATE-AC", Outcome(("send_associate_ac",), State.Sta6)),
    "AE-8": Action("send the A-ASSOCIATE-RJ; start ARTIM", Outcome(("send_associate_rj", "start_artim"), State.Sta13)),
    # Table 9-7: data transfer
    "DT-1": Action("send the P-DATA-TF", Outcome(("send_p_data",), State.Sta6)),
    "DT-2": Action("give the data to the user", Outcome(("indicate_data",), State.Sta6)),
    # Table 9-8: release
    "AR-1": Action("send A-RELEASE-RQ", Outcome(("send_release_rq",), State.Sta7)),
    "AR-2": Action("tell the user that the peer wants to release", Outcome(("indicate_release",), State.Sta8)),
    "AR-3": Action(
        "tell the user that the association is released; close the transport connection",
        Outcome(("confirm_release", "close"), State.Sta1),
    ),
    "AR-4": Action("send A-RELEASE-RP; start ARTIM", Outcome(("send_release_rp", "start_artim"), State.Sta13)),
    "AR-5": Action("stop ARTIM", Outcome(("stop_artim",), State.Sta1)),
    "AR-6": Action("give the data to the user", Outcome(("indicate_data",), State.Sta7)),
    "AR-7": Action("send the P-DATA-TF", Outcome(("send_p_data",), State.Sta8)),
    "AR-8": Action(
        "tell the user that both sides want to release",
        Outcome(("indicate_release_collision",), State.Sta9, "requestor"),
        Outcome(("indicate_release_collision",), State.Sta10),
    ),
    "AR-9": Action("send A-RELEASE-RP", Outcome(("send_release_rp",), State.Sta11)),
    "AR-10": Action("tell the user that the peer has agreed to release", Outcome(("confirm_release",), State.Sta12)),
    # Table 9-9: abort
    "AA-1": Action(
        "send A-ABORT as the service-user; start ARTIM, again if it runs",
        Outcome(("send_user_abort", "start_artim"), State.Sta13),
    ),
    "AA-2": Action("stop ARTIM; close the transport connection", Outcome(("stop_artim", "close"), State.Sta1)),
    "AA-3": Action(
        "tell the user who aborted, the peer's user or its provider; close the transport connection",
        Outcome(("indicate_abort", "close"), State.Sta1),
    ),
    "AA-4": Action("tell the user that the connection is lost", Outcome(("indicate_connection_lost",), State.Sta1)),
    "AA-5": Action("stop ARTIM", Outcome(("stop_artim",), State.Sta1)),
    "AA-6": Action("ignore the PDU", Outcome((), State.Sta13)),
    "AA-7": Action("send A-ABORT", Outcome(("send_provider_abort",), State.Sta13)),
    "AA-8": Action(
        "send A-ABORT as the service-provider; tell the user that the provider aborted; start ARTIM",
        Outcome(("send_provider_abort", "indicate_provider_abort", "start_artim"), State.Sta13),
    ),
}

#: PS3.8 table 9-10
TABLE = """
      | Sta1 | Sta2 | Sta3 | Sta4 | Sta5 | Sta6 | Sta7 | Sta8 | Sta9 | Sta10| Sta11| Sta12| Sta13
Evt1  | AE-1 |      |      |      |      |      |      |      |      |      |      |      |
Evt2  |      |      |      | AE-2 |      |      |      |      |      |      |      |      |
Evt3  |      | AA-1 | AA-8 |      | AE-3 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-6
Evt4  |      | AA-1 | AA-8 |      | AE-4 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-6
Evt5  | AE-5 |      |      |      |      |      |      |      |      |      |      |      |
Evt6  |      | AE-6 | AA-8 |      | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-7
Evt7  |      |      | AE-7 |      |      |      |      |      |      |      |      |      |
Evt8  |      |      | AE-8 |      |      |      |      |      |      |      |      |      |
Evt9  |      |      |      |      |      | DT-1 |      | AR-7 |      |      |      |      |
Evt10 |      | AA-1 | AA-8 |      | AA-8 | DT-2 | AR-6 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-6
Evt11 |      |      |      |      |      | AR-1 |      |      |      |      |      |      |
Evt12 |      | AA-1 | AA-8 |      | AA-8 | AR-2 | AR-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-6
Evt13 |      | AA-1 | AA-8 |      | AA-8 | AA-8 | AR-3 | AA-8 | AA-8 | AR-10| AR-3 | AA-8 | AA-6
Evt14 |      |      |      |      |      |      |      | AR-4 | AR-9 |      |      | AR-4 |
Evt15 |      |      | AA-1 | AA-2 | AA-1 | AA-1 | AA-1 | AA-1 | AA-1 | AA-1 | AA-1 | AA-1 |
Evt16 |      | AA-2 | AA-3 |      | AA-3 | AA-3 | AA-3 | AA-3 | AA-3 | AA-3 | AA-3 | AA-3 | AA-2
Evt17 |      | AA-5 | AA-4 | AA-4 | AA-4 | AA-4 | AA-4 | AA-4 | AA-4 | AA-4 | AA-4 | AA-4 | AR-5
Evt18 |      | AA-2 |      |      |      |      |      |      |      |      |      |      | AA-2
Evt19 |      | AA-1 | AA-8 |      | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-8 | AA-7
"""

_CELLS = [[cell.strip() for cell in row.split("|")[1:]] for row in TABLE.splitlines()[2:]]


def action_of(event: Event, state: State) -> str:
    """The name of the action in the cell of ``event`` and ``state``; empty where the cell is blank."""
    return _CELLS[event - 1][state - 1]


def as_markdown() -> str:
    """States, table 9-10 and the actions as three Markdown tables."""
    return "\n".join(
        [
            *_markdown_table(["State", "Meaning"], [[state.name, state.description] for state in State]),
            "",
            *_markdown_table(
                ["Event", "", *(state.name for state in State)],
                [
                    [f"Evt{event.value}", event.description, *(action_of(event, state) for state in State)]
                    for event in Event
                ],
            ),
            "",
            *_markdown_table(
                ["Action", "What it does", "Next state"],
                [[name, action.description, _next_states(action)] for name, action in ACTIONS.items()],
            ),
            "",
        ]
    )


def _next_states(action: Action) -> str:
    if action.otherwise is None:
        return action.outcome.next_state.name
    return f"{action.outcome.next_state.name} if {action.outcome.condition}, else {action.otherwise.next_state.name}"


def _markdown_table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows]]
