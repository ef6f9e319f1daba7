"""Threads that decode and encode, so that the event loop does not: `CodecThreads`."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from aiodicom.net.loops import resources_of

__all__ = ["CodecThreads", "codec_threads"]

Result = TypeVar("Result")

#: Work that waits in the queue of the threads, for each of them: the next one is there when a thread is free.
_AHEAD: Final = 1


class CodecThreads:
    """As many threads as the process has cores. Codecs leave the interpreter's lock alone while they work.

    Invariants: at most two jobs for each thread that somebody waits for are running or in its queue; who comes later
    waits on the event loop, first come first served, and holds nothing but what it came with.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count or _cores()
        self._turns = asyncio.Semaphore(self.count * (1 + _AHEAD))
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[], Result], drop: Callable[[Result], object] | None = None) -> Result:
        """Returns what `work` returns, in one of the threads.

        Cancelled before it has begun, it never begins; cancelled later, it runs to its end, and `drop` gets what comes
        of it, in that thread.
        """
        async with self._turns:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.count, "aiodicom-codec", initializer=_give_way)
            future = self._pool.submit(work)
            try:
                return await asyncio.shield(asyncio.wrap_future(future))
            except asyncio.CancelledError:
                if not future.cancel() and drop is not None:
                    future.add_done_callback(lambda done: _drop(done, drop))
                raise

    def __del__(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False)


def _drop(done: Future[Result], drop: Callable[[Result], object]) -> None:
    if done.exception() is None:
        drop(done.result())


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _give_way() -> None:
    """Has the scheduler run others first. On Linux a thread has a policy of its own; elsewhere the process has.

    An event loop that wakes up takes the core from SCHED_IDLE at once; of what is merely nice it may wait for the rest
    of a slice.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))


def codec_threads() -> CodecThreads:
    """The threads of the running event loop."""
    resources = resources_of(asyncio.get_running_loop())
    if resources.codecs is None:
        resources.codecs = CodecThreads()
    return resources.codecs
