"""What the processes of one server know of each other: numbers in shared memory, each written by one process alone."""

from __future__ import annotations

import dataclasses
import fcntl
import mmap
import os
import tempfile
from contextlib import suppress
from multiprocessing import reduction
from typing import Any

from aiodicom.metrics import Counters

__all__ = ["Board", "SharedCounters"]

_COUNTERS = tuple(field.name for field in dataclasses.fields(Counters))
_COLUMNS = ("present", "places", "looked", "away", *_COUNTERS)
_NUMBER = 8
#: Bytes from one worker's numbers to the next one's: whole cache lines, so that no worker slows another down.
_ROW = (len(_COLUMNS) * _NUMBER + 127) // 128 * 128
#: How often somebody asks for the board before it takes it that the process which has it was stopped.
_ATTEMPTS = 1000


class Board:
    """One row of numbers for each worker, in memory that all of them and their supervisor have.

    Entered as a context manager, it is this process's alone among those that enter it; the system gives it back when
    the process dies. It can be given to a process that is being spawned.
    """

    def __init__(self, workers: int) -> None:
        self._map(_anonymous_file(workers * _ROW), workers)

    def _map(self, descriptor: int, workers: int) -> None:
        self._descriptor = descriptor
        self.workers = workers
        self._numbers = memoryview(mmap.mmap(descriptor, workers * _ROW)).cast("q")

    def __getstate__(self) -> tuple[Any, int]:
        return reduction.DupFd(self._descriptor), self.workers

    def __setstate__(self, state: tuple[Any, int]) -> None:
        descriptor, workers = state
        self._map(descriptor.detach(), workers)

    def close(self) -> None:
        """Gives the descriptor back; the numbers stay readable."""
        os.close(self._descriptor)

    def column(self, name: str) -> memoryview[int]:
        """The numbers of this name, one for each worker."""
        return self._numbers[_COLUMNS.index(name) :: _ROW // _NUMBER]

    def counters(self, worker: int) -> Counters:
        """A worker's counters as they are now."""
        return Counters(**{name: self.column(name)[worker] for name in _COUNTERS})

    def total(self) -> Counters:
        """The counters of all workers together, as they are now."""
        total = Counters(**{name: sum(self.column(name)) for name in _COUNTERS})
        total.associations_peak = max(self.column("associations_peak"))  # each has seen the peak of all
        return total

    def has_ended(self, worker: int) -> None:
        """What a worker had open has ended with it. To be called when the process is no more."""
        self.column("aborts")[worker] += self.column("associations_open")[worker]
        for name in ("present", "places", "looked", "away", "associations_open"):
            self.column(name)[worker] = 0

    def __enter__(self) -> None:
        for _ in range(_ATTEMPTS):
            with suppress(BlockingIOError):
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            os.sched_yield()

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


class SharedCounters(Counters):
    """Counters whose numbers are a worker's on the board."""

    def __init__(self, board: Board, worker: int) -> None:
        self._columns = {name: board.column(name) for name in _COUNTERS}
        self._worker = worker

    def association_opened(self) -> None:
        self.associations += 1
        self.associations_open += 1
        self.associations_peak = max(self.associations_peak, sum(self._columns["associations_open"]))


def _shared(name: str) -> property:
    def get(self: SharedCounters) -> int:
        return self._columns[name][self._worker]

    def put(self: SharedCounters, value: int) -> None:
        self._columns[name][self._worker] = value

    return property(get, put)


for _name in _COUNTERS:
    setattr(SharedCounters, _name, _shared(_name))


def _anonymous_file(size: int) -> int:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("aiodicom")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
