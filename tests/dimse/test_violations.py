"""What a peer may not send: the A-ABORT that answers it, with its source and reason, and nothing besides."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.dimse.command import encode_command
from aiodicom.dimse.events import Ended
from aiodicom.dimse.messages import CEchoRQ, CEchoRSP, CStoreRQ, CStoreRSP
from aiodicom.errors import ProtocolViolation
from aiodicom.standard.status import Status
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul.codec import encode
from aiodicom.ul.pdu import Abort, AssociateRJ, AssociateRQ, ReleaseRP, ReleaseRQ
from aiodicom.ul.table import State
from tests.dimse.sides import CT, PROPOSAL, REFUSED, STORE, VERIFY, Clock, Side, open_acceptor, open_requestor
from tests.dimse.wire import element, joined, us
from tests.ul.streams import COMMAND, LAST, Gathering, p_data, pdu, pdv
from tests.ul.wire import PLAIN_AC, checked

ECHO = encode_command(CEchoRQ(1, VERIFICATION))
STORE_RQ = encode_command(CStoreRQ(1, CT, "1.2.3.4"))
ECHO_PDV = pdv(VERIFY, COMMAND | LAST, ECHO)
STORE_PDV = pdv(STORE, COMMAND | LAST, STORE_RQ)

UNRECOGNIZED_PDU, UNEXPECTED_PDU, UNEXPECTED, INVALID = 1, 2, 5, 6
LENGTHS = struct.Struct(">IBB").pack

#: What is wrong in itself, wherever it comes: name, bytes, reason.
NO_PDUS = [
    ("HTTP", b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n", UNRECOGNIZED_PDU),
    ("TLS", bytes.fromhex("16030100c8010000c40303"), UNRECOGNIZED_PDU),
    ("type 0", pdu(0, bytes(4)), UNRECOGNIZED_PDU),
    ("type 8", pdu(8, bytes(4)), UNRECOGNIZED_PDU),
    ("a huge A-ASSOCIATE-RQ", struct.pack(">BxI", 1, (1 << 20) + 1), INVALID),
    ("a huge A-ASSOCIATE-AC", struct.pack(">BxI", 2, 0xFFFFFFFF), INVALID),
    ("a long A-RELEASE-RQ", pdu(5, bytes(6)), INVALID),
    ("a short A-ABORT", pdu(7, bytes(3)), INVALID),
]
#: What is wrong in an open association.
NO_DATA = [
    ("an oversized P-DATA-TF", struct.pack(">BxI", 4, 16385), INVALID),
    ("a P-DATA-TF of 4 GB", struct.pack(">BxI", 4, 0xFFFFFFFF), INVALID),
    ("an empty P-DATA-TF", pdu(4, b""), INVALID),
    ("a P-DATA-TF too small for a PDV", pdu(4, bytes(5)), INVALID),
    ("bytes after the last PDV", p_data(pdv(VERIFY, COMMAND, ECHO), bytes(3)), INVALID),
    ("a PDV that overruns its PDU", pdu(4, LENGTHS(len(ECHO) + 3, VERIFY, 1) + ECHO), INVALID),
    ("a PDV that overruns every PDU", pdu(4, LENGTHS(0xFFFFFFFF, VERIFY, 1) + ECHO), INVALID),
    ("a PDV of length 0", pdu(4, LENGTHS(0, VERIFY, 1)), INVALID),
    ("a PDV of length 1", pdu(4, LENGTHS(1, VERIFY, 1)), INVALID),
    ("a context that was not accepted", p_data(pdv(REFUSED, COMMAND | LAST, ECHO)), INVALID),
    ("a context that was not proposed", p_data(pdv(7, COMMAND | LAST, ECHO)), INVALID),
    ("an even context", p_data(pdv(2, COMMAND | LAST, ECHO)), INVALID),
    ("data without a command", p_data(pdv(STORE, LAST, b"data")), UNEXPECTED),
    ("a command inside a data set", p_data(STORE_PDV, pdv(STORE, 0, b"12"), STORE_PDV), UNEXPECTED),
    ("another command inside a data set", p_data(STORE_PDV, pdv(STORE, 0, b"12"), ECHO_PDV), UNEXPECTED),
    ("data on another context than its command", p_data(STORE_PDV, pdv(VERIFY, LAST, b"12")), UNEXPECTED),
    ("data inside a command", p_data(pdv(STORE, COMMAND, STORE_RQ[:9]), pdv(STORE, LAST, b"12")), UNEXPECTED),
    ("a command set of over 64 KiB", p_data(pdv(VERIFY, COMMAND, bytes(16000))) * 5, INVALID),
    ("an empty command set", p_data(pdv(VERIFY, COMMAND | LAST, b"")), INVALID),
    ("a command set cut short", p_data(pdv(VERIFY, COMMAND | LAST, ECHO[:-1])), INVALID),
    ("an element of group 0008", p_data(pdv(VERIFY, 3, ECHO + element(0x18, b"", 8))), INVALID),
    ("an element twice", p_data(pdv(VERIFY, 3, ECHO + element(0x0110, us(1)))), INVALID),
    ("a response of no service", p_data(pdv(VERIFY, 3, joined({0x0100: us(0x8031), 0x0800: us(0x0101)}))), INVALID),
    ("a request without its message ID", p_data(pdv(VERIFY, 3, joined({0x100: us(0x30), 0x800: us(0x101)}))), INVALID),
    ("a response to nothing", p_data(pdv(VERIFY, 3, encode_command(CEchoRSP(1, Status.SUCCESS)))), UNEXPECTED),
]
#: What may not come while the association is open (PS3.8 table 9-10).
NOT_NOW = [
    ("an A-ASSOCIATE-RQ", encode(PROPOSAL), UNEXPECTED_PDU),
    ("an A-ASSOCIATE-AC", encode(PLAIN_AC), UNEXPECTED_PDU),
    ("an A-ASSOCIATE-RJ", encode(AssociateRJ(1, 1, 1)), UNEXPECTED_PDU),
    ("an A-RELEASE-RP", encode(ReleaseRP()), UNEXPECTED_PDU),
]


def named(cases: list[tuple[str, bytes, int]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("stream", "reason"), [case[1:] for case in cases], ids=[case[0] for case in cases])


chopped = pytest.mark.parametrize("is_chopped", [False, True], ids=["in one piece", "byte by byte"])


def assert_aborted(side: Side, source: int, reason: int) -> None:
    """The association has ended with this A-ABORT, and whatever comes now changes nothing."""
    for following in (b"", p_data(ECHO_PDV), encode(ReleaseRQ()), b"GET / HTTP/1.1\r\n", encode(PROPOSAL)):
        side.receive(following)
    end = side.end
    assert isinstance(end.error, ProtocolViolation)
    assert end.error.reason == reason
    assert str(end.error)
    assert side.sent() == encode(Abort(source, reason if source else 0))
    assert side.protocol.state is State.Sta13
    assert not side.protocol.receiver.is_incomplete


@chopped
@named(NO_PDUS + NO_DATA + NOT_NOW)
@pytest.mark.parametrize("role", [open_acceptor, open_requestor], ids=["as acceptor", "as requestor"])
def test_in_an_open_association(role: Callable[..., Side], stream: bytes, reason: int, is_chopped: bool) -> None:
    sinks: list[Gathering] = []
    side = role(is_chopped=is_chopped, open_body=lambda *_: sinks.append(Gathering()) or sinks[-1])
    side.receive(stream)
    assert_aborted(side, 2, reason)
    assert all(sink.is_abandoned for sink in sinks)


@chopped
@named(NO_DATA)
def test_messages_before_it_are_heard(stream: bytes, reason: int, is_chopped: bool) -> None:
    scp = open_acceptor(is_chopped=is_chopped)
    scp.receive(p_data(ECHO_PDV) + stream)
    heard, ended = scp.take_events()
    assert heard.message == CEchoRQ(1, VERIFICATION)  # type: ignore[union-attr]
    assert isinstance(ended, Ended)
    assert scp.sent() == encode(Abort(2, reason))


@chopped
@named(
    [
        *NO_PDUS,
        ("data", p_data(ECHO_PDV), UNEXPECTED_PDU),
        ("an A-RELEASE-RQ", encode(ReleaseRQ()), UNEXPECTED_PDU),
        *NOT_NOW[1:],
        ("an A-ASSOCIATE-RQ that is none", pdu(1, bytes(10)), INVALID),
        ("an A-ASSOCIATE-RQ whose items lie", encode(PROPOSAL)[:-3] + b"\xff\xff\xff", INVALID),
    ]
)
@pytest.mark.parametrize("decodes", ["the machine", "decode_request"])
def test_in_place_of_an_associate_rq(stream: bytes, reason: int, is_chopped: bool, decodes: str) -> None:
    # AA-1 of Sta2 aborts as the service-user.
    from aiodicom.ul.codec import decode

    scp = Side(Clock(), acceptor=True, is_chopped=is_chopped)
    if decodes == "decode_request":
        scp.protocol.decode_request = lambda body: decode(1, body)  # type: ignore[assignment,return-value]
    scp.protocol.connection_made(scp.clock.now)
    scp.receive(stream)
    if scp.events:
        assert isinstance(scp.end.error, ProtocolViolation)
    assert scp.sent() == encode(Abort(0, 0))
    assert scp.protocol.state is State.Sta13
    assert scp.protocol.next_deadline() == scp.clock.now + 30


@chopped
@named(
    [
        *NO_PDUS,
        ("data", p_data(ECHO_PDV), UNEXPECTED_PDU),
        ("an A-ASSOCIATE-RQ", encode(PROPOSAL), UNEXPECTED_PDU),
        ("an A-RELEASE-RQ", encode(ReleaseRQ()), UNEXPECTED_PDU),
        ("an A-RELEASE-RP", encode(ReleaseRP()), UNEXPECTED_PDU),
        ("an A-ASSOCIATE-AC that is none", pdu(2, bytes(10)), INVALID),
    ]
)
def test_in_place_of_an_answer_to_our_associate_rq(stream: bytes, reason: int, is_chopped: bool) -> None:
    scu = Side(Clock(), acceptor=False, is_chopped=is_chopped)
    scu.protocol.connection_made(scu.clock.now, PROPOSAL)
    scu.sent()
    scu.receive(stream)
    assert_aborted(scu, 2, reason)


@chopped
@named([*NO_PDUS, *(case for case in NO_DATA if case[2] == INVALID), *NOT_NOW[:3]])
def test_in_place_of_an_answer_to_our_release(stream: bytes, reason: int, is_chopped: bool) -> None:
    scu = open_requestor(is_chopped=is_chopped)
    scu.protocol.release(scu.clock.now)
    scu.sent()
    scu.receive(stream)
    assert_aborted(scu, 2, reason)


@chopped
@named(
    [*NO_PDUS, *NOT_NOW, ("data", p_data(ECHO_PDV), UNEXPECTED_PDU), ("itself", encode(ReleaseRQ()), UNEXPECTED_PDU)]
)
def test_after_the_peers_own_release_rq(stream: bytes, reason: int, is_chopped: bool) -> None:
    scp = open_acceptor(is_chopped=is_chopped)
    scp.receive(encode(ReleaseRQ()))
    scp.take_events()
    scp.receive(stream)
    assert_aborted(scp, 2, reason)


# The peer as SCP: responses that fit no request ----------------------------------------------------------------------


@chopped
@pytest.mark.parametrize(
    ("context_id", "response"),
    [
        (VERIFY, CEchoRSP(2, Status.SUCCESS)),
        (VERIFY, CEchoRSP(0, Status.SUCCESS)),
        (VERIFY, CStoreRSP(1, Status.SUCCESS)),
        (STORE, CEchoRSP(1, Status.SUCCESS)),
    ],
    ids=["another message ID", "message ID 0", "another service", "another context"],
)
def test_responses_that_fit_no_request(context_id: int, response: CEchoRSP | CStoreRSP, is_chopped: bool) -> None:
    scu = open_requestor(is_chopped=is_chopped)
    scu.protocol.send_request(VERIFY, CEchoRQ(1, VERIFICATION), "token", scu.clock.now)
    scu.sent()
    scu.receive(p_data(pdv(context_id, 3, encode_command(response))))
    assert_aborted(scu, 2, UNEXPECTED)
    assert scu.protocol.take_tokens() == ["token"]


@chopped
def test_a_second_final_response(is_chopped: bool) -> None:
    scu = open_requestor(is_chopped=is_chopped)
    scu.protocol.send_request(VERIFY, CEchoRQ(1, VERIFICATION), "token", scu.clock.now)
    scu.sent()
    scu.receive(p_data(pdv(VERIFY, 3, encode_command(CEchoRSP(1, Status.SUCCESS)))) * 2)
    scu.events.pop(0)
    assert_aborted(scu, 2, UNEXPECTED)


@chopped
@pytest.mark.parametrize("status", [Status.PENDING, Status.PENDING_WARNING])
def test_a_pending_response_of_a_service_that_has_none(status: Status, is_chopped: bool) -> None:
    scu = open_requestor(is_chopped=is_chopped)
    scu.protocol.send_request(VERIFY, CEchoRQ(1, VERIFICATION), "token", scu.clock.now)
    scu.sent()
    scu.receive(p_data(pdv(VERIFY, 3, encode_command(CEchoRSP(1, status)))))
    assert_aborted(scu, 2, UNEXPECTED)


@chopped
def test_a_response_without_a_status(is_chopped: bool) -> None:
    scu = open_requestor(is_chopped=is_chopped)
    scu.protocol.send_request(VERIFY, CEchoRQ(1, VERIFICATION), "token", scu.clock.now)
    scu.sent()
    scu.receive(p_data(pdv(VERIFY, 3, joined({0x0100: us(0x8030), 0x0120: us(1), 0x0800: us(0x0101)}))))
    assert_aborted(scu, 2, INVALID)


# Anything at all -----------------------------------------------------------------------------------------------------


@checked(150)
@given(st.data(), st.booleans(), st.sampled_from([open_acceptor, open_requestor]))
def test_mutated_streams_end_in_one_abort_or_none(
    data: st.DataObject, is_chopped: bool, role: Callable[..., Side]
) -> None:
    stream = bytearray(
        p_data(ECHO_PDV)
        + p_data(STORE_PDV, pdv(STORE, LAST, b"data"))
        + p_data(STORE_PDV)
        + p_data(pdv(STORE, 2, b"da"))
    )
    for place in data.draw(st.lists(st.integers(0, len(stream) - 1), min_size=1, max_size=5)):
        stream[place] = data.draw(st.integers(0, 255))
    side = role(is_chopped=is_chopped)
    side.receive(bytes(stream))
    ends = [event for event in side.take_events() if isinstance(event, Ended)]
    sent = side.sent()
    assert len(ends) == (side.protocol.is_over)
    if ends and isinstance(ends[0].error, ProtocolViolation):
        assert sent.endswith(encode(Abort(2, ends[0].error.reason)))


@checked(60)
@given(st.binary(max_size=200), st.booleans())
def test_mutated_proposals_never_raise(noise: bytes, is_chopped: bool) -> None:
    scp = Side(Clock(), acceptor=True, is_chopped=is_chopped)
    scp.protocol.connection_made(scp.clock.now)
    request = encode(AssociateRQ("SCP", "SCU", PROPOSAL.contexts, PROPOSAL.user_information))
    cut = len(noise) % len(request)
    scp.receive(pdu(1, request[6 : 6 + cut] + noise))
    assert scp.protocol.state in (State.Sta6, State.Sta13)
