"""Worker processes under a supervisor: started, watched, replaced when they die. Nothing in it knows DICOM."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from aiodicom.errors import LocalError

__all__ = ["EXIT_GRACE", "Supervisor"]

_log = logging.getLogger("aiodicom.serve")

#: How long drained workers may take to end before they are killed, beyond the time for draining, in seconds.
EXIT_GRACE = 5.0
#: A worker that dies is replaced after this many seconds, and after twice as many when its replacement dies too, and so
#: on to the longest: one that can't start keeps no core busy. One that has lived so long counts as started.
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_STARTED = 60.0

#: The life of a worker: it is given its assignment, in a process of its own.
Work = Callable[[Any], None]

#: Makes the assignment of a worker, by its number; where there is a connection, it says by that that it is ready.
Assign = Callable[[int, Connection | None], Any]


class _Worker:
    """A worker's process, from its start on."""

    def __init__(
        self, context: multiprocessing.context.SpawnContext, work: Work, number: int, assignment: object
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.started = self._loop.time()
        self.process: BaseProcess = context.Process(target=work, args=(assignment,), name=f"aiodicom worker {number}")
        # One that does not listen to SIGHUP yet would end by it; this way it waits until the worker does.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        #: Done when the process has ended.
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self.process.sentinel, self._on_end)

    def reap(self) -> int | None:
        """The exit code of the process, which has ended or is about to."""
        self.process.join()  # a moment at most: its end shows before the system has its exit code
        self._on_end()
        code = self.process.exitcode
        self.process.close()
        return code

    def _on_end(self) -> None:
        if not self.ended.done():
            self._loop.remove_reader(self.process.sentinel)
            self.ended.set_result(None)


class Supervisor:
    """Starts, watches and replaces so many workers, each on its own. `ended` is told of each that has ended."""

    def __init__(self, work: Work, assign: Assign, workers: int, ended: Callable[[int], object]) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._work = work
        self._assign = assign
        self._count = workers
        self._ended = ended
        #: Those that have not been reaped.
        self._workers: dict[int, _Worker] = {}

    async def start(self) -> list[Any]:
        """Returns what each worker has said, once all are ready. Raises `LocalError` if one can't start."""
        pipes = []
        try:
            for number in range(self._count):
                receiver, sender = self._context.Pipe(duplex=False)
                pipes.append(receiver)
                with sender:
                    self._workers[number] = self._begin(number, sender)
            said = []
            for number, receiver in enumerate(pipes):
                ready = await _received(receiver)
                if ready is None:
                    raise LocalError(f"worker {number} could not start: its own message is above")
                said.append(ready)
        finally:
            for receiver in pipes:
                receiver.close()
        return said

    async def watch(self) -> None:
        """Replaces the workers that end. Never returns."""
        async with asyncio.TaskGroup() as group:
            for number in self._workers:
                group.create_task(self._keep(number))

    async def _keep(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        delay = _FIRST_DELAY
        while True:
            worker = self._workers[number]
            await asyncio.wait((worker.ended,))
            del self._workers[number]
            pid, code = worker.process.pid, worker.reap()
            self._ended(number)
            if code == 0:  # somebody has asked it to, otherwise than we do
                delay = _FIRST_DELAY
                _log.info("worker %d (process %s) has drained: replaced", number, pid)
            else:
                if loop.time() - worker.started >= _STARTED:
                    delay = _FIRST_DELAY
                _log.error("worker %d (process %s) died with exit code %s: replaced in %g s", number, pid, code, delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, _LONGEST_DELAY)
            while number not in self._workers:
                try:
                    self._workers[number] = self._begin(number, None)
                except OSError as error:  # no memory, no descriptors, too many processes
                    _log.error("worker %d can't be started: %s; tried again in %g s", number, error, delay)
                    await asyncio.sleep(delay)
                    delay = min(2 * delay, _LONGEST_DELAY)

    def _begin(self, number: int, ready: Connection | None) -> _Worker:
        return _Worker(self._context, self._work, number, self._assign(number, ready))

    def hang_up(self) -> None:
        """Sends SIGHUP to the workers."""
        for worker in self._workers.values():
            if not worker.ended.done() and worker.process.pid is not None:
                os.kill(worker.process.pid, signal.SIGHUP)

    async def stop(self, timeout: float) -> None:
        """Has the workers drain; kills those that don't end in time, or all of them when cancelled."""
        workers = list(self._workers.values())
        for worker in workers:
            worker.process.terminate()
        try:
            if workers:
                await asyncio.wait([worker.ended for worker in workers], timeout=timeout)
        finally:
            for worker in workers:
                if not worker.ended.done():
                    _log.error("worker process %s doesn't end: killed", worker.process.pid)
                    worker.process.kill()
                worker.reap()
            for number in self._workers:
                self._ended(number)
            self._workers.clear()


async def _received(connection: Connection) -> Any:
    """What a worker says; None if it ends without a word, for that closes its end."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    loop.add_reader(connection.fileno(), arrived.set)
    try:
        await arrived.wait()
        ready = connection.recv()
    except EOFError:
        return None
    finally:
        loop.remove_reader(connection.fileno())
    return ready
