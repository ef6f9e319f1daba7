"""The one place that counts: what became of operations and associations, by second and in all."""

from __future__ import annotations

from array import array
from collections import Counter
from datetime import UTC, datetime
from typing import Final

import numpy as np

import aiodicom
from aiodicom.load.causes import cause_of, is_abort, is_rejection, is_release
from aiodicom.load.histogram import Histogram
from aiodicom.load.results import Associations, Generator, Interval, Result
from aiodicom.load.scenario import Scenario
from aiodicom.load.series import Series
from aiodicom.load.tally import Tally
from aiodicom.load.usage import peak_memory_bytes, processor_seconds, waiting_seconds

__all__ = ["Recorder"]

#: Of associations: opened before the load begins, as a rule.
_STEPS: Final = ("associate", "release")
#: Of what goes wrong, so many are told in full.
_MOST_EXAMPLES: Final = 20
#: A process that uses more of a core than this has nothing left for what comes all at once.
_BUSY_PERCENT: Final = 90.0
#: Nor has one that waits for so much of its time while others have the processor.
_WAITED_PERCENT: Final = 20.0
#: Operations that are begun this late distort what is measured, in milliseconds.
_LATE_MS: Final = 10.0


class Recorder:
    """Counts what happens; times are those of one monotonic clock, in seconds."""

    def __init__(self, scenario: Scenario, now: float) -> None:
        self._scenario = scenario
        self._began = self._measured_from = self._closed = now
        self._cpu_began = self._cpu_closed = processor_seconds()
        self._waited_began = self._waited_closed = waiting_seconds()
        self._started = datetime.now(UTC)
        #: Whether what is counted now will be forgotten when the warm-up is over.
        self.is_warm_up = scenario.warm_up > 0
        self._warm_up = 0.0
        self._tallies: dict[str, Tally] = {}
        self._lags = array("d")
        self._lag = Histogram()
        self._series = Series()
        self._examples: dict[str, str] = {}
        self._dropped_before = 0
        self._causes: Counter[str] = Counter()
        #: Operations that could not begin in time.
        self.dropped = 0
        #: Associations: opened, open at a time, released, rejected, aborted.
        self.opened = self.peak = self.released = self.rejected = self.aborted = 0
        self.open = 0
        #: How long it took to open those that the run began with, in seconds.
        self.opening_s = 0.0

    # --- what happens -----------------------------------------------------------------------------------------------

    def tally(self, name: str) -> Tally:
        """Where operations of this name are counted."""
        tally = self._tallies.get(name)
        if tally is None:
            tally = self._tallies[name] = Tally()
            if not self.is_warm_up and name not in _STEPS:
                tally.measured_from = self._measured_from
        return tally

    def late(self, seconds: float) -> None:
        """Something was begun so late that could have begun in time."""
        self._lags.append(seconds)

    def drop(self, planned: float) -> None:
        """An operation could not begin in time. Of one that was planned in the warm-up nothing is told afterwards."""
        if self.is_warm_up or planned >= self._measured_from:
            self.dropped += 1

    def failed(
        self, name: str, planned: float, started: float, now: float, error: BaseException, sent: int = 0
    ) -> None:
        """An operation has failed for this error."""
        cause = cause_of(error)
        status = getattr(error, "status", None)
        self.tally(name).failed(planned, started, now, cause, None if status is None else int(status), sent)
        self._exemplify(f"{name}: {cause}", error)

    def associated(self, started: float, now: float) -> None:
        """An association has been opened."""
        self.opened += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        self.tally("associate").ended(started, started, now)

    def not_associated(self, started: float, now: float, error: BaseException) -> None:
        """An association could not be opened."""
        self.failed("associate", started, started, now, error)
        self._causes[cause_of(error)] += 1
        self.rejected += is_rejection(error)
        self.aborted += is_abort(error)

    def released_one(self, started: float, now: float) -> None:
        """An association has been released."""
        self.open -= 1
        self.released += 1
        self.tally("release").ended(started, started, now)

    def lost(self, error: BaseException) -> None:
        """An association has ended of which we did not ask that."""
        self.open -= 1
        self.released += is_release(error)
        self.aborted += is_abort(error)
        self._causes[cause_of(error)] += 1
        self._exemplify(f"association: {cause_of(error)}", error)

    def _exemplify(self, what: str, error: BaseException) -> None:
        if what not in self._examples and len(self._examples) < _MOST_EXAMPLES:
            self._examples[what] = f"{what}: {' '.join(str(error).split())}"

    # --- time passes ------------------------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """The load begins: the time that opening associations took before does not count."""
        self.opening_s = now - self._began
        self._started = datetime.now(UTC)
        self._began = self._measured_from = self._closed = now
        self._cpu_began = self._cpu_closed = processor_seconds()
        self._waited_began = self._waited_closed = waiting_seconds()

    def begin_measuring(self, now: float, planned_per_s: float) -> None:
        """The warm-up is over: what was counted so far is not in the figures, but for those of associations. At its
        end so many operations were to begin a second.
        """
        self.close_interval(now, planned_per_s)
        for name, tally in self._tallies.items():
            if name not in _STEPS:
                tally.begin_measuring(now)
        self._lag.clear()
        self._examples.clear()
        self.dropped = self._dropped_before = 0
        self.is_warm_up = False
        self._warm_up = now - self._began
        self._measured_from = now
        self._cpu_began = processor_seconds()
        self._waited_began = self._waited_closed = waiting_seconds()

    def close_interval(self, now: float, planned_per_s: float) -> Interval | None:
        """Adds an interval, as a rule a second, to the series and returns it; None where no time has passed."""
        seconds = now - self._closed
        if seconds <= 0:
            return None
        used = processor_seconds()
        lag = Histogram()
        lag.record_all(np.frombuffer(self._lags))
        self._lags = array("d")
        self._lag.merge(lag)
        closed = {name: tally.close_interval() for name, tally in self._tallies.items()}
        interval = Interval(
            start_s=self._closed - self._began,
            seconds=seconds,
            is_warm_up=self.is_warm_up,
            operations={name: operation for name, operation in closed.items() if operation is not None},
            associations_open=self.open,
            dropped=self.dropped - self._dropped_before,
            planned_per_s=planned_per_s,
            lag_p99_ms=lag.percentile(99) / 1000,
            cpu_percent=(used - self._cpu_closed) / seconds * 100,
        )
        self._closed, self._cpu_closed, self._dropped_before = now, used, self.dropped
        self._waited_closed = waiting_seconds()
        self._series.append(interval)
        return interval

    def settle(self) -> None:
        """Counts what came after the last interval: what keeps associations to the end releases them then. It is in the
        figures of the run, and in no interval.
        """
        for tally in self._tallies.values():
            tally.close_interval()

    # --- what it comes to -------------------------------------------------------------------------------------------

    @property
    def last_end(self) -> float:
        """When the last operation has ended."""
        return max((tally.last_end for tally in self._tallies.values()), default=0.0)

    def latencies(self, name: str) -> Histogram:
        """Those of operations of this name, from their planned start, up to the end of the last interval; a copy."""
        return self.tally(name).latencies

    def result(self, now: float, *, interrupted: bool = False, with_histograms: bool = True) -> Result:
        """All so far, as of now; `close_interval` or `settle` before, for what has happened since."""
        seconds = max(now - self._measured_from, 0.0)
        operations = {
            name: tally.operation(seconds, with_histograms=with_histograms) for name, tally in self._tallies.items()
        }
        return Result(
            version=aiodicom.__version__,
            started=self._started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            seconds=seconds,
            warm_up_s=self._warm_up,
            interrupted=interrupted,
            title=self._scenario.title,
            targets=[f"{target.host}:{target.port}" for target in self._scenario.targets],
            scenario=self._scenario.to_dict(),
            operations={name: operation for name, operation in operations.items() if operation.count},
            associations=Associations(
                opened=self.opened,
                peak=self.peak,
                opening_s=self.opening_s,
                released=self.released,
                rejected=self.rejected,
                aborted=self.aborted,
                causes=dict(self._causes),
            ),
            dropped=self.dropped,
            generator=self._generator(),
            series=self._series.intervals(),
            examples=list(self._examples.values()),
        )

    def so_far(self, *, with_histograms: bool = False) -> Result:
        """All up to the end of the last interval, as a rule without what takes long: encoded histograms."""
        return self.result(self._closed, with_histograms=with_histograms)

    def _generator(self) -> Generator:
        elapsed = self._closed - self._measured_from
        percent = (self._cpu_closed - self._cpu_began) / elapsed * 100 if elapsed > 0 else 0.0
        waited = (self._waited_closed - self._waited_began) / elapsed * 100 if elapsed > 0 else 0.0
        lag = self._lag.percentile(99) / 1000
        reasons = []
        if percent > _BUSY_PERCENT:
            reasons.append(f"its process used {percent:.0f}% of a core")
        if waited > _WAITED_PERCENT:
            reasons.append(f"other processes of this machine kept it waiting for {waited:.0f}% of the time")
        if lag > _LATE_MS:
            reasons.append(f"1 in 100 operations began {lag:.0f} ms late or later")
        return Generator(
            lag_p99_ms=lag,
            lag_max_ms=self._lag.longest / 1000,
            cpu_percent=percent,
            peak_memory_bytes=peak_memory_bytes(),
            limited=bool(reasons),
            reason=" and ".join(reasons),
        )
