"""Requestors that stall, reset, half-close, never read, never close: what the server does when its time is over."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest

import aiodicom
from aiodicom.ul.table import State
from tests.net.hostile import (
    BY_USER,
    PATIENCE,
    Requestor,
    echo,
    limited,
    pdv,
    proposal,
    requestor,
    serving,
    status_of,
    store_command,
    until,
)
from tests.rawpeer import (
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    P_DATA_TF,
    pdu,
)

SHORT = 0.08
STORE_BEGUN = pdu(P_DATA_TF, pdv(3, 3, store_command())) + pdu(P_DATA_TF, pdv(3, 0, b"data"))
ECHO = echo()
PARTS = {
    "a byte of a header": ECHO[:1],
    "a header": ECHO[:6],
    "a PDV's header": ECHO[:12],
    "a PDU but for a byte": ECHO[:-1],
    "a command set": pdu(P_DATA_TF, pdv(3, 1, store_command()[:30])),
    "a data set": STORE_BEGUN,
    "a data set's fragment": STORE_BEGUN + pdu(P_DATA_TF, pdv(3, 2, bytes(1000)))[:500],
    "a second proposal": proposal()[:50],
    "nothing": b"",
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())
async def test_a_peer_that_stalls_is_aborted_when_idle_and_closed_by_artim(part: bytes) -> None:
    async with serving(limited(idle=SHORT, artim=SHORT)) as (server, port), requestor(port) as peer:
        await peer.associate()
        await peer.send(part)
        assert await peer.aborted() == BY_USER
        assert server.counters.aborts == 1
        assert await peer.ended() == b""  # although we have not closed


async def test_the_sink_of_a_data_set_that_stalls_is_abandoned() -> None:
    calls: list[str] = []

    class Sink:
        def write(self, view: memoryview) -> None:
            calls.append(bytes(view).decode())

        def finish(self) -> None:
            calls.append("finish")

        def abandon(self) -> None:
            calls.append("abandon")

    server = aiodicom.Server(timeouts=aiodicom.Timeouts(idle=SHORT, artim=SHORT))
    server.on_c_store(lambda _: None, body=lambda _: Sink())
    async with serving(server) as (_, port), requestor(port) as peer:
        await peer.associate()
        await peer.send(STORE_BEGUN)
        assert await peer.aborted() == BY_USER
    assert calls == ["data", "abandon"]


@pytest.mark.parametrize("part", [b"", b"\x01", proposal()[:6], proposal()[:-1]], ids=len)
async def test_a_peer_without_a_proposal_is_closed_by_artim(part: bytes) -> None:
    async with serving(limited(artim=SHORT)) as (_, port), requestor(port) as peer:
        await peer.send(part)
        assert await peer.ended() == b""  # AA-2: without a word


async def test_artim_is_not_put_off_by_a_trickle() -> None:
    async with serving(limited(artim=SHORT, idle=60.0)) as (_, port), requestor(port) as peer:

        async def trickle() -> None:
            for byte in proposal()[:-1]:
                await peer.send(bytes((byte,)))
                await asyncio.sleep(SHORT / 4)  # that is what it tests: bytes that keep coming

        async with asyncio.timeout(PATIENCE):
            trickling = asyncio.create_task(trickle())
            assert await peer.ended() == b""
            assert not trickling.done()
            trickling.cancel()


async def rejected(peer: Requestor) -> None:
    await peer.send(proposal(version=2))
    await peer.expect(A_ASSOCIATE_RJ)


async def aborted(peer: Requestor) -> None:
    await peer.associate()
    await peer.send(b"GET / HTTP/1.1\r\n\r\n")
    assert await peer.aborted() == (2, 1)


async def aborted_at_once(peer: Requestor) -> None:
    await peer.send(b"GET / HTTP/1.1\r\n\r\n")
    assert await peer.aborted() == BY_USER


async def released(peer: Requestor) -> None:
    await peer.associate()
    await peer.release()


@pytest.mark.parametrize("end", [rejected, aborted, aborted_at_once, released])
async def test_a_peer_that_never_closes_is_closed_by_artim(end: Callable[[Requestor], object]) -> None:
    async with serving(limited(artim=SHORT)) as (server, port), requestor(port) as peer:
        await end(peer)  # type: ignore[misc]
        (association,) = server.associations
        assert association.state is State.Sta13
        await peer.send(echo() + b"garbage")  # does not begin anything anew
        assert await peer.ended() == b""


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
@pytest.mark.parametrize("part", [None, *PARTS.values()], ids=["no proposal", *PARTS.keys()])
async def test_a_peer_that_goes_away_leaves_nothing(part: bytes | None, how: str) -> None:
    async with serving(limited()) as (server, port), requestor(port) as peer:
        if part is not None:
            await peer.associate()
            await peer.send(part)
        else:
            await until(lambda: bool(server.associations))
        if how == "close":
            peer.writer.close()
        elif how == "reset":
            peer.reset()
        else:
            peer.half_close()
            assert await peer.ended() == b""  # it can't be served any more: the server closes its side, too
        await until(lambda: not server.associations)
        assert server.counters.aborts == (part is not None)


async def test_a_half_closed_peer_has_its_answers_first() -> None:
    async with serving(limited()) as (_, port), requestor(port) as peer:
        await peer.associate()
        await peer.send(echo(1) + echo(2))
        peer.half_close()
        assert [status_of(await peer.expect(P_DATA_TF)) for _ in range(2)] == [0, 0]
        assert await peer.ended() == b""


def small_buffers() -> socket.socket:
    """A listening socket whose connections take little before they block."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind(("127.0.0.1", 0))
    return sock


