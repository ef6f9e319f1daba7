"""Threads that decode and encode, so that the event loop does not: `CodecThreads`."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

from aiodicom.net._priority import give_way
from aiodicom.net.loops import resources_of

__all__ = ["CodecThreads", "codec_threads"]

Result = TypeVar("Result")

#: Work that waits in the queue of the threads, for each of them: the next one is there when a thread is free.
_AHEAD: Final = 1

#: The nice value of threads that give way.
_LOWEST: Final = 19

#: Such a thread is starved when it has waited for a core so many times as long as it had one, over so many seconds.
_STARVED: Final = 8
_LOOK: Final = 0.5

#: Seconds for which threads do not give way after some were starved.
_RELIEF: Final = 60.0


class CodecThreads:
    """As many threads as the process has cores. Codecs leave the interpreter's lock alone while they work.

    Invariants: at most two jobs for each thread that somebody waits for are running or in its queue; who comes later
    waits on the event loop, first come first served, and holds nothing but what it came with.

    The threads give way to everybody, so that the event loop has a core at once. Where other programs keep the cores
    busy that would be for good, and sometimes with the interpreter's lock held: then threads with an ordinary priority
    take over for a while.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count or _cores()
        self._turns = asyncio.Semaphore(self.count * (1 + _AHEAD))
        self._pool: ThreadPoolExecutor | None = None
        #: Of threads that give way; None while they are ordinary ones.
        self._watch: _Watch | None = None
        #: Until when they are, in the event loop's time.
        self._relief = 0.0

    async def run(self, work: Callable[[], Result], drop: Callable[[Result], object] | None = None) -> Result:
        """Returns what `work` returns, in one of the threads.

        Cancelled before it has begun, it never begins; cancelled later, it runs to its end, and `drop` gets what comes
        of it, in that thread.
        """
        async with self._turns:
            threads = self._threads()
            future = threads.submit(work) if self._watch is None else threads.submit(self._watch.do, work)
            try:
                return await asyncio.shield(asyncio.wrap_future(future))
            except asyncio.CancelledError:
                if not future.cancel() and drop is not None:
                    future.add_done_callback(lambda done: _drop(done, drop))
                raise

    def __del__(self) -> None:
        self._let_go()

    def _threads(self) -> ThreadPoolExecutor:
        now = asyncio.get_running_loop().time()
        if self._watch is None:
            if now >= self._relief:
                self._let_go()
                self._watch = _Watch()
        elif self._watch.is_starved:
            self._let_go()
            self._watch, self._relief = None, now + _RELIEF
        if self._pool is None:
            give_way = None if self._watch is None else self._watch.give_way
            self._pool = ThreadPoolExecutor(self.count, "aiodicom-codec", initializer=give_way)
        return self._pool

    def _let_go(self) -> None:
        """Its threads end when they have done what is in their queue. A priority that is low cannot be raised again."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None


class _Watch:
    """Has threads give way, and sees whether that leaves them without a core. What they hold of those who have them."""

    def __init__(self) -> None:
        #: Whether one of them was.
        self.is_starved = False
        self._seen = threading.local()

    def give_way(self) -> None:
        """On Linux threads have a nice value of their own; elsewhere the process has, and nothing is done."""
        if give_way(_LOWEST):
            self._seen.share = _share()

    def do(self, work: Callable[[], Result]) -> Result:
        """Returns what `work` returns."""
        try:
            return work()
        finally:
            before: _Share | None = getattr(self._seen, "share", None)
            if before is not None and time.monotonic() - before.at >= _LOOK:
                self._seen.share = after = _share()
                if after.waited - before.waited > _STARVED * (after.ran - before.ran):
                    self.is_starved = True


class _Share(NamedTuple):
    """What a thread had of the processors so far, in nanoseconds: running, and ready to run without a core."""

    #: Seconds of the monotonic clock.
    at: float
    ran: int
    waited: int


def _share() -> _Share:
    """What Linux has counted for the calling thread; that it never waited where nothing is counted."""
    try:
        with open("/proc/thread-self/schedstat", "rb") as file:
            ran, waited, _ = map(int, file.read().split())
    except (OSError, ValueError):
        ran = waited = 0
    return _Share(time.monotonic(), ran, waited)


def _drop(done: Future[Result], drop: Callable[[Result], object]) -> None:
    if done.exception() is None:
        drop(done.result())


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def codec_threads() -> CodecThreads:
    """The threads of the running event loop."""
    resources = resources_of(asyncio.get_running_loop())
    if resources.codecs is None:
        resources.codecs = CodecThreads()
    return resources.codecs
