"""Turns: at most so many operations outstanding at a time, the others in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque

from aiodicom.net._invoking import Turns

__all__ = ["Window"]


class Window(Turns):
    """The asynchronous operations window of one side (PS3.7 D.3.3.3)."""

    __slots__ = ()

    async def take(self) -> None:
        """Takes a turn, when there is one. Cancelled, none is taken. Raises what `fail()` was given."""
        if self.take_now():
            return
        if self.waiters is None:
            self.waiters = deque()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give()  # the turn came at the moment of the cancellation: pass it on
            raise

    async def all_given(self) -> None:
        """Waits until all turns have been given back, or `fail()` is called."""
        if self.taken:
            if self.drained is None:
                self.drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self.drained)

    def fail(self, error: Exception) -> None:
        """Lets everybody who waits have this error."""
        if self.drained is not None:
            self.drained.set_result(None)
            self.drained = None
        waiters, self.waiters = self.waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_exception(error)
