"""The short ways of the compiled exchange say the same as the long ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.dimse.command import decode_command, encode_command, encode_response
from aiodicom.dimse.events import RequestReceived
from aiodicom.dimse.messages import (
    CEchoRQ,
    CFindRSP,
    CStoreRQ,
    NActionRQ,
    NCreateRQ,
    NDeleteRQ,
    NEventReportRQ,
    NGetRQ,
    NSetRQ,
    Request,
)
from aiodicom.dimse.responses import response_to
from aiodicom.errors import AssociationClosed, LocalError
from aiodicom.standard.status import Status
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul._pdu import encode_command as encode_command_pdus
from aiodicom.ul._pdu import encode_data
from aiodicom.ul.table import State
from tests.dimse.sides import CT, STORE, VERIFY, Pair, Side, established

uids = st.from_regex(r"[1-9][0-9]{0,10}(\.[1-9][0-9]{0,10}){1,4}", fullmatch=True)
requests = st.one_of(
    st.builds(CEchoRQ, st.integers(0, 0xFFFF), uids),
    st.builds(CStoreRQ, st.integers(0, 0xFFFF), uids, uids),
)


@given(requests, st.integers(0, 0xFFFF).map(Status))
def test_the_short_response_is_the_message_encoded(request_: CEchoRQ | CStoreRQ, status: Status) -> None:
    instance = request_.affected_sop_instance_uid if isinstance(request_, CStoreRQ) else None
    command_field = type(request_).COMMAND_FIELD
    assert command_field is not None
    short = encode_response(command_field, request_.message_id, status, request_.affected_sop_class_uid, instance)
    assert short == encode_command(response_to(request_, status))


@pytest.fixture
def pair() -> Pair:
    return established()


def asked(pair: Pair, request: Request) -> Request:
    """The request as the acceptor has it, to be performed."""
    context = STORE if isinstance(request, CStoreRQ) else VERIFY
    scu = pair.requestor.protocol
    scu.send_request(context, request, None, pair.clock.now)
    if request.has_data_set:
        scu.send_data(context, b"data", is_last=True, now=pair.clock.now)
    pair.pump()
    (event,) = pair.acceptor.take_events()
    assert isinstance(event, RequestReceived)
    return event.message


@pytest.mark.parametrize("request_", [CEchoRQ(7, VERIFICATION), CStoreRQ(7, CT, "1.2.3")])
@pytest.mark.parametrize(("status", "failures"), [(0x0000, 0), (0xB000, 0), (0x0110, 1)])
def test_what_is_answered_is_over_and_counted(pair: Pair, request_: Any, status: int, failures: int) -> None:
    scp = pair.acceptor
    message = asked(pair, request_)
    scp.protocol.respond(STORE, message, Status(status), pair.clock.now)
    assert scp.protocol.performing == set()
    assert (scp.counters.operations, scp.counters.failures) == (1, failures)
    assert b"".join(scp.protocol.take_outgoing())[12:] == encode_command(response_to(request_, Status(status)))


def test_nothing_is_answered_on_an_association_that_is_over(pair: Pair) -> None:
    message = asked(pair, CEchoRQ(7, VERIFICATION))
    pair.acceptor.protocol.abort(pair.clock.now)
    with pytest.raises(AssociationClosed):
        pair.acceptor.protocol.respond(VERIFY, message, Status.SUCCESS, pair.clock.now)
    assert pair.acceptor.counters.operations == 0


class TestVerification:
    """C-ECHO that nobody is to see."""

    @pytest.fixture
    def scp(self, pair: Pair) -> Side:
        pair.acceptor.protocol.answers_verification = True
        return pair.acceptor

    def send(self, pair: Pair, request: Request, context_id: int = VERIFY) -> bytes:
        """What the acceptor answers."""
        pair.requestor.protocol.send_request(context_id, request, None, pair.clock.now)
        if request.has_data_set:
            pair.requestor.protocol.send_data(context_id, b"data", is_last=True, now=pair.clock.now)
        pair.acceptor.receive(pair.requestor.sent())
        return pair.acceptor.sent()

    def test_it_is_answered_with_success(self, pair: Pair, scp: Side) -> None:
        assert decode_command(self.send(pair, CEchoRQ(7, VERIFICATION))[12:]) == response_to(
            CEchoRQ(7, VERIFICATION), Status.SUCCESS
        )
        assert scp.take_events() == []
        assert scp.counters.operations == 1

    def test_in_its_turn_alone(self, pair: Pair, scp: Side) -> None:
        assert self.send(pair, CStoreRQ(1, CT, "1.2.3"), STORE) == b""
        assert self.send(pair, CEchoRQ(7, VERIFICATION)) == b""
        assert len(scp.take_events()) == 2

    def test_not_for_another_sop_class(self, pair: Pair, scp: Side) -> None:
        answer = decode_command(self.send(pair, CEchoRQ(7, CT))[12:])
        assert answer == response_to(CEchoRQ(7, CT), Status.SOP_CLASS_NOT_SUPPORTED)
        assert (scp.counters.operations, scp.counters.failures) == (1, 1)

    def test_not_once_release_has_been_asked_for(self, pair: Pair, scp: Side) -> None:
        scp.protocol.release(pair.clock.now)
        scp.sent()
        assert self.send(pair, CEchoRQ(7, VERIFICATION)) == b""
        assert scp.protocol.state is State.Sta7


@pytest.mark.parametrize("status", [0x0000, 0x0107, 0x0112])
@pytest.mark.parametrize(
    "request_",
    [
        NGetRQ(7, CT, "1.2.3"),
        NSetRQ(7, CT, "1.2.3"),
        NCreateRQ(7, CT, "1.2.3"),
        NCreateRQ(7, CT),
        NDeleteRQ(7, CT, "1.2.3"),
        NDeleteRQ(7, CT, "1..3"),
        NDeleteRQ(7, "1." * 40 + "1", "1.2.3"),
        NActionRQ(7, CT, "1.2.3", 4),
        NEventReportRQ(7, CT, "1.2.3", 4),
    ],
    ids=str,
)
def test_n_services_are_answered_as_the_message_encoded(pair: Pair, request_: Any, status: int) -> None:
    protocol = pair.acceptor.protocol
    protocol.respond(STORE, request_, Status(status), pair.clock.now)
    expected = encode_command(response_to(request_, Status(status)))
    assert b"".join(protocol.take_outgoing()) == encode_command_pdus(STORE, expected, protocol.fragment_size)


@pytest.mark.parametrize("size", [0, 1, 2, 99, 100, 8190, 8192, 8194, 16372, 16374, 16378, 50_001])
def test_a_match_and_its_response_in_one_piece(pair: Pair, size: int) -> None:
    protocol, data = pair.acceptor.protocol, bytes(n % 251 for n in range(size))
    response = CFindRSP(7, Status.PENDING, CT, has_data_set=True)
    encoded = protocol.encode_response(STORE, response)
    protocol.send_pending(STORE, encoded, data, pair.clock.now)
    expected = encoded + b"".join(encode_data(STORE, data, protocol.fragment_size, True))
    sent = protocol.take_outgoing()
    assert b"".join(sent) == expected
    assert (len(sent) == 1) == (size <= min(8192, protocol.fragment_size) and size % 2 == 0)


SHORT = [
    b"",
    b"da",
    b"odd",
    b"x" * 8192,
    memoryview(b"xy" * 4097),
    b"x" * 16372,
    b"x" * 16384,
    b"x" * 50_000,
]


@pytest.mark.parametrize("data", SHORT, ids=len)
@pytest.mark.parametrize("is_whole", [False, True])
def test_a_request_and_its_short_data_set_leave_in_one_piece(pair: Pair, data: bytes, is_whole: bool) -> None:
    scu, request = pair.requestor.protocol, CStoreRQ(7, CT, "1.2.3")
    if is_whole:
        assert scu.send_whole(STORE, request, (data,), "token", 0) == len(data)
    else:
        scu.send_request(STORE, request, "token", 0)
        scu.send_data(STORE, data, is_last=True, now=0)
    pieces = scu.take_outgoing()
    said = encode_command_pdus(STORE, encode_command(request), scu.fragment_size)
    assert b"".join(pieces) == said + b"".join(encode_data(STORE, data, scu.fragment_size, True))
    assert (len(pieces) == 1) == (len(data) <= min(8192, scu.fragment_size) and len(data) % 2 == 0)
    assert scu.take_tokens() == ["token"]


def test_a_request_with_a_data_set_in_parts_and_one_without(pair: Pair) -> None:
    scu, store, echo = pair.requestor.protocol, CStoreRQ(7, CT, "1.2.3"), CEchoRQ(8, VERIFICATION)
    assert scu.send_whole(STORE, store, (b"ab" * 10_000, b"cd", b"e"), 1, 0.0) == 20_003
    assert scu.send_whole(VERIFY, echo, (), 2, 0.0) == 0
    said = [encode_command_pdus(STORE, encode_command(store), scu.fragment_size)]
    for part, is_last in ((b"ab" * 10_000, False), (b"cd", False), (b"e", True)):
        said += encode_data(STORE, part, scu.fragment_size, is_last)
    said.append(encode_command_pdus(VERIFY, encode_command(echo), scu.fragment_size))
    assert b"".join(scu.take_outgoing()) == b"".join(said)
    assert scu.take_tokens() == [1, 2]


def test_what_cannot_be_encoded_begins_nothing(pair: Pair) -> None:
    scu = pair.requestor.protocol
    with pytest.raises(LocalError):
        scu.send_whole(STORE, CStoreRQ(7, CT, "1.2.3", priority=1 << 16), (b"data",), None, 0.0)
    assert scu.take_outgoing() == []
    assert scu.take_tokens() == []


def test_a_request_whose_data_set_cannot_be_had_is_not_begun(pair: Pair) -> None:
    scu = pair.requestor.protocol
    with pytest.raises(TypeError):
        scu.send_whole(STORE, CStoreRQ(7, CT, "1.2.3"), (b"ab", [0, 0]), "token", 0.0)  # type: ignore[arg-type]
    assert scu.take_outgoing() == []
    assert scu.take_tokens() == []
