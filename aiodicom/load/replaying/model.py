"""Replays a plan: associations open and close, and operations begin, when it is their time."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from aiodicom.errors import AiodicomError
from aiodicom.load.models import Begin
from aiodicom.load.operations.operation import Operation
from aiodicom.load.recorder import Recorder
from aiodicom.load.replaying.operations import Replayer
from aiodicom.load.replaying.plan import Closing, Invocation, Opening, Plan
from aiodicom.load.scu import Scu

__all__ = ["ReplayModel"]


class _Open:
    """An association of the plan that has begun: its SCU, what waits for it, and whether that is the last."""

    __slots__ = ("is_closing", "is_opening", "scu", "waiting")

    def __init__(self, scu: Scu) -> None:
        self.scu = scu
        self.waiting: deque[tuple[float, Operation]] = deque()
        self.is_opening = True
        self.is_closing = False


class ReplayModel:
    """Has everything begin at its time: an operation whose association has as many outstanding as it may waits for its
    turn there, and its latency counts from its planned start; so does one whose association is still being opened.

    `make` makes an SCU for an association of the plan, `retire` is told when it is not needed any more; `spawn` runs
    what takes time; `on_over` is told when everything is done.
    """

    def __init__(
        self,
        plan: Plan,
        replayer: Replayer,
        begin: Begin,
        recorder: Recorder,
        *,
        origin: float,
        make: Callable[[Opening], Scu],
        retire: Callable[[Scu], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        on_over: Callable[[], None],
    ) -> None:
        self._steps = deque(plan.steps)
        self._times = [step.at for step in plan.steps if isinstance(step, Invocation)]
        self._replayer = replayer
        self._begin = begin
        self._recorder = recorder
        self._origin = origin
        self._make = make
        self._retire = retire
        self._spawn = spawn
        self._open: dict[int, _Open] = {}
        #: Associations that are being opened or closed.
        self._busy = 0
        self._on_over = on_over
        self._is_stopped = False

    @property
    def is_over(self) -> bool:
        """Whether every step has been taken, nothing waits, and the associations are closed that were to be."""
        return self._is_stopped or not (self._steps or self._open or self._busy)

    def advance(self, now: float) -> float:
        """Takes the steps that are due."""
        steps = self._steps
        while steps and (planned := self._origin + steps[0].at) <= now:
            step = steps.popleft()
            if isinstance(step, Opening):
                self._recorder.late(now - planned)
                self._open[step.association] = opened = _Open(self._make(step))
                self._do(self._associate(step.association, opened))
            elif isinstance(step, Closing):
                opened = self._open[step.association]
                opened.is_closing = True
                self._close_if_done(step.association, opened)
            else:
                self._invoke(self._open[step.association], self._replayer.operation(step), planned, now)
        self._settle()
        return self._origin + steps[0].at if steps else math.inf

    def free(self, scu: Scu, now: float) -> None:
        """An operation has ended: the next one that waits for its association begins."""
        opened = self._open.get(scu.number)
        if opened is None or opened.scu is not scu:
            return
        if opened.waiting and scu.running < scu.slots:
            planned, operation = opened.waiting.popleft()
            self._begin(scu, operation, planned, now)
        self._close_if_done(scu.number, opened)
        self._settle()

    def planned_per_s(self, now: float) -> float:
        """How many operations were to begin in the last second."""
        elapsed = now - self._origin
        return float(bisect_left(self._times, elapsed) - bisect_left(self._times, elapsed - 1.0))

    def finish(self) -> None:
        """Takes no further steps."""
        self._steps.clear()

    def stop(self) -> None:
        """Drops what waits, and takes no further steps."""
        self.finish()
        for opened in self._open.values():
            self._recorder.dropped += len(opened.waiting)
            opened.waiting.clear()
        self._is_stopped = True

    def _invoke(self, opened: _Open, operation: Operation, planned: float, now: float) -> None:
        scu = opened.scu
        if scu.running < scu.slots and not opened.waiting:
            self._recorder.late(now - planned)
            self._begin(scu, operation, planned, now)
        else:
            opened.waiting.append((planned, operation))

    def _close_if_done(self, number: int, opened: _Open) -> None:
        is_busy = opened.is_opening or opened.waiting or opened.scu.running
        if opened.is_closing and not is_busy and self._open.pop(number, None) is not None:
            self._replayer.close(number)
            self._do(self._release(opened.scu))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        self._busy += 1
        self._spawn(work)

    async def _associate(self, number: int, opened: _Open) -> None:
        try:
            with suppress(AiodicomError, OSError):  # which is counted; operations try again
                await opened.scu.associate()
            opened.is_opening = False
            self._close_if_done(number, opened)
        finally:
            self._busy -= 1
            self._settle()

    async def _release(self, scu: Scu) -> None:
        try:
            await scu.release()
            self._retire(scu)
        finally:
            self._busy -= 1
            self._settle()

    def _settle(self) -> None:
        if self.is_over:
            self._on_over()
