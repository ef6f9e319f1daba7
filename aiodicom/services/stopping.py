"""Ending long work early, at a point where nothing is left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ["Interrupted", "unless_stopped"]

Result = TypeVar("Result")


class Interrupted(Exception):
    """Somebody asked for an end before there was a result."""

    def __str__(self) -> str:
        return "interrupted"


async def unless_stopped(stop: asyncio.Event, awaitable: Awaitable[Result]) -> Result:
    """Awaits it, but cancels it and raises `Interrupted` when `stop` is set before it is done."""
    task = asyncio.ensure_future(awaitable)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Interrupted
    finally:
        stopped.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
