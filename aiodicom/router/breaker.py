"""When a destination is tried again that does not work. Knows neither clocks nor chance: it is told both."""

from __future__ import annotations

import math
from enum import Enum
from typing import Final

__all__ = ["Backoff", "Breaker", "State"]


class Backoff:
    """Pauses that grow from `first` seconds by `factor` up to `most`, each shortened by chance by up to the part
    `jitter`, so that what failed together does not come again together.
    """

    __slots__ = ("factor", "first", "jitter", "most")

    def __init__(self, first: float = 1.0, most: float = 300.0, factor: float = 2.0, jitter: float = 0.5) -> None:
        self.first = first
        self.most = most
        self.factor = factor
        self.jitter = jitter

    def pause(self, failures: int, chance: float) -> float:
        """Seconds after the `failures`th failure in a row, the first being 1; `chance` is from 0 up to 1."""
        # Beyond some power it is the longest anyhow, and a float ends.
        return min(self.first * self.factor ** min(failures - 1, 64), self.most) * (1 - self.jitter * chance)


class State(Enum):
    """What a circuit breaker lets through."""

    #: everything
    CLOSED = "closed"
    #: nothing, until a time
    OPEN = "open"
    #: one delivery, to see how it goes
    TRIAL = "trial"


#: Failures in a row that are taken for bad luck.
_TOLERATED: Final = 3


class Breaker:
    """The circuit breaker of one destination.

    After `tolerated` failures in a row that were the destination's (no connection, rejected, lost, out of resources)
    nothing is sent until a pause is over; then one delivery is tried, whose success closes it and whose failure makes
    the next pause longer. Failures of deliveries that were begun before it opened do not count twice.
    """

    def __init__(self, backoff: Backoff, *, tolerated: int = _TOLERATED) -> None:
        self._backoff = backoff
        self._tolerated = tolerated
        self._failures = 0
        self._openings = 0
        self._until = -math.inf
        self.state = State.CLOSED
        #: Why it is open.
        self.reason = ""

    def allowance(self, now: float) -> float:
        """How many deliveries may be begun: 0, 1 for a trial, or any number."""
        if self.state is State.CLOSED:
            return math.inf
        if self.state is State.OPEN and now >= self._until:
            self.state = State.TRIAL
            return 1
        return 0

    @property
    def reopens_at(self) -> float | None:
        """When a trial is allowed; None while it is closed or one is on its way."""
        return self._until if self.state is State.OPEN else None

    def succeeded(self) -> None:
        """A delivery has come to an end that shows that the destination works, if only by refusing an object."""
        self.close()

    def close(self) -> None:
        """Lets everything through again."""
        self.state = State.CLOSED
        self._failures = self._openings = 0
        self.reason = ""

    def try_now(self, now: float) -> None:
        """Somebody wants a trial at once, and short pauses again if it fails."""
        if self.state is State.OPEN:
            self._until = now
            self._openings = 0

    def failed(self, now: float, chance: float, reason: str, pause: float | None = None) -> None:
        """A delivery has failed, and that was the destination's fault. `pause`: the seconds that it asked for."""
        if self.state is State.OPEN:
            return
        self._failures += 1
        if self.state is State.TRIAL or self._failures >= self._tolerated or pause is not None:
            self._openings += 1
            self.state = State.OPEN
            self._failures = 0
            self._until = now + max(self._backoff.pause(self._openings, chance), pause or 0)
            self.reason = reason

    def given_up(self, now: float) -> None:
        """The trial was not made after all: the next one may be made at once."""
        if self.state is State.TRIAL:
            self.state = State.OPEN
            self._until = now
