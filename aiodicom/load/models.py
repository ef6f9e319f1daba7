"""What decides when an operation begins: the open model, by the clock; the closed model, by the end of another.

They decide alone: told the time, in the seconds of one clock, they call `begin`. Both are given an SCU whenever it
could do another operation.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from aiodicom.load.operations.operation import Operation
from aiodicom.load.pacing import Arrivals, Ramp
from aiodicom.load.recorder import Recorder
from aiodicom.load.scu import Scu

__all__ = ["Begin", "ClosedModel", "Model", "OpenModel"]

#: Begins an operation on an SCU: when it should have begun, and now.
Begin = Callable[[Scu, Operation, float, float], None]
Choose = Callable[[], Operation]


class Model(Protocol):
    """Begins operations when it is their time."""

    @property
    def is_over(self) -> bool:
        """Whether no further operation will begin."""

    def free(self, scu: Scu, now: float) -> None:
        """An SCU could do another operation."""

    def advance(self, now: float) -> float:
        """Begins what is due, and returns when to call this again at the latest."""

    def planned_per_s(self, now: float) -> float:
        """The rate at which operations should begin; 0 where others' ends decide."""

    def finish(self, now: float) -> None:
        """Its time is over: nothing more is planned. Harmless when repeated."""

    def stop(self) -> None:
        """Nothing more is begun, even if it waits already."""


