"""What comes, on its way to the disk: written together with what has come at the same time, and told of in its order.

Nobody who writes needs the interpreter: the event loop says what is to be written where, threads in C do it, and the
event loop hears of it. So nothing waits for a turn of a thread of Python beside a busy event loop.
"""

from __future__ import annotations

import asyncio
import errno
import functools
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from aiodicom.router.queue.objects import Receipt
from aiodicom.router.queue.shard import Arrival, Copied, Group, Read, Shard
from aiodicom.router.queue.space import Watermarks
from aiodicom.store._writers import Job, Writers
from aiodicom.store.segments import Append

__all__ = ["Arriving", "QueueFull", "SegmentWriter"]

#: Bytes that are written together: more would only have those wait that come first.
_GROUP: Final = 16 << 20
#: What an object costs beside its bytes, as if it were so many.
_OBJECT: Final = 32 << 10
#: Groups on their way to the disk at a time: what comes while one is need not wait for it. A large one has the disk for
#: itself: two would share it, and both be there later.
_GROUPS: Final = 2
_LARGE: Final = 1 << 18


class QueueFull(OSError):
    """The disk is nearly full (ENOSPC): the engine answers A700H."""


class Arriving(NamedTuple):
    """An object that is to be queued, and who waits for that."""

    arrival: Arrival
    done: asyncio.Future[Receipt]


class _Copying(NamedTuple):
    read: Read
    copied: Callable[[Copied], object]
    failed: Callable[[Exception], object]


class _Writing:
    """What is written together, and what is done then."""

    __slots__ = ("end", "is_done", "is_large")

    def __init__(self, *, is_large: bool = False) -> None:
        self.is_large = is_large
        self.is_done = False
        self.end: Callable[[], object]


class SegmentWriter:
    """Writes to the segments of a shard, for one event loop.

    `written` is told what is on the disk, `refused` what is not, and why: in the order in which all of it has come.

    Invariant: `_running` are what was begun, in that order; what is done and not told of waits there for those before
    it.
    """

    def __init__(
        self,
        shard: Shard,
        watermarks: Watermarks,
        *,
        written: Callable[[list[Arriving], Group], object],
        refused: Callable[[list[Arriving], Exception], object],
    ) -> None:
        self._shard = shard
        self._watermarks = watermarks
        self._tell_written = written
        self._tell_refused = refused
        self._loop = asyncio.get_running_loop()
        self._writers = Writers(_GROUPS)
        self._loop.add_reader(self._writers.fileno(), self._collect)
        self._arrived: deque[Arriving] = deque()
        self._copies: deque[_Copying] = deque()
        self._is_starting = False
        self._running: deque[_Writing] = deque()
        #: The file of the next segment is being made.
        self._making: asyncio.Future[None] | None = None
        self._idle: asyncio.Future[None] | None = None

    def write(self, arriving: Arriving) -> None:
        """Has an object written with those that come in the same turn of the loop, and those that wait."""
        self._arrived.append(arriving)
        self._start_soon()

    def copy(self, read: Read, copied: Callable[[Copied], object], failed: Callable[[Exception], object]) -> None:
        """Has records copied to the end of the log; one of the two is told then."""
        self._copies.append(_Copying(read, copied, failed))
        self._start_soon()

    async def close(self) -> None:
        """Returns when all that was given is on the disk or refused; nothing more may be given."""
        if self._arrived or self._copies or self._running:
            self._idle = self._loop.create_future()
            await self._idle
        if self._making is not None:
            await asyncio.wait([self._making])
        self._loop.remove_reader(self._writers.fileno())
        self._writers.close()  # they have nothing to do

    def _start_soon(self) -> None:
        if not self._is_starting:
            self._is_starting = True
            self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._is_starting = False
        log = self._shard.log
        while (self._arrived or self._copies) and self._has_room:
            if log.must_have_next:  # the loop does not wait for the disk to make one
                self._make_next()
                return
            if self._arrived:
                self._begin(self._next_group())
            else:
                self._begin_copy(self._copies.popleft())
        if log.wants_next:
            self._make_next()
        if self._idle is not None and not self._running and not self._idle.done():
            self._idle.set_result(None)

    @property
    def _has_room(self) -> bool:
        return len(self._running) < _GROUPS and not any(writing.is_large for writing in self._running)

    def _next_group(self) -> list[Arriving]:
        group, weight = [], 0
        while self._arrived and weight < _GROUP:
            group.append(self._arrived.popleft())
            weight += len(group[-1].arrival.data) + _OBJECT
        return group

    def _begin(self, group: list[Arriving]) -> None:
        try:
            size = sum(len(each.arrival.data) for each in group)
            if not self._watermarks.check(size):
                raise QueueFull(errno.ENOSPC, "the queue's disk is nearly full")
            writing = self._shard.begin([each.arrival for each in group])
        except Exception as error:
            self._refuse(functools.partial(self._tell_refused, group, error))
            return
        running = self._run(writing.append, is_large=size >= _LARGE)

        def end() -> None:
            try:
                written = self._shard.end(writing, known)
            except OSError as error:
                self._tell_refused(group, error)
            else:
                self._tell_written(group, written)

        running.end = end
        known = self._shard.known(writing)  # while it is being written

    def _begin_copy(self, copying: _Copying) -> None:
        try:
            append = self._shard.begin_copy(copying.read)
        except Exception as error:
            self._refuse(functools.partial(copying.failed, error))
            return

        def end() -> None:
            try:
                copied = self._shard.end_copy(copying.read, append)
            except OSError as error:
                copying.failed(error)
            else:
                copying.copied(copied)

        self._run(append, is_large=True).end = end

    def _refuse(self, end: Callable[[], object]) -> None:
        """Has something end in its turn that was not begun."""
        writing = _Writing()
        writing.end = end
        writing.is_done = True
        self._running.append(writing)
        self._loop.call_soon(self._go_on)

    def _run(self, append: Append, *, is_large: bool) -> _Writing:
        writing = _Writing(is_large=is_large)
        append.job.context = writing
        self._running.append(writing)
        try:
            self._writers.give(append.job)
        except OSError:  # not even one thread can be started: who sends is held up, and loses nothing
            self._loop.call_soon(self._run_here, append.job)
        return writing

    def _run_here(self, job: Job) -> None:
        job.run()
        _mark_done(job)
        self._go_on()

    def _collect(self) -> None:
        for job in self._writers.collect():
            _mark_done(job)
        self._go_on()

    def _go_on(self) -> None:
        while self._running and self._running[0].is_done:
            self._running.popleft().end()
        self._start()

    def _make_next(self) -> None:
        if self._making is None:
            self._making = self._loop.run_in_executor(None, self._shard.make_next)
            self._making.add_done_callback(self._made)

    def _made(self, making: asyncio.Future[None]) -> None:
        self._making = None
        error = making.exception()
        if not isinstance(error, Exception):
            self._start()
        elif self._shard.log.must_have_next:
            if group := self._next_group():
                self._refuse(functools.partial(self._tell_refused, group, error))
            elif self._copies:
                self._refuse(functools.partial(self._copies.popleft().failed, error))
        # Else it is tried again with what comes next, and not until then: the disk may be full for hours.


def _mark_done(job: Job) -> None:
    # The two know each other. Left at that, the objects that were written would wait for the garbage collector.
    writing, job.context = job.context, None
    writing.is_done = True
