"""A run: opens the associations, lets the model begin operations, and ends in a result."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Final

import msgspec

from aiodicom.errors import AiodicomError
from aiodicom.load.attempts import Attempts
from aiodicom.load.choosing import chooser, make_model
from aiodicom.load.collecting import leaving_alone
from aiodicom.load.connecting import connect_options
from aiodicom.load.data import supply_of
from aiodicom.load.driver import Driver
from aiodicom.load.models import Model
from aiodicom.load.operations.catalogue import Catalogue
from aiodicom.load.operations.operation import Operation
from aiodicom.load.receiver import receiving
from aiodicom.load.recorder import Recorder
from aiodicom.load.replaying.replay import Replay
from aiodicom.load.results import Interval, Result, Threshold
from aiodicom.load.scenario import Executor, Scenario
from aiodicom.load.scripted import Tasks, User
from aiodicom.load.scu import Associating, Scu
from aiodicom.load.share import WHOLE, Share
from aiodicom.load.supply import Supply
from aiodicom.load.thresholds import AbortOnFail, judge, parse
from aiodicom.services.scan import Unusable
from aiodicom.services.stopping import Interrupted, unless_stopped
from aiodicom.services.storage_commitment import Commitment, Unexpected

__all__ = ["Run"]

#: Associations that are opened or released at a time; a listen queue holds so many.
_GATE: Final = 128
#: What has begun may take so long after somebody has asked for the end, in seconds.
_GRACE_WHEN_STOPPED: Final = 1.0


class Run:
    """One run of a scenario in this process.

    `supply` gives what is stored, instead of what the scenario says. `user` is the class of a scenario in Python.
    `on_unusable` is told of files that cannot be stored. `share` is what this
    process does where several do the run. `before_load` is awaited between the opening of the associations and the
    load, `before_end` once they are released and before the receiver goes; `on_interval` is told of each second,
    `on_report` of reports of storage commitment that nobody here waits for. Raises `ScenarioError`, and OSError, for a
    trace that cannot be read.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        user: type[User] | None = None,
        supply: Supply | None = None,
        on_unusable: Callable[[Unusable], object] | None = None,
        share: Share = WHOLE,
        before_load: Callable[[], Awaitable[object]] | None = None,
        before_end: Callable[[], Awaitable[object]] | None = None,
        on_interval: Callable[[Interval], object] | None = None,
        on_report: Unexpected | None = None,
    ) -> None:
        whole_seed = secrets.token_hex(4) if scenario.seed is None else scenario.seed
        self.scenario = msgspec.structs.replace(scenario, seed=whole_seed)
        self._seed = seed = share.seed(whole_seed)
        self._seed_made_up = scenario.seed is None
        self._share = share
        self._before_load = before_load
        self._before_end = before_end
        self._on_interval = on_interval
        self._user = user
        self._replay = None if scenario.trace is None else Replay(self.scenario, share, seed)
        self._catalogue = Catalogue(
            self.scenario, lambda: supply or supply_of(scenario.data, seed, on_unusable), on_report
        )
        self._recorder: Recorder | None = None
        self._conditions = [parse(expression) for expression in scenario.thresholds]
        self._abort = AbortOnFail(self._conditions) if scenario.abort_on_fail else None

    @property
    def most_associations(self) -> int:
        """How many associations are open at a time, at most."""
        if self._replay is not None:
            return self._replay.most_associations
        return self._share.part(self.scenario.most_associations)

    @property
    def skipped(self) -> Mapping[str, int]:
        """Operations of a trace that are not done again, by service."""
        return {} if self._replay is None else self._replay.skipped

    @property
    def recorder(self) -> Recorder | None:
        """What has been counted so far; None before the run has begun."""
        return self._recorder

    def so_far(self, *, with_histograms: bool = False) -> Result:
        """All up to the end of the last second; what is added to that of others has to be with histograms."""
        return Result() if self._recorder is None else self._recorder.so_far(with_histograms=with_histograms)

    def reported(self, commitment: Commitment) -> None:
        """A report of storage commitment has come to another process."""
        self._catalogue.listener.take(commitment)

    async def run(self, stop: asyncio.Event) -> Result:
        """Runs until its end, or until `stop` is set, and returns what came of it.

        Whatever a target does is counted, not raised. Raises `LocalError` and OSError for what keeps it from beginning.
        Cancelling it aborts the associations.
        """
        scenario = self.scenario
        # In a thread: files may be read, and pixels encoded.
        operations, tasks = await asyncio.to_thread(self._operations)
        recorder = self._recorder = Recorder(scenario, perf_counter())
        options = connect_options(scenario, operations.values(), self._catalogue.listener.handlers)
        associating = Associating(recorder, asyncio.Semaphore(_GATE), options)
        one = tasks is not None
        # What only opens associations of its own has no use for others.
        keeps_any = one or any(each.contexts for each in operations.values())
        # A replay has its own, each at its time.
        numbers = self._share.numbers(scenario.most_associations if self._replay is None else 0)
        scus = [Scu(number, scenario, associating, one_at_a_time=one) for number in numbers]
        try:
            # One port has one listener, whoever asks for what comes there.
            receiver = scenario.receiver if self._share.number == 0 else None
            async with receiving(receiver, recorder, self._catalogue.listener):
                is_ramp = scenario.executor is Executor.RAMPING_ASSOCIATIONS
                if scus and keeps_any and not is_ramp and scus[0].lasting is None:
                    with suppress(Interrupted):
                        await unless_stopped(stop, _all(scu.associate for scu in scus))
                if self._before_load is not None:
                    with suppress(Interrupted):
                        await unless_stopped(stop, self._before_load())
                ended = perf_counter()
                if not stop.is_set():
                    with leaving_alone():
                        ended = await self._load(operations, scus, associating, stop)
                if tasks is not None:
                    await tasks.stop()
                await _all(scu.release for scu in scus)
                if self._before_end is not None:
                    with suppress(Interrupted):
                        await unless_stopped(stop, self._before_end())
        finally:
            for scu in scus:
                scu.abort()
        recorder.settle()
        result = recorder.result(ended, interrupted=stop.is_set() or self._failed is not None)
        result.seed_made_up = self._seed_made_up
        result.thresholds = judge(self._conditions, result, self._failed)
        return result

    @property
    def _failed(self) -> Threshold | None:
        """The threshold for which the run ends before its time."""
        return None if self._abort is None else self._abort.failed

    def _has_failed(self, now: float) -> bool:
        recorder = self._recorder
        if self._abort is None or recorder is None or recorder.is_warm_up:
            return False
        return self._abort.ask(recorder.so_far(), now) is not None

    def _operations(self) -> tuple[Mapping[str, Operation], Tasks | None]:
        if self._replay is not None:
            return {}, None
        if self._user is None:
            return self._catalogue.operations(name for name, weight in self.scenario.mix.items() if weight > 0), None
        tasks = Tasks(self._user, self._catalogue.operations(self._user.operations))
        return tasks.operations(), tasks

    async def _load(
        self,
        operations: Mapping[str, Operation],
        scus: list[Scu],
        associating: Associating,
        stop: asyncio.Event,
    ) -> float:
        """The loaded part of the run; returns when it has ended."""
        recorder = associating.recorder
        attempts = Attempts(recorder)
        origin = perf_counter()
        recorder.begin(origin)
        model = self._model(operations, scus, associating, attempts, origin)
        attempts.on_free = model.free
        scenario = self.scenario
        end = math.inf if scenario.seconds is None else origin + scenario.seconds
        driver = Driver(model, recorder, scus, origin=origin, end=end, on_interval=self._on_interval)
        attempts.on_idle = driver.wake
        try:
            for scu in scus:
                for _ in range(scu.slots):
                    model.free(scu, origin)
            await driver.run(stop, origin + scenario.warm_up, lambda: not attempts.running, self._has_failed)
            ended = min(perf_counter(), end)
            model.stop()
            is_early = stop.is_set() or self._failed is not None
            await attempts.drain(min(scenario.grace, _GRACE_WHEN_STOPPED) if is_early else scenario.grace)
        finally:
            driver.close()
            model.stop()
            await attempts.end()
            # What still waits for a response ends with its association.
            for scu in scus:
                if scu.running:
                    scu.abort()
            recorder.close_interval(perf_counter(), driver.planned_per_s)
        return max(ended, recorder.last_end)

    def _model(
        self,
        operations: Mapping[str, Operation],
        scus: list[Scu],
        associating: Associating,
        attempts: Attempts,
        origin: float,
    ) -> Model:
        if self._replay is not None:
            return self._replay.model(scus, associating, attempts, origin)
        return make_model(
            self.scenario,
            chooser(self.scenario.mix, operations, self._seed),
            attempts.begin,
            attempts.recorder,
            origin=origin,
            retire=attempts.retire,
            share=self._share,
            seed=self._seed,
        )


async def _all(works: Iterator[Callable[[], Awaitable[object]]]) -> None:
    """Does all of these, so many at a time; what they raise has been counted already."""

    async def worker() -> None:
        for work in works:
            try:
                await work()
            except (AiodicomError, OSError):
                continue

    async with asyncio.TaskGroup() as group:
        for _ in range(_GATE):
            group.create_task(worker())
