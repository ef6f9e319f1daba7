"""A pool of associations: which are opened, used again, replaced, given up; and who waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest

import aiodicom
from aiodicom.errors import (
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalError,
    StatusError,
)
from tests.delay import DelayingProxy
from tests.net.sides import CONTEXTS, CT_UIDS, DATA, part10, soon, until


class Scp:
    """A server, and what it sees."""

    def __init__(self, **options: Any) -> None:
        self.server = aiodicom.Server(**options)
        self.associations: list[aiodicom.Association] = []
        self.echoes: list[int] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.status = 0
        self.stored = 0
        self.server.on_association(self._admit)
        self.server.on_c_echo(self._echo)
        self.server.on_c_store(self._store)
        self.port = 0

    def _admit(self, association: aiodicom.Association) -> None:
        self.associations.append(association)

    async def _echo(self, request: aiodicom.EchoRequest) -> int:
        self.echoes.append(request.association.id)
        await self.hold.wait()
        return self.status

    async def _store(self, request: aiodicom.StoreRequest) -> int:
        self.stored += 1
        return self.status


@asynccontextmanager
async def scp(**options: Any) -> AsyncIterator[Scp]:
    it = Scp(**options)
    async with it.server.listen("127.0.0.1", 0) as listening:
        it.port = listening.port
        yield it


def pool(port: int, **options: Any) -> aiodicom.Pool:
    return aiodicom.Pool("127.0.0.1", port, **({"contexts": CONTEXTS} | options))


async def together(count: int, operation: Callable[[], Awaitable[object]]) -> list[Any]:
    """Begins so many at once; what each gives or raises."""

    async def one() -> object:
        return await operation()

    return await soon(asyncio.gather(*(one() for _ in range(count)), return_exceptions=True))


# --- kept, reused, opened when needed --------------------------------------------------------------------------------


async def test_one_after_the_other_needs_one_association() -> None:
    async with scp() as peer, pool(peer.port) as it:
        for _ in range(20):
            await it.c_echo()
            assert (await it.c_store(DATA, **CT_UIDS)).status == 0
        assert (it.open, len(peer.associations)) == (1, 1)
    assert not it.open


@pytest.mark.parametrize(("size", "window", "at_once", "opened"), [(4, 1, 40, 4), (4, 1, 3, 3), (2, 8, 16, 2)])
async def test_as_many_as_are_needed(size: int, window: int, at_once: int, opened: int) -> None:
    async with scp(window=window) as peer, pool(peer.port, size=size, window=window) as it:
        peer.hold.clear()
        running = asyncio.gather(*(it.c_echo() for _ in range(at_once)))
        await until(lambda: len(peer.echoes) == min(at_once, size * window))
        peer.hold.set()
        await soon(running)
        assert len(peer.associations) == opened
        assert len(peer.echoes) == at_once
        # They share the work.
        assert len(set(peer.echoes)) == opened


async def test_awaited_in_place_of_entered(free_port: Any) -> None:
    async with scp() as peer:
        it = await pool(peer.port)
        await it.c_echo()
        await it.close()
        await it.terminate()
        with pytest.raises(AssociationClosed, match="the pool is closed"):
            await it.c_echo()
        with pytest.raises(LocalError, match="begun once"):
            await it


async def test_what_cannot_be() -> None:
    for wrong in ({"size": 0}, {"window": 0}, {"window": 65536}, {"port": 0}, {"wait": -1}):
        with pytest.raises(LocalError):
            aiodicom.Pool("127.0.0.1", **cast(Any, wrong))
    with pytest.raises(LocalError, match="not in use yet"):
        await aiodicom.Pool("127.0.0.1").c_echo()


async def test_one_that_died_is_replaced() -> None:
    async with scp() as peer, pool(peer.port, size=1) as it:
        await it.c_echo()
        peer.associations[0].abort()
        await until(lambda: not next(iter(it._members)).association.is_open)
        await it.c_echo()
        assert len(peer.associations) == 2


async def test_one_that_dies_at_work_fails_what_it_does_and_no_more() -> None:
    async with scp() as peer, pool(peer.port, size=2) as it:
        peer.hold.clear()
        running = asyncio.gather(*(it.c_echo() for _ in range(10)), return_exceptions=True)
        await until(lambda: len(peer.echoes) == 2)
        peer.associations[0].abort()
        peer.hold.set()
        results = await soon(running)
        assert sum(isinstance(result, AssociationAborted) for result in results) == 1
        assert sum(not isinstance(result, Exception) for result in results) == 9


async def test_a_failure_status_ends_nothing() -> None:
    async with scp() as peer, pool(peer.port, size=1) as it:
        peer.status = 0xA700
        for _ in range(3):
            with pytest.raises(StatusError):
                await it.c_store(DATA, **CT_UIDS)
        assert len(peer.associations) == 1


async def test_idle_ones_are_released() -> None:
    async with scp() as peer, pool(peer.port, size=3, idle=0.02) as it:
        await together(3, it.c_echo)
        await until(lambda: it.open == 0)
        await until(lambda: not any(association.is_open for association in peer.associations))
        await it.c_echo()


# --- never again after a timeout or a cancellation -------------------------------------------------------------------


async def test_after_a_timeout_it_is_not_used_again() -> None:
    async with scp() as peer, pool(peer.port, size=1, timeouts=aiodicom.Timeouts(dimse=0.05)) as it:
        peer.hold.clear()
        with pytest.raises(DeadlineExceeded):
            await it.c_echo()
        peer.hold.set()
        await soon(it.c_echo())
        assert len(set(peer.echoes)) == 2


async def test_after_a_cancellation_it_is_not_used_again() -> None:
    async with scp() as peer, pool(peer.port, size=1) as it:
        peer.hold.clear()
        running = asyncio.create_task(it.c_echo())
        await until(lambda: peer.echoes)
        running.cancel()
        await asyncio.wait((running,))
        assert running.cancelled()
        # There is one association, and until its response has come there is no other.
        next_one = asyncio.create_task(it.c_echo())
        await asyncio.sleep(0)
        assert len(peer.associations) == 1
        peer.hold.set()
        await soon(next_one)
        assert len(set(peer.echoes)) == 2


async def test_cancelled_within_a_data_set_it_is_aborted() -> None:
    async with scp() as peer, pool(peer.port, size=1) as it:
        await it.c_echo()
        running = asyncio.create_task(it.c_store(part10(bytes(32 << 20))))
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait((running,))
        await soon(it.c_store(part10()))
        assert len(peer.associations) == 2
        assert peer.stored == 1


async def test_cancelled_while_it_waits_nothing_has_happened() -> None:
    async with scp() as peer, pool(peer.port, size=1) as it:
        peer.hold.clear()
        first = asyncio.create_task(it.c_echo())
        await until(lambda: peer.echoes)
        second, third = asyncio.create_task(it.c_echo()), asyncio.create_task(it.c_echo())
        await asyncio.sleep(0)
        second.cancel()
        peer.hold.set()
        await soon(asyncio.gather(first, third))
        assert second.cancelled()
        assert (len(peer.associations), len(peer.echoes)) == (1, 2)


async def test_a_turn_that_comes_at_the_moment_of_the_cancellation_is_passed_on() -> None:
    async with scp() as peer, pool(peer.port, size=1) as it:
        await it.c_echo()
        member = await it.take()
        waiting = asyncio.create_task(it.take())
        await asyncio.sleep(0)
        it.give(member)
        waiting.cancel()
        await asyncio.wait((waiting,))
        await soon(it.c_echo())
        assert len(peer.associations) == 1


# --- refused, unreachable, full --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8, "auto"])
@pytest.mark.parametrize("limit", [1, 3])
async def test_a_peer_that_takes_fewer(size: Any, limit: int) -> None:
    async with scp(max_associations=limit) as peer, pool(peer.port, size=size) as it:
        results = await together(100, it.c_echo)
        assert not [result for result in results if isinstance(result, Exception)]
        assert len(set(peer.echoes)) == limit
        assert it.open == limit


async def test_none_can_be_opened() -> None:
    async with scp(max_associations=0) as peer, pool(peer.port, size=2) as it:
        for _ in range(2):
            results = await together(5, it.c_echo)
            assert {type(result) for result in results} == {AssociationRejected}


async def test_nobody_listens(port: int) -> None:
    async with pool(port, size=3) as it:
        assert {type(result) for result in await together(5, it.c_echo)} == {ConnectFailed}


async def test_too_long() -> None:
    async with scp() as peer, pool(peer.port, size=1, wait=0.02) as it:
        async with it.acquire():
            with pytest.raises(DeadlineExceeded, match=r"no free association of the pool within 0\.02 s"):
                await it.c_echo()
        await it.c_echo()


async def test_too_many() -> None:
    async with scp() as peer, pool(peer.port, size=1, max_waiting=2) as it:
        async with it.acquire():
            waiting = [asyncio.create_task(it.c_echo()) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(LocalError, match="2 operations wait"):
                await it.c_echo()
        await soon(asyncio.gather(*waiting))


# --- acquired --------------------------------------------------------------------------------------------------------


async def test_an_association_for_oneself() -> None:
    async with scp(window=4) as peer, pool(peer.port, size=2, window=4) as it:
        async with it.acquire() as mine:
            assert mine.is_open
            assert mine.window == 4
            await mine.c_echo()
            await together(8, it.c_echo)
            # All others were on the other one.
            assert peer.echoes.count(peer.echoes[0]) == 1
            echo = mine.c_echo
        for use in (lambda: mine.c_echo(), lambda: echo(), lambda: mine.is_open):
            with pytest.raises(LocalError, match="returned to its pool"):
                await use()  # type: ignore[misc]
        await it.c_echo()
        assert len(peer.associations) == 2


async def test_a_whole_one_is_waited_for() -> None:
    async with scp(window=4) as peer, pool(peer.port, size=1, window=4) as it:
        peer.hold.clear()
        running = [asyncio.create_task(it.c_echo()) for _ in range(2)]
        await until(lambda: len(peer.echoes) == 2)

        async def alone() -> int:
            async with it.acquire() as mine:
                await mine.c_echo()
                return len(peer.echoes)

        mine = asyncio.create_task(alone())
        await asyncio.sleep(0)
        running += [asyncio.create_task(it.c_echo()) for _ in range(2)]
        peer.hold.set()
        assert await soon(mine) == 3  # those who came later were not let in before
        await soon(asyncio.gather(*running))
        assert len(peer.associations) == 1


async def test_left_by_an_error_it_is_used_again_and_by_cancellation_not() -> None:
    async with scp() as peer, pool(peer.port, size=1) as it:
        for error in (ValueError, asyncio.CancelledError):
            with suppress(error):
                async with it.acquire() as mine:
                    await mine.c_echo()
                    raise error
        await it.c_echo()
        assert len(peer.associations) == 2


async def test_acquired_twice() -> None:
    async with scp() as peer, pool(peer.port) as it:
        acquiring = it.acquire()
        async with acquiring:
            with pytest.raises(LocalError, match="acquired already"):
                await acquiring.__aenter__()


# --- its end ---------------------------------------------------------------------------------------------------------


async def test_closing_waits_for_what_runs_and_begins_nothing() -> None:
    async with scp() as peer:
        it = await pool(peer.port, size=1)
        peer.hold.clear()
        running, waiting = asyncio.create_task(it.c_echo()), asyncio.create_task(it.c_echo())
        await until(lambda: peer.echoes)
        closing = asyncio.create_task(it.close())
        await asyncio.wait((waiting,))
        assert isinstance(waiting.exception(), AssociationClosed)
        assert not closing.done()
        peer.hold.set()
        await soon(closing)
        assert running.result().status == 0
        assert not peer.associations[0].is_open


@pytest.mark.parametrize("how", ["terminate", "error", "cancelled"])
async def test_terminating_aborts_what_runs(how: str) -> None:
    async with scp() as peer:
        it = pool(peer.port, size=1)
        running: asyncio.Task[Any] | None = None

        async def main() -> None:
            nonlocal running
            async with it:
                peer.hold.clear()
                running = asyncio.create_task(it.c_echo())
                await until(lambda: peer.echoes)
                if how == "error":
                    raise ValueError
                if how == "terminate":
                    await it.terminate()

        task = asyncio.create_task(main())
        await until(lambda: peer.echoes)
        if how == "cancelled":
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait((task,))
        assert running is not None
        with pytest.raises(AssociationClosed):
            await soon(running)
        await until(lambda: not peer.associations[0].is_open)
        peer.hold.set()


# --- over a proxy ----------------------------------------------------------------------------------------------------


async def test_a_long_way_to_a_real_peer() -> None:
    async with scp(window=1) as peer, DelayingProxy(peer.port, delay=0.005) as proxy:
        async with pool(proxy.port, size="auto", window="auto") as it:
            results = await soon(asyncio.gather(*(it.c_store(part10()) for _ in range(300))))
            assert {response.status for response in results} == {0}
        # Those that were not needed any more have been given up.
        assert 16 <= len(peer.associations) <= proxy.connections <= 64
        assert peer.stored == 300


async def test_a_peer_that_goes_away_takes_all_with_it() -> None:
    async with scp() as peer:
        proxy = DelayingProxy(peer.port, delay=0.001)
        await proxy.__aenter__()
        async with pool(proxy.port, size=2) as it:
            await together(2, it.c_echo)
            peer.hold.clear()
            running = asyncio.gather(*(it.c_echo() for _ in range(6)), return_exceptions=True)
            await until(lambda: len(peer.echoes) == 4)
            await proxy.__aexit__(None, None, None)
            results = await soon(running)
            assert all(isinstance(result, ConnectionLost | ConnectFailed) for result in results)
            peer.hold.set()
