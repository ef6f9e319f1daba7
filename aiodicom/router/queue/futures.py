"""Futures that whoever waits for may have given up."""

from __future__ import annotations

import asyncio
from typing import TypeVar

__all__ = ["fail", "finish", "refuse"]

Result = TypeVar("Result")


def finish(done: asyncio.Future[Result], result: Result) -> None:
    """Has a future its result, unless it was cancelled."""
    if not done.cancelled():
        done.set_result(result)


def fail(done: asyncio.Future[Result], error: Exception) -> None:
    """Has a future its error, unless it was cancelled."""
    if not done.cancelled():
        done.set_exception(error)


def refuse(done: asyncio.Future[Result], error: Exception) -> None:
    """Has the future of an object its error, and not where that was raised: the frames there have the object, and it
    has the future. It would wait for the garbage collector, just when there is no room.
    """
    fail(done, error.with_traceback(None))
