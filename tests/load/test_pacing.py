"""Planned starts and ramps: what they are at each time, with no clock."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiodicom.load.pacing import Arrivals, Leg, Ramp, legs_of


def starts(*legs: Leg, origin: float = 0.0) -> list[float]:
    """All of them."""
    arrivals = Arrivals(legs, origin)
    found = []
    while (start := arrivals.next()) < math.inf:
        found.append(start)
    assert arrivals.next() == math.inf
    return found


def test_a_constant_rate_does_not_drift() -> None:
    found = starts(Leg(0, 100, 30, 30), origin=1000)
    assert len(found) == 3000
    assert found == pytest.approx([1000 + number / 30 for number in range(3000)], abs=1e-9)


def test_a_rate_of_less_than_one() -> None:
    assert starts(Leg(0, 10, 0.25, 0.25)) == [0, 4, 8]


def test_a_ramp_has_its_integral() -> None:
    found = starts(Leg(0, 10, 0, 100))
    assert len(found) == 500
    # The n-th start is when 100 / 10 * t**2 / 2 is n.
    assert found == pytest.approx([math.sqrt(number / 5) for number in range(500)])


def test_stages_follow_one_another() -> None:
    legs = legs_of(0, [(2, 10), (3, 10), (2, 0), (1, 0), (1, 5)])
    found = starts(*legs)
    assert len(found) == 10 + 30 + 10 + 3
    assert found == sorted(found)
    assert [sum(begin <= each < begin + 1 for each in found) for begin in range(9)] == [3, 7, 10, 10, 10, 8, 2, 0, 3]


def test_no_time_and_no_rate() -> None:
    assert starts(Leg(0, 0, 5, 5)) == []
    assert starts(Leg(0, 5, 0, 0)) == []
    assert starts() == []


def test_random_starts_are_those_of_their_seed() -> None:
    def random(seed: int) -> list[float]:
        arrivals = Arrivals([Leg(0, 1000, 10, 10)], 0.0, np.random.default_rng(seed))
        return list(iter(arrivals.next, math.inf))

    found = random(1)
    assert found == random(1) != random(2)
    assert found == sorted(found)
    assert found[0] > 0
    assert found[-1] < 1000
    assert len(found) == pytest.approx(10_000, rel=0.05)
    gaps = np.diff(found)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)  # as exponentially distributed ones have it


def test_the_rate_that_is_wanted() -> None:
    arrivals = Arrivals(legs_of(0, [(10, 100), (10, 100)]), origin=50)
    assert [arrivals.rate(now) for now in (40, 50, 55, 60, 65, 100)] == [0, 0, 50, 100, 100, 100]


def test_a_ramp_of_associations() -> None:
    ramp = Ramp(legs_of(0, [(10, 20), (5, 20), (10, 0)]))
    assert (ramp.end, ramp.most) == (25, 20)
    assert [ramp.value(now) for now in (-1, 0, 5, 10, 12, 20, 25, 99)] == [0, 0, 10, 20, 20, 10, 0, 0]
    assert Ramp([]).value(1) == 0
