"""C-FIND whose matches are counted and not kept."""

from __future__ import annotations

import asyncio

import pytest

import aiodicom
from aiodicom import Dataset, FindRequest, Server, Status, StudyRoot
from aiodicom.errors import AssociationAborted, ContextNotAccepted, DecodeError, OperationRefused, StatusError
from aiodicom.net.counting import count_matches
from tests.net.sides import soon
from tests.net.test_finding import FIND, QUERY, Endless, connect, plain, study
from tests.rawpeer import Connection, RawPeer, response


def server_of(handler: object) -> Server:
    server = Server()
    server.on_c_find(handler)  # type: ignore[arg-type]
    return server


async def test_matches_are_counted_and_the_bytes_of_their_identifiers() -> None:
    firsts: list[None] = []
    async with server_of(plain).listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        found = await count_matches(association, QUERY, StudyRoot, on_first=lambda: firsts.append(None))
        (context,) = association.accepted(FIND)
        sizes = [len(study(number).to_bytes(context.transfer_syntax)) for number in range(100)]
        assert found == (100, sum(sizes))
        assert len(firsts) == 1
        # The association is as good as new.
        assert (await count_matches(association, QUERY, FIND)).matches == 100


async def test_nothing_is_found() -> None:
    async with server_of(lambda _: []).listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        assert await count_matches(association, QUERY, StudyRoot, on_first=pytest.fail) == (0, 0)


async def test_after_so_many_it_is_cancelled() -> None:
    server = Server()
    endless = Endless(server)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        assert (await soon(count_matches(association, QUERY, StudyRoot, most=3))).matches == 3
        assert len(endless.cancelled) == 1
        await soon(association.c_echo())


async def test_cancelled_itself_it_sends_c_cancel() -> None:
    server = Server()
    endless = Endless(server)
    first = asyncio.Event()
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        task = asyncio.create_task(count_matches(association, QUERY, StudyRoot, on_first=first.set))
        await soon(first.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await soon(association.c_echo())  # whose turn comes when the final response is there
        assert len(endless.cancelled) == 1


async def test_a_failure() -> None:
    def refuse(request: FindRequest) -> list[Dataset]:
        raise OperationRefused(Status.OUT_OF_RESOURCES)

    async with server_of(refuse).listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(StatusError) as raised:
            await count_matches(association, QUERY, StudyRoot)
        assert raised.value.status == Status.OUT_OF_RESOURCES


async def test_no_context_for_it() -> None:
    async with (
        Server().listen("127.0.0.1", 0) as listening,
        connect(listening.port, contexts=[aiodicom.VERIFICATION]) as association,
    ):
        with pytest.raises(ContextNotAccepted):
            await count_matches(association, QUERY, StudyRoot)


def lacking(peer: Connection) -> None:
    """Pending, without an Identifier, and then success."""
    peer.accept()
    request = peer.message()
    assert request is not None
    peer.send(response(request, status=0xFF00))
    peer.send(response(request))
    peer.stay_silent()


def aborting(peer: Connection) -> None:
    peer.accept()
    peer.message()
    peer.send(b"\x07\0\0\0\0\4\0\0\0\0")


async def test_a_match_without_an_identifier() -> None:
    with RawPeer(lacking) as peer:
        association = await connect(peer.port)
        with pytest.raises(DecodeError, match="1 of 1 pending responses to C-FIND without an identifier"):
            await soon(count_matches(association, QUERY, StudyRoot))
        association.abort()


async def test_an_abort() -> None:
    with RawPeer(aborting) as peer:
        association = await connect(peer.port)
        with pytest.raises(AssociationAborted):
            await soon(count_matches(association, QUERY, StudyRoot))
