"""A run: opens the associations, lets the model begin operations, and ends in a result."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Callable, Iterator
from itertools import chain, count, repeat
from random import Random
from time import perf_counter, process_time
from typing import Any, Final

import numpy as np

import aiodicom
from aiodicom.errors import AiodicomError
from aiodicom.load.attempts import Attempts
from aiodicom.load.models import ClosedModel, Model, OpenModel
from aiodicom.load.operations.catalogue import catalogue
from aiodicom.load.operations.operation import Operation
from aiodicom.load.pacing import Arrivals, Leg, Ramp, legs_of
from aiodicom.load.recorder import Recorder
from aiodicom.load.results import Result, Threshold
from aiodicom.load.scenario import Executor, Scenario
from aiodicom.load.scu import Associating, Scu
from aiodicom.load.supply import Supply
from aiodicom.load.thresholds import AbortOnFail, judge, parse

__all__ = ["Run"]

#: Associations that are opened or released at a time; a listen queue holds so many.
_GATE: Final = 128
#: What begins operations has its turn that often at most, in seconds, while there is much to begin: each turn then
#: begins several, which costs less, and the event loop's timers are not finer.
_TURN: Final = 0.001
#: Choices that are made at once.
_CHOICES: Final = 1024


class Run:
    """One run of a scenario in this process.

    `supply` gives what is stored; None for synthetic CT images.
    """

    def __init__(self, scenario: Scenario, supply: Supply | None = None) -> None:
        self._scenario = scenario
        self._operations = catalogue(scenario, supply)
        self._recorder: Recorder | None = None
        self._now = 0.0
        self._conditions = [parse(expression) for expression in scenario.thresholds]
        self._abort = AbortOnFail(self._conditions) if scenario.abort_on_fail else None

    @property
    def recorder(self) -> Recorder | None:
        """What has been counted so far; None before the run has begun."""
        return self._recorder

    async def run(self, stop: asyncio.Event, on_interval: Callable[[Recorder], object] | None = None) -> Result:
        """Runs until its end, or until `stop` is set, and returns what came of it.

        Whatever a target does is counted, not raised. `on_interval` is called every second. Cancelling it aborts the
        associations.
        """
        scenario = self._scenario
        recorder = self._recorder = Recorder(scenario, perf_counter(), process_time)
        associating = Associating(recorder, asyncio.Semaphore(_GATE), self._options())
        scus = [Scu(number, scenario, associating) for number in range(scenario.most_associations)]
        try:
            if scenario.executor is not Executor.RAMPING_ASSOCIATIONS and scus[0].lasting is None:
                await _all((scu.associate for scu in scus), stop)
            interrupted = stop.is_set() or await self._load(scus, recorder, stop, on_interval)
            await _all((scu.release for scu in scus), None)
        finally:
            for scu in scus:
                scu.abort()
        result = recorder.result(self._now or perf_counter(), interrupted=interrupted or self._failed is not None)
        result.thresholds = judge(self._conditions, result, self._failed)
        return result

    @property
    def _failed(self) -> Threshold | None:
        """The threshold for which the run ends before its time."""
        return None if self._abort is None else self._abort.failed

    def _options(self) -> dict[str, Any]:
        scenario = self._scenario
        contexts = dict.fromkeys(context for each in self._operations.values() for context in each.contexts)
        receives = dict.fromkeys(context for each in self._operations.values() for context in each.receives)
        timeouts = scenario.timeouts
        return {
            "contexts": list(contexts),
            "receives": list(receives),
            "max_pdu": scenario.max_pdu,
            "window": scenario.window,
            "timeouts": aiodicom.Timeouts(
                connect=timeouts.connect or None, acse=timeouts.acse or None, dimse=timeouts.dimse or None
            ),
        }

    async def _load(
        self,
        scus: list[Scu],
        recorder: Recorder,
        stop: asyncio.Event,
        on_interval: Callable[[Recorder], object] | None,
    ) -> bool:
        """The loaded part of the run; returns whether it was interrupted."""
        scenario = self._scenario
        loop = asyncio.get_running_loop()
        attempts = Attempts(recorder)
        # What is there now stays: the collector would look at all of thousands of associations, again and again.
        gc.collect()
        gc.freeze()
        origin = perf_counter()
        recorder.begin(origin)
        model = self._model(recorder, attempts, origin, lambda scu: None)
        attempts.on_free = model.free
        driver = Driver(loop, model)
        end = math.inf if scenario.seconds is None else origin + scenario.seconds
        try:
            now = perf_counter()
            for scu in scus:
                for _ in range(scu.slots):
                    model.free(scu, now)
            driver.turn()
            await self._pass_time(model, attempts, scus, recorder, stop, origin, end, on_interval)
            model.stop()
            self._now = perf_counter()
            is_over = stop.is_set() or self._failed is not None
            await attempts.drain(min(scenario.grace, 1.0) if is_over else scenario.grace)
        finally:
            gc.unfreeze()
            driver.stop()
            model.stop()
            await attempts.end()
            if attempts.running:
                for scu in scus:
                    if scu.running:
                        scu.abort()
            now = perf_counter()
            recorder.close_interval(now, 0.0)
            self._now = max(self._now, recorder.last_end)
        return perf_counter() < end and stop.is_set()

    async def _pass_time(
        self,
        model: Model,
        attempts: Attempts,
        scus: list[Scu],
        recorder: Recorder,
        stop: asyncio.Event,
        origin: float,
        end: float,
        on_interval: Callable[[Recorder], object] | None,
    ) -> None:
        """Until the end, or until all is done, or `stop`: closes an interval every second."""
        measured = origin + self._scenario.warm_up
        following = origin + 1.0
        stopped = asyncio.ensure_future(stop.wait())
        try:
            while True:
                now = perf_counter()
                if stop.is_set() or now >= end or (model.is_over and not attempts.running):
                    return
                if recorder.is_warm_up and now >= measured:
                    recorder.begin_measuring(now)
                if now >= following:
                    for scu in scus:
                        scu.look()
                    recorder.close_interval(now, model.planned_per_s(now))
                    following += math.floor(now - following) + 1.0
                    if on_interval is not None:
                        on_interval(recorder)
                    if self._abort is not None and not recorder.is_warm_up and self._abort.ask(recorder.so_far(), now):
                        return
                due = min(following, end, measured if recorder.is_warm_up else math.inf)
                if model.is_over:
                    due = min(due, now + 0.02)
                await asyncio.wait((stopped,), timeout=max(due - perf_counter(), 0.0))
        finally:
            stopped.cancel()

    def _model(
        self, recorder: Recorder, attempts: Attempts, origin: float, retire: Callable[[Scu], None]
    ) -> Model:
        scenario = self._scenario
        choose = self._chooser().__next__
        random = np.random.default_rng(scenario.seed) if scenario.poisson else None
        if scenario.executor.is_open:
            if scenario.stages:
                stages = [(float(stage.duration), float(stage.rate or 0)) for stage in scenario.stages]
                legs = legs_of(float(scenario.rate or 0), stages)
            else:
                rate = float(scenario.rate or 0)
                legs = [Leg(0.0, float(scenario.duration or 0), rate, rate)]
            return OpenModel(
                Arrivals(legs, origin, random),
                choose,
                attempts.begin,
                recorder,
                max_wait=scenario.max_wait,
                max_waiting=scenario.max_waiting,
            )
        if scenario.executor is Executor.RAMPING_ASSOCIATIONS:
            legs = legs_of(0.0, [(float(stage.duration), float(stage.associations or 0)) for stage in scenario.stages])
        else:
            legs = [Leg(0.0, 0.0, scenario.associations, scenario.associations)]
        return ClosedModel(
            Ramp(legs),
            choose,
            attempts.begin,
            recorder,
            origin=origin,
            think_time=scenario.think_time,
            count=scenario.operations,
            retire=retire,
        )

    def _chooser(self) -> Iterator[Operation]:
        """Operations at random in the proportions of the mix, the same for the same seed."""
        names = [name for name, weight in self._scenario.mix.items() if weight > 0]
        operations = [self._operations[name] for name in names]
        weights = [self._scenario.mix[name] for name in names]
        if len(operations) == 1:
            return repeat(operations[0])
        random = Random(f"mix {self._scenario.seed}")
        return chain.from_iterable(random.choices(operations, weights, k=_CHOICES) for _ in count())


class Driver:
    """Has a model advance at its time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, model: Model) -> None:
        self._loop = loop
        self._model = model
        self._timer: asyncio.TimerHandle | None = None

    def turn(self) -> None:
        """Lets the model begin what is due, and has itself called again."""
        due = self._model.advance(perf_counter())
        self._timer = self._loop.call_later(max(due - perf_counter(), _TURN), self.turn) if due < math.inf else None

    def stop(self) -> None:
        """It is not called any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def _all(works: Iterator[Callable[[], Any]], stop: asyncio.Event | None) -> None:
    """Does all of these, so many at a time; failures have been counted already."""

    async def worker() -> None:
        for work in works:
            if stop is not None and stop.is_set():
                return
            try:
                await work()
            except (AiodicomError, OSError):
                continue

    async with asyncio.TaskGroup() as group:
        for _ in range(_GATE):
            group.create_task(worker())
