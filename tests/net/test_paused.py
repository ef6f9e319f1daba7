"""A peer that is not read, because a handler is slow or hangs: it may still leave, and it is not kept for ever."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import aiodicom
from aiodicom.dimse.command import encode_command
from aiodicom.dimse.messages import CCancelRQ, CFindRQ
from aiodicom.errors import AssociationClosed, DeadlineExceeded
from aiodicom.ul._pdu import Receiver
from tests.net.hostile import CT, IMPLICIT, PATIENCE, Requestor, echo, pdv, proposal, requestor, store_command, until
from tests.rawpeer import A_ABORT, P_DATA_TF, pdu

STORE = pdu(P_DATA_TF, pdv(3, 3, store_command()))
#: A data set's fragment of 16,000 bytes, the last of which look like an A-ABORT.
FRAGMENT = pdu(P_DATA_TF, pdv(3, 0, bytes(15_990) + pdu(A_ABORT, bytes(4))))
ABORT = pdu(A_ABORT, bytes(4))


@asynccontextmanager
async def held_up(timeouts: aiodicom.Timeouts | None = None) -> AsyncIterator[tuple[aiodicom.Server, Requestor]]:
    """A requestor in the middle of a data set that its handler takes nothing of."""
    server = aiodicom.Server(timeouts=timeouts or aiodicom.Timeouts())
    cancelled = asyncio.Event()

    @server.on_c_store(body=aiodicom.Streamed(high=1))
    async def hang(request: aiodicom.StoreRequest) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    async with server.listen("127.0.0.1", 0) as listening, requestor(listening.port) as peer:
        await peer.associate(proposal())
        await peer.send(STORE + FRAGMENT)
        (association,) = server.associations
        await until(lambda: association.transport.protocol.paused_since is not None)
        yield server, peer
        await until(lambda: not server.associations)
        assert cancelled.is_set()
        assert server.counters.aborts == 1


async def test_an_abort_is_noticed() -> None:
    async with held_up() as (_, peer):
        await peer.send(FRAGMENT + ABORT)


async def test_an_abort_is_noticed_behind_what_comes_later() -> None:
    async with held_up() as (_, peer):
        await peer.send(FRAGMENT * 2)
        await asyncio.sleep(0)
        await peer.send(FRAGMENT + ABORT)


async def test_a_close_is_noticed() -> None:
    async with held_up() as (_, peer):
        await peer.send(FRAGMENT)
        peer.writer.close()


async def test_a_reset_is_noticed() -> None:
    async with held_up() as (_, peer):
        with socket.socket(fileno=socket.dup(peer.socket.fileno())) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.writer.transport.abort()


async def test_a_handler_that_hangs_is_given_up() -> None:
    async with held_up(aiodicom.Timeouts(paused=0.1, artim=0.1)) as (_, peer):
        await peer.send(FRAGMENT)


async def test_a_request_behind_a_handler_that_hangs_waits_for_a_limited_time() -> None:
    server = aiodicom.Server(timeouts=aiodicom.Timeouts(paused=0.1, artim=0.1))
    server.on_c_echo(wait_for_ever)
    async with server.listen("127.0.0.1", 0) as listening, requestor(listening.port) as peer:
        await peer.associate()
        (association,) = server.associations
        await peer.send(echo(1) + echo(2))
        await until(lambda: not server.associations)
        with pytest.raises(AssociationClosed) as closed:
            await association.c_echo()
        assert isinstance(closed.value.__cause__, DeadlineExceeded)
        assert str(closed.value.__cause__) == "no progress of a handler within 0.1 s"


async def test_a_handler_that_hangs_with_nobody_behind_it_is_left_alone() -> None:
    server = aiodicom.Server(timeouts=aiodicom.Timeouts(paused=0.1, idle=0.1))
    begun = asyncio.Event()

    @server.on_c_echo
    async def hang(_request: aiodicom.EchoRequest) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    async with server.listen("127.0.0.1", 0) as listening, requestor(listening.port) as peer:
        await peer.associate()
        await peer.send(echo(1))
        await begun.wait()
        (association,) = server.associations
        assert association.transport.protocol.next_deadline() is None


def archive(data: bytes = b"") -> aiodicom.Server:
    """Has three objects."""
    server = aiodicom.Server()

    @server.on_c_get
    async def get(request: aiodicom.GetRequest) -> AsyncIterator[aiodicom.SubOperation]:
        for number in range(3):
            yield aiodicom.SubOperation(data, CT, f"1.2.{number}", IMPLICIT)

    return server


async def test_an_object_in_hand_holds_the_peer_up_for_a_limited_time() -> None:
    server = archive()
    model = aiodicom.StudyRoot.get
    assert model is not None
    async with server.listen("127.0.0.1", 0) as listening:
        association = await aiodicom.connect(
            "127.0.0.1",
            listening.port,
            contexts=[model],
            receives=[(CT, [IMPLICIT])],
            timeouts=aiodicom.Timeouts(paused=0.1),
        )
        retrieved = association.c_get(aiodicom.Dataset(QueryRetrieveLevel="STUDY"))
        await anext(retrieved)
        protocol = association.transport.protocol
        taken = protocol.held_since
        assert taken is not None
        protocol.held_since = taken - 1
        await anext(retrieved)
        assert protocol.held_since >= taken
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(DeadlineExceeded, match="no answer of ours to an object of a C-GET"):
                await association.release()
            with pytest.raises(DeadlineExceeded):
                await anext(retrieved)


async def test_an_object_that_is_streamed_is_in_hand_once_it_has_come() -> None:
    server = archive(b"x" * 100_000)
    model = aiodicom.StudyRoot.get
    assert model is not None
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[model], receives=[(CT, [IMPLICIT])]) as association,
    ):
        query = aiodicom.Dataset(QueryRetrieveLevel="STUDY")
        async with association.c_get(query, body=aiodicom.Streamed(high=1)) as retrieved:
            each = await anext(retrieved)
            protocol = association.transport.protocol
            began = protocol.held_since
            assert began is not None
            protocol.held_since = began - 1
            assert sum([len(fragment) async for fragment in each]) == 100_000
            await each.completed()
            await until(lambda: protocol.held_since is not None and protocol.held_since >= began)


async def test_objects_that_are_taken_or_left_hold_nobody_up() -> None:
    server = archive()
    model = aiodicom.StudyRoot.get
    assert model is not None
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[model], receives=[(CT, [IMPLICIT])]) as association,
    ):
        query = aiodicom.Dataset(QueryRetrieveLevel="STUDY")
        assert len([each async for each in association.c_get(query)]) == 3
        assert association.transport.protocol.held_since is None
        async with association.c_get(query) as retrieved:
            await anext(retrieved)
        assert association.transport.protocol.held_since is None


async def test_a_unix_socket_that_closes_is_noticed(tmp_path: Path) -> None:
    server = aiodicom.Server()
    server.on_c_echo(wait_for_ever)
    path = str(tmp_path / "socket")
    async with server.listen(path=path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(proposal())
        await reader.readexactly(6)
        writer.write(echo(1) + echo(2))
        await until(lambda: any(each.transport.protocol.paused_since is not None for each in server.associations))
        writer.close()
        await until(lambda: not server.associations)


async def wait_for_ever(_request: aiodicom.EchoRequest) -> None:
    await asyncio.sleep(PATIENCE * 2)


# ---- looking ahead


@pytest.mark.parametrize("received", [*range(16), 8_000, *range(len(FRAGMENT) - 12, len(FRAGMENT))])
def test_an_abort_is_seen_from_wherever_reading_has_stopped(received: int) -> None:
    receiver = receiver_in_a_data_set()
    receiver.receive(FRAGMENT, received)
    assert receiver.next_event() is None
    ahead = FRAGMENT[received:] + FRAGMENT + ABORT
    assert receiver.announces_abort(ahead)
    assert receiver.announces_abort(ahead[:-4])
    assert not receiver.announces_abort(ahead[: -len(ABORT)])
    assert not receiver.announces_abort(b"")


@pytest.mark.parametrize("received", range(6))
def test_an_abort_whose_beginning_has_been_read_is_seen(received: int) -> None:
    receiver = receiver_in_a_data_set()
    receiver.receive(FRAGMENT + ABORT, len(FRAGMENT) + received)
    assert receiver.next_event() is None
    assert receiver.announces_abort(ABORT[received:])


class Nowhere:
    def write(self, view: memoryview) -> None:
        pass

    def finish(self) -> None:
        pass

    def abandon(self) -> None:
        pass


def receiver_in_a_data_set() -> Receiver:
    from aiodicom.dimse.command import decode_command

    receiver = Receiver(decode_command, lambda _context_id, _message: Nowhere(), 0)
    receiver.accept_contexts([3])
    receiver.allows_data = True
    receiver.receive(STORE, len(STORE))
    assert receiver.next_event() is None
    return receiver


@pytest.mark.parametrize("received", range(6))
def test_a_command_is_seen_from_wherever_reading_has_stopped(received: int) -> None:
    receiver = receiver_in_a_data_set()
    cancel = pdu(P_DATA_TF, pdv(3, 3, encode_command(CCancelRQ(7))))
    receiver.receive(FRAGMENT + cancel, len(FRAGMENT) + received)
    assert receiver.next_event() is None
    ahead = (FRAGMENT + cancel)[len(FRAGMENT) + received :]
    assert receiver.commands_announced(ahead + FRAGMENT + STORE + cancel[:-1])[0] == CCancelRQ(7)
    assert len(receiver.commands_announced(ahead + FRAGMENT + STORE + cancel[:-1])) == 2
    for end in range(len(ahead)):
        assert receiver.commands_announced(ahead[:end]) == []
    for lie in range(12):  # lengths that lie, and garbage in place of a command
        receiver.commands_announced(ahead[:lie] + b"\xff" + ahead[lie + 1 :])


async def test_a_c_cancel_is_noticed_behind_what_is_not_read() -> None:
    server = aiodicom.Server()
    cancelled = asyncio.Event()

    @server.on_c_find
    async def hang(request: aiodicom.FindRequest) -> AsyncIterator[aiodicom.Dataset]:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()
        yield aiodicom.Dataset()

    find = aiodicom.StudyRoot.find
    assert find is not None
    async with server.listen("127.0.0.1", 0) as listening, requestor(listening.port) as peer:
        await peer.associate(proposal([(1, find, [IMPLICIT])]))
        query = pdu(P_DATA_TF, pdv(1, 3, encode_command(CFindRQ(1, find))) + pdv(1, 2, b""))
        another = pdu(P_DATA_TF, pdv(1, 3, encode_command(CFindRQ(2, find))) + pdv(1, 2, b""))
        await peer.send(query + another)
        (association,) = server.associations
        await until(lambda: association.transport.protocol.paused_since is not None)
        await peer.send(pdu(P_DATA_TF, pdv(1, 3, encode_command(CCancelRQ(1)))))
        async with asyncio.timeout(PATIENCE):
            await cancelled.wait()
        association.abort()
