"""Requestors that break PS3.7 or PS3.8: the A-ABORT on the socket, and a server that goes on."""

from __future__ import annotations

import asyncio
import random
import struct

import pytest

from tests.net.hostile import (
    BY_USER,
    CONTEXTS,
    PATIENCE,
    by_provider,
    echo,
    echo_command,
    pdv,
    proposal,
    requestor,
    serving,
    status_of,
    store_command,
    store_server,
)
from tests.rawpeer import A_RELEASE_RP, A_RELEASE_RQ, P_DATA_TF, accept_pdu, command_set, p_data, pdu, ui, us

UNRECOGNIZED_PDU, UNEXPECTED_PDU, UNEXPECTED_PARAMETER, INVALID_PARAMETER = 1, 2, 5, 6

#: A TLS 1.2 record with the start of a ClientHello.
CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(194)

#: What comes in place of an A-ASSOCIATE-RQ: AA-1, whose A-ABORT is the service-user's.
STRANGERS = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": CLIENT_HELLO,
    "random bytes": b"\xd2" + random.Random(2).randbytes(400),
    "type 0": pdu(0, bytes(4)),
    "type 8": pdu(8, bytes(4)),
    "p-data": echo(),
    "a-release-rq": pdu(A_RELEASE_RQ, bytes(4)),
    "a-release-rp": pdu(A_RELEASE_RP, bytes(4)),
    "a-associate-ac": accept_pdu(proposal()[6:]),
    "a-associate-rj": pdu(3, bytes((0, 1, 1, 1))),
    "p-data of 4 GiB": struct.pack(">BBI", P_DATA_TF, 0, 0xFFFFFFFF),
    "a-release-rq of 4 GiB": struct.pack(">BBI", A_RELEASE_RQ, 0, 0xFFFFFFFF),
}

ECHO, STORE = echo_command(), store_command()
STORE_BEGUN = pdu(P_DATA_TF, pdv(3, 3, STORE))


def broken(command: bytes) -> bytes:
    """A command set on the wire as it stands."""
    return pdu(P_DATA_TF, pdv(1, 3, command))


#: What comes on an open association, with the reason of the service-provider's A-ABORT (AA-8).
VIOLATIONS = {
    "http": (STRANGERS["http"], UNRECOGNIZED_PDU),
    "tls": (CLIENT_HELLO, UNRECOGNIZED_PDU),
    "type 0": (pdu(0, bytes(4)), UNRECOGNIZED_PDU),
    "type 8": (pdu(8, b""), UNRECOGNIZED_PDU),
    "type 255 of 4 GiB": (b"\xff\0\xff\xff\xff\xff", UNRECOGNIZED_PDU),
    "a second a-associate-rq": (proposal(), UNEXPECTED_PDU),
    "a-associate-ac": (accept_pdu(proposal()[6:]), UNEXPECTED_PDU),
    "a-associate-rj": (pdu(3, bytes((0, 1, 1, 1))), UNEXPECTED_PDU),
    "a-release-rp": (pdu(A_RELEASE_RP, bytes(4)), UNEXPECTED_PDU),
    "a-release-rq of 5 bytes": (pdu(A_RELEASE_RQ, bytes(5)), INVALID_PARAMETER),
    "a-abort of 3 bytes": (pdu(7, bytes(3)), INVALID_PARAMETER),
    "p-data larger than announced": (struct.pack(">BBI", P_DATA_TF, 0, 131073), INVALID_PARAMETER),
    "p-data of 4 GiB": (struct.pack(">BBI", P_DATA_TF, 0, 0xFFFFFFFF), INVALID_PARAMETER),
    "p-data of nothing": (pdu(P_DATA_TF, b""), INVALID_PARAMETER),
    "pdv overruns its pdu": (pdu(P_DATA_TF, pdv(1, 3, ECHO, len(ECHO) + 3)), INVALID_PARAMETER),
    "pdv of 4 GiB": (pdu(P_DATA_TF, pdv(1, 3, ECHO, 0xFFFFFFFF)), INVALID_PARAMETER),
    "pdv of length 0": (pdu(P_DATA_TF, pdv(1, 3, b"", 0)), INVALID_PARAMETER),
    "pdv of length 1": (pdu(P_DATA_TF, pdv(1, 3, b"", 1)), INVALID_PARAMETER),
    "one byte after the pdv": (pdu(P_DATA_TF, pdv(3, 1, STORE) + b"\0"), INVALID_PARAMETER),
    "five bytes after the pdv": (pdu(P_DATA_TF, pdv(3, 1, STORE) + bytes(5)), INVALID_PARAMETER),
    "a context never proposed": (p_data(5, echo_command()), INVALID_PARAMETER),
    "an even context": (p_data(2, echo_command()), INVALID_PARAMETER),
    "context 0": (p_data(0, echo_command()), INVALID_PARAMETER),
    "command inside a data set": (
        STORE_BEGUN + pdu(P_DATA_TF, pdv(3, 0, b"data") + pdv(3, 3, ECHO)),
        UNEXPECTED_PARAMETER,
    ),
    "data on another context": (STORE_BEGUN + pdu(P_DATA_TF, pdv(1, 2, b"data")), UNEXPECTED_PARAMETER),
    "command on another context": (pdu(P_DATA_TF, pdv(3, 1, STORE[:20]) + pdv(1, 3, ECHO)), UNEXPECTED_PARAMETER),
    "data without a command": (pdu(P_DATA_TF, pdv(3, 2, b"data")), UNEXPECTED_PARAMETER),
    "data inside a command": (pdu(P_DATA_TF, pdv(3, 1, STORE[:20]) + pdv(3, 2, b"data")), UNEXPECTED_PARAMETER),
    "an empty command set": (broken(b""), INVALID_PARAMETER),
    "a command set cut off": (broken(ECHO[:-3]), INVALID_PARAMETER),
    "an element that overruns": (broken(ECHO[:-10] + struct.pack("<HHI", 0, 0x0800, 9) + us(0x101)), INVALID_PARAMETER),
    "an element of 4 GiB": (broken(struct.pack("<HHI", 0, 0x0002, 0xFFFFFFF0) + bytes(20)), INVALID_PARAMETER),
    "no command field": (broken(command_set({0x0110: us(1), 0x0800: us(0x0101)})), INVALID_PARAMETER),
    "no message id": (broken(command_set({0x0100: us(0x30), 0x0800: us(0x0101)})), INVALID_PARAMETER),
    "noise as command set": (broken(random.Random(3).randbytes(100)), INVALID_PARAMETER),
    "a response to nothing": (
        broken(command_set({0x0100: us(0x8030), 0x0120: us(7), 0x0800: us(0x0101), 0x0900: us(0)})),
        UNEXPECTED_PARAMETER,
    ),
}


