"""A-ASSOCIATE-RQ of every kind: the A-ASSOCIATE-AC, A-ASSOCIATE-RJ or A-ABORT that comes back."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import aiodicom
from tests.net.hostile import (
    APPLICATION_CONTEXT,
    BY_USER,
    CONTEXTS,
    CT,
    Context,
    by_provider,
    echo,
    proposal,
    proposed,
    requestor,
    serving,
    status_of,
    store_server,
    user_information,
)
from tests.rawpeer import A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, IMPLICIT, P_DATA_TF, item, items, pdu

NAME = item(0x10, APPLICATION_CONTEXT.encode())
USER = user_information()
CONTEXT = proposed(CONTEXTS[:1])


def results(body: bytes) -> dict[int, int]:
    """The results in an A-ASSOCIATE-AC by context ID, in their order."""
    return {value[0]: value[2] for kind, value in items(body[68:]) if kind == 0x21}


#: variable items that are none; all end in Sta2: AA-1
MALFORMED = {
    "nothing": b"",
    "no application context": CONTEXT + USER,
    "no context": NAME + USER,
    "no user information": NAME + CONTEXT,
    "two application contexts": NAME + NAME + CONTEXT + USER,
    "two user informations": NAME + CONTEXT + USER + USER,
    "an item that overruns": NAME + CONTEXT + b"\x50\0\xff\xff" + USER[4:],
    "a header cut off": NAME + CONTEXT + USER + b"\x50\0",
    "a context that overruns": NAME + b"\x20\0\xff\xff" + CONTEXT[4:] + USER,
    "a context of 3 bytes": NAME + item(0x20, b"\1\0\0") + USER,
    "an abstract syntax that overruns": NAME + item(0x20, b"\1\0\0\0\x30\0\xff\xff1.2") + USER,
    "no abstract syntax": NAME + item(0x20, b"\1\0\0\0" + item(0x40, b"1.2")) + USER,
    "no transfer syntax": NAME + item(0x20, b"\1\0\0\0" + item(0x30, b"1.2")) + USER,
    "two abstract syntaxes": NAME + item(0x20, b"\1\0\0\0" + 2 * item(0x30, b"1.2") + item(0x40, b"1.2")) + USER,
    "an even id": NAME + proposed([(2, CT, [IMPLICIT])]) + USER,
    "id 0": NAME + proposed([(0, CT, [IMPLICIT])]) + USER,
    "an id twice": NAME + proposed([(1, CT, [IMPLICIT]), (1, CT, [IMPLICIT])]) + USER,
    "129 contexts": NAME + proposed([((2 * n + 1) & 0xFF, CT, [IMPLICIT]) for n in range(129)]) + USER,
    "a maximum length of 3 bytes": NAME + CONTEXT + item(0x50, item(0x51, b"abc")),
    "a window of 3 bytes": NAME + CONTEXT + item(0x50, item(0x51, bytes(4)) + item(0x53, b"abc")),
    "a user identity that overruns": NAME + CONTEXT + item(0x50, item(0x51, bytes(4)) + item(0x58, b"\1\0\xff\xffab")),
    "an AC's context": NAME + item(0x21, b"\1\0\0\0" + item(0x40, b"1.2")) + USER,
}


@pytest.mark.parametrize("byte_by_byte", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_proposal_is_aborted(sent: bytes, byte_by_byte: bool) -> None:
    async with serving() as (server, port):
        async with requestor(port) as peer:
            await peer.send(proposal(items=sent), byte_by_byte=byte_by_byte and len(sent) < 1000)
            assert await peer.aborted() == BY_USER
        assert server.counters.associations == 0


@pytest.mark.parametrize("body", [b"", b"\0\1", bytes(67)], ids=len)
async def test_a_proposal_without_its_fixed_fields_is_aborted(body: bytes) -> None:
    async with serving() as (_, port), requestor(port) as peer:
        await peer.send(pdu(A_ASSOCIATE_RQ, body))
        assert await peer.aborted() == BY_USER


async def test_a_proposal_of_1_mib_is_read_and_one_byte_more_is_not() -> None:
    limit = 1 << 20
    fixed = len(proposal(items=NAME + CONTEXT + USER)) - 6
    # Items of no known type are ignored (PS3.8 9.3.1).
    room = limit - fixed
    ignored = item(0x70, bytes(60000)) * (room // 60004)
    ignored += item(0x71, bytes(room - len(ignored) - 4))
    async with serving() as (_, port):
        async with requestor(port) as peer:
            assert results(await peer.associate(proposal(items=NAME + CONTEXT + ignored + USER))) == {1: 0}
            await peer.release()
        async with requestor(port) as peer:
            await peer.send(struct.pack(">BBI", A_ASSOCIATE_RQ, 0, limit + 1))
            assert await peer.aborted() == BY_USER


@pytest.mark.parametrize("version", [1, 3, 0x8001, 0xFFFF])
async def test_further_protocol_versions_do_no_harm(version: int) -> None:
    async with serving() as (_, port), requestor(port) as peer:
        answer = await peer.associate(proposal(version=version))
        assert answer[:2] == b"\0\1"
        await peer.release()


REJECTED = {
    "version 0": (proposal(version=0), (1, 2, 2)),
    "version 2": (proposal(version=2), (1, 2, 2)),
    "version FFFE": (proposal(version=0xFFFE), (1, 2, 2)),
    "application context": (proposal(application_context="1.2.840.10008.3.1.1.2"), (1, 1, 2)),
    "empty application context": (proposal(application_context=""), (1, 1, 2)),
}


@pytest.mark.parametrize(("sent", "expected"), REJECTED.values(), ids=REJECTED.keys())
async def test_what_cannot_be_served_is_rejected(sent: bytes, expected: tuple[int, int, int]) -> None:
    async with serving() as (server, port):
        async with requestor(port) as peer:
            await peer.send(sent)
            assert tuple(await peer.expect(A_ASSOCIATE_RJ)) == (0, *expected)
            peer.half_close()  # we close, the server does too (AR-5)
            assert await peer.ended() == b""
        assert server.counters.rejections == 1
        assert server.counters.associations == 0


async def test_the_called_ae_title_and_the_limit_reject() -> None:
    server = store_server(ae_title="STORE", max_associations=0)
    async with server.listen("127.0.0.1", 0) as listening:
        for called, expected in ((b"OTHER", (1, 1, 7)), (b"STORE", (2, 3, 2))):
            async with requestor(listening.port) as peer:
                sent = proposal()
                await peer.send(sent[:10] + called.ljust(16) + sent[26:])
                assert tuple(await peer.expect(A_ASSOCIATE_RJ)) == (0, *expected)


async def test_every_context_gets_its_result_in_order() -> None:
    contexts: list[Context] = [(2 * n + 1, (CT, "1.2.3", aiodicom.VERIFICATION)[n % 3], [IMPLICIT]) for n in range(128)]
    contexts.reverse()
    async with serving() as (_, port), requestor(port) as peer:
        found = results(await peer.associate(proposal(contexts)))
        assert list(found.items()) == [(context_id, 3 if uid == "1.2.3" else 0) for context_id, uid, _ in contexts]
        await peer.release()


async def test_hundreds_of_transfer_syntaxes() -> None:
    syntaxes = [f"1.2.3.{n}" for n in range(700)]
    support = aiodicom.Support({aiodicom.VERIFICATION: (IMPLICIT,), CT: ("1.2.3.699",)})
    async with serving(store_server(contexts=support)) as (_, port), requestor(port) as peer:
        contexts: list[Context] = [(1, CT, syntaxes), (3, CT, syntaxes[:-1])]
        answer = await peer.associate(proposal(contexts))
        assert results(answer) == {1: 0, 3: 4}
        assert item(0x40, b"1.2.3.699") in answer
        await peer.release()


@pytest.mark.parametrize("max_pdu", range(1, 8))
async def test_a_maximum_length_without_room_for_data_aborts(max_pdu: int) -> None:
    async with serving() as (_, port), requestor(port) as peer:
        await peer.send(proposal(max_pdu=max_pdu))
        assert await peer.aborted() == by_provider(6)


@pytest.mark.parametrize("max_pdu", [0, 8, 9, 0xFFFFFFFF])
async def test_any_other_maximum_length_is_kept_to(max_pdu: int) -> None:
    async with serving() as (_, port), requestor(port) as peer:
        await peer.associate(proposal(max_pdu=max_pdu))
        await peer.send(echo())
        received, flags = b"", 0
        while not flags & 2:
            body = await peer.expect(P_DATA_TF)
            assert len(body) <= max_pdu or not max_pdu
            received, flags = received + body[6:], body[5]
        assert status_of(received) == 0
        await peer.release()


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_stated_lengths_cost_no_memory() -> None:
    """200 peers that state 1 MiB each and 200 that state a data set fragment of 4 GiB, all at once."""
    server = store_server(max_pdu=0)
    async with serving(server) as (_, port):
        peers = []
        for n in range(400):
            context = requestor(port)
            peer = await context.__aenter__()
            peers.append((context, peer))
            if n % 2:
                await peer.associate()
        before = resident()
        for n, (_, peer) in enumerate(peers):
            if n % 2:
                await peer.send(b"\x04\0\xff\xff\xff\xff" + b"\xff\xff\xff\x00\x03\x01")
            else:
                await peer.send(struct.pack(">BBI", A_ASSOCIATE_RQ, 0, 1 << 20) + bytes(10))
        async with aiodicom.connect("127.0.0.1", port) as association:
            await association.c_echo()  # by then all that was sent before has been read
        assert resident() - before < 16 << 20
        for context, _ in peers:
            await context.__aexit__(None, None, None)
