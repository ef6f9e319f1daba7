"""What the iterations over responses have in common: who waits is woken, and a loop that has ended has left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

__all__ = ["Bell", "Iteration"]

Item = TypeVar("Item")


class Bell:
    """Wakes everybody who waits for it when it rings: a stream may be iterated over in one task and cancelled in
    another.
    """

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Waits until it rings. Cancelling changes nothing."""
        woken = self._loop.create_future()
        self._waiting.append(woken)
        try:
            await woken
        finally:
            self._waiting.remove(woken)

    def ring(self) -> None:
        """Wakes who waits now."""
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)


class Iteration(Generic[Item]):
    """What ``async for`` asks for one item after the other: `following` gives it, as ``anext()`` of the stream does.

    What comes out of there, such as a cancellation, ends the loop, and the stream is left at once: the traceback may
    keep everything alive that the error has gone through.
    """

    __slots__ = ("_following", "_leave")

    def __init__(self, following: Callable[[], Awaitable[Item]], leave: Callable[[], None]) -> None:
        self._following = following
        self._leave = leave

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """Waits for the next item. Raises what `following` raises; the stream is left then, and when cancelled."""
        try:
            return await self._following()
        except BaseException:
            self._leave()
            raise
