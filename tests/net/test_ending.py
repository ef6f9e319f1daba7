"""How associations and servers end: release, abort, cancellation, drain, close."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import (
    AssociationAborted,
    AssociationClosed,
    ConnectFailed,
    ConnectionLost,
)
from aiodicom.ul.pdu import Abort, ReleaseRP, ReleaseRQ
from tests.net.sides import CT_UIDS, DATA, LARGE, Requestor, connect, echo, fragments, soon, store_command, until
from tests.rawpeer import A_RELEASE_RP, A_RELEASE_RQ, P_DATA_TF, Connection, RawPeer, pdu, response


class Held:
    """A handler of C-ECHO that answers when it may."""

    def __init__(self, server: aiodicom.Server) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.cancelled = 0
        self.count = 0
        server.on_c_echo(self)

    async def __call__(self, request: aiodicom.EchoRequest) -> None:
        self.count += 1
        self.asked.set()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


# ---- cancellation


async def test_cancelled_before_its_turn_nothing_is_sent() -> None:
    server = aiodicom.Server()
    held = Held(server)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        first = asyncio.create_task(association.c_echo())
        second = asyncio.create_task(association.c_echo())
        await soon(held.asked.wait())
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        held.may_answer.set()
        await soon(first)
        await association.c_echo()
    assert held.count == 2


async def test_cancelled_while_waiting_for_the_response_the_association_stays() -> None:
    server = aiodicom.Server()
    held = Held(server)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        first = asyncio.create_task(association.c_echo())
        await soon(held.asked.wait())
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert association.is_open
        # Its turn is taken until the late response comes, which is then dropped.
        second = asyncio.create_task(association.c_echo())
        await asyncio.sleep(0)
        assert held.count == 1
        held.may_answer.set()
        assert (await soon(second)).message_id_being_responded_to == 2
    assert server.counters.aborts == 0


async def test_cancelled_during_the_data_set_the_association_is_aborted() -> None:
    server = aiodicom.Server()
    lost: list[BaseException] = []

    @server.on_c_store(body=aiodicom.Streamed(high=10_000))
    async def take(request: aiodicom.StoreRequest) -> None:
        await until(lambda: lost or sending.cancelled())
        try:
            async for _ in request:
                pass
        except BaseException as error:
            lost.append(error)
            raise

    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        sending = asyncio.create_task(association.c_store(LARGE * 8, **CT_UIDS))
        await until(lambda: association._protocol.blocked_since is not None)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert not association.is_open
        with pytest.raises(AssociationClosed, match="aborted on this side"):
            await association.c_echo()
        await soon(association.wait_closed())
        await until(lambda: lost)


# ---- the end of an association


async def test_leaving_by_an_exception_aborts() -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0) as listening:
        with pytest.raises(ZeroDivisionError):
            async with connect(listening.port) as association:
                raise ZeroDivisionError
        assert association.transport.is_closed
        await until(lambda: not server.associations)
    assert server.counters.aborts == 1


async def test_release_waits_for_the_operations_in_flight() -> None:
    server = aiodicom.Server()
    held = Held(server)
    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        callers = [asyncio.create_task(association.c_echo()) for _ in range(3)]
        await soon(held.asked.wait())
        releases = [asyncio.create_task(association.release()) for _ in range(2)]
        await asyncio.sleep(0)
        assert association.is_open
        held.may_answer.set()
        await soon(asyncio.gather(*releases))
        assert [caller.result().status for caller in callers] == [0, 0, 0]
        await association.release()
    assert server.counters.aborts == 0


async def test_operations_after_the_end_say_why() -> None:
    async with aiodicom.Server().listen("127.0.0.1", 0) as listening:
        released = await connect(listening.port)
        await released.release()
        await released.release()
        aborted = await connect(listening.port)
        aborted.abort()
        aborted.abort()
        await aborted.wait_closed()
        await aborted.wait_closed()
        await aborted.release()
        for association, why in ((released, "it was released"), (aborted, "aborted on this side")):
            for operation in (association.c_echo, lambda each=association: each.c_store(DATA, **CT_UIDS)):
                with pytest.raises(AssociationClosed, match=why):
                    await operation()
            association.abort()


@pytest.mark.parametrize(("how", "error"), [("abort", AssociationAborted), ("close", ConnectionLost)])
async def test_the_end_that_the_peer_makes_is_told(how: str, error: type[Exception]) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        peer.message()
        if how == "abort":
            peer.send(pdu(7, bytes((0, 0, 2, 1))))

    async def main(port: int) -> None:
        association = await connect(port)
        with pytest.raises(error) as ended:
            await soon(association.c_echo())
        with pytest.raises(error):
            await association.release()
        with pytest.raises(AssociationClosed) as closed:
            await association.c_echo()
        assert closed.value.__cause__ is ended.value
        await association.wait_closed()

    with RawPeer(script) as peer:
        await main(peer.port)


async def test_a_release_that_the_peer_asks_for_amid_our_data_set() -> None:
    answered = False

    def script(peer: Connection) -> None:
        nonlocal answered
        peer.accept()
        assert peer.receive_pdu()[0] == P_DATA_TF
        peer.send(pdu(A_RELEASE_RQ, bytes(4)))
        while (received := peer.receive_pdu()[0]) == P_DATA_TF:
            pass
        assert received == A_RELEASE_RP
        answered = True

    async def main(port: int) -> None:
        association = await connect(port)
        with pytest.raises(ConnectionLost, match="the peer released the association before it had answered"):
            await soon(association.c_store(LARGE * 8, **CT_UIDS))
        await soon(association.wait_closed())

    with RawPeer(script) as peer:
        await main(peer.port)
    assert answered


async def test_a_release_that_the_peer_asks_for_in_place_of_an_answer() -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        peer.message()
        peer.send(pdu(A_RELEASE_RQ, bytes(4)))
        assert peer.receive_pdu()[0] == A_RELEASE_RP

    async def main(port: int) -> None:
        association = await connect(port)
        sent, waiting = (asyncio.create_task(association.c_echo()) for _ in range(2))
        with pytest.raises(ConnectionLost, match="the peer released the association before it had answered"):
            await soon(sent)
        # Of these nothing was sent.
        for operation in (waiting, association.c_echo()):
            with pytest.raises(AssociationClosed, match="it was released"):
                await soon(operation)
        await soon(association.release())

    with RawPeer(script) as peer:
        await main(peer.port)


async def test_a_cancelled_release_aborts() -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        assert peer.receive_pdu()[0] == A_RELEASE_RQ
        peer.stay_silent()

    async def main(port: int) -> None:
        association = await connect(port)
        release = asyncio.create_task(association.release())
        await until(lambda: not association.is_open)
        release.cancel()
        with pytest.raises(asyncio.CancelledError):
            await release
        association.transport.close_now()
        await soon(association.wait_closed())

    with RawPeer(script) as peer:
        await main(peer.port)


async def test_a_response_to_a_cancelled_operation_before_the_release() -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        request = peer.message()
        assert request is not None
        cancelled.wait(10)
        peer.send(response(request))
        assert peer.message() is None

    cancelled = threading.Event()

    async def main(port: int) -> None:
        async with connect(port) as association:
            echoing = asyncio.create_task(association.c_echo())
            await until(lambda: association.outstanding)
            await asyncio.sleep(0)
            echoing.cancel()
            cancelled.set()

    with RawPeer(script) as peer:
        await main(peer.port)


# ---- the end of a server


async def test_drain_waits_for_what_runs_and_releases_the_idle() -> None:
    server = aiodicom.Server()
    held = Held(server)
    listening = await server.listen("127.0.0.1", 0)
    busy = await Requestor.connect(listening.port)
    idle = await Requestor.connect(listening.port)
    await busy.pdu()
    await idle.pdu()
    busy.send(echo(7))
    await soon(held.asked.wait())
    draining = asyncio.create_task(server.drain())
    assert isinstance(await idle.pdu(), ReleaseRQ)
    with pytest.raises((ConnectionError, EOFError)):
        await (await Requestor.connect(listening.port)).pdu()
    with pytest.raises((ConnectFailed, ConnectionLost)):
        await connect(listening.port)
    idle.send(b"\x06\0\0\0\0\4\0\0\0\0")
    assert not draining.done()
    held.may_answer.set()
    answer: Any = await busy.message()
    assert answer.message_id_being_responded_to == 7
    assert isinstance(await busy.pdu(), ReleaseRQ)
    busy.send(b"\x06\0\0\0\0\4\0\0\0\0")
    await busy.close()
    await idle.close()
    await soon(draining)
    assert server.counters.aborts == 0
    assert not server.associations


async def test_drain_waits_for_an_object_that_is_arriving() -> None:
    server = aiodicom.Server()
    stored: list[bytes] = []
    server.on_c_store(lambda request: stored.append(bytes(request.data)))
    listening = await server.listen("127.0.0.1", 0)
    async with await Requestor.connect(listening.port) as requestor:
        await requestor.pdu()
        requestor.send(store_command(), fragments(DATA, last=False))
        (association,) = server.associations
        protocol: Any = association._protocol
        await until(lambda: protocol.receiver.is_incomplete)
        draining = asyncio.create_task(server.drain())
        await asyncio.sleep(0)
        requestor.send(fragments(DATA))
        await requestor.message()
        assert isinstance(await requestor.pdu(), ReleaseRQ)
        requestor.send(b"\x06\0\0\0\0\4\0\0\0\0")
    await soon(draining)
    assert stored == [DATA * 2]


async def test_drain_waits_for_a_refused_object_that_is_arriving() -> None:
    server = aiodicom.Server()
    server.on_c_store(lambda request: None)
    listening = await server.listen("127.0.0.1", 0)
    async with await Requestor.connect(listening.port) as requestor:
        await requestor.pdu()
        requestor.send(store_command(instance=".."), fragments(DATA, last=False))
        (association,) = server.associations
        protocol: Any = association._protocol
        await until(lambda: protocol.receiver.is_incomplete)
        draining = asyncio.create_task(server.drain(None))
        await asyncio.sleep(0)
        requestor.send(fragments(DATA))
        assert (await requestor.message()).status == aiodicom.Status.INVALID_SOP_INSTANCE
        assert isinstance(await requestor.pdu(), ReleaseRQ)
        requestor.send(b"\x06\0\0\0\0\4\0\0\0\0")
    await soon(draining)


async def test_drain_aborts_after_its_timeout() -> None:
    server = aiodicom.Server()
    held = Held(server)
    listening = await server.listen("127.0.0.1", 0)
    association = await connect(listening.port)
    echoing = asyncio.create_task(association.c_echo())
    await soon(held.asked.wait())
    await soon(server.drain(0.01))
    with pytest.raises((AssociationAborted, ConnectionLost)):
        await soon(echoing)
    await association.wait_closed()
    assert held.cancelled == 1
    assert not server.associations


async def test_close_while_draining_ends_both() -> None:
    server = aiodicom.Server()
    held = Held(server)
    listening = await server.listen("127.0.0.1", 0)
    association = await connect(listening.port)
    echoing = asyncio.create_task(association.c_echo())
    await soon(held.asked.wait())
    draining = [asyncio.create_task(server.drain(None)) for _ in range(2)]
    await asyncio.sleep(0)
    await soon(server.close())
    await soon(asyncio.gather(*draining))
    with pytest.raises((AssociationAborted, ConnectionLost)):
        await soon(echoing)
    await association.wait_closed()


async def test_a_cancelled_drain_aborts_at_once() -> None:
    server = aiodicom.Server()
    held = Held(server)
    listening = await server.listen("127.0.0.1", 0)
    association = await connect(listening.port)
    echoing = asyncio.create_task(association.c_echo())
    await soon(held.asked.wait())
    draining = asyncio.create_task(server.drain(None))
    await asyncio.sleep(0)
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(draining)
    assert not server.associations
    with pytest.raises((AssociationAborted, ConnectionLost)):
        await soon(echoing)
    await association.wait_closed()


async def test_close_aborts_and_can_be_repeated() -> None:
    server = aiodicom.Server()
    await server.close()
    for _ in range(2):
        listening = await server.listen("127.0.0.1", 0)
        requestor = await Requestor.connect(listening.port)
        await requestor.pdu()
        silent = await asyncio.open_connection("127.0.0.1", listening.port)
        await until(lambda: len(server.associations) == 2)
        await soon(server.close())
        assert not server.associations
        with pytest.raises((EOFError, ConnectionError, AssertionError)):
            assert not isinstance(await requestor.pdu(), Abort)
        await requestor.close()
        silent[1].close()
        await server.close()
        with pytest.raises(ConnectFailed):
            await connect(listening.port)
    assert server.counters.aborts == 2


async def test_what_the_peer_asks_after_our_release_request_is_not_answered() -> None:
    server = aiodicom.Server()
    held = Held(server)
    listening = await server.listen("127.0.0.1", 0)
    async with await Requestor.connect(listening.port) as requestor:
        await requestor.pdu()
        draining = asyncio.create_task(server.drain())
        assert isinstance(await requestor.pdu(), ReleaseRQ)
        requestor.send(echo(), b"\x05\0\0\0\0\4\0\0\0\0")  # and a collision (PS3.8 7.2.2.7)
        requestor.send(b"\x06\0\0\0\0\4\0\0\0\0")
        assert isinstance(await requestor.pdu(), ReleaseRP)
    await soon(draining)
    assert held.count == 0
    assert server.counters.aborts == 0
