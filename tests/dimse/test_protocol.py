"""Associations between two protocols: messages, release, abort; each with the bytes one by one and in one piece."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.dimse.command import encode_command
from aiodicom.dimse.events import (
    CancelReceived,
    Ended,
    ReleaseRequested,
    RequestReceived,
    ResponseReceived,
)
from aiodicom.dimse.messages import CCancelRQ, CEchoRQ, CEchoRSP, CFindRQ, CFindRSP, CStoreRQ, CStoreRSP
from aiodicom.errors import (
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    ConnectionLost,
    LocalError,
    ProtocolViolation,
)
from aiodicom.standard.status import Status
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul.codec import encode
from aiodicom.ul.pdu import Abort, AssociateRJ, ReleaseRP, ReleaseRQ, UserInformation
from aiodicom.ul.table import State
from tests.dimse.sides import CONTEXTS, CT, PROPOSAL, STORE, VERIFY, Clock, Pair, Side, established, open_acceptor
from tests.ul.streams import COMMAND, LAST, Gathering, p_data, pdv
from tests.ul.wire import checked

SUCCESS = Status.SUCCESS


@pytest.fixture(params=[False, True], ids=["in one piece", "byte by byte"], name="pair")
def _pair(request: pytest.FixtureRequest) -> Pair:
    return established(is_chopped=request.param)


def echo(message_id: int = 1) -> CEchoRQ:
    return CEchoRQ(message_id, VERIFICATION)


def store(message_id: int = 1) -> CStoreRQ:
    return CStoreRQ(message_id, CT, "1.2.3.4")


def only(events: list[Any]) -> Any:
    (event,) = events
    return event


# Messages ------------------------------------------------------------------------------------------------------------


def test_established(pair: Pair) -> None:
    for side in (pair.requestor, pair.acceptor):
        assert side.protocol.state is State.Sta6
        assert side.protocol.can_send
        assert not side.protocol.is_over
        assert not side.protocol.is_closing
        assert side.protocol.peer_maximum_length == 16384
        assert side.protocol.fragment_size == 16378


def test_echo(pair: Pair) -> None:
    token = object()
    scu, scp = pair.requestor, pair.acceptor
    scu.protocol.send_request(VERIFY, echo(scu.protocol.next_message_id()), token, pair.clock.now)
    pair.pump()
    received = only(scp.take_events())
    assert received == RequestReceived(CONTEXTS[VERIFY], echo(), None)
    assert scp.protocol.performing == {1}
    scp.protocol.send_response(VERIFY, CEchoRSP(1, SUCCESS, VERIFICATION), pair.clock.now)
    assert scp.protocol.performing == set()
    pair.pump()
    answered = only(scu.take_events())
    assert isinstance(answered, ResponseReceived)
    assert answered.operation.token is token
    assert answered.message == CEchoRSP(1, SUCCESS, VERIFICATION)
    assert answered.is_final


@pytest.mark.parametrize("size", [0, 2, 16378, 16380, 50_000])
def test_store(pair: Pair, size: int) -> None:
    data = bytes(i * 7 & 0xFF for i in range(size))
    scu, scp = pair.requestor, pair.acceptor
    scu.protocol.send_request(STORE, store(scu.protocol.next_message_id()), None, pair.clock.now)
    scu.protocol.send_data(STORE, data, is_last=True, now=pair.clock.now)
    pair.pump()
    received = only(scp.take_events())
    assert received.message == store()
    assert memoryview(received.body) == data


def test_operations_go_both_ways_at_once(pair: Pair) -> None:
    for side in (pair.requestor, pair.acceptor):
        side.protocol.send_request(VERIFY, echo(side.protocol.next_message_id()), side, pair.clock.now)
    pair.pump()
    for side in (pair.requestor, pair.acceptor):
        assert only(side.take_events()).message == echo()
        side.protocol.send_response(VERIFY, CEchoRSP(1, SUCCESS), pair.clock.now)
    pair.pump()
    for side in (pair.requestor, pair.acceptor):
        assert only(side.take_events()).operation.token is side


def test_responses_come_in_any_order(pair: Pair) -> None:
    scu, scp = pair.requestor, pair.acceptor
    for token in "abc":
        scu.protocol.send_request(VERIFY, echo(scu.protocol.next_message_id()), token, pair.clock.now)
    pair.pump()
    assert [event.message.message_id for event in scp.take_events()] == [1, 2, 3]  # type: ignore[union-attr]
    for message_id in (3, 1, 2):
        scp.protocol.send_response(VERIFY, CEchoRSP(message_id, SUCCESS), pair.clock.now)
    pair.pump()
    assert [event.operation.token for event in scu.take_events()] == ["c", "a", "b"]  # type: ignore[union-attr]


def test_pending_responses_leave_the_operation_in_flight(pair: Pair) -> None:
    scu, scp = pair.requestor, pair.acceptor
    find = CFindRQ(scu.protocol.next_message_id(), VERIFICATION, has_data_set=False)
    scu.protocol.send_request(VERIFY, find, "token", pair.clock.now)
    pair.pump()
    assert only(scp.take_events()).message == find
    for status in (Status.PENDING, Status.PENDING_WARNING, Status.PENDING):
        scp.protocol.send_response(VERIFY, CFindRSP(1, status, has_data_set=True), pair.clock.now)
        scp.protocol.send_data(VERIFY, b"data", is_last=True, now=pair.clock.now)
        assert scp.protocol.performing == {1}
    scp.protocol.send_response(VERIFY, CFindRSP(1, SUCCESS), pair.clock.now)
    assert scp.protocol.performing == set()
    pair.pump()
    events = scu.take_events()
    assert [event.is_final for event in events] == [False, False, False, True]  # type: ignore[union-attr]
    assert [event.body and bytes(event.body) for event in events] == [b"data"] * 3 + [None]  # type: ignore[union-attr]


def test_cancel(pair: Pair) -> None:
    pair.requestor.protocol.send_cancel(VERIFY, 5, 0.0)
    pair.pump()
    assert pair.acceptor.take_events() == [CancelReceived(5)]


@checked(30)
@given(st.lists(st.binary(max_size=50), max_size=6), st.booleans())
def test_fragments_of_any_size(fragments: list[bytes], chopped: bool) -> None:
    scp = open_acceptor(is_chopped=chopped)
    command = encode_command(store())
    stream = p_data(*(pdv(STORE, COMMAND, command[i : i + 1]) for i in range(len(command))), pdv(STORE, 3, b""))
    stream += b"".join(p_data(pdv(STORE, 0, fragment), pdv(STORE, 0, b"")) for fragment in fragments)
    scp.receive(stream + p_data(pdv(STORE, LAST, b"end"), pdv(VERIFY, COMMAND | LAST, encode_command(echo(2)))))
    stored, echoed = scp.take_events()
    assert memoryview(stored.body) == b"".join(fragments) + b"end"  # type: ignore[union-attr]
    assert echoed.message == echo(2)  # type: ignore[union-attr]


def test_our_fragments_are_even_and_our_pdus_hold_one_message() -> None:
    pair = established(maximum_length=33)
    scu = pair.requestor.protocol
    assert scu.fragment_size == 26
    scu.send_request(STORE, store(), None, 0)
    scu.send_data(STORE, b"x" * 100, is_last=True, now=0)
    scu.send_request(VERIFY, echo(2), None, 0)
    stream, lengths, data = pair.requestor.sent(), [], []
    while stream:
        size = int.from_bytes(stream[2:6], "big")
        assert stream[0] == 4
        assert int.from_bytes(stream[6:10], "big") == size - 4
        lengths.append(size)
        data.append((stream[10:12], stream[12 : 6 + size]))
        stream = stream[6 + size :]
    assert max(lengths) <= 33
    assert all(len(fragment) % 2 == 0 for _, fragment in data)
    assert b"".join(fragment for flags, fragment in data if flags in (b"\3\0", b"\3\2")) == b"x" * 100


def test_a_sink_that_raises_leaves_the_association_open() -> None:
    def open_body(_context: Any, _message: Any) -> Any:
        raise OSError(28, "disk full")

    scp = open_acceptor(open_body=open_body)
    scp.receive(p_data(pdv(STORE, 3, encode_command(store())), pdv(STORE, LAST, b"data")))
    assert isinstance(only(scp.take_events()).body.error, OSError)
    assert scp.protocol.state is State.Sta6


def test_a_sink_that_cannot_be_finished_leaves_the_association_open() -> None:
    class Unfinished(Gathering):
        def finish(self) -> None:
            raise OSError(28, "disk full")

    sink = Unfinished()
    scp = open_acceptor(open_body=lambda *_: sink)
    scp.receive(p_data(pdv(STORE, 3, encode_command(store())), pdv(STORE, LAST, b"data")))
    assert isinstance(only(scp.take_events()).body.error, OSError)
    assert sink.is_abandoned
    assert scp.protocol.state is State.Sta6


# Release -------------------------------------------------------------------------------------------------------------


def test_release(pair: Pair) -> None:
    pair.requestor.protocol.release(pair.clock.now)
    assert not pair.requestor.protocol.can_send
    pair.pump()
    assert pair.acceptor.take_events() == [ReleaseRequested()]
    assert pair.acceptor.protocol.can_send
    pair.acceptor.protocol.respond_release(pair.clock.now)
    pair.pump()
    assert pair.requestor.take_events() == [Ended(None)]
    assert pair.requestor.protocol.is_closing
    assert pair.acceptor.protocol.state is State.Sta13
    assert not pair.acceptor.protocol.is_closing
    assert pair.acceptor.protocol.connection_lost(pair.clock.now) is None
    assert pair.requestor.protocol.connection_lost(pair.clock.now) is None
    assert pair.acceptor.protocol.state is pair.requestor.protocol.state is State.Sta1


def test_release_by_the_acceptor(pair: Pair) -> None:
    pair.acceptor.protocol.release(pair.clock.now)
    pair.pump()
    assert pair.requestor.take_events() == [ReleaseRequested()]
    pair.requestor.protocol.respond_release(pair.clock.now)
    pair.pump()
    assert pair.acceptor.take_events() == [Ended(None)]
    assert pair.acceptor.protocol.is_closing


def test_release_waits_for_the_operations_of_the_one_who_is_asked(pair: Pair) -> None:
    scu, scp = pair.requestor, pair.acceptor
    scu.protocol.send_request(VERIFY, echo(), "token", pair.clock.now)
    scu.protocol.release(pair.clock.now)
    pair.pump()
    assert [type(event) for event in scp.take_events()] == [RequestReceived, ReleaseRequested]
    scp.protocol.send_response(VERIFY, CEchoRSP(1, SUCCESS), pair.clock.now)
    pair.pump()
    assert only(scu.take_events()).operation.token == "token"
    scp.protocol.respond_release(pair.clock.now)
    pair.pump()
    assert scu.end.error is None


def test_release_collision(pair: Pair) -> None:
    pair.requestor.protocol.release(pair.clock.now)
    pair.acceptor.protocol.release(pair.clock.now)
    pair.pump()
    # PS3.8 7.2.2.7: the requestor of the association answers first, then the acceptor.
    assert pair.requestor.take_events() == [Ended(None)]
    assert pair.acceptor.take_events() == [Ended(None)]
    assert pair.requestor.protocol.is_closing
    assert pair.acceptor.protocol.state is State.Sta13


def test_release_collision_step_by_step() -> None:
    pair = established()
    requestor, acceptor = pair.requestor, pair.acceptor
    requestor.protocol.release(pair.clock.now)
    acceptor.protocol.release(pair.clock.now)
    assert requestor.sent() == acceptor.sent() == encode(ReleaseRQ())
    acceptor.receive(encode(ReleaseRQ()))
    assert (acceptor.protocol.state, acceptor.sent()) == (State.Sta10, b"")
    requestor.receive(encode(ReleaseRQ()))
    assert (requestor.protocol.state, requestor.sent()) == (State.Sta11, encode(ReleaseRP()))
    acceptor.receive(encode(ReleaseRP()))
    assert (acceptor.protocol.state, acceptor.sent()) == (State.Sta13, encode(ReleaseRP()))
    requestor.receive(encode(ReleaseRP()))
    assert requestor.protocol.state is State.Sta1
    assert requestor.end == acceptor.end == Ended(None)


@pytest.mark.parametrize("cut", [1, 0])
def test_release_in_the_middle_of_a_message(pair: Pair, cut: int) -> None:
    sinks: list[Gathering] = []

    def open_body(_context: Any, _message: Any) -> Gathering:
        sinks.append(Gathering())
        return sinks[-1]

    scp = open_acceptor(is_chopped=pair.acceptor.is_chopped, open_body=open_body)
    command = pdv(STORE, 3, encode_command(store()))
    scp.receive(p_data(command, pdv(STORE, 0, b"data")) if cut else p_data(pdv(STORE, 1, command[6:20])))
    scp.receive(encode(ReleaseRQ()))
    # Nothing forbids it; the message will never be completed, since no P-DATA may follow.
    assert scp.take_events() == [ReleaseRequested()]
    scp.protocol.respond_release(scp.clock.now)
    assert scp.sent() == encode(ReleaseRP())
    assert [sink.is_abandoned for sink in sinks] == [True] * cut


def test_requests_that_cross_our_release_are_not_performed(pair: Pair) -> None:
    opened: list[Any] = []
    pair = established(is_chopped=pair.acceptor.is_chopped, open_body=lambda *args: opened.append(args) or Gathering())
    pair.requestor.protocol.send_request(VERIFY, echo(1), None, pair.clock.now)
    pair.requestor.protocol.send_request(STORE, store(2), None, pair.clock.now)
    pair.requestor.protocol.send_data(STORE, b"data", is_last=True, now=pair.clock.now)
    pair.acceptor.protocol.release(pair.clock.now)
    pair.pump()
    assert pair.acceptor.take_events() == []
    assert pair.acceptor.protocol.performing == set()
    # Nobody would ever look at it.
    assert opened == []
    assert pair.requestor.take_events() == [ReleaseRequested()]
    pair.requestor.protocol.respond_release(pair.clock.now)
    pair.pump()
    assert pair.acceptor.end.error is None


def test_responses_that_cross_our_release_are_heard(pair: Pair) -> None:
    pair.requestor.protocol.send_request(VERIFY, echo(1), "token", pair.clock.now)
    pair.pump()
    pair.acceptor.protocol.send_response(VERIFY, CEchoRSP(1, SUCCESS), pair.clock.now)
    pair.requestor.protocol.release(pair.clock.now)
    pair.pump()
    assert only(pair.requestor.take_events()).operation.token == "token"


# Reject, abort, the transport's end ----------------------------------------------------------------------------------


def test_reject() -> None:
    clock = Clock()
    acceptor = Side(clock, acceptor=True)
    acceptor._establish = lambda _event: acceptor.protocol.reject(AssociateRJ(2, 3, 2), clock.now)  # type: ignore[method-assign]
    acceptor.protocol.connection_made(clock.now)
    requestor = Side(clock, acceptor=False)
    requestor.protocol.connection_made(clock.now, PROPOSAL)
    acceptor.receive(requestor.sent())
    assert acceptor.protocol.state is State.Sta13
    requestor.receive(acceptor.sent())
    error = requestor.end.error
    assert isinstance(error, AssociationRejected)
    assert (error.result, error.source, error.reason) == (2, 3, 2)
    assert requestor.protocol.is_closing


def test_abort(pair: Pair) -> None:
    pair.requestor.protocol.send_request(VERIFY, echo(), "token", pair.clock.now)
    pair.requestor.sent()
    pair.requestor.protocol.abort(pair.clock.now)
    pair.requestor.protocol.abort(pair.clock.now)
    assert pair.requestor.protocol.take_tokens() == ["token"]
    pair.pump()
    error = pair.acceptor.end.error
    assert isinstance(error, AssociationAborted)
    assert (error.source, error.reason) == (0, 0)
    assert pair.acceptor.protocol.is_closing
    assert pair.requestor.protocol.is_over
    pair.requestor.receive(p_data(pdv(VERIFY, 3, encode_command(CEchoRSP(1, SUCCESS)))) + b"HTTP")
    assert pair.requestor.take_events() == []
    assert pair.requestor.sent() == b""
    assert pair.requestor.protocol.connection_lost(pair.clock.now) is None


def test_abort_by_the_provider_of_the_peer(pair: Pair) -> None:
    pair.acceptor.receive(encode(Abort(2, 5)))
    error = pair.acceptor.end.error
    assert isinstance(error, AssociationAborted)
    assert (error.source, error.reason) == (2, 5)


def test_abort_inside_a_data_set_abandons_it() -> None:
    sink = Gathering()
    scp = open_acceptor(open_body=lambda *_: sink)
    scp.receive(p_data(pdv(STORE, 3, encode_command(store()))) + encode(Abort()))
    assert isinstance(scp.end.error, AssociationAborted)
    assert sink.is_abandoned


@pytest.mark.parametrize("how", ["abort", "connection_lost"])
def test_our_end_inside_a_data_set_abandons_it(how: str) -> None:
    sink = Gathering()
    scp = open_acceptor(open_body=lambda *_: sink)
    scp.receive(p_data(pdv(STORE, 3, encode_command(store())), pdv(STORE, 0, b"data")))
    assert not sink.is_abandoned
    getattr(scp.protocol, how)(scp.clock.now)
    assert sink.is_abandoned
    assert not scp.protocol.receiver.is_incomplete
    scp.receive(p_data(pdv(STORE, LAST, b"more")))
    assert sink.data == b"data"
    assert scp.take_events() == []


def test_what_is_sent_after_the_end_is_refused_locally(pair: Pair) -> None:
    protocol = pair.requestor.protocol
    protocol.release(pair.clock.now)
    pair.requestor.sent()
    for call in (
        lambda: protocol.send_request(VERIFY, echo(), None, 0),
        lambda: protocol.send_response(VERIFY, CEchoRSP(1, SUCCESS), 0),
        lambda: protocol.send_data(STORE, b"", is_last=True, now=0),
        lambda: protocol.send_cancel(VERIFY, 1, 0.0),
    ):
        with pytest.raises(AssociationClosed):
            call()
    with pytest.raises(LocalError):
        protocol.release(pair.clock.now)
    assert pair.requestor.sent() == b""
    assert protocol.take_tokens() == []


def test_connection_lost(pair: Pair) -> None:
    ended = pair.acceptor.protocol.connection_lost(pair.clock.now)
    assert ended is not None
    assert isinstance(ended.error, ConnectionLost)
    assert pair.acceptor.protocol.connection_lost(pair.clock.now) is None
    assert pair.acceptor.protocol.is_over


def test_a_maximum_length_without_room_is_no_association() -> None:
    clock = Clock()
    acceptor = Side(clock, acceptor=True)
    acceptor.protocol.connection_made(clock.now)
    proposal = replace(PROPOSAL, user_information=UserInformation(7))
    with pytest.raises(ProtocolViolation, match="7 leaves no room"):
        acceptor.receive(encode(proposal))
    ended = acceptor.protocol.violated(ProtocolViolation("no room", 6), clock.now)
    assert isinstance(ended.error, ProtocolViolation)
    assert acceptor.sent() == encode(Abort(2, 6))


def test_a_c_cancel_with_a_data_set_is_a_cancel_all_the_same() -> None:
    scp = open_acceptor()
    command = encode_command(CCancelRQ(7, has_data_set=True))
    scp.receive(p_data(pdv(STORE, 3, command), pdv(STORE, LAST, b"data")))
    assert scp.take_events() == [CancelReceived(7)]


def test_responses_may_bring_a_data_set(pair: Pair) -> None:
    pair.requestor.protocol.send_request(STORE, store(), "token", pair.clock.now)
    pair.requestor.sent()
    response = CStoreRSP(1, SUCCESS, CT, has_data_set=True)
    pair.requestor.receive(p_data(pdv(STORE, 3, encode_command(response)), pdv(STORE, LAST, b"data")))
    assert memoryview(only(pair.requestor.take_events()).body) == b"data"
