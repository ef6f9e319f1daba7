"""Runs a coroutine on a given event loop and fails for whatever it leaves there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.leaks import open_descriptors

Result = TypeVar("Result")

#: asyncio's debug mode: AIODICOM_ASYNCIO_DEBUG=1
DEBUG = os.environ.get("AIODICOM_ASYNCIO_DEBUG", "") not in ("", "0")

#: Seconds that a coroutine of a test may take.
TIMEOUT = 100.0

#: Turns of the loop, then waits of 10 ms, that tasks and transports which are ending get before they count as left.
SETTLING_TURNS, SETTLING_WAITS = 20, 100


def loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loops that this machine has, by name."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    try:
        import uvloop
    except ImportError:
        return factories
    return factories | {"uvloop": uvloop.new_event_loop}


def _sockets() -> set[str]:
    return {target for target in open_descriptors().values() if target.startswith("socket:")}


def run_on(
    factory: Callable[[], asyncio.AbstractEventLoop],
    main: Coroutine[Any, Any, Result],
    *,
    timeout: float = TIMEOUT,
) -> Result:
    """Runs `main` to its end on a new loop.

    Fails if it leaves tasks or sockets, or if an error reached the loop's exception handler.
    """
    unhandled: list[dict[str, Any]] = []
    remaining: list[str] = []
    stuck: set[str] = set()

    async def whole() -> Result:
        # All in one run of the loop: uvloop has a pair of sockets for signals, another pair in each run.
        before = _sockets()
        try:
            async with asyncio.timeout(timeout):
                return await main
        finally:
            remaining.extend(await _left_after_settling(before))
            await _cancel_others()
            stuck.update(_sockets() - before)

    runner = asyncio.Runner(debug=DEBUG, loop_factory=factory)

    def on_unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        unhandled.append(context)

    runner.get_loop().set_exception_handler(on_unhandled)
    try:
        result = runner.run(whole())
    finally:
        # uvloop's close() waits without end, deaf to signals, for a transport that nobody closed: give such a loop up.
        if not stuck:
            runner.close()
    if remaining:
        raise AssertionError("left on the loop: " + "; ".join(remaining))
    if unhandled:
        first = unhandled[0].get("exception")
        raise AssertionError(f"reached the loop's exception handler: {unhandled}") from first
    return result


async def _left_after_settling(sockets: set[str]) -> list[str]:
    def left() -> list[str]:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        return [f"task {task!r}" for task in tasks] + sorted(_sockets() - sockets)

    for _ in range(SETTLING_TURNS):
        await asyncio.sleep(0)
    for _ in range(SETTLING_WAITS):
        if not left():
            break
        await asyncio.sleep(0.01)
    return left()


async def _cancel_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _ in range(SETTLING_TURNS):
        await asyncio.sleep(0)
