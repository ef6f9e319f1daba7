"""A task that does what it is given, in its order, and what has come meanwhile together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from aiodicom.errors import LocalError

__all__ = ["BatchTask"]

Item = TypeVar("Item")


class BatchTask(Generic[Item]):
    """Gives `work` lists of what was given to it: everything that waits, up to `most`. `work` must not raise.

    `side_by_side`: so many lists are worked on at a time.
    """

    def __init__(self, work: Callable[[list[Item]], Awaitable[object]], most: int, side_by_side: int = 1) -> None:
        self._work = work
        self._most = most
        self._side_by_side = side_by_side
        self._is_closed = False
        self._given: deque[Item] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def give(self, item: Item) -> None:
        """Has something done. Raises LocalError after `close`."""
        if self._is_closed:
            raise LocalError("the queue is closed")
        self._given.append(item)
        if len(self._running) < self._side_by_side:
            self._running.add(asyncio.get_running_loop().create_task(self._run()))

    async def done(self) -> None:
        """Returns when all is done that was given before, and what came meanwhile."""
        while self._running:
            await asyncio.wait(self._running)

    async def close(self, timeout: float | None = None) -> None:
        """Returns when all that was given is done, or given up after `timeout` seconds; nothing more may be given."""
        self._is_closed = True
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=timeout)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def _run(self) -> None:
        try:
            while self._given:
                await self._work([self._given.popleft() for _ in range(min(self._most, len(self._given)))])
        finally:  # at once: what is given from here on needs another task
            task = asyncio.current_task()
            assert task is not None
            self._running.discard(task)
