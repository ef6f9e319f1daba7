"""One operation, or one association, through the whole protocol without IO: bytes in, event, answer, bytes out."""

from __future__ import annotations

from typing import Any

from aiodicom.dimse.command import encode_command
from aiodicom.dimse.events import AcceptedContext, ReleaseRequested, RequestReceived, Timeouts
from aiodicom.dimse.messages import CEchoRQ, CEchoRSP, CStoreRQ, CStoreRSP, Message, Response
from aiodicom.dimse.protocol import Protocol
from aiodicom.metrics import Counters
from aiodicom.standard.status import Status
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul._pdu import Discard, encode_data
from aiodicom.ul._pdu import encode_command as encode_command_pdus
from aiodicom.ul.codec import encode
from aiodicom.ul.events import AssociateIndication
from aiodicom.ul.pdu import AssociateAC, ContextResult, ReleaseRQ, ResultReason, UserInformation
from tests.dimse.sides import CONTEXTS, CT, PROPOSAL, STORE, VERIFY, open_acceptor

UID = "1.2.826.0.1.3680043.10.1234.2.1"
RESULTS = tuple(
    ContextResult(context.context_id, ResultReason.ACCEPTANCE, context.transfer_syntax) for context in CONTEXTS.values()
)


def no_body(_context: AcceptedContext, _message: Message) -> Discard:
    return Discard()


def perform(protocol: Protocol, stream: bytes, context_id: int, response: Response) -> int:
    """Feeds a request, and answers it; how many bytes the answer has."""
    protocol.receive(stream, len(stream), 1000.0)
    event = protocol.next_event(1000.0)
    assert type(event) is RequestReceived
    protocol.send_response(context_id, response, 1000.0)
    assert protocol.next_event(1000.0) is None
    return sum(map(len, protocol.take_outgoing()))


def opened() -> Protocol:
    return open_acceptor(timeouts=Timeouts(idle=60.0)).protocol


def test_echo(benchmark: Any) -> None:
    protocol = opened()
    request = encode_command_pdus(VERIFY, encode_command(CEchoRQ(7, VERIFICATION)), protocol.fragment_size)
    response = CEchoRSP(7, Status.SUCCESS, affected_sop_class_uid=VERIFICATION)
    assert benchmark(perform, protocol, request, VERIFY, response) > 0


def test_store_of_9_kb(benchmark: Any) -> None:
    protocol = opened()
    request = b"".join(
        [
            encode_command_pdus(STORE, encode_command(CStoreRQ(7, CT, UID)), protocol.fragment_size),
            *encode_data(STORE, bytes(9_000), protocol.fragment_size, True),
        ]
    )
    response = CStoreRSP(7, Status.SUCCESS, affected_sop_class_uid=CT, affected_sop_instance_uid=UID)
    assert benchmark(perform, protocol, request, STORE, response) > 0


def test_an_association_opened_and_released(benchmark: Any) -> None:
    proposal, release = encode(PROPOSAL), encode(ReleaseRQ())
    answer = encode(AssociateAC("SCP", "SCU", RESULTS, UserInformation(16384)))

    def associate() -> int:
        protocol = Protocol(
            acceptor=True, timeouts=Timeouts(), maximum_length=16384, open_body=no_body, counters=Counters()
        )
        protocol.connection_made(1000.0)
        protocol.receive(proposal, len(proposal), 1000.0)
        assert type(protocol.next_event(1000.0)) is AssociateIndication
        protocol.accept(answer, CONTEXTS, 16384, 1000.0)
        assert protocol.next_event(1000.0) is None
        protocol.receive(release, len(release), 1001.0)
        assert type(protocol.next_event(1001.0)) is ReleaseRequested
        protocol.respond_release(1001.0)
        assert protocol.next_event(1001.0) is None
        protocol.connection_lost(1001.0)
        return len(protocol.take_outgoing())

    assert benchmark(associate) == 2


def test_next_deadline(benchmark: Any) -> None:
    assert benchmark(opened().next_deadline) == 1060.0