@pytest.mark.parametrize("byte_by_byte", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("sent", STRANGERS.values(), ids=STRANGERS.keys())
async def test_what_is_no_proposal_is_aborted_by_the_service_user(sent: bytes, byte_by_byte: bool) -> None:
    async with serving() as (server, port):
        async with requestor(port) as peer:
            await peer.send(sent, byte_by_byte=byte_by_byte)
            assert await peer.aborted() == BY_USER
        assert server.counters.associations == 0


@pytest.mark.parametrize("byte_by_byte", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize(("sent", "reason"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
async def test_a_violation_is_aborted_by_the_service_provider(sent: bytes, reason: int, byte_by_byte: bool) -> None:
    async with serving() as (server, port):
        async with requestor(port) as peer:
            await peer.associate()
            assert await peer.echo() == 0
            await peer.send(sent, byte_by_byte=byte_by_byte)
            assert await peer.aborted() == by_provider(reason)
            # Nothing that follows is heard: no answer, and the end when we close (AR-5).
            await peer.send(echo(9))
            peer.half_close()
            assert await peer.ended() == b""
        assert server.counters.aborts == 1


@pytest.mark.parametrize("size", [65536, 65537])
async def test_a_command_set_has_at_most_64_kib(size: int) -> None:
    comment = b"x" * (size - len(ECHO) - 8)
    elements = {0x0002: ui("1.2.840.10008.1.1"), 0x0100: us(0x30), 0x0110: us(1), 0x0800: us(0x101), 0x0902: comment}
    command = command_set(elements)
    assert len(command) == size
    fragments = [command[at : at + 8000] for at in range(0, size, 8000)]
    pdus = [pdu(P_DATA_TF, pdv(1, 1, fragment)) for fragment in fragments[:-1]]
    pdus.append(pdu(P_DATA_TF, pdv(1, 3, fragments[-1])))
    async with serving() as (_, port), requestor(port) as peer:
        await peer.associate()
        await peer.send(b"".join(pdus))
        if size > 65536:
            assert await peer.aborted() == by_provider(INVALID_PARAMETER)
        else:
            assert status_of(await peer.expect(P_DATA_TF)) == 0


async def test_a_command_set_of_over_64_kib_in_one_piece_is_too_long_as_well() -> None:
    elements = {0x0002: ui("1.2.840.10008.1.1"), 0x0100: us(0x30), 0x0110: us(1), 0x0800: us(0x101)}
    command = command_set(elements | {0x0902: bytes(65536)})
    async with serving() as (_, port), requestor(port) as peer:
        await peer.associate()
        await peer.send(pdu(P_DATA_TF, pdv(1, 3, command)))
        assert await peer.aborted() == by_provider(INVALID_PARAMETER)


async def test_a_release_in_the_middle_of_a_message_is_granted_and_drops_the_message() -> None:
    async with serving() as (server, port):
        async with requestor(port) as peer:
            await peer.associate()
            await peer.send(STORE_BEGUN + pdu(P_DATA_TF, pdv(3, 0, b"data")) + pdu(A_RELEASE_RQ, bytes(4)))
            await peer.expect(A_RELEASE_RP)
        assert server.counters.operations == 0


async def test_data_after_the_release_request_is_aborted() -> None:
    server = store_server()

    @server.on_c_store
    async def wait(_request: object) -> None:
        await asyncio.sleep(PATIENCE)  # what is not answered holds the release up

    async with serving(server) as (_, port), requestor(port) as peer:
        await peer.associate()
        await peer.send(STORE_BEGUN + pdu(P_DATA_TF, pdv(3, 2, b"data")) + pdu(A_RELEASE_RQ, bytes(4)) + echo())
        assert await peer.aborted() == by_provider(UNEXPECTED_PDU)


async def test_data_after_a_release_that_was_granted_is_ignored() -> None:
    async with serving() as (_, port), requestor(port) as peer:
        await peer.associate()
        await peer.send(STORE_BEGUN + pdu(P_DATA_TF, pdv(3, 2, b"data")) + pdu(A_RELEASE_RQ, bytes(4)) + echo())
        assert status_of(await peer.expect(P_DATA_TF)) == 0
        await peer.expect(A_RELEASE_RP)


async def test_a_release_is_not_granted_before_all_is_answered() -> None:
    async with serving() as (_, port), requestor(port) as peer:
        await peer.associate(proposal(CONTEXTS))
        await peer.send(STORE_BEGUN + pdu(P_DATA_TF, pdv(3, 2, b"data")) + echo(2) + pdu(A_RELEASE_RQ, bytes(4)))
        assert [(await peer.pdu())[0] for _ in range(3)] == [P_DATA_TF, P_DATA_TF, A_RELEASE_RP]
