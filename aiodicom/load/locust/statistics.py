"""What runs have done, as Locust counts it, in batches: counting one by one would be what limits a load."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from math import floor, log10
from typing import Final, NamedTuple

from locust.stats import RequestStats, StatsEntry, StatsError

from aiodicom.load.histogram import Histogram
from aiodicom.load.results import Operation
from aiodicom.load.run import Run

__all__ = ["METHOD", "Batch", "Gathering", "add_all"]

#: What Locust's page shows where it has GET and POST of others.
METHOD: Final = "DICOM"
#: Operations that could not begin in time, as a name among those that ended.
_DROPPED: Final = "dropped"


class Batch(NamedTuple):
    """Operations of one name that have ended since the batch before."""

    name: str
    ended: int
    #: What the errors were.
    causes: Mapping[str, int]
    size: int
    #: From the planned start, in milliseconds, to two digits: Locust keeps as many.
    latencies: Mapping[float, int]
    total_ms: float
    shortest_ms: float
    longest_ms: float


class Gathering:
    """Takes from a run what it has done since it was asked last; what was done in the warm-up is left out."""

    def __init__(self, give: Callable[[Batch], object]) -> None:
        self._give = give
        self._before: dict[str, Operation] = {}
        self._latencies: dict[str, Histogram] = {}
        self._dropped = 0

    def gather(self, run: Run) -> None:
        """Gives a batch for each operation of which there were any."""
        recorder = run.recorder
        if recorder is None or recorder.is_warm_up:
            return
        so_far = recorder.so_far()
        for name, operation in so_far.operations.items():
            before = self._before.get(name, Operation())
            if operation.count > before.count:
                self._give(self._batch(name, before, operation, recorder.latencies(name)))
            self._before[name] = operation
        if so_far.dropped > self._dropped:
            count = so_far.dropped - self._dropped
            self._give(Batch(_DROPPED, count, {"no association was free in time": count}, 0, {}, 0.0, 0.0, 0.0))
            self._dropped = so_far.dropped

    def _batch(self, name: str, before: Operation, now: Operation, latencies: Histogram) -> Batch:
        new = latencies.since(self._latencies.get(name, Histogram()))
        self._latencies[name] = latencies
        rounded: Counter[float] = Counter()
        for microseconds, times in new.recorded():
            rounded[_two_digits(microseconds / 1000)] += times
        return Batch(
            name,
            now.count - before.count,
            Counter(now.causes) - Counter(before.causes),
            now.bytes_sent + now.bytes_received - before.bytes_sent - before.bytes_received,
            rounded,
            new.total / 1000,
            min(rounded, default=0.0),
            now.planned_latency_ms.max,
        )


def _two_digits(milliseconds: float) -> float:
    return round(milliseconds, 1 - floor(log10(milliseconds)))


def add_all(batches: deque[Batch], stats: RequestStats) -> None:
    """Adds what is there to what Locust has counted; in its thread."""
    while batches:
        _add(batches.popleft(), stats)


def _add(batch: Batch, stats: RequestStats) -> None:
    entry = StatsEntry(stats, batch.name, METHOD)
    now = time.time()
    entry.num_requests = batch.ended
    entry.num_failures = sum(batch.causes.values())
    entry.num_reqs_per_sec[int(now)] = batch.ended
    entry.num_fail_per_sec[int(now)] = entry.num_failures
    entry.total_content_length = batch.size
    entry.last_request_timestamp = now
    if batch.latencies:
        # Locust's own are floats too, whatever their hints say.
        entry.response_times.update(batch.latencies)  # type: ignore[arg-type]
        entry.total_response_time = batch.total_ms  # type: ignore[assignment]
        entry.min_response_time = batch.shortest_ms  # type: ignore[assignment]
        entry.max_response_time = batch.longest_ms  # type: ignore[assignment]
    else:
        entry.num_none_requests = batch.ended
    stats.get(batch.name, METHOD).extend(entry)
    stats.total.extend(entry)
    for cause, times in batch.causes.items():
        key = StatsError.create_key(METHOD, batch.name, cause)
        error = stats.errors.setdefault(key, StatsError(METHOD, batch.name, cause))
        error.occurrences += times
