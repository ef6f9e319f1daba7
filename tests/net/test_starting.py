"""Handlers run at once, and cannot tell that from a task of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from aiodicom.net.starting import TaskStarter

mark: ContextVar[str] = ContextVar("mark", default="unset")


class Started:
    """A coroutine started the way a transport's callback does it."""

    def __init__(self, starter: TaskStarter, coroutine: Coroutine[Any, Any, Any]) -> None:
        #: Its task, once it has been started, unless it had ended by then.
        self.task: asyncio.Future[asyncio.Task[None] | None] = asyncio.get_running_loop().create_future()
        #: Its result or its exception.
        self.ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(self._start, starter, coroutine)

    def _start(self, starter: TaskStarter, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.task.set_result(starter.start(coroutine, asyncio.get_running_loop(), Started._end, self))

    def _end(self, result: Any, error: BaseException | None) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.ended.cancel()
        elif error is not None:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(result)


@asynccontextmanager
async def starting() -> AsyncIterator[Callable[[Coroutine[Any, Any, Any]], Started]]:
    """Gives what starts a coroutine."""
    starter = TaskStarter()
    yield lambda coroutine: Started(starter, coroutine)
    await starter.close()


async def test_what_never_waits_has_ended_when_start_returns() -> None:
    tasks: list[asyncio.Task[Any] | None] = []

    async def handler(value: int) -> int:
        tasks.append(asyncio.current_task())
        return value

    async with starting() as start:
        for value in range(3):
            started = start(handler(value))
            assert await started.task is None
            assert started.ended.result() == value
    assert len(tasks) == 3
    assert None not in tasks
    assert asyncio.current_task() not in tasks


async def test_what_waits_goes_on_in_the_task_that_it_saw_first() -> None:
    seen: list[asyncio.Task[Any] | None] = []

    async def handler(value: int) -> int:
        for _ in range(3):
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
        woken = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(woken.set_result, value)
        seen.append(asyncio.current_task())
        return int(await woken)

    async with starting() as start:
        first, second = start(handler(1)), start(handler(2))
        assert [await first.ended, await second.ended] == [1, 2]
        tasks = [await first.task, await second.task]
    assert tasks[0] is not tasks[1]
    assert [seen.count(task) for task in tasks] == [4, 4]


@pytest.mark.parametrize("waits", [False, True])
async def test_an_exception_is_told(waits: bool) -> None:
    async def handler() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ValueError("the handler's")

    async with starting() as start:
        with pytest.raises(ValueError, match="the handler's"):
            await start(handler()).ended
        assert await start(asyncio.sleep(0, "fine")).ended == "fine"


async def test_every_coroutine_has_a_context_of_its_own() -> None:
    seen: list[str] = []

    async def handler(waits: bool) -> None:
        seen.append(mark.get())
        mark.set("inner")
        if waits:
            await asyncio.sleep(0)
        seen.append(mark.get())

    async with starting() as start:
        for waits in (False, True, False):
            await start(handler(waits)).ended
        assert seen == ["unset", "inner"] * 3
        # What was set where the coroutine is started is seen by it.
        token = mark.set("outer")
        seen.clear()
        await start(handler(waits=False)).ended
        assert seen == ["outer", "inner"]
        mark.reset(token)
        await start(handler(waits=False)).ended
        assert seen[2:] == ["unset", "inner"]


@pytest.mark.parametrize("waits", [False, True])
async def test_what_a_coroutine_has_set_is_not_seen_by_who_is_told_of_its_end(waits: bool) -> None:
    seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handler() -> None:
        mark.set("inner")
        if waits:
            await asyncio.sleep(0)

    starter = TaskStarter()
    starter.start(handler(), asyncio.get_running_loop(), lambda future, *_: future.set_result(mark.get()), seen)
    assert await seen == "unset"
    await starter.close()


async def test_who_is_told_has_the_context_of_the_start_though_an_earlier_coroutine_has_set_the_same() -> None:
    told: list[str] = []
    starter = TaskStarter()

    async def sets(value: str, *, waits: bool) -> None:
        mark.set(value)
        if waits:
            await asyncio.sleep(0)

    def start(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        return starter.start(coroutine, asyncio.get_running_loop(), lambda *_: told.append(mark.get()), None)

    assert start(sets("inner", waits=False)) is None
    mark.set("inner")
    task = start(sets("other", waits=True))
    assert task is not None
    await task
    mark.set("unset")
    assert start(sets("last", waits=False)) is None
    assert told == ["unset", "inner", "unset"]
    await starter.close()


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_cancelling_the_task_reaches_the_coroutine_wherever_it_waits(turns: int) -> None:
    reached: list[str] = []

    async def handler() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # it may still wait
            reached.append("cancelled")
            raise

    async with starting() as start:
        started = start(handler())
        task = await started.task
        assert task is not None
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert started.ended.cancelled()
    assert reached == ["cancelled"]


async def test_a_coroutine_that_takes_its_cancellation_goes_on() -> None:
    async def handler() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        await asyncio.sleep(0)
        return "went on"

    async with starting() as start:
        started = start(handler())
        task = await started.task
        assert task is not None
        task.cancel()
        assert await started.ended == "went on"


async def test_timeouts_and_groups_work_from_the_first_step_on() -> None:
    done: list[str] = []

    async def handler() -> None:
        try:
            async with asyncio.timeout(0):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            done.append("timeout")
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        done.append("group")

    async with starting() as start:
        await start(handler()).ended
    assert done == ["timeout", "group"]


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_coroutine_that_cancels_its_own_task_harms_no_other(is_first: bool) -> None:
    async def cancels(waits: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        if waits:
            await asyncio.sleep(0)

    async def innocent() -> bool:
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()
        await asyncio.sleep(0)
        return True

    async with starting() as start:
        if not is_first:
            assert await start(innocent()).ended
            assert await start(asyncio.sleep(0, True)).ended
        with pytest.raises(asyncio.CancelledError):
            await start(cancels(waits=True)).ended
        await start(cancels(waits=False)).ended
        assert await start(innocent()).ended
        with pytest.raises(asyncio.CancelledError):
            await start(cancels(waits=True)).ended
        assert await start(innocent()).ended


@pytest.mark.parametrize("waits", [False, True])
async def test_started_inside_of_a_task_it_is_another_task(waits: bool) -> None:
    starter = TaskStarter()
    ran: list[asyncio.Task[Any] | None] = []
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handler() -> str:
        ran.append(asyncio.current_task())
        if waits:
            await asyncio.sleep(0)
        return "ended"

    outer = asyncio.current_task()
    starter.start(
        handler(), asyncio.get_running_loop(), lambda future, result, _error: future.set_result(result), ended
    )
    assert len(ran) == 1
    assert ran[0] is not outer
    assert asyncio.current_task() is outer
    assert await ended == "ended"
    await starter.close()


def test_a_starter_serves_one_loop_after_another(loop_factory: Any) -> None:
    starter = TaskStarter()
    ended: list[Any] = []

    async def handler() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        tasks = [
            starter.start(handler(), asyncio.get_running_loop(), lambda *end: ended.append(end), number)
            for number in range(2)
        ]
        await asyncio.wait([task for task in tasks if task is not None])
        await starter.close()

    for _ in range(2):
        loop = loop_factory()
        loop.run_until_complete(main())
        loop.close()
    assert ended == [(0, None, None), (1, None, None)] * 2


async def test_what_is_equal_in_another_context_is_not_taken_for_the_same() -> None:
    own: ContextVar[list[str]] = ContextVar("own")
    seen: list[list[str]] = []

    async def handler() -> None:
        seen.append(own.get())

    async with starting() as start:
        values: list[list[str]] = [[], [], []]
        for value in values:
            own.set(value)
            await start(handler()).ended
    assert [one is other for one, other in zip(seen, values, strict=True)] == [True, True, True]