async def test_a_peer_that_takes_no_answers_is_read_no_further_until_it_does() -> None:
    count = 40_000
    server = limited()
    async with server.listen(sock=small_buffers()) as listening, requestor(listening.port) as peer:
        await peer.associate()
        (association,) = server.associations
        sending = asyncio.create_task(peer.send(b"".join(echo(n % 65000 + 1) for n in range(count))))
        await until(lambda: association.transport.protocol.paused_since is not None)
        answered = server.counters.operations
        assert answered < count // 2
        # Whatever the peer sends now, no answer more is held for it.
        for _ in range(20):
            await asyncio.sleep(0)
        assert server.counters.operations == answered
        for _ in range(count):
            assert status_of(await peer.expect(P_DATA_TF)) == 0
        await sending
        assert server.counters.operations == count
        await peer.release()


async def test_a_peer_that_never_takes_answers_is_given_up() -> None:
    server = limited(dimse=SHORT)
    async with server.listen(sock=small_buffers()) as listening:
        async with requestor(listening.port) as peer:
            await peer.associate()
            sending = asyncio.create_task(peer.send(b"".join(echo(n % 65000 + 1) for n in range(40_000))))
            await until(lambda: not server.associations)
            await sending
        assert server.counters.aborts == 1
        async with aiodicom.connect("127.0.0.1", listening.port) as association:
            assert (await association.c_echo()).status == 0


async def test_a_little_that_a_peer_does_not_take_keeps_no_connection() -> None:
    """Less than what counts as blocked is unsent when ARTIM has run out: the close may not wait for it."""
    server = limited(idle=SHORT, artim=SHORT)
    async with server.listen(sock=small_buffers()) as listening, requestor(listening.port) as peer:
        await peer.associate()
        (association,) = server.associations
        count = 0
        while not association.transport.connection.get_write_buffer_size():
            count += 100
            await peer.send(b"".join(echo(n) for n in range(1, 101)))
            await until(lambda: server.counters.operations == count)  # noqa: B023
        assert association.transport.protocol.blocked_since is None
        await until(lambda: not server.associations)


async def test_load_balancer_probes_leave_nothing() -> None:
    async with serving(limited()) as (server, port):
        address = ("127.0.0.1", port)
        for n in range(400):
            with socket.create_connection(address) as probe:
                if n % 2:  # some close with a reset
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if n % 20 == 0:
                await asyncio.sleep(0)
        await until(lambda: not server.associations)
        assert server.counters == aiodicom.Counters()
        assert server.places.take()
        server.places.give()


async def test_a_release_collision_of_the_acceptor() -> None:
    """The server drains while the requestor releases: the requestor answers first, then the acceptor does."""
    server = limited()
    async with server.listen("127.0.0.1", 0) as listening, requestor(listening.port) as peer:
        await peer.associate()
        draining = asyncio.create_task(server.drain(PATIENCE))
        await peer.expect(A_RELEASE_RQ)
        await peer.send(pdu(A_RELEASE_RQ, bytes(4)))
        await peer.send(pdu(A_RELEASE_RP, bytes(4)))
        await peer.expect(A_RELEASE_RP)
        peer.writer.close()
        async with asyncio.timeout(PATIENCE):
            await draining
        assert server.counters.aborts == 0
