"""The machine in every state with every event, in both roles; whole associations; ARTIM by a clock of the tests'."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.errors import LocalError
from aiodicom.ul.codec import encode
from aiodicom.ul.events import (
    AbortIndication,
    AssociateConfirm,
    AssociateIndication,
    AssociateRejected,
    DataIndication,
    Indication,
    ProviderAbortIndication,
    ReleaseConfirm,
    ReleaseIndication,
)
from aiodicom.ul.machine import Machine, allows_data
from aiodicom.ul.pdu import PDU, Abort, AbortReason, AssociateRJ, PduError, PduType, ReleaseRP, ReleaseRQ
from aiodicom.ul.table import ACTIONS, Event, State, action_of
from tests.ul.wire import PLAIN_AC, PLAIN_DATA, PLAIN_RQ, checked, pdus_of

RJ = AssociateRJ(1, 1, 7)
NOW = 1000.0
ARTIM = 30.0

#: what goes with each event: to be sent, or received
PDUS: dict[Event, PDU] = {
    Event.A_ASSOCIATE_REQUEST: PLAIN_RQ,
    Event.A_ASSOCIATE_AC_PDU: PLAIN_AC,
    Event.A_ASSOCIATE_RJ_PDU: RJ,
    Event.A_ASSOCIATE_RQ_PDU: PLAIN_RQ,
    Event.A_ASSOCIATE_ACCEPT: PLAIN_AC,
    Event.A_ASSOCIATE_REJECT: RJ,
    Event.P_DATA_REQUEST: PLAIN_DATA,
    Event.P_DATA_TF_PDU: PLAIN_DATA,
    Event.A_RELEASE_RQ_PDU: ReleaseRQ(),
    Event.A_RELEASE_RP_PDU: ReleaseRP(),
    Event.A_ABORT_PDU: Abort(0, 0),
}

#: action -> PDUs sent, indication, the transport is to be closed; as tables 9-6 to 9-9 say it
OUTCOMES: dict[str, tuple[list[PDU], Indication | None, bool]] = {
    "AE-1": ([], None, False),
    "AE-2": ([PLAIN_RQ], None, False),
    "AE-3": ([], AssociateConfirm(PLAIN_AC), False),
    "AE-4": ([], AssociateRejected(RJ), True),
    "AE-5": ([], None, False),
    "AE-6": ([], AssociateIndication(PLAIN_RQ), False),
    "AE-7": ([PLAIN_AC], None, False),
    "AE-8": ([RJ], None, False),
    "DT-1": ([PLAIN_DATA], None, False),
    "DT-2": ([], DataIndication(PLAIN_DATA), False),
    "AR-1": ([ReleaseRQ()], None, False),
    "AR-2": ([], ReleaseIndication(collision=False), False),
    "AR-3": ([], ReleaseConfirm(), True),
    "AR-4": ([ReleaseRP()], None, False),
    "AR-5": ([], None, False),
    "AR-6": ([], DataIndication(PLAIN_DATA), False),
    "AR-7": ([PLAIN_DATA], None, False),
    "AR-8": ([], ReleaseIndication(collision=True), False),
    "AR-9": ([ReleaseRP()], None, False),
    "AR-10": ([], ReleaseConfirm(), False),
    "AA-1": ([Abort(0, 0)], None, False),
    "AA-2": ([], None, True),
    "AA-3": ([], AbortIndication(0, 0), True),
    "AA-4": ([], ProviderAbortIndication(2, 0, connection_lost=True), False),
    "AA-5": ([], None, False),
    "AA-6": ([], None, False),
    "AA-7": ([Abort(2, 2)], None, False),
    "AA-8": ([Abort(2, 2)], ProviderAbortIndication(2, 2, by_us=True), False),
}
STARTS_ARTIM = {"AE-5", "AE-8", "AR-4", "AA-1", "AA-8"}
STOPS_ARTIM = {"AE-6", "AR-5", "AA-2", "AA-5"}


def machine_in(state: State, *, acceptor: bool, artim: float | None = ARTIM) -> Machine:
    """A machine that has come to ``state``; ARTIM has run since NOW where it runs."""
    machine = Machine(acceptor=acceptor, artim=artim)
    if state is State.Sta4:
        machine.handle(Event.A_ASSOCIATE_REQUEST, NOW, PLAIN_RQ)
    machine.state = state
    if state in (State.Sta2, State.Sta13) and artim is not None:
        machine.deadline = NOW + artim
    return machine


def everything_of(machine: Machine) -> dict[str, Any]:
    """What a machine consists of."""
    values = {name: getattr(machine, name) for name in Machine.__slots__}
    return {**values, "outgoing": list(machine.outgoing)}


def next_state_of(name: str, *, acceptor: bool) -> State:
    """Where an action leads when the provider accepts what it is asked to."""
    action = ACTIONS[name]
    if name == "AR-8":
        return State.Sta10 if acceptor else State.Sta9
    return action.outcome.next_state


@pytest.mark.parametrize("acceptor", [False, True], ids=["requestor", "acceptor"])
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_cell(event: Event, state: State, acceptor: bool) -> None:
    machine = machine_in(state, acceptor=acceptor)
    before = everything_of(machine)
    later = NOW + 5
    name = action_of(event, state)
    if not name:
        with pytest.raises(LocalError, match=state.name):
            machine.handle(event, later, PDUS.get(event), AbortReason.UNEXPECTED_PDU)
        assert everything_of(machine) == before
        return
    sent, indication, closing = OUTCOMES[name]
    assert machine.handle(event, later, PDUS.get(event), AbortReason.UNEXPECTED_PDU) == indication
    assert machine.outgoing == [encode(pdu) for pdu in sent]
    assert machine.state is next_state_of(name, acceptor=acceptor)
    assert machine.closing == closing
    assert machine.connecting == (name == "AE-1" or (state is State.Sta4 and name == "AA-4"))
    if name in STARTS_ARTIM:
        assert machine.deadline == later + ARTIM
    elif name in STOPS_ARTIM:
        assert machine.deadline is None
    else:
        assert machine.deadline == before["deadline"]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("pdu", [PLAIN_RQ, PLAIN_AC, RJ, PLAIN_DATA, ReleaseRQ(), ReleaseRP(), Abort(0, 0)], ids=type)
def test_a_received_pdu_is_its_event(pdu: PDU, state: State) -> None:
    ((pdu_type, body),) = pdus_of(encode(pdu))
    event = next(event for event, given in PDUS.items() if given == pdu and event.name.endswith("_PDU"))
    received, told = machine_in(state, acceptor=True), machine_in(state, acceptor=True)
    if not action_of(event, state):
        for each in (body, memoryview(body)):
            with pytest.raises(LocalError):
                received.receive(pdu_type, each, NOW)
        return
    expected = told.handle(event, NOW, pdu, AbortReason.UNEXPECTED_PDU)
    assert received.receive(pdu_type, memoryview(body), NOW) == expected
    assert everything_of(received) == everything_of(told)


@pytest.mark.parametrize(
    ("pdu_type", "body", "reason"),
    [
        (8, b"", AbortReason.UNRECOGNIZED_PDU),
        (0x47, b"ET / HTTP", AbortReason.UNRECOGNIZED_PDU),
        (PduType.P_DATA_TF, b"\0\0\0\1\1\3", AbortReason.INVALID_PDU_PARAMETER_VALUE),
        (PduType.ASSOCIATE_RQ, bytes(68), AbortReason.INVALID_PDU_PARAMETER_VALUE),
        (PduType.RELEASE_RQ, b"", AbortReason.INVALID_PDU_PARAMETER_VALUE),
    ],
)
def test_what_is_no_pdu_aborts(pdu_type: int, body: bytes, reason: int) -> None:
    # As the service-user before there is an association (AA-1), and as the provider in one (AA-8, AA-7).
    machine = machine_in(State.Sta2, acceptor=True)
    assert machine.receive(pdu_type, body, NOW) is None
    assert (machine.state, machine.outgoing) == (State.Sta13, [encode(Abort(0, 0))])
    for state in set(State) - {State.Sta1, State.Sta2, State.Sta4, State.Sta13}:
        machine = machine_in(state, acceptor=True)
        indication = machine.receive(pdu_type, body, NOW)
        assert isinstance(indication, ProviderAbortIndication)
        assert (indication.source, indication.reason, indication.by_us) == (2, reason, True)
        assert indication.detail
        assert (machine.state, machine.outgoing) == (State.Sta13, [encode(Abort(2, reason))])
    machine = machine_in(State.Sta13, acceptor=True)
    assert machine.receive(pdu_type, body, NOW) is None
    assert (machine.state, machine.outgoing) == (State.Sta13, [encode(Abort(2, reason))])


def test_what_the_framing_refuses_is_an_invalid_pdu() -> None:
    machine = machine_in(State.Sta6, acceptor=False)
    expected = ProviderAbortIndication(2, 6, by_us=True, detail="too long")
    assert machine.refuse(PduError(6, "too long"), NOW) == expected
    assert machine.outgoing == [encode(Abort(2, 6))]


@pytest.mark.parametrize("source", [1, 2, 255])
def test_an_abort_by_the_peers_provider(source: int) -> None:
    machine = machine_in(State.Sta6, acceptor=True)
    assert machine.receive(7, bytes((0, 0, source, 4)), NOW) == ProviderAbortIndication(source, 4)
    assert (machine.state, machine.closing, machine.outgoing) == (State.Sta1, True, [])


def test_a_request_that_the_provider_cannot_accept() -> None:
    machine = machine_in(State.Sta2, acceptor=True)
    rejection = AssociateRJ(1, 2, 2)
    assert machine.handle(Event.A_ASSOCIATE_RQ_PDU, NOW + 3, PLAIN_RQ, reject=rejection) is None
    assert (machine.state, machine.outgoing) == (State.Sta13, [encode(rejection)])
    assert machine.deadline == NOW + 3 + ARTIM


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (State.Sta1, Event.A_ASSOCIATE_REQUEST),
        (State.Sta3, Event.A_ASSOCIATE_ACCEPT),
        (State.Sta3, Event.A_ASSOCIATE_REJECT),
        (State.Sta6, Event.P_DATA_REQUEST),
        (State.Sta8, Event.P_DATA_REQUEST),
        (State.Sta2, Event.A_ASSOCIATE_RQ_PDU),
        (State.Sta5, Event.A_ASSOCIATE_AC_PDU),
        (State.Sta5, Event.A_ASSOCIATE_RJ_PDU),
        (State.Sta6, Event.P_DATA_TF_PDU),
        (State.Sta6, Event.A_ABORT_PDU),
    ],
)
def test_the_wrong_pdu_changes_nothing(state: State, event: Event) -> None:
    for wrong in (None, ReleaseRQ(), encode(ReleaseRQ()), AssociateRJ(256, 0, 0)):
        machine = machine_in(state, acceptor=True)
        before = everything_of(machine)
        if event is Event.A_ASSOCIATE_RJ_PDU and isinstance(wrong, AssociateRJ):
            continue
        with pytest.raises(LocalError):
            machine.handle(event, NOW, wrong)
        assert everything_of(machine) == before


def test_a_pdu_to_send_may_be_encoded_already() -> None:
    for state, event in (
        (State.Sta3, Event.A_ASSOCIATE_ACCEPT),
        (State.Sta3, Event.A_ASSOCIATE_REJECT),
        (State.Sta6, Event.P_DATA_REQUEST),
    ):
        machine = machine_in(state, acceptor=True)
        data = encode(PDUS[event])
        machine.handle(event, NOW, data)
        assert machine.outgoing == [data]


def test_what_comes_after_the_close_is_ignored() -> None:
    machine = machine_in(State.Sta6, acceptor=True)
    machine.receive(7, bytes(4), NOW)
    assert (machine.state, machine.closing) == (State.Sta1, True)
    before = everything_of(machine)
    assert machine.receive(7, bytes(4), NOW) is None
    assert machine.receive(99, b"", NOW) is None
    assert machine.refuse(PduError(1, "noise"), NOW) is None
    assert machine.transport_closed(NOW) is None
    assert everything_of(machine) == before


def test_where_data_is_expected() -> None:
    expecting = {state for state in State if allows_data(state)}
    assert expecting == {State.Sta6, State.Sta7}


# ARTIM ---------------------------------------------------------------------------------------------------------------


def test_artim_while_no_request_comes() -> None:
    machine = Machine(acceptor=True, artim=10)
    machine.handle(Event.TRANSPORT_CONNECT_INDICATION, NOW)
    assert machine.deadline == NOW + 10
    before = everything_of(machine)
    assert machine.handle_timer(NOW + 9.9) is None
    assert everything_of(machine) == before
    assert machine.handle_timer(NOW + 10) is None
    assert everything_of(machine) == {**before, "state": State.Sta1, "closing": True, "deadline": None}
    assert machine.handle_timer(NOW + 100) is None


def test_artim_stops_when_the_request_is_there() -> None:
    machine = Machine(acceptor=True, artim=10)
    machine.handle(Event.TRANSPORT_CONNECT_INDICATION, NOW)
    machine.receive(1, encode(PLAIN_RQ)[6:], NOW + 9)
    assert machine.deadline is None
    assert machine.handle_timer(NOW + 100) is None
    assert machine.state is State.Sta3


def test_artim_while_the_peer_does_not_close() -> None:
    machine = machine_in(State.Sta6, acceptor=True)
    machine.handle(Event.A_ABORT_REQUEST, NOW)
    assert machine.receive(4, encode(PLAIN_DATA)[6:], NOW + ARTIM - 1) is None
    assert machine.deadline == NOW + ARTIM
    machine.handle_timer(NOW + ARTIM)
    assert (machine.state, machine.closing) == (State.Sta1, True)


def test_artim_starts_again_with_an_abort_before_the_association() -> None:
    machine = Machine(acceptor=True, artim=10)
    machine.handle(Event.TRANSPORT_CONNECT_INDICATION, NOW)
    machine.receive(5, bytes(4), NOW + 8)
    assert (machine.state, machine.deadline) == (State.Sta13, NOW + 18)


def test_artim_may_be_off() -> None:
    machine = Machine(acceptor=True, artim=None)
    machine.handle(Event.TRANSPORT_CONNECT_INDICATION, NOW)
    assert machine.deadline is None
    machine.receive(5, bytes(4), NOW)
    assert (machine.state, machine.deadline) == (State.Sta13, None)
    assert machine.handle_timer(1e12) is None


# Whole associations --------------------------------------------------------------------------------------------------


class Pair:
    """A requestor and an acceptor, and two wires between them that deliver when they are told to."""

    def __init__(self) -> None:
        self.requestor = Machine(acceptor=False)
        self.acceptor = Machine(acceptor=True)
        self.requestor.handle(Event.A_ASSOCIATE_REQUEST, NOW, PLAIN_RQ)
        assert self.requestor.connecting
        self.requestor.handle(Event.TRANSPORT_CONNECT_CONFIRM, NOW)
        assert not self.requestor.connecting
        self.acceptor.handle(Event.TRANSPORT_CONNECT_INDICATION, NOW)

    def to_acceptor(self) -> list[Indication | None]:
        """Deliver what the requestor has sent."""
        return self._deliver(self.requestor, self.acceptor)

    def to_requestor(self) -> list[Indication | None]:
        """Deliver what the acceptor has sent."""
        return self._deliver(self.acceptor, self.requestor)

    def establish(self) -> None:
        """Bring both into Sta6."""
        assert self.to_acceptor() == [AssociateIndication(PLAIN_RQ)]
        self.acceptor.handle(Event.A_ASSOCIATE_ACCEPT, NOW, PLAIN_AC)
        assert self.to_requestor() == [AssociateConfirm(PLAIN_AC)]
        assert self.states == (State.Sta6, State.Sta6)

    @property
    def states(self) -> tuple[State, State]:
        """Of the requestor and the acceptor."""
        return self.requestor.state, self.acceptor.state

    @staticmethod
    def _deliver(sender: Machine, receiver: Machine) -> list[Indication | None]:
        stream = b"".join(sender.outgoing)
        sender.outgoing.clear()
        return [receiver.receive(pdu_type, body, NOW) for pdu_type, body in pdus_of(stream)]


def test_established_used_and_released() -> None:
    pair = Pair()
    pair.establish()
    pair.requestor.handle(Event.P_DATA_REQUEST, NOW, PLAIN_DATA)
    pair.requestor.handle(Event.P_DATA_REQUEST, NOW, PLAIN_DATA)
    pair.requestor.handle(Event.A_RELEASE_REQUEST, NOW)
    assert pair.to_acceptor() == [DataIndication(PLAIN_DATA)] * 2 + [ReleaseIndication(collision=False)]
    # What the acceptor still has to say comes through while the release is under way (AR-7, AR-6).
    pair.acceptor.handle(Event.P_DATA_REQUEST, NOW, PLAIN_DATA)
    pair.acceptor.handle(Event.A_RELEASE_RESPONSE, NOW)
    assert pair.to_requestor() == [DataIndication(PLAIN_DATA), ReleaseConfirm()]
    assert pair.requestor.closing
    assert pair.states == (State.Sta1, State.Sta13)
    assert pair.acceptor.transport_closed(NOW) is None
    assert pair.requestor.transport_closed(NOW) is None
    assert pair.states == (State.Sta1, State.Sta1)


@pytest.mark.parametrize("acceptor_responds_first", [False, True])
def test_release_collision(acceptor_responds_first: bool) -> None:
    pair = Pair()
    pair.establish()
    pair.requestor.handle(Event.A_RELEASE_REQUEST, NOW)
    pair.acceptor.handle(Event.A_RELEASE_REQUEST, NOW)
    assert pair.to_acceptor() == [ReleaseIndication(collision=True)]
    assert pair.to_requestor() == [ReleaseIndication(collision=True)]
    assert pair.states == (State.Sta9, State.Sta10)
    if acceptor_responds_first:
        # It is the requestor's turn; the acceptor's user waits for the confirmation.
        with pytest.raises(LocalError):
            pair.acceptor.handle(Event.A_RELEASE_RESPONSE, NOW)
    pair.requestor.handle(Event.A_RELEASE_RESPONSE, NOW)
    assert pair.to_acceptor() == [ReleaseConfirm()]
    assert pair.states == (State.Sta11, State.Sta12)
    pair.acceptor.handle(Event.A_RELEASE_RESPONSE, NOW)
    assert pair.to_requestor() == [ReleaseConfirm()]
    assert pair.states == (State.Sta1, State.Sta13)
    assert (pair.requestor.closing, pair.acceptor.closing) == (True, False)


def test_rejected_by_the_user() -> None:
    pair = Pair()
    pair.to_acceptor()
    pair.acceptor.handle(Event.A_ASSOCIATE_REJECT, NOW, RJ)
    assert pair.to_requestor() == [AssociateRejected(RJ)]
    assert pair.states == (State.Sta1, State.Sta13)
    assert pair.requestor.closing


def test_no_connection() -> None:
    machine = Machine(acceptor=False)
    machine.handle(Event.A_ASSOCIATE_REQUEST, NOW, PLAIN_RQ)
    assert machine.transport_closed(NOW) == ProviderAbortIndication(2, 0, connection_lost=True)
    assert (machine.state, machine.outgoing) == (State.Sta1, [])


def test_given_up_while_connecting() -> None:
    machine = Machine(acceptor=False)
    machine.handle(Event.A_ASSOCIATE_REQUEST, NOW, encode(PLAIN_RQ))
    assert machine.handle(Event.A_ABORT_REQUEST, NOW) is None
    assert (machine.state, machine.closing, machine.connecting, machine.outgoing) == (State.Sta1, True, False, [])


def test_aborted_by_the_user() -> None:
    pair = Pair()
    pair.establish()
    pair.requestor.handle(Event.A_ABORT_REQUEST, NOW)
    assert pair.to_acceptor() == [AbortIndication(0, 0)]
    assert pair.states == (State.Sta13, State.Sta1)
    assert pair.acceptor.closing


def test_the_connection_is_lost() -> None:
    pair = Pair()
    pair.establish()
    assert pair.acceptor.transport_closed(NOW) == ProviderAbortIndication(2, 0, connection_lost=True)
    assert pair.acceptor.state is State.Sta1
    assert pair.acceptor.transport_closed(NOW) is None


@checked(300)
@given(
    st.booleans(),
    st.none() | st.floats(0, 60),
    st.lists(
        st.tuples(
            st.sampled_from(Event),
            st.floats(0, 40),
            st.sampled_from([0, 1, 2, 4, 5, 6]),
            st.none() | st.just(AssociateRJ(2, 3, 2)),
            st.booleans(),
        ),
        max_size=40,
    ),
)
def test_any_sequence_of_events(
    acceptor: bool,
    artim: float | None,
    sequence: list[tuple[Event, float, int, AssociateRJ | None, bool]],
) -> None:
    machine = Machine(acceptor=acceptor, artim=artim)
    now = NOW
    for event, seconds, reason, reject, by_timer in sequence:
        now += seconds
        before = everything_of(machine)
        if by_timer:
            due = machine.deadline is not None and machine.deadline <= now
            assert machine.handle_timer(now) is None
            assert (everything_of(machine) == before) != due
            if machine.closing:
                return  # a machine serves one association
            continue
        name = action_of(event, machine.state)
        given_reject = reject if event is Event.A_ASSOCIATE_RQ_PDU else None
        if not name:
            with pytest.raises(LocalError):
                machine.handle(event, now, PDUS.get(event), reason, reject=given_reject)
            assert everything_of(machine) == before
            continue
        machine.handle(event, now, PDUS.get(event), reason, reject=given_reject)
        outcomes = [outcome for outcome in (ACTIONS[name].outcome, ACTIONS[name].otherwise) if outcome]
        assert machine.state in [outcome.next_state for outcome in outcomes]
        assert (machine.deadline is None) or machine.state in (State.Sta2, State.Sta13)
        assert (machine.deadline is not None) == (artim is not None and machine.state in (State.Sta2, State.Sta13))
        assert machine.deadline is None or machine.deadline >= NOW
        for data in machine.outgoing:
            assert len(pdus_of(data)) == 1
        machine.outgoing.clear()
        if machine.closing:
            assert machine.state is State.Sta1
            return
