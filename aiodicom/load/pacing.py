"""When the operations of an open model should begin, and how many associations a closed one should have.

Decides alone: it is told the time, in seconds since the run began, and has no clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

__all__ = ["Arrivals", "Leg", "Ramp", "legs_of"]


class Leg(NamedTuple):
    """A part of the run in which a rate, or a number of associations, goes from one value to another in a line."""

    begin: float
    seconds: float
    first: float
    last: float

    def value(self, now: float) -> float:
        """The value at a time, that of the nearer end outside."""
        if self.seconds <= 0:
            return self.last
        part = min(max((now - self.begin) / self.seconds, 0.0), 1.0)
        return self.first + (self.last - self.first) * part


def legs_of(first: float, stages: Sequence[tuple[float, float]]) -> list[Leg]:
    """Returns the legs from `first` through stages of (seconds, value at their end)."""
    legs: list[Leg] = []
    begin = 0.0
    for seconds, last in stages:
        legs.append(Leg(begin, seconds, first, last))
        begin += seconds
        first = last
    return legs


class Ramp:
    """What is wanted at each time: the value of its legs."""

    def __init__(self, legs: Sequence[Leg]) -> None:
        self._legs = tuple(legs)
        #: When the last leg ends, in seconds since the run began.
        self.end = max((leg.begin + leg.seconds for leg in legs), default=0.0)
        #: The highest value.
        self.most = max((max(leg.first, leg.last) for leg in legs), default=0.0)

    def value(self, now: float) -> float:
        """The value at a time; that of the nearer end before the first and after the last leg."""
        for leg in self._legs:
            if now < leg.begin + leg.seconds:
                return leg.value(now)
        return self._legs[-1].last if self._legs else 0.0


class Arrivals:
    """Planned starts at a rate that is given by legs, from their exact integral: nothing drifts.

    The n-th start is when the integral of the rate reaches n; of random arrivals, a Poisson process of that rate, when it
    reaches the sum of n exponentially distributed numbers of mean 1.
    """

    def __init__(self, legs: Sequence[Leg], random: Random | None = None) -> None:
        self._legs = [leg for leg in legs if leg.seconds > 0]
        self._random = random
        self._leg = 0
        #: Of the legs before the present one.
        self._before = 0.0
        self._count = 0.0
        self.ramp = Ramp(legs)

    def next(self) -> float:
        """Returns the next planned start, in seconds since the run began; infinity when there is none any more."""
        wanted = self._count
        while self._leg < len(self._legs):
            leg = self._legs[self._leg]
            area = (leg.first + leg.last) / 2 * leg.seconds
            if wanted < self._before + area:
                self._count += 1.0 if self._random is None else self._random.expovariate(1.0)
                return leg.begin + _when(leg, wanted - self._before)
            self._before += area
            self._leg += 1
        return math.inf


def _when(leg: Leg, area: float) -> float:
    """How long after the beginning of a leg the integral of its rate reaches `area`."""
    slope = (leg.last - leg.first) / leg.seconds
    if slope == 0:
        return area / leg.first
    # first * t + slope / 2 * t**2 = area, in the form that loses no digits where the slope is small.
    root = math.sqrt(max(leg.first * leg.first + 2 * slope * area, 0.0))
    return min(2 * area / (leg.first + root), leg.seconds) if leg.first + root else 0.0
