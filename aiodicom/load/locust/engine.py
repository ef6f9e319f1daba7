"""An event loop in a native thread beside gevent, in which the runs of all users of a process are.

gevent has replaced what threads, locks and sockets of Python are made of by what gives way to its own loop. uvloop
needs none of these; a thread, and the threads for what would block its loop, are made by what was there before.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

import uvloop
from gevent import monkey  # type: ignore[import-untyped]

from aiodicom.errors import AiodicomError
from aiodicom.load.locust.statistics import Batch, Gathering
from aiodicom.load.run import Run
from aiodicom.load.scenario import Scenario
from aiodicom.load.scripted import User
from aiodicom.load.supply import Supply

__all__ = ["Engine", "Running"]

Value = TypeVar("Value")

_start_thread: Final[Callable[..., int]] = monkey.get_original("_thread", "start_new_thread")
_allocate_lock: Final[Callable[[], Any]] = monkey.get_original("_thread", "allocate_lock")


class _NativeThreads(ThreadPoolExecutor):
    """Does each work in a native thread of its own: there are few, such as making the data of a run."""

    def submit(self, work: Callable[..., Value], /, *args: Any, **kwargs: Any) -> Future[Value]:
        future: Future[Value] = Future()

        def do() -> None:
            try:
                value = work(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(value)

        _start_thread(do, ())
        return future


class Running:
    """A run in the engine. Its attributes may be read, and its methods called, in any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._stop = asyncio.Event()
        self.is_over = False
        #: What kept it from beginning.
        self.failure: Exception | None = None

    def stop(self) -> None:
        """Asks it to end."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def do(self, run: Run, gathering: Gathering) -> None:
        """In the engine's thread: all of the run."""
        try:
            await run.run(self._stop)
            gathering.gather(run)
        except (AiodicomError, OSError, ValueError) as error:
            self.failure = error
        except Exception as error:
            self.failure = error
            raise
        finally:
            self.is_over = True


class Engine:
    """The thread and its loop; they end with the process."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._loop.set_default_executor(_NativeThreads(1))
        self._tasks: set[asyncio.Task[None]] = set()
        #: What the runs have done, for the thread of gevent to take.
        self.batches: deque[Batch] = deque()
        # Locust logs what is INFO, which is two lines for every association.
        logging.getLogger("aiodicom.association").setLevel(logging.WARNING)
        is_running = _allocate_lock()
        is_running.acquire()
        self._loop.call_soon(is_running.release)
        _start_thread(self._loop.run_forever, ())
        is_running.acquire()

    def begin(self, scenario: Scenario, user: type[User] | None, supply: Supply | None) -> Running:
        """Begins a run of a scenario. `supply` may be that of other runs too. Raises what `Run` does."""
        running = Running(self._loop)
        gathering = Gathering(self.batches.append)
        run = Run(scenario, user=user, supply=supply, on_interval=lambda _: gathering.gather(run))

        def start() -> None:
            task = self._loop.create_task(running.do(run, gathering))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._loop.call_soon_threadsafe(start)
        return running
