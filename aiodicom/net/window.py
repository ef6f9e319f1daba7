"""Turns: at most so many operations outstanding at a time, the others in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Window"]


class Window:
    """The asynchronous operations window of one side (PS3.7 D.3.3.3).

    Invariants: `taken` <= `limit` (0 is no limit); nobody waits while a turn is free.
    """

    __slots__ = ("_drained", "_waiters", "limit", "taken")

    def __init__(self, limit: int = 1) -> None:
        self.limit = limit
        #: Turns taken and not given back.
        self.taken = 0
        self._waiters: deque[asyncio.Future[None]] | None = None
        self._drained: asyncio.Future[None] | None = None

    def take_now(self) -> bool:
        """Takes a turn if there is one and nobody waits for it."""
        if self.limit == 0 or (self.taken < self.limit and not self._waiters):
            self.taken += 1
            return True
        return False

    async def take(self) -> None:
        """Takes a turn, when there is one. Cancelled, none is taken. Raises what `fail()` was given."""
        if self.take_now():
            return
        if self._waiters is None:
            self._waiters = deque()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give()  # the turn came at the moment of the cancellation: pass it on
            raise

    def give(self) -> None:
        """Gives a turn back: the first who waits has it then."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.taken -= 1
        if self.taken == 0 and self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    async def drained(self) -> None:
        """Waits until all turns have been given back, or `fail()` is called."""
        if self.taken:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)

    def fail(self, error: Exception) -> None:
        """Lets everybody who waits have this error."""
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_exception(error)
