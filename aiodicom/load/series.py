"""The intervals of a run, few enough to keep and to draw however long it takes."""

from __future__ import annotations

from collections import Counter
from typing import Final

from aiodicom.load.results import Interval, IntervalOperation

__all__ = ["MOST_INTERVALS", "Series", "joined", "joined_operation"]

#: An hour in seconds; a longer run has intervals of two seconds, then of four.
MOST_INTERVALS: Final = 3600


class Series:
    """Intervals in their order; when they become too many, neighbours are joined.

    Invariants: at most `MOST_INTERVALS` are kept; each but the last joins as many of those that were appended.
    """

    def __init__(self, most: int = MOST_INTERVALS) -> None:
        self._most = most
        self._intervals: list[Interval] = []
        #: How many are joined into one, and how many are in the last.
        self._joined = 1
        self._in_last = 0

    def append(self, interval: Interval) -> None:
        """Adds the next interval."""
        if self._intervals and self._in_last < self._joined and _are_alike(self._intervals[-1], interval):
            self._intervals[-1] = joined(self._intervals[-1], interval)
            self._in_last += 1
            return
        self._intervals.append(interval)
        self._in_last = 1
        if len(self._intervals) > self._most:
            self._halve()

    def _halve(self) -> None:
        halved: list[Interval] = []
        number = 0
        while number < len(self._intervals):
            pair = self._intervals[number : number + 2]
            if len(pair) == 2 and not _are_alike(*pair):
                del pair[1]
            halved.append(joined(*pair) if len(pair) == 2 else pair[0])
            number += len(pair)
        self._intervals = halved
        self._joined *= 2
        self._in_last = self._joined

    def intervals(self) -> list[Interval]:
        """All of them, oldest first."""
        return list(self._intervals)


def _are_alike(first: Interval, second: Interval) -> bool:
    """Whether both are in the warm-up, or neither is."""
    return first.is_warm_up == second.is_warm_up


def joined(first: Interval, second: Interval) -> Interval:
    """Returns two neighbours as one."""
    seconds = first.seconds + second.seconds
    names = dict.fromkeys((*first.operations, *second.operations))
    nothing = IntervalOperation()

    def weighted(a: float, b: float) -> float:
        return (a * first.seconds + b * second.seconds) / seconds if seconds else a

    return Interval(
        start_s=first.start_s,
        seconds=seconds,
        is_warm_up=first.is_warm_up,
        operations={
            name: joined_operation(first.operations.get(name, nothing), second.operations.get(name, nothing))
            for name in names
        },
        associations_open=max(first.associations_open, second.associations_open),
        dropped=first.dropped + second.dropped,
        planned_per_s=weighted(first.planned_per_s, second.planned_per_s),
        lag_p99_ms=max(first.lag_p99_ms, second.lag_p99_ms),
        cpu_percent=weighted(first.cpu_percent, second.cpu_percent),
    )


def joined_operation(first: IntervalOperation, second: IntervalOperation) -> IntervalOperation:
    """Returns both as one. Their median is weighted by their counts, their 99th percentile the higher one."""
    count = first.count + second.count
    return IntervalOperation(
        count=count,
        errors=first.errors + second.errors,
        bytes=first.bytes + second.bytes,
        p50_ms=(first.p50_ms * first.count + second.p50_ms * second.count) / count if count else 0.0,
        p99_ms=max(first.p99_ms, second.p99_ms),
        max_ms=max(first.max_ms, second.max_ms),
        causes=dict(Counter(first.causes) + Counter(second.causes)),
    )
