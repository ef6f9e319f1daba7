"""Futures that whoever waits for may have given up."""

from __future__ import annotations

import asyncio
from typing import TypeVar

__all__ = ["fail", "finish"]

Result = TypeVar("Result")


def finish(done: asyncio.Future[Result], result: Result) -> None:
    """Has a future its result, unless it was cancelled."""
    if not done.cancelled():
        done.set_result(result)


def fail(done: asyncio.Future[Result], error: Exception) -> None:
    """Has a future its error, unless it was cancelled."""
    if not done.cancelled():
        done.set_exception(error)
