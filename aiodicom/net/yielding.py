"""Handlers that yield: iterated the same way whether they are plain or asynchronous, and ended when the peer
cancels.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from aiodicom.net.requests import CancellableRequest

__all__ = ["yielding"]

#: After so many things, others on the event loop have their turn; the peer's C-CANCEL among them.
_TURN = 32


@asynccontextmanager
async def yielding(
    function: Callable[[Any], Any], request: CancellableRequest
) -> AsyncIterator[AsyncGenerator[Any, None]]:
    """Gives an iterator over what a handler yields, until the peer cancels: then it ends, and so does the block, also
    where that waits for something else.
    """
    try:
        async with aclosing(_yielded(function, request)) as things:
            yield things
    except asyncio.CancelledError:
        # The engine cancels the task when C-CANCEL comes. Whatever else cancels it, such as the end of the
        # association, goes on.
        task = asyncio.current_task()
        if task is None or not request.is_cancelled or task.uncancel() > 0:
            raise


async def _yielded(function: Callable[[Any], Any], request: CancellableRequest) -> AsyncGenerator[Any, None]:
    things = function(request)
    if inspect.isawaitable(things):
        things = await things
    async with aclosing(things if hasattr(things, "aclose") else _asynchronous(things)) as iterator:
        count = 0
        async for thing in iterator:
            yield thing
            count += 1
            if count % _TURN == 0:
                await asyncio.sleep(0)
            if request.is_cancelled:
                return


async def _asynchronous(things: Any) -> AsyncGenerator[Any, None]:
    if hasattr(things, "__aiter__"):
        async for thing in things:
            yield thing
    else:
        for thing in _iterable(things):
            yield thing


def _iterable(things: Any) -> Iterable[Any]:
    if not isinstance(things, Iterable):
        raise TypeError(f"the handler is to be a generator function, or to return an iterable, not {things!r}")
    return things
