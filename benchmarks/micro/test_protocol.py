"""One operation through the whole protocol without IO: bytes in, event, response, bytes out."""

from __future__ import annotations

from typing import Any

from aiodicom.dimse.command import encode_command
from aiodicom.dimse.events import RequestReceived, Timeouts
from aiodicom.dimse.messages import CEchoRQ, CEchoRSP, CStoreRQ, CStoreRSP, Response
from aiodicom.dimse.protocol import Protocol
from aiodicom.standard.status import Status
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul._pdu import encode_command as encode_command_pdus
from aiodicom.ul._pdu import encode_data
from tests.dimse.sides import CT, STORE, VERIFY, open_acceptor

UID = "1.2.826.0.1.3680043.10.1234.2.1"


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


def test_next_deadline(benchmark: Any) -> None:
    assert benchmark(opened().next_deadline) == 1060.0
