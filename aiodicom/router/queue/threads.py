"""A thread that does what it is given, in its order, and what has come meanwhile together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from aiodicom.errors import LocalError

__all__ = ["BatchThread"]

Item = TypeVar("Item")


class BatchThread(Generic[Item]):
    """Gives `work` lists of what was given to it: everything that waits, up to `most` by the sum of `weight`, but one
    at least.

    `work` must not raise.
    """

    def __init__(
        self, name: str, work: Callable[[list[Item]], object], weight: Callable[[Item], int], most: int
    ) -> None:
        self._work = work
        self._weight = weight
        self._most = most
        self._is_closed = False
        self._given: SimpleQueue[Item | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def give(self, item: Item) -> None:
        """Has something done. Raises LocalError after `close`."""
        if self._is_closed:
            raise LocalError("the queue is closed")
        self._given.put(item)

    def close(self) -> None:
        """Returns when all that was given is done; nothing more may be given. Blocks."""
        self._is_closed = True
        self._given.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_ending = False
        while not is_ending:
            batch, is_ending = self._next()
            if batch:
                self._work(batch)

    def _next(self) -> tuple[list[Item], bool]:
        """What is to be done together, and whether nothing follows."""
        batch: list[Item] = []
        weight = 0
        item = self._given.get()
        while item is not None:
            batch.append(item)
            weight += self._weight(item)
            if weight >= self._most:
                return batch, False
            try:
                item = self._given.get_nowait()
            except Empty:
                return batch, False
        return batch, True
