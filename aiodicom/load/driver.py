"""Lets time pass for a run: the model advances when it is due, and an interval ends every second."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from aiodicom.load.alarm import Alarm
from aiodicom.load.models import Model
from aiodicom.load.recorder import Recorder
from aiodicom.load.results import Interval
from aiodicom.load.scu import Scu

__all__ = ["Driver"]

#: The model advances that often at most, in seconds: what is due within it begins together, which costs less.
_TURN: Final = 0.00025
#: How often it is looked whether all has begun that waits, when the time is over, in seconds.
_LAST_LOOKS: Final = 0.01
#: How long a series' interval is.
_INTERVAL: Final = 1.0


class Driver:
    """Drives a model from `origin` until `end`, in the seconds of `time.perf_counter`. To be closed.

    `on_interval` is told of each second.
    """

    def __init__(
        self,
        model: Model,
        recorder: Recorder,
        scus: Sequence[Scu],
        *,
        origin: float,
        end: float,
        on_interval: Callable[[Interval], object] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._model = model
        self._recorder = recorder
        self._scus = scus
        self._end = end
        self._on_interval = on_interval
        self._following = origin + _INTERVAL
        self._alarm = Alarm(self._turn)
        self._woken: asyncio.Future[None] | None = None
        #: The rate at which operations were to begin when that was last looked at, before the end.
        self.planned_per_s = 0.0

    def close(self) -> None:
        """The model does not advance any more."""
        self._alarm.close()

    def _turn(self) -> None:
        due = self._model.advance(perf_counter())
        if due < math.inf:
            self._alarm.set(max(due, perf_counter() + _TURN))

    async def run(
        self,
        stop: asyncio.Event,
        measured_from: float,
        is_idle: Callable[[], bool],
        has_failed: Callable[[float], bool],
    ) -> None:
        """Until the end, or until all is done, or `stop`, or until a second after which the run `has_failed`."""
        recorder, model = self._recorder, self._model
        stopped = asyncio.ensure_future(stop.wait())
        self._turn()
        try:
            while not stop.is_set():
                now = perf_counter()
                if now >= self._end:
                    model.finish(now)
                else:
                    self.planned_per_s = model.planned_per_s(now)
                if model.is_over and (now >= self._end or is_idle()):
                    return
                if recorder.is_warm_up and now >= measured_from:
                    recorder.begin_measuring(now, self.planned_per_s)
                if now >= self._following:
                    self._close_interval(now)
                    if has_failed(now):
                        return
                due = min(self._following, measured_from if recorder.is_warm_up else math.inf)
                due = min(due, now + _LAST_LOOKS if now >= self._end else self._end)
                self._woken = self._loop.create_future()
                await asyncio.wait(
                    (stopped, self._woken), timeout=max(due - perf_counter(), 0.0), return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            stopped.cancel()

    def wake(self) -> None:
        """Has `run` look whether all is done."""
        if self._woken is not None and not self._woken.done() and self._model.is_over:
            self._woken.set_result(None)

    def _close_interval(self, now: float) -> None:
        for scu in self._scus:
            scu.look()
        interval = self._recorder.close_interval(now, self._model.planned_per_s(now))
        if interval is not None and self._on_interval is not None:
            self._on_interval(interval)
        self._following += (math.floor((now - self._following) / _INTERVAL) + 1) * _INTERVAL
