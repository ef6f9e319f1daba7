"""Where the data set of a received message goes while it arrives."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from aiodicom.errors import ConnectionLost
from aiodicom.net._data_sets import gathering
from aiodicom.store.spool import SpoolFile
from aiodicom.ul._pdu import Budget, Discard
from aiodicom.values import Value, frozen

if TYPE_CHECKING:
    from aiodicom.net.requests import ServiceRequest, StoreRequest
    from aiodicom.net.transport import Transport

__all__ = ["BodyChoice", "BodySink", "Discarded", "FragmentStream", "Spooled", "Streamed"]


class BodySink(Protocol):
    """Takes one data set, encoded as it came. What raises here is answered with a failure status and ends the sink."""

    def write(self, view: memoryview, /) -> object:
        """Takes the next bytes. The view is valid during the call only."""

    def finish(self) -> object:
        """The data set is complete."""

    def abandon(self) -> object:
        """The data set will not be completed: undo what has been done."""


#: Chooses the sink of a request that has just begun to arrive.
BodyChoice = Callable[["StoreRequest"], BodySink]


@frozen
class Spooled(Value):
    """Gathers the data set in memory, and in an unnamed file in `directory` once it is larger than `above` bytes or the
    server's budget of memory has no more.
    """

    above: int = 16 << 20
    directory: str | os.PathLike[str] | None = None

    def __call__(self, request: ServiceRequest) -> BodySink:
        return gathering(request, self.above, self.spill)

    def spill(self) -> SpoolFile:
        """Returns the file that takes what is too large."""
        return SpoolFile(self.directory)


@frozen
class Discarded(Value):
    """Throws the data set away. The ``total`` of the request's ``body`` is how many bytes it had."""

    def __call__(self, request: StoreRequest) -> BodySink:
        return Discard()


@frozen
class Streamed(Value):
    """Hands the fragments to the handler while they arrive.

    The peer is held up while `high` bytes wait to be taken, or any while the server's budget of memory has no more.
    """

    high: int = 1 << 20

    def __call__(self, request: StoreRequest) -> BodySink:
        return FragmentStream(request.association.transport, request.association.budget, self.high)


class FragmentStream:
    """The fragments of a data set in the order of their arrival, as an asynchronous iterator of bytes.

    Raises `ConnectionLost` from the iteration when the association ends before the data set does. Cancelling the
    iteration loses no fragment.

    Invariants: `_size` bytes are in `_fragments` and taken from the budget; while reading is paused there are some, so
    whoever takes them makes it go on.
    """

    __slots__ = (
        "_budget",
        "_fragments",
        "_high",
        "_is_awaited",
        "_is_complete",
        "_is_ignored",
        "_is_lost",
        "_size",
        "_transport",
        "_wake",
    )

    def __init__(self, transport: Transport, budget: Budget, high: int) -> None:
        self._transport = transport
        self._budget = budget
        self._high = high
        self._fragments: deque[bytes] = deque()
        self._size = 0
        self._is_awaited = False
        self._is_complete = False
        self._is_lost = False
        self._is_ignored = False
        self._wake: asyncio.Future[None] | None = None

    def write(self, view: memoryview) -> None:
        """Takes the next bytes of the data set."""
        if self._is_ignored:
            return
        self._fragments.append(bytes(view))
        self._budget.require(len(view))
        self._size += len(view)
        if self._size >= self._high or self._budget.is_exhausted:
            self._transport.pause_reading(self)
        self._awake()

    def finish(self) -> None:
        """The data set is complete."""
        self._is_complete = True
        self._awake()

    def abandon(self) -> None:
        """The data set will not be completed."""
        self._is_lost = True
        self._awake()

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the next fragment, or is about to be told of it."""
        return self._is_awaited

    def ignore_rest(self) -> None:
        """Drops what has not been taken and what is still to come."""
        self._is_ignored = True
        self._fragments.clear()
        self._give(self._size)

    def __aiter__(self) -> FragmentStream:
        return self

    async def __anext__(self) -> bytes:
        while not self._fragments:
            if self._is_lost:
                raise ConnectionLost("the association ended before the data set did")
            if self._is_complete:
                raise StopAsyncIteration
            self._wake = asyncio.get_running_loop().create_future()
            self._is_awaited = True
            try:
                await self._wake
            finally:
                self._is_awaited = False
        fragment = self._fragments.popleft()
        self._give(len(fragment))
        return fragment

    def _give(self, size: int) -> None:
        self._budget.give(size)
        self._size -= size
        if not self._size or (self._size <= self._high // 2 and not self._budget.is_exhausted):
            self._transport.resume_reading(self)

    def _awake(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
