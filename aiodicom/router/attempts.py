"""What is done about a delivery that has failed: tried again, when, or given up. Knows neither clocks nor chance."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.router.breaker import Backoff, Breaker, State
from aiodicom.router.outcomes import Fault, Outcome

if TYPE_CHECKING:
    from aiodicom.router.config.destinations import Breaker as BreakerSettings
    from aiodicom.router.config.destinations import RetryPolicy

__all__ = ["Attempts", "Verdict"]

#: With which an association has ended so often while others went well, that object is at fault.
_POISON: Final = 5
#: Objects on which an association has ended that are remembered.
_REMEMBERED: Final = 10_000


class Verdict(NamedTuple):
    """What becomes of the delivery."""

    #: Seconds until it is tried again; None: it is given up.
    pause: float | None
    #: Whether this was an attempt at the object, and not only at the destination.
    counts: bool


class Attempts:
    """Judges the failures of one destination, and keeps its circuit breaker.

    A destination that takes nothing is no reason to give an object up, however long that lasts. An association that
    ends while an object is on its way is the destination's fault, unless other objects have got through since it last
    ended on the same one: after five such times that object is given up, and blocks nobody meanwhile.
    """

    def __init__(self, retry: RetryPolicy, breaker: BreakerSettings) -> None:
        self._backoff = Backoff(retry.first, retry.most, retry.factor, retry.jitter)
        self._most = retry.attempts
        self._permanent: Collection[int] = frozenset(retry.permanent)
        pauses = Backoff(breaker.pause, max(breaker.pause, retry.most), retry.factor, retry.jitter)
        self.breaker = Breaker(pauses, tolerated=breaker.failures)
        self._successes = 0
        #: By delivery: successes at its last end, and how often it has ended since others got through.
        self._ended: OrderedDict[tuple[int, int], tuple[int, int]] = OrderedDict()

    def succeeded(self) -> None:
        """The destination has taken an object."""
        self._successes += 1
        self.breaker.succeeded()

    def failed(self, key: tuple[int, int], attempts: int, outcome: Outcome, now: float, chance: float) -> Verdict:
        """A delivery, which was tried `attempts` times before, has failed."""
        match outcome.fault:
            case Fault.HOPELESS:
                self._spared(now)
                return Verdict(None, True)
            case Fault.OBJECT:
                # That it refuses this one shows that it works.
                self.breaker.succeeded()
                if outcome.status in self._permanent:
                    return Verdict(None, True)
                return self._again(attempts, chance)
            case Fault.EITHER:
                self.breaker.failed(now, chance, outcome.reason, outcome.pause)
                return self._suspected(key, chance)
            case _:
                self.breaker.failed(now, chance, outcome.reason, outcome.pause)
                return Verdict(0.0, False)

    def _spared(self, now: float) -> None:
        """An object that could not be sent says nothing of the destination: a trial was not made."""
        if self.breaker.state is State.TRIAL:
            self.breaker.given_up(now)

    def _again(self, attempts: int, chance: float) -> Verdict:
        attempts += 1
        if attempts >= self._most:
            return Verdict(None, True)
        return Verdict(self._backoff.pause(attempts, chance), True)

    def _suspected(self, key: tuple[int, int], chance: float) -> Verdict:
        successes, times = self._ended.pop(key, (self._successes, 0))
        times = times + 1 if successes < self._successes or not times else times
        self._ended[key] = (self._successes, times)
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
        if times >= min(_POISON, self._most):
            del self._ended[key]
            return Verdict(None, True)
        # Behind the others, so that one of them is tried next.
        return Verdict(self._backoff.pause(times, chance), False)
