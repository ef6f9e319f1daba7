"""When the operations of an open model should begin, and how many associations a closed one should have.

Decides alone: it is told the time, in seconds since the run began, and has no clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from aiodicom.load.share import WHOLE, Share

__all__ = ["Arrivals", "Leg", "Ramp", "legs_of"]

Floats: TypeAlias = npt.NDArray[np.float64]

#: Starts that are computed at a time.
_BATCH: Final = 1024


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

    The n-th start, from 0 on, is when the integral of the rate reaches n. Of random ones, a Poisson process of that
    rate, it is when the integral reaches the sum of n + 1 exponentially distributed numbers of mean 1. `origin` is
    added to each; after the last one comes infinity.

    Of a share, they are those whose n it has; of random ones, a Poisson process of its part of the rate, and those of
    all shares together are one of the rate.
    """

    def __init__(
        self,
        legs: Sequence[Leg],
        origin: float = 0.0,
        random: np.random.Generator | None = None,
        share: Share = WHOLE,
    ) -> None:
        self._ramp = Ramp(legs)
        self._origin = origin
        self._share = share
        starts = _starts([leg for leg in legs if leg.seconds > 0], random, share)
        #: Returns the next planned start.
        self.next: Callable[[], float] = chain.from_iterable(
            chain(((origin + batch).tolist() for batch in starts), repeat((math.inf,)))
        ).__next__

    def rate(self, now: float) -> float:
        """The rate that is wanted at a time."""
        return self._ramp.value(now - self._origin) / self._share.of


def _starts(legs: Sequence[Leg], random: np.random.Generator | None, share: Share) -> Iterator[Floats]:
    """The starts in seconds since the first leg began, many at a time: one alone would cost as much as an operation."""
    levels = _levels(random, share)
    batch = next(levels)
    before = 0.0
    for leg in legs:
        after = before + (leg.first + leg.last) / 2 * leg.seconds
        while True:
            within = int(np.searchsorted(batch, after, side="left"))
            if within:
                yield leg.begin + _when(leg, batch[:within] - before)
            if within < len(batch):
                batch = batch[within:]
                break
            batch = next(levels)
        before = after


def _levels(random: np.random.Generator | None, share: Share) -> Iterator[Floats]:
    """What the integral of the rate is at each start."""
    last = 0.0 if random is not None else float(share.number)
    while True:
        if random is None:
            yield last + share.of * np.arange(_BATCH, dtype=np.float64)
            last += share.of * _BATCH
        else:
            levels: Floats = last + share.of * np.cumsum(random.exponential(size=_BATCH))
            yield levels
            last = float(levels[-1])


def _when(leg: Leg, areas: Floats) -> Floats:
    """How long after the beginning of a leg the integral of its rate reaches each of these."""
    slope = (leg.last - leg.first) / leg.seconds
    if slope == 0:
        return areas / leg.first
    # first * t + slope / 2 * t**2 = area, in the form that loses no digits where the slope is small.
    roots = np.sqrt(np.maximum(leg.first * leg.first + 2 * slope * areas, 0.0))
    sums = leg.first + roots
    return np.minimum(2 * areas / np.where(sums > 0, sums, 1.0), leg.seconds)
