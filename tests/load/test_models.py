"""The open and the closed model, told the time: what begins when, what is dropped."""

from __future__ import annotations

import math
from itertools import count
from typing import Any, cast

from aiodicom.load.models import ClosedModel, OpenModel
from aiodicom.load.operations.echo import Echo
from aiodicom.load.pacing import Arrivals, Leg, Ramp, legs_of
from aiodicom.load.recorder import Recorder
from aiodicom.load.scenario import scenario_from
from aiodicom.load.scu import Scu

SCENARIO = scenario_from({"targets": [{"host": "x"}], "duration": 1}, "")
ECHO = Echo()


class Stage:
    """SCUs and what has begun on them."""

    def __init__(self, scus: int, slots: int = 1) -> None:
        self.recorder = Recorder(SCENARIO, 0.0)
        self.scus = [Scu(number, SCENARIO, cast(Any, None)) for number in range(scus)]
        for scu in self.scus:
            scu.slots = slots
        self.begun: list[tuple[int, float, float]] = []
        self.retired: list[int] = []
        self.model: Any = None

    def begin(self, scu: Scu, _operation: object, planned: float, now: float) -> None:
        scu.running += 1
        scu.begun += 1
        self.begun.append((scu.number, planned, now))

    def end(self, number: int, now: float) -> None:
        """One operation on an SCU has ended."""
        self.scus[number].running -= 1
        self.model.free(self.scus[number], now)

    def open(self, rate: float, seconds: float = 100.0, max_wait: float = 1.0, max_waiting: int = 100) -> None:
        self.model = OpenModel(
            Arrivals([Leg(0, seconds, rate, rate)]),
            lambda: ECHO,
            self.begin,
            self.recorder,
            max_wait=max_wait,
            max_waiting=max_waiting,
        )
        self.free(-1.0)

    def closed(self, wanted: Ramp, think_time: float = 0.0, operations: int | None = None) -> None:
        self.model = ClosedModel(
            wanted,
            lambda: ECHO,
            self.begin,
            self.recorder,
            origin=0.0,
            think_time=think_time,
            count=operations,
            retire=lambda scu: self.retired.append(scu.number),
        )
        self.free(0.0)

    def free(self, now: float) -> None:
        for scu in self.scus:
            for _ in range(scu.slots):
                self.model.free(scu, now)


