"""What the iterations over responses have in common: who waits is woken, and a loop that has ended has left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

from aiodicom.errors import LocalError

__all__ = ["Bell", "Iteration", "broken_off"]

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

    What comes out of there, such as a cancellation, ends the loop, and the rest is given up at once (`break_off`): the
    traceback may keep everything alive that the error has gone through.
    """

    __slots__ = ("_break_off", "_following")

    def __init__(self, following: Callable[[], Awaitable[Item]], break_off: Callable[[], None]) -> None:
        self._following = following
        self._break_off = break_off

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """Waits for the next item. Raises what `following` raises; the rest is given up then, and when cancelled."""
        try:
            return await self._following()
        except StopAsyncIteration:
            raise
        except BaseException:
            self._break_off()
            raise


def broken_off() -> LocalError:
    """What is raised where responses are asked for that have been given up: nobody is to take those before for all."""
    return LocalError(
        "a loop over these responses has ended early, and the rest was given up: to go on after a timeout or an error "
        "wait for one after the other by anext(), without a loop"
    )