class OpenModel:
    """Operations begin when `arrivals` says, however the ones before them fare.

    One that finds no SCU free waits up to `max_wait` seconds for it, with at most `max_waiting` others; then it is
    dropped, which is counted. Its latency counts from its planned start in any case.

    Associations are used in turn. What begins at the same moment goes to one of them as far as its window allows: it
    leaves in one write, as it would from an SCU that has so many operations outstanding.

    Invariants: while an operation waits, no SCU is free; those in `_free` have `free` slots, all others none.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        choose: Choose,
        begin: Begin,
        recorder: Recorder,
        *,
        max_wait: float,
        max_waiting: int,
    ) -> None:
        self._arrivals = arrivals
        self._next_start = arrivals.next
        self._choose = choose
        self._begin = begin
        self._recorder = recorder
        self._max_wait = max_wait
        self._max_waiting = max_waiting
        self._free: deque[Scu] = deque()
        #: Whether the first of them has some slots in use.
        self._is_head_used = False
        self._waiting: deque[tuple[float, Operation]] = deque()
        self._next = arrivals.next()
        self._is_finished = False

    @property
    def is_over(self) -> bool:
        """Whether its time is over, and nothing waits any more."""
        return self._is_finished and not self._waiting

    def free(self, scu: Scu, now: float) -> None:
        """An SCU could do another operation: the one that has waited longest, if any."""
        waiting = self._waiting
        while waiting:
            planned, operation = waiting.popleft()
            if now - planned <= self._max_wait:
                self._begin(scu, operation, planned, now)
                break
            self._recorder.drop(planned)
        else:
            scu.free += 1
            if scu.free == 1:
                self._free.append(scu)
        if self._next <= now:
            self.advance(now)

    def advance(self, now: float) -> float:
        """Begins what is due, drops what has waited too long."""
        waiting = self._waiting
        while waiting and now - waiting[0][0] > self._max_wait:
            self._recorder.drop(waiting.popleft()[0])
        while (planned := self._next) <= now:
            self._next = self._next_start()
            operation = self._choose()
            scu = self._take()
            if scu is not None:
                self._recorder.late(now - planned)
                self._begin(scu, operation, planned, now)
            elif now - planned <= self._max_wait and len(waiting) < self._max_waiting:
                waiting.append((planned, operation))
            else:
                self._recorder.drop(planned)
        if self._is_head_used:
            self._is_head_used = False
            self._free.rotate(-1)
        return min(self._next, waiting[0][0] + self._max_wait if waiting else math.inf)

    def _take(self) -> Scu | None:
        free = self._free
        while free:
            scu = free[0]
            if scu.is_used_up:
                scu.parked += scu.free
                scu.free = 0
                free.popleft()
                continue
            scu.free -= 1
            self._is_head_used = scu.free > 0
            if not scu.free:
                free.popleft()
            return scu
        self._is_head_used = False
        return None

    def planned_per_s(self, now: float) -> float:
        """The rate that is wanted."""
        return 0.0 if self._is_finished else self._arrivals.rate(now)

    def finish(self, now: float) -> None:
        """What waits may still begin in its time, as may what nobody has asked for since it was planned."""
        if not self._is_finished:
            self.advance(now)
            self._end()

    def stop(self) -> None:
        """Drops what waits, and begins nothing more."""
        self._end()
        for planned, _ in self._waiting:
            self._recorder.drop(planned)
        self._waiting.clear()

    def _end(self) -> None:
        self._is_finished = True
        self._next = math.inf


class ClosedModel:
    """Each SCU begins its next operation when one has ended and `think_time` has passed, `count` in all at most.

    `wanted` says how many SCUs work at each time: those with the lowest numbers; one that is not wanted any more is
    given to `retire`.
    """

    #: How often the number of SCUs follows what is wanted, in seconds.
    _STEP = 0.05

    def __init__(
        self,
        wanted: Ramp,
        choose: Choose,
        begin: Begin,
        recorder: Recorder,
        *,
        origin: float,
        think_time: float,
        count: int | None,
        retire: Callable[[Scu], None],
    ) -> None:
        self._wanted = wanted
        self._choose = choose
        self._begin = begin
        self._recorder = recorder
        self._origin = origin
        self._think_time = think_time
        self._left = count
        self._retire = retire
        #: By number, those that are not wanted now, each slot of theirs.
        self._resting: list[tuple[int, int, Scu]] = []
        self._thinking: list[tuple[float, int, Scu]] = []
        self._order = 0
        self.is_over = count == 0

    def free(self, scu: Scu, now: float) -> None:
        """An SCU could do another operation: at once, or when it has thought."""
        if self.is_over:
            return
        if scu.number >= self._target(now):
            self._order += 1
            heapq.heappush(self._resting, (scu.number, self._order, scu))
            if scu.begun and not scu.running:
                self._retire(scu)
        elif self._think_time and scu.begun:
            self._order += 1
            heapq.heappush(self._thinking, (now + self._think_time, self._order, scu))
        else:
            self._go(scu, now, now)

    def _go(self, scu: Scu, planned: float, now: float) -> None:
        if self._left is not None:
            self._left -= 1
            self.is_over = self._left <= 0
        self._begin(scu, self._choose(), planned, now)

    def advance(self, now: float) -> float:
        """Lets those go on that have thought, and those begin that are wanted now."""
        while not self.is_over and self._thinking and self._thinking[0][0] <= now:
            due, _, scu = heapq.heappop(self._thinking)
            if scu.is_used_up:
                scu.parked += 1
                continue
            self._recorder.late(now - due)
            self._go(scu, now, now)
        target = self._target(now)
        while not self.is_over and self._resting and self._resting[0][0] < target:
            self._go(heapq.heappop(self._resting)[2], now, now)
        if self.is_over:
            return math.inf
        following = now + self._STEP if now - self._origin < self._wanted.end else math.inf
        if self._think_time:
            # Who begins to think after now has thought no earlier than this.
            following = min(following, now + self._think_time)
        return min(self._thinking[0][0] if self._thinking else math.inf, following)

    def _target(self, now: float) -> int:
        return math.floor(self._wanted.value(now - self._origin) + 1e-9)

    def planned_per_s(self, now: float) -> float:
        """Nothing is planned."""
        return 0.0

    def finish(self, now: float) -> None:
        """Begins nothing more."""
        self.stop()

    def stop(self) -> None:
        """Begins nothing more."""
        self.is_over = True
