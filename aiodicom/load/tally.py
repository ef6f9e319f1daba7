"""What has become of one kind of operation: latencies, statuses, causes, bytes."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Final

import numpy as np

from aiodicom.load.histogram import Histogram
from aiodicom.load.results import IntervalOperation, Operation

__all__ = ["Tally"]

#: Causes that an interval names: a peer may think of as many statuses as there are.
_MOST_CAUSES: Final = 20


class Tally:
    """Counts the operations of one kind that have ended.

    Latencies are gathered as they come and counted together by `close_interval`, which is called every second: what
    happens for each operation is two appends.

    Invariants: an operation that was planned before `measured_from` is not counted.
    """

    def __init__(self) -> None:
        #: When the measured part of the run begins, in the clock's seconds.
        self.measured_from = -np.inf
        #: When the last of them has ended.
        self.last_end = 0.0
        self._planned = array("d")
        self._actual = array("d")
        self._first = array("d")
        self._interval = Histogram()
        self._histograms = {"planned": Histogram(), "actual": Histogram(), "first_response": Histogram()}
        self._errors = self._errors_before = 0
        self._sent = self._received = self._bytes_before = 0
        self._matches = 0
        self._statuses: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._causes_before: Counter[str] = Counter()

    # --- what happens -----------------------------------------------------------------------------------------------

    def ended(self, planned: float, started: float, now: float, sent: int = 0, received: int = 0) -> None:
        """An operation has ended with status 0000H; bytes are those of data sets."""
        if planned >= self.measured_from:
            self._planned.append(now - planned)
            self._actual.append(now - started)
            self.last_end = now
            self._sent += sent
            self._received += received

    def warned(self, planned: float, status: int) -> None:
        """The operation that has `ended` did so with a warning."""
        if planned >= self.measured_from:
            self._statuses[f"{status:04X}H"] += 1

    def responded(self, planned: float, seconds: float) -> None:
        """The first of several responses has come so long after the start."""
        if planned >= self.measured_from:
            self._first.append(seconds)

    def matched(self, planned: float, number: int) -> None:
        """The operation that has `ended` has found so many matches, or had so many instances sent."""
        if planned >= self.measured_from:
            self._matches += number

    def received(self, size: int) -> None:
        """Bytes of a data set have come on another association than that of the operation."""
        self._received += size

    def failed(self, planned: float, started: float, now: float, cause: str, status: int | None, sent: int = 0) -> None:
        """An operation has ended otherwise: with a failure status, or for `cause` without one."""
        if planned >= self.measured_from:
            self.ended(planned, started, now, sent)
            self._errors += 1
            self._causes[cause] += 1
            self._statuses["" if status is None else f"{status:04X}H"] += 1

    # --- what it comes to -------------------------------------------------------------------------------------------

    def begin_measuring(self, now: float) -> None:
        """Forgets what was: the warm-up is over."""
        self.measured_from = now
        self.close_interval()
        for histogram in self._histograms.values():
            histogram.clear()
        self._errors = self._errors_before = 0
        self._sent = self._received = self._bytes_before = 0
        self._matches = 0
        self._statuses.clear()
        self._causes.clear()
        self._causes_before.clear()

    def close_interval(self) -> IntervalOperation | None:
        """Counts what has been gathered since the last call, and returns what it was; None where nothing ended."""
        count = len(self._planned)
        if not count:
            return None
        self._interval.record_all(np.frombuffer(self._planned))
        self._histograms["actual"].record_all(np.frombuffer(self._actual))
        self._histograms["first_response"].record_all(np.frombuffer(self._first))
        self._histograms["planned"].merge(self._interval)
        # New ones: numpy may still look at the old.
        self._planned, self._actual, self._first = array("d"), array("d"), array("d")
        latencies = self._interval.milliseconds()
        size = self._sent + self._received
        interval = IntervalOperation(
            count=count,
            errors=self._errors - self._errors_before,
            bytes=size - self._bytes_before,
            p50_ms=latencies.p50,
            p99_ms=latencies.p99,
            max_ms=latencies.max,
            causes=dict((self._causes - self._causes_before).most_common(_MOST_CAUSES)),
        )
        self._interval.clear()
        self._errors_before, self._bytes_before = self._errors, size
        self._causes_before = self._causes.copy()
        return interval

    @property
    def latencies(self) -> Histogram:
        """Those from the planned start that `close_interval` has counted; a copy."""
        return self._histograms["planned"].since(Histogram())

    def operation(self, seconds: float, *, with_histograms: bool) -> Operation:
        """All that was counted in so many seconds; call `close_interval` before."""
        planned, actual, first = (self._histograms[name] for name in ("planned", "actual", "first_response"))
        statuses = {status: number for status, number in self._statuses.items() if status}
        successes = planned.count - self._statuses.total()
        if successes:
            statuses = {"0000H": successes, **statuses}
        encoded = {name: text for name, each in self._histograms.items() if with_histograms and (text := each.encode())}
        return Operation(
            count=planned.count,
            errors=self._errors,
            rate_per_s=planned.count / seconds if seconds else 0.0,
            bytes_sent=self._sent,
            bytes_received=self._received,
            matches=self._matches,
            planned_latency_ms=planned.milliseconds(),
            actual_latency_ms=actual.milliseconds(),
            first_response_ms=first.milliseconds(),
            statuses=statuses,
            causes=dict(self._causes),
            histograms=encoded,
        )
