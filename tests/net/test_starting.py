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

Start = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None] | None]


@asynccontextmanager
async def starting() -> AsyncIterator[Callable[[Coroutine[Any, Any, None]], asyncio.Future[Any]]]:
    """Gives what starts a coroutine the way a transport's callback does, and waits until it has ended."""
    starter = TaskStarter()
    loop = asyncio.get_running_loop()

    def soon(coroutine: Coroutine[Any, Any, None]) -> asyncio.Future[Any]:
        """The future of `start()`'s result: the exception it raises, a task, or None."""
        started: asyncio.Future[Any] = loop.create_future()

        def start() -> None:
            try:
                started.set_result(starter.start(coroutine, loop))
            except BaseException as error:
                started.set_exception(error)

        loop.call_soon(start)
        return started

    yield soon
    await starter.close()


async def test_what_never_waits_has_ended_when_start_returns() -> None:
    tasks: list[asyncio.Task[Any] | None] = []

    async def handler() -> None:
        tasks.append(asyncio.current_task())

    async with starting() as start:
        for _ in range(3):
            assert await start(handler()) is None
    assert len(tasks) == 3
    assert None not in tasks
    assert asyncio.current_task() not in tasks


async def test_what_waits_goes_on_in_the_task_that_it_saw_first() -> None:
    seen: list[asyncio.Task[Any] | None] = []

    async def handler(value: int) -> None:
        for _ in range(3):
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
        woken = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(woken.set_result, value)
        assert await woken == value
        seen.append(asyncio.current_task())

    async with starting() as start:
        first, second = await start(handler(1)), await start(handler(2))
        await asyncio.gather(first, second)
        assert first is not second
        assert [seen.count(task) for task in (first, second)] == [4, 4]


async def test_an_exception_is_raised_by_start_or_by_the_task() -> None:
    async def handler(waits: bool) -> None:
        if waits:
            await asyncio.sleep(0)
        raise ValueError("the handler's")

    async with starting() as start:
        with pytest.raises(ValueError, match="the handler's"):
            await start(handler(waits=False))
        task = await start(handler(waits=True))
        with pytest.raises(ValueError, match="the handler's"):
            await task
        assert await start(asyncio.sleep(0, None)) is not None


async def test_every_coroutine_has_a_context_of_its_own() -> None:
    seen: list[str] = []

    async def handler(name: str, waits: bool) -> None:
        seen.append(mark.get())
        mark.set(name)
        if waits:
            await asyncio.sleep(0)
        seen.append(mark.get())

    async with starting() as start:
        for waits in (False, True, False):
            task = await start(handler("inner", waits))
            if task is not None:
                await task
        assert seen == ["unset", "inner"] * 3
        # What was set where the coroutine is started is seen by it.
        token = mark.set("outer")
        seen.clear()
        await start(handler("inner", waits=False))
        assert seen == ["outer", "inner"]
        mark.reset(token)
        await start(handler("inner", waits=False))
        assert seen[2:] == ["unset", "inner"]


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
        task = await start(handler())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert reached == ["cancelled"]
    assert task.cancelled()


async def test_a_coroutine_that_takes_its_cancellation_goes_on() -> None:
    async def handler() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        await asyncio.sleep(0)

    async with starting() as start:
        task = await start(handler())
        task.cancel()
        await task
        assert not task.cancelled()


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
        await (await start(handler()))
    assert done == ["timeout", "group"]


async def test_a_coroutine_that_cancels_its_own_task_harms_no_other() -> None:
    async def cancels(waits: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        if waits:
            await asyncio.sleep(0)

    async def innocent() -> None:
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()
        await asyncio.sleep(0)

    async with starting() as start:
        assert await start(cancels(waits=False)) is None
        await (await start(innocent()))
        cancelled = await start(cancels(waits=True))
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await (await start(innocent()))


async def test_started_inside_of_a_task_it_is_an_ordinary_task() -> None:
    starter = TaskStarter()
    ran: list[asyncio.Task[Any] | None] = []

    async def handler() -> None:
        ran.append(asyncio.current_task())

    task = starter.start(handler(), asyncio.get_running_loop())
    assert task is not None
    assert task is not asyncio.current_task()
    await task
    assert ran == [task]
    await starter.close()


def test_a_starter_serves_one_loop_after_another(loop_factory: Any) -> None:
    starter = TaskStarter()

    async def handler() -> None:
        await asyncio.sleep(0)

    for _ in range(2):
        loop = loop_factory()
        started: list[asyncio.Task[None] | None] = []
        for coroutine in (handler(), handler()):
            loop.call_soon(lambda coroutine=coroutine: started.append(starter.start(coroutine, loop)))  # noqa: B023
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(asyncio.wait([task for task in started if task is not None]))
        loop.run_until_complete(starter.close())
        loop.close()
