"""How a command runs: an event loop, signals that drain, an exit code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import typer

import aiodicom
from aiodicom.cli import output
from aiodicom.errors import AiodicomError
from aiodicom.services.stopping import Interrupted

__all__ = ["run"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(command: str, work: Callable[[asyncio.Event], Coroutine[Any, Any, int]]) -> None:
    """Runs `work(stop)` and exits with the code that it returns; what it raises is one line on stderr and exit code 1.

    The first SIGINT or SIGTERM sets `stop`, which asks `work` to finish what it has begun; the second cancels it.
    """
    try:
        code = aiodicom.run(_with_signals(command, work))
    except (AiodicomError, OSError, Interrupted) as error:
        output.note(command, output.explain(error))
        code = 1
    except asyncio.CancelledError:
        output.note(command, "interrupted")
        code = 1
    if code:
        raise typer.Exit(code)


async def _with_signals(command: str, work: Callable[[asyncio.Event], Coroutine[Any, Any, int]]) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    this = asyncio.current_task()
    assert this is not None

    def on_signal() -> None:
        if stop.is_set():
            this.cancel()
        else:
            stop.set()
            output.note(command, "stopping; what has begun is being finished (again: abort)")

    for number in _SIGNALS:
        with suppress(NotImplementedError, ValueError, RuntimeError):  # not on Windows, not off the main thread
            loop.add_signal_handler(number, on_signal)
    try:
        return await work(stop)
    finally:
        for number in _SIGNALS:
            with suppress(NotImplementedError, ValueError, RuntimeError):
                loop.remove_signal_handler(number)