class TestOpen:
    def test_operations_begin_at_their_time_on_each_scu_in_turn(self) -> None:
        stage = Stage(3)
        stage.open(10)
        assert stage.model.advance(0.0) == 0.1
        assert stage.model.advance(0.05) == 0.1
        assert stage.model.advance(0.2) == 0.3 or stage.model.advance(0.2) > 0.29
        assert [(number, round(planned, 3)) for number, planned, _ in stage.begun] == [(0, 0), (1, 0.1), (2, 0.2)]
        stage.end(1, 0.25)
        stage.end(0, 0.26)
        stage.model.advance(0.4)
        assert [number for number, _, _ in stage.begun] == [0, 1, 2, 1, 0]

    def test_what_finds_no_scu_waits_and_keeps_its_planned_start(self) -> None:
        stage = Stage(1)
        stage.open(10)
        stage.model.advance(0.0)
        stage.model.advance(0.5)
        assert len(stage.begun) == 1
        stage.end(0, 0.55)
        assert [round(value, 3) for value in stage.begun[1]] == [0, 0.1, 0.55]
        assert stage.recorder.dropped == 0

    def test_what_was_due_before_the_end_is_not_forgotten(self) -> None:
        stage = Stage(1)
        stage.open(10, seconds=1.0, max_wait=0.55)
        stage.model.advance(0.0)
        stage.model.finish(1.01)  # nobody came by meanwhile
        assert stage.recorder.dropped == 4  # of 0.1 to 0.4
        assert not stage.model.is_over
        for now in (1.02, 1.03, 1.04, 1.05, 1.051):
            stage.end(0, now)
        assert [round(planned, 3) for _, planned, _ in stage.begun] == [0, 0.5, 0.6, 0.7, 0.8, 0.9]
        assert stage.model.is_over
        assert stage.model.advance(2.0) == math.inf

    def test_what_has_waited_too_long_is_dropped(self) -> None:
        stage = Stage(1)
        stage.open(10)
        stage.model.advance(0.0)
        assert stage.model.advance(0.95) <= 1.0
        stage.model.advance(1.35)  # those of 0.1, 0.2 and 0.3 have waited for longer than a second
        assert stage.recorder.dropped == 3
        stage.end(0, 1.36)
        assert round(stage.begun[1][1], 3) == 0.4
        stage.end(0, 5.0)
        assert len(stage.begun) == 3 or stage.recorder.dropped > 3

    def test_no_more_wait_than_may(self) -> None:
        stage = Stage(1)
        stage.open(10, max_waiting=2)
        stage.model.advance(0.0)
        stage.model.advance(0.45)
        assert stage.recorder.dropped == 2

    def test_without_waiting_what_is_late_is_dropped(self) -> None:
        stage = Stage(1)
        stage.open(10, max_wait=0.0)
        stage.model.advance(0.0)
        stage.model.advance(0.45)
        assert stage.recorder.dropped == 4

    def test_what_begins_at_once_fills_the_window_of_one_association(self) -> None:
        stage = Stage(3, slots=4)
        stage.open(1000)
        stage.model.advance(0.0055)
        assert [number for number, _, _ in stage.begun] == [0, 0, 0, 0, 1, 1]
        stage.model.advance(0.006)
        assert stage.begun[-1][0] == 2  # the next moment is another's
        stage.model.advance(0.0075)
        assert stage.begun[-1][0] == 1

    def test_an_scu_whose_association_is_used_up_is_left_out(self) -> None:
        stage = Stage(2, slots=2)
        stage.open(10)
        stage.scus[0].is_used_up = True
        stage.model.advance(0.15)
        assert [number for number, _, _ in stage.begun] == [1, 1]
        assert stage.scus[0].parked == 2

    def test_what_was_planned_in_the_warm_up_is_not_dropped_after_it(self) -> None:
        stage = Stage(1)
        stage.recorder.begin_measuring(0.25, 0.0)
        stage.open(10)
        stage.model.advance(0.45)
        stage.model.advance(5.0)
        # Those from 0.3 to 3.9: what was planned before 0.25 is not told of, what was planned since 4 still waits.
        assert stage.recorder.dropped == 37

    def test_stopped_it_drops_what_waits_and_begins_nothing(self) -> None:
        stage = Stage(1)
        stage.open(10)
        stage.model.advance(0.35)
        stage.model.stop()
        assert stage.model.is_over
        assert stage.recorder.dropped == 3
        assert stage.model.advance(9.0) == math.inf
        stage.end(0, 9.0)
        assert len(stage.begun) == 1
        assert stage.model.planned_per_s(1.0) == 0

    def test_the_rate_that_is_planned(self) -> None:
        stage = Stage(1)
        stage.open(10)
        assert stage.model.planned_per_s(1.0) == 10

    def test_how_late_it_was_is_told(self) -> None:
        stage = Stage(1)
        stage.open(10)
        stage.model.advance(0.004)
        stage.recorder.close_interval(1.0, 0)
        assert stage.recorder.result(1.0).generator.lag_max_ms == 4.0


class TestClosed:
    def test_the_next_begins_when_one_has_ended(self) -> None:
        stage = Stage(2)
        stage.closed(Ramp([Leg(0, 0, 2, 2)]))
        assert stage.begun == [(0, 0, 0), (1, 0, 0)]
        stage.end(1, 0.5)
        assert stage.begun[2:] == [(1, 0.5, 0.5)]
        assert stage.model.advance(0.6) == math.inf

    def test_it_thinks_between(self) -> None:
        stage = Stage(1)
        stage.closed(Ramp([Leg(0, 0, 1, 1)]), think_time=2.0)
        assert stage.model.advance(0.0) == 2.0  # who begins to think later is not to be missed
        stage.end(0, 0.5)
        assert stage.model.advance(1.0) == 2.5
        assert len(stage.begun) == 1
        stage.model.advance(2.6)
        assert stage.begun[1:] == [(0, 2.6, 2.6)]

    def test_so_many_and_no_more(self) -> None:
        stage = Stage(2)
        stage.closed(Ramp([Leg(0, 0, 2, 2)]), operations=5)
        ends = count(1)
        while stage.begun[-1] and not stage.model.is_over:
            stage.end(0, float(next(ends)))
        assert len(stage.begun) == 5

    def test_as_many_as_are_wanted_at_each_time(self) -> None:
        stage = Stage(4)
        stage.closed(Ramp(legs_of(0, [(4, 4), (4, 0)])))
        assert stage.begun == []
        for now in (1.0, 2.0, 3.0, 4.0):
            assert stage.model.advance(now) == now + 0.05
        assert [number for number, _, _ in stage.begun] == [0, 1, 2, 3]
        for number in range(4):
            stage.end(number, 6.0)  # two are wanted
        assert len(stage.begun) == 6
        assert stage.retired == [2, 3]

    def test_stopped_nothing_begins(self) -> None:
        stage = Stage(1)
        stage.closed(Ramp([Leg(0, 0, 1, 1)]), think_time=1.0)
        stage.end(0, 0.5)
        stage.model.stop()
        assert stage.model.advance(9.0) == math.inf
        assert len(stage.begun) == 1
