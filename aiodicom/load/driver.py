"""Lets time pass for a run: the model advances when it is due, and an interval ends every second."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from aiodicom.load.models import Model
from aiodicom.load.recorder import Recorder
from aiodicom.load.scu import Scu

__all__ = ["Driver"]

#: The model advances that often at most, in seconds: then it begins several operations at a time, which costs less, and
#: the event loop's timers are not finer.
_TURN: Final = 0.001
#: How long a series' interval is.
_INTERVAL: Final = 1.0


class Driver:
    """Drives a model from `origin` until `end`, in the seconds of `time.perf_counter`."""

    def __init__(self, model: Model, recorder: Recorder, scus: Sequence[Scu], *, origin: float, end: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._model = model
        self._recorder = recorder
        self._scus = scus
        self._end = end
        self._following = origin + _INTERVAL
        self._timer: asyncio.TimerHandle | None = None

    def turn(self) -> None:
        """Lets the model begin what is due, and has itself called again."""
        due = self._model.advance(perf_counter())
        self._timer = self._loop.call_later(max(due - perf_counter(), _TURN), self.turn) if due < math.inf else None

    def stop(self) -> None:
        """The model does not advance any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def run(
        self,
        stop: asyncio.Event,
        measured_from: float,
        is_done: Callable[[], bool],
        has_failed: Callable[[float], bool],
    ) -> None:
        """Until the end, or until all is done, or `stop`, or until a second after which the run `has_failed`."""
        recorder = self._recorder
        stopped = asyncio.ensure_future(stop.wait())
        self.turn()
        try:
            while not stop.is_set():
                now = perf_counter()
                if now >= self._end or (self._model.is_over and is_done()):
                    return
                if recorder.is_warm_up and now >= measured_from:
                    recorder.begin_measuring(now)
                if now >= self._following:
                    self._close_interval(now)
                    if has_failed(now):
                        return
                due = min(self._following, self._end, measured_from if recorder.is_warm_up else math.inf)
                if self._model.is_over:
                    due = min(due, now + 0.02)
                await asyncio.wait((stopped,), timeout=max(due - perf_counter(), 0.0))
        finally:
            stopped.cancel()

    def _close_interval(self, now: float) -> None:
        for scu in self._scus:
            scu.look()
        self._recorder.close_interval(now, self._model.planned_per_s(now))
        self._following += (math.floor((now - self._following) / _INTERVAL) + 1) * _INTERVAL
