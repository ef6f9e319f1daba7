"""How fast a destination is sent to, without a clock."""

from __future__ import annotations

import math

import pytest

from aiodicom.router.rates import Pace


def test_without_limits_there_is_always_room() -> None:
    pace = Pace(None, None, 0)
    pace.sent(10_000, 1 << 40)
    assert pace.room(0) == math.inf
    assert pace.wait(0) == 0


def test_objects_a_second() -> None:
    pace = Pace(10, None, 0)
    assert pace.room(0) == 10
    pace.sent(10, 0)
    assert pace.room(0) == 0
    assert pace.wait(0) == pytest.approx(0.1)
    assert pace.room(0.25) == 2
    assert pace.room(1000) == 10  # a pause is not made up for


def test_one_object_in_ten_seconds_is_one() -> None:
    pace = Pace(0.1, None, 0)
    assert pace.room(0) == 1
    pace.sent(1, 0)
    assert pace.wait(0) == pytest.approx(10)
    assert pace.room(9.9) == 0
    assert pace.room(10.1) == 1


def test_bytes_a_second_are_made_up_for_after_a_large_object() -> None:
    pace = Pace(None, 1000, 0)
    assert pace.room(0) == math.inf
    pace.sent(1, 5000)
    assert pace.room(3.9) == 0
    assert pace.wait(3.9) == pytest.approx(0.101)
    assert pace.room(4.1) == math.inf


def test_a_clock_that_goes_back_gives_nothing() -> None:
    pace = Pace(10, None, 100)
    pace.sent(10, 0)
    assert pace.room(50) == 0
    assert pace.room(50.5) == 5
