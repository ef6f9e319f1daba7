"""Acceptors that stall: each timeout of the SCU, and each of them off."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationClosed, AssociationRejected, DeadlineExceeded
from aiodicom.net.loops import resources_of
from tests.net.hostile import CT, PATIENCE, limited, requestor, timeouts, until
from tests.net.sides import part10
from tests.rawpeer import A_ABORT, A_ASSOCIATE_RQ, A_RELEASE_RQ, IMPLICIT, Connection, RawPeer, pdu, response

SHORT = 0.1
#: More than the system's buffers of a loopback connection take.
SIZE = 16 << 20


def silent(peer: Connection) -> None:
    """Takes the proposal and says nothing."""
    peer.expect(A_ASSOCIATE_RQ)
    peer.stay_silent()


async def test_no_answer_to_the_proposal() -> None:
    with RawPeer(silent) as peer:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(DeadlineExceeded, match="A-ASSOCIATE-RQ") as failure:
                await aiodicom.connect("127.0.0.1", peer.port, timeouts=timeouts(acse=SHORT))
    assert failure.value.seconds == SHORT
    assert isinstance(failure.value, TimeoutError)


async def test_an_answer_that_trickles_in_does_not_put_the_timeout_off() -> None:
    def script(peer: Connection) -> None:
        peer.expect(A_ASSOCIATE_RQ)
        peer.send(b"\2\0\0\0\2\0")
        while not peer.ended.wait(SHORT / 4):
            peer.send(b"\0")

    with RawPeer(script) as peer:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(DeadlineExceeded):
                await aiodicom.connect("127.0.0.1", peer.port, timeouts=timeouts(acse=SHORT))


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port that completes no further TCP connection."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(10):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


async def test_no_connection() -> None:
    with full_backlog() as port:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(DeadlineExceeded, match=f"connection to 127.0.0.1 port {port}"):
                await aiodicom.connect("127.0.0.1", port, timeouts=timeouts(connect=SHORT))


async def test_without_a_connect_timeout_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []
    timeout = asyncio.timeout
    monkeypatch.setattr(asyncio, "timeout", lambda delay: asked.append(delay) or timeout(delay))
    with full_backlog() as port:
        connecting = asyncio.ensure_future(_awaited(aiodicom.connect("127.0.0.1", port, timeouts=timeouts())))
        while not asked:  # noqa: ASYNC110
            await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
    assert asked == [None]


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


async def test_no_response_ends_this_association_and_no_other() -> None:
    aborts: list[bytes] = []

    def script(peer: Connection) -> None:
        request = peer.accept()
        if request.calling_aet == "GOOD":
            peer.serve()
        else:
            peer.message()
            aborts.append(peer.expect(A_ABORT))

    with RawPeer(script) as peer:
        async with aiodicom.connect("127.0.0.1", peer.port, calling_aet="GOOD", timeouts=timeouts()) as good:
            bad = await aiodicom.connect("127.0.0.1", peer.port, timeouts=timeouts(dimse=SHORT))
            with pytest.raises(DeadlineExceeded, match="C-ECHO response") as failure:
                async with asyncio.timeout(PATIENCE):
                    await asyncio.gather(bad.c_echo(), *(good.c_echo() for _ in range(10)))
            assert failure.value.seconds == SHORT
            with pytest.raises(AssociationClosed):
                await bad.c_echo()
            assert (await good.c_echo()).status == 0
            await bad.wait_closed()
    assert aborts == [bytes(4)]


async def test_a_deadline_that_is_nearer_than_the_one_looked_at_is_met() -> None:
    """The idle timeout is far away when an operation begins whose timeout is short."""
    with RawPeer(lambda peer: (peer.accept(), peer.serve())) as peer:
        limits = timeouts(dimse=SHORT, idle=3600.0)
        async with aiodicom.connect("127.0.0.1", peer.port, timeouts=limits) as association:
            now = asyncio.get_running_loop().time()
            following = association.transport.on_timer(now)
            assert following is not None
            assert following <= now + SHORT


async def test_no_response_after_the_association_has_been_idle() -> None:
    started = threading.Event()

    def script(peer: Connection) -> None:
        peer.accept()
        request = peer.message()
        assert request is not None
        peer.send(response(request))
        started.wait(10 * SHORT)
        peer.stay_silent()

    with RawPeer(script) as peer:
        limits = timeouts(dimse=SHORT, idle=3600.0, artim=SHORT)
        association = await aiodicom.connect("127.0.0.1", peer.port, timeouts=limits)
        await association.c_echo()
        loop = asyncio.get_running_loop()
        later = loop.create_future()
        loop.call_later(2 * SHORT, later.set_result, None)  # until the wheel has looked at it once
        await later
        with pytest.raises(DeadlineExceeded):
            async with asyncio.timeout(10 * SHORT):
                await association.c_echo()
        started.set()
        await association.wait_closed()


@pytest.mark.parametrize("kind", ["bytes", "file"])
async def test_an_acceptor_that_takes_no_data(kind: str, tmp_path: Path) -> None:
    source: Any = part10(bytes(SIZE))
    if kind == "file":
        (tmp_path / "file.dcm").write_bytes(source)
        source = tmp_path / "file.dcm"

    def script(peer: Connection) -> None:
        peer.accept()
        peer.ended.wait(PATIENCE)

    with RawPeer(script) as peer:
        limits = timeouts(dimse=SHORT)
        association = await aiodicom.connect("127.0.0.1", peer.port, contexts=[(CT, [IMPLICIT])], timeouts=limits)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(DeadlineExceeded, match="progress in sending"):
                await association.c_store(source)
            await association.wait_closed()


async def test_no_answer_to_the_release() -> None:
    aborts: list[bytes] = []

    def script(peer: Connection) -> None:
        peer.accept()
        peer.expect(A_RELEASE_RQ)
        aborts.append(peer.expect(A_ABORT))

    with RawPeer(script) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port, timeouts=timeouts(acse=SHORT))
        with pytest.raises(DeadlineExceeded, match="A-RELEASE-RQ"):
            async with asyncio.timeout(PATIENCE):
                await association.release()
    assert aborts == [bytes(4)]


async def test_an_acceptor_that_never_closes() -> None:
    """After its rejection, and after our abort: the requestor closes."""

    def script(peer: Connection) -> None:
        if peer.expect(A_ASSOCIATE_RQ)[20:24] == b"BAD ":
            peer.send(pdu(3, bytes((0, 1, 1, 3))))
            peer.socket.recv(1)
        peer.stay_silent()

    with RawPeer(script) as peer:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(AssociationRejected):
                await aiodicom.connect("127.0.0.1", peer.port, calling_aet="BAD", timeouts=timeouts())

    with RawPeer(lambda peer: (peer.accept(), peer.expect(A_ABORT), peer.ended.wait(PATIENCE))) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port, timeouts=timeouts(artim=SHORT))
        association.abort()
        async with asyncio.timeout(1.0):
            await association.wait_closed()


async def test_an_idle_requestor_ends_when_it_is_to() -> None:
    with RawPeer(lambda peer: (peer.accept(), peer.stay_silent())) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port, timeouts=timeouts(idle=SHORT, artim=SHORT))
        async with asyncio.timeout(PATIENCE):
            await association.wait_closed()
        with pytest.raises(DeadlineExceeded):
            await association.release()


async def test_without_timeouts_nothing_is_scheduled() -> None:
    """In every state in which one of the timeouts would hold, on both sides."""
    wheel = resources_of(asyncio.get_running_loop()).wheel
    may_answer = asyncio.Event()
    server = limited()

    @server.on_c_echo
    async def wait(_: aiodicom.EchoRequest) -> None:
        await may_answer.wait()

    async with server.listen("127.0.0.1", 0) as listening:
        async with requestor(listening.port) as peer:
            await until(lambda: bool(server.associations))
            (waiting,) = server.associations
            assert waiting.transport.protocol.next_deadline() is None
            assert wheel._timer is None
            peer.writer.close()
            await until(lambda: not server.associations)
        association = await aiodicom.connect("127.0.0.1", listening.port, timeouts=timeouts())
        protocols = [each.transport.protocol for each in (association, *server.associations)]
        echo = asyncio.create_task(association.c_echo())
        await until(lambda: server.counters.operations == 0 and len(protocols[1].performing) == 1)
        for protocol in protocols:
            assert protocol.next_deadline() is None
            protocol.blocked_since = 0.0
            assert protocol.next_deadline() is None
            protocol.blocked_since = None
            assert protocol.handle_timer(1e12) is None
        assert wheel._timer is None
        may_answer.set()
        await echo
        releasing = asyncio.create_task(association.release())
        await asyncio.sleep(0)
        assert protocols[0].next_deadline() is None
        assert wheel._timer is None
        await releasing
