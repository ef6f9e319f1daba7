"""A run that several processes of this machine share, its histograms added exactly."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Final

import msgspec

from aiodicom.errors import LocalError
from aiodicom.load.channel import (
    Begin,
    Channel,
    Done,
    Failed,
    FromParent,
    FromWorker,
    Opened,
    Over,
    Reported,
    SoFar,
    Stop,
    Unusable,
)
from aiodicom.load.merging import merge
from aiodicom.load.results import Interval, Result
from aiodicom.load.run import Run
from aiodicom.load.scenario import Scenario
from aiodicom.load.scripted import load_user
from aiodicom.load.series import Series
from aiodicom.load.share import Share
from aiodicom.load.thresholds import AbortOnFail, judge, parse
from aiodicom.load.worker import Job, Script, work
from aiodicom.services import scan

__all__ = ["Workers"]

#: A worker that says nothing for so long is killed, in seconds: they speak every second.
_SILENCE: Final = 60.0
#: How long one may take to end once it has said all, in seconds.
_EXIT: Final = 10.0
#: How often thresholds are judged, in seconds.
_JUDGED: Final = 1.0


class _Worker:
    """One of the processes, and what it has said. It `is_idle` once its load is over; it `is_over` when it says no
    more, and `is_lost` if not all.
    """

    def __init__(self, number: int, job: Job) -> None:
        self.number = number
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=work, args=(job,), name=f"aiodicom load worker {number}", daemon=True)
        # One that has not said yet that it ignores SIGINT would end by it: this way it waits until then.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.channel: Channel[FromWorker] | None = None
        self.is_ready = self.is_idle = self.is_over = self.is_lost = False
        self.result: Result | None = None
        self._series = Series()

    def so_far(self, result: Result, intervals: list[Interval]) -> None:
        """It has done this; intervals are those since it last said so."""
        for interval in intervals:
            self._series.append(interval)
        if result.started:
            result.series = self._series.intervals()
            self.result = result

    @property
    def told_until(self) -> float:
        """The end of the last interval that it has told of, in seconds from its beginning."""
        if self.result is None or not self.result.series:
            return 0.0
        return self.result.series[-1].start_s + self.result.series[-1].seconds

    def send(self, message: FromParent) -> None:
        """Says something to it, if it is there."""
        if self.channel is not None:
            self.channel.send(message)

    async def end(self, seconds: float) -> str:
        """Waits so long for the end of the process, then kills it; returns how it has ended, in words."""
        await asyncio.to_thread(self.process.join, seconds)
        if self.process.is_alive():
            self.process.kill()
            await asyncio.to_thread(self.process.join)
        code = self.process.exitcode or 0
        self.process.close()
        return f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


class Workers:
    """One run of a scenario in `scenario.workers` processes; used as `Run` is.

    Each has its share of the associations, and of the operations that are planned or counted, exactly; its own seed
    follows from that of the scenario. All begin together. One that dies is not replaced: the others go on, what it had
    done is in the result, and `on_lost` is told so in words.

    `script` is the class of a scenario in Python, which each process loads. Raises what `Run` does.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        script: Script | None = None,
        on_unusable: Callable[[scan.Unusable], object] | None = None,
        on_lost: Callable[[str], object] | None = None,
    ) -> None:
        self._whole = Run(scenario, user=None if script is None else load_user(*script))
        self.scenario = self._whole.scenario
        self._seed_made_up = scenario.seed is None
        self._script = script
        self._on_unusable = on_unusable
        self._on_lost = on_lost
        self._workers: list[_Worker] = []
        self._lost: list[str] = []
        self._failure: str | None = None
        self._is_begun = self._is_stopping = False
        self._conditions = [parse(expression) for expression in scenario.thresholds]
        self._abort = AbortOnFail(self._conditions) if scenario.abort_on_fail else None

    @property
    def most_associations(self) -> int:
        """How many associations a process has open at a time, at most."""
        return -(-self._whole.most_associations // self.scenario.workers)

    @property
    def skipped(self) -> Mapping[str, int]:
        """Operations of a trace that are not done again, by service."""
        return self._whole.skipped

    def so_far(self) -> Result:
        """All that the workers have said so far, added. The series ends with the last second that all have told of:
        what only some have would look like a load that has fallen.
        """
        parts = [worker.result for worker in self._workers if worker.result is not None]
        if not parts:
            return Result()
        result = merge(parts, together=True)
        told = min((worker.told_until for worker in self._workers if not worker.is_over), default=math.inf)
        result.series = [each for each in result.series if each.start_s + each.seconds / 2 < told]
        return result

    async def run(self, stop: asyncio.Event) -> Result:
        """Runs until its end, or until `stop` is set, and returns what came of it.

        Raises `LocalError` for what keeps a worker from beginning, or where all are lost before they had begun.
        Cancelling it kills the workers, which aborts the associations.
        """
        stopping = asyncio.ensure_future(self._stop_on(stop))
        judging = asyncio.ensure_future(self._judge_on())
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self.scenario.workers):
                    group.create_task(self._follow(number))
        finally:
            stopping.cancel()
            judging.cancel()
        if self._failure is not None:
            raise LocalError(self._failure)
        return self._result(stop.is_set())

    async def _follow(self, number: int) -> None:
        """One worker from its start to its end."""
        ours, theirs = socket.socketpair()
        with theirs:
            scenario = msgspec.structs.replace(self.scenario, thresholds=(), abort_on_fail=False)
            job = Job(scenario, self._script, Share(number, scenario.workers), theirs)
            worker = _Worker(number, job)
        self._workers.append(worker)
        patience = 0.0
        try:
            worker.channel = await Channel.on(ours, FromWorker)
            if self._is_stopping:
                worker.send(Stop())
            with suppress(TimeoutError):
                while not worker.is_over:
                    async with asyncio.timeout(_SILENCE):
                        message = await worker.channel.receive()
                    if message is None:
                        break
                    self._heard(worker, message)
                patience = _EXIT
        finally:
            worker.is_lost = not worker.is_over
            worker.is_over = True
            how = await asyncio.shield(worker.end(patience))
            if worker.channel is not None:
                await worker.channel.close()
        if worker.is_lost:
            self._lose(worker, how if patience else f"said nothing for {_SILENCE:.0f} s")
        self._begin_if_ready()
        self._end_if_idle()

    def _heard(self, worker: _Worker, message: FromWorker) -> None:
        match message:
            case SoFar(result, intervals):
                worker.so_far(result, intervals)
            case Opened():
                worker.is_ready = True
                self._begin_if_ready()
            case Over():
                worker.is_idle = True
                self._end_if_idle()
            case Reported():
                for other in self._workers:
                    if other is not worker:
                        other.send(message)
            case Done(result):
                worker.result = result
                worker.is_over = True
            case Failed(text):
                self._failure = text
                worker.is_over = True
                self._stop_all()
            case Unusable(path, reason, broken) if self._on_unusable is not None:
                self._on_unusable(scan.Unusable(path, reason, broken))

    def _begin_if_ready(self) -> None:
        """All begin together, without those that were lost before."""
        is_complete = len(self._workers) == self.scenario.workers
        if not self._is_begun and is_complete and all(each.is_ready or each.is_over for each in self._workers):
            self._is_begun = True
            self._tell_all(Begin())

    def _end_if_idle(self) -> None:
        """One of them receives for all, so it stays as long as any has something under way."""
        if self._is_begun and all(each.is_idle or each.is_over for each in self._workers):
            self._tell_all(Over())

    def _lose(self, worker: _Worker, how: str) -> None:
        text = f"worker {worker.number + 1} of {self.scenario.workers} {how}"
        self._lost.append(text)
        if self._on_lost is not None:
            self._on_lost(text)

    def _stop_all(self) -> None:
        """Those that are not there yet are told when they are."""
        self._is_stopping = True
        self._tell_all(Stop())

    def _tell_all(self, message: FromParent) -> None:
        for worker in self._workers:
            worker.send(message)

    async def _stop_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stop_all()

    async def _judge_on(self) -> None:
        """Ends the run when a threshold is crossed for good."""
        while self._abort is not None and self._abort.failed is None:
            await asyncio.sleep(_JUDGED)
            so_far = self.so_far()
            if so_far.series and not so_far.series[-1].is_warm_up and self._abort.ask(so_far, perf_counter()):
                self._stop_all()

    def _result(self, is_interrupted: bool) -> Result:
        lost = "; ".join(self._lost)
        if not any(worker.result for worker in self._workers):
            raise LocalError(f"no worker has done anything: {lost}")
        result = self.so_far()
        failed = None if self._abort is None else self._abort.failed
        result.interrupted = is_interrupted or failed is not None
        result.scenario = self.scenario.to_dict()
        result.seed_made_up = self._seed_made_up
        result.thresholds = judge(self._conditions, result, failed)
        generator = result.generator
        generator.workers = self.scenario.workers
        generator.workers_lost = len(self._lost)
        generator.limited = generator.limited or bool(lost)
        generator.reason = " and ".join(filter(None, (lost, self._limit())))
        return result

    def _limit(self) -> str:
        """What limited the busiest of the workers that were limited."""
        parts = [worker.result.generator for worker in self._workers if worker.result is not None]
        limited = sorted((part for part in parts if part.limited), key=lambda part: part.cpu_percent)
        if not limited:
            return ""
        others = f" (of the busiest of {len(limited)} workers so limited)" if len(limited) > 1 else ""
        return limited[-1].reason + others
