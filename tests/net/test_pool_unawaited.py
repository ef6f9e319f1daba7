"""Operations of a pool that are begun without being awaited: their turns, and what their tokens are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationAborted, AssociationClosed, LocalError, StatusError
from aiodicom.net.sources import GatheredSource
from aiodicom.net.unawaited import Withdrawn, begin_echo
from tests.net.sides import CT, CT_UIDS, DATA, IMPLICIT, soon, until
from tests.net.test_pool_far import Far, FarPeer
from tests.net.test_unawaited import Token, server
from tests.net.virtual import run_virtually


def pool(port: int, **options: Any) -> aiodicom.Pool:
    return aiodicom.Pool("127.0.0.1", port, **({"size": 1} | options))


def source() -> GatheredSource:
    return GatheredSource([DATA], *CT_UIDS.values())


async def test_begun_where_there_is_a_turn() -> None:
    stored: list[bytes] = []
    async with server(stored).listen("127.0.0.1", 0) as listening, pool(listening.port) as it:
        assert not it.begin_store(source(), Token())  # no association is open
        await it.c_store(DATA, **CT_UIDS)
        token = Token()
        assert it.begin_store(source(), token)
        assert not it.begin_store(source(), Token())  # its one turn is taken
        assert (await soon(token)).message.affected_sop_instance_uid == CT_UIDS["sop_instance_uid"]
        token = Token()
        assert it.begin_store(source(), token)
        await soon(token)
        assert it.open == 1
    assert stored == [DATA] * 3


async def test_who_waits_comes_first() -> None:
    async with server([]).listen("127.0.0.1", 0) as listening, pool(listening.port) as it:
        await it.c_echo()
        async with it.acquire():
            waiting = asyncio.create_task(it.c_echo())
            await asyncio.sleep(0)
        assert not it.begin_now(begin_echo, Token())
        await soon(waiting)
        token = Token()
        assert it.begin_now(begin_echo, token)
        await soon(token)


async def test_a_failure_status_is_told_and_ends_nothing() -> None:
    refusing = aiodicom.Server()
    refusing.on_c_store(lambda request: aiodicom.Status.OUT_OF_RESOURCES)
    async with refusing.listen("127.0.0.1", 0) as listening, pool(listening.port) as it:
        with pytest.raises(StatusError):
            await it.c_store(DATA, **CT_UIDS)
        token = Token()
        assert it.begin_store(source(), token)
        assert (await soon(token)).message.status == aiodicom.Status.OUT_OF_RESOURCES
        assert await it.c_echo()
        assert it.open == 1


async def test_what_cannot_be_begun_gives_its_turn_back() -> None:
    async with server([]).listen("127.0.0.1", 0) as listening, pool(listening.port) as it:
        await it.c_echo()

        def wrong(_association: object, _token: object) -> bool:
            raise LocalError("wrong")

        with pytest.raises(LocalError, match="wrong"):
            it.begin_now(wrong, Token())
        assert not it.begin_now(lambda _association, _token: False, Token())
        assert await it.c_echo()


async def test_the_association_dies() -> None:
    dying = aiodicom.Server()
    dying.on_c_store(lambda request: request.association.abort())
    async with (
        dying.listen("127.0.0.1", 0) as listening,
        pool(listening.port, contexts=[(CT, [IMPLICIT])]) as it,
    ):
        await it.c_echo()
        token = Token()
        assert it.begin_store(source(), token)
        with pytest.raises(AssociationAborted):
            await soon(token)
        assert await it.c_echo()  # on another one
        await until(lambda: it.open == 1)


async def test_a_pool_that_is_closed_begins_nothing() -> None:
    async with server([]).listen("127.0.0.1", 0) as listening:
        async with pool(listening.port) as it:
            await it.c_echo()
        with pytest.raises(AssociationClosed):
            it.begin_store(source(), Token())


class Telling(Far):
    """An association that answers those whose operations were begun, if it is served."""

    def __init__(self, peer: FarPeer) -> None:
        super().__init__(peer)
        self.tokens: list[Any] = []

    def begin(self, token: Any) -> bool:
        self.tokens.append(token)
        if self is self.peer.associations[0]:
            asyncio.get_running_loop().call_later(self.ROUND_TRIP, self._answer)
        return True

    def _answer(self) -> None:
        if self.tokens:
            self.tokens.pop(0).set_result(SimpleNamespace(message=SimpleNamespace(status=aiodicom.Status.SUCCESS)))

    def _end(self) -> None:
        super()._end()
        while self.tokens:
            self.tokens.pop().set_exception(AssociationClosed("over"))


class TellingPeer(FarPeer):
    """Serves the first of its associations."""

    async def open(self, _contexts: object) -> Any:
        await asyncio.sleep(Far.ROUND_TRIP)
        return Telling(self)


def test_one_that_answers_nothing_is_withdrawn() -> None:
    """Who has begun something on it hears that it may be done again; it is another error when the association ends
    otherwise.
    """

    async def main() -> None:
        peer = TellingPeer()
        async with peer.pool(size=2, window=1) as it:
            begin = partial(it.begin_now, lambda association, token: association.begin(token), size=9000)
            for member in [await it.take(), await it.take()]:  # which opens both
                it.give(member)
            served, unanswered = peer.associations
            assert isinstance(unanswered, Telling)
            first, second = Token(), Token()
            assert begin(first)
            assert begin(second)
            withdrawn = first if len(unanswered.tokens) and unanswered.tokens[0].token is first else second
            while not withdrawn.done():
                await asyncio.sleep(Far.ROUND_TRIP)
                begin(Token())
            with pytest.raises(Withdrawn):
                await withdrawn
            assert peer.aborted == 1
            await asyncio.sleep(Far.ROUND_TRIP)
            token = Token()
            assert begin(token)
            served.abort()
            with pytest.raises(AssociationClosed) as closed:
                await token
            assert not isinstance(closed.value, Withdrawn)

    run_virtually(main())


class Blocking(Far):
    """An association whose peer takes less than is written, if it `is_blocked`."""

    asked = 0

    def when_drained(self, told: Any) -> None:
        """It never is."""
        self.asked += 1


class BlockingPeer(FarPeer):
    async def open(self, _contexts: object) -> Any:
        await asyncio.sleep(Far.ROUND_TRIP)
        return Blocking(self)


@asynccontextmanager
async def two_without_turns(window: int) -> AsyncIterator[tuple[Any, Any, Any]]:
    """A pool of two associations, of which all turns have been taken, and both of these."""
    async with BlockingPeer(window=window).pool(size=2, window=window) as it:
        one, other = dict.fromkeys([await it.take() for _ in range(2 * window)])
        yield it, one, other


def test_blocked_until_there_is_a_turn_on_another_association() -> None:
    """However long the one with turns takes nothing."""

    async def main() -> None:
        async with two_without_turns(2) as (it, blocked, other):
            it.give(blocked)
            blocked.association.is_blocked = True
            assert it.is_blocked
            told: list[bool] = []
            it.when_ready(lambda: told.append(it.is_blocked))
            it.give(other)
            assert told == [False]
            it.give(other)
            it.give(blocked)
            assert told == [False]

    run_virtually(main())


def test_who_is_blocked_for_long_is_asked_once_to_tell() -> None:
    async def main() -> None:
        async with two_without_turns(2) as (it, blocked, other):
            it.give(blocked)
            blocked.association.is_blocked = True
            told: list[bool] = []
            for _ in range(10):
                it.when_ready(lambda: told.append(it.is_blocked))
                it.give(other)
                assert it.begin_now(lambda *_: True, Token())
            assert told == [False] * 10
            assert blocked.association.asked == 1
            for turn in (other, other, blocked):
                it.give(turn)

    run_virtually(main())


def test_begun_where_the_peer_takes_what_is_written() -> None:
    async def main() -> None:
        async with two_without_turns(3) as (it, blocked, other):
            for turn in (blocked, other):
                for _ in range(3):
                    it.give(turn)
            blocked.association.is_blocked = True
            begun: list[object] = []

            def begin(association: object, _token: object) -> bool:
                begun.append(association)
                return True

            assert [it.begin_now(begin, Token()) for _ in range(4)] == [True, True, True, False]
            assert begun == [other.association] * 3
            for _ in begun:
                it.give(other)

    run_virtually(main())


def test_blocked_until_another_association_is_opened() -> None:
    async def main() -> None:
        peer = BlockingPeer(window=2)
        async with peer.pool(size=2, window=2) as it:
            blocked = await it.take()
            opening = asyncio.create_task(it.take(is_whole=True))
            await asyncio.sleep(0)
            blocked.association.is_blocked = True  # type: ignore[misc]
            assert it.is_blocked
            told = asyncio.Event()
            it.when_ready(told.set)
            other = await opening
            assert told.is_set()
            it.give(other)
            it.give(blocked)

    run_virtually(main())


async def test_what_cannot_be_begun_at_once_is_no_use() -> None:
    """It does not count for the operations after which an association is released."""
    async with server([]).listen("127.0.0.1", 0) as listening, pool(listening.port, operations=3) as it:
        await it.c_echo()
        for _ in range(5):
            assert not it.begin_now(lambda _association, _token: False, Token())
        token = Token()
        assert it.begin_now(begin_echo, token)
        await soon(token)
        assert it.open == 1
        await it.c_echo()
        await until(lambda: not it.open)
