"""When an operation that has failed is tried again, and after how long. Knows neither clocks nor chance: it is told."""

from __future__ import annotations

import math
from collections.abc import Collection

from aiodicom.errors import (
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    LocalError,
    StatusError,
)
from aiodicom.values import Value, frozen

__all__ = ["Retry"]


@frozen
class Retry(Value):
    """How often a `Pool` tries an operation, and how long it pauses in between: longer each time, and never for as long
    as others that failed together.

    What is tried again, because it changes nothing that was done before:

    - any operation that was not begun: no connection, no association within its time, a transient rejection (result 2),
      an association that ended before the operation could use it;
    - C-ECHO, C-STORE (the same instance again replaces it), N-GET, and C-FIND and C-GET up to the first match or
      object, when their association was lost, or no response came in time;
    - those, when they are answered with one of `statuses`.

    Never C-MOVE, N-SET, N-ACTION, N-CREATE, N-DELETE and N-EVENT-REPORT once they were begun: the peer may have done
    what they ask for. Raises `LocalError` for numbers that can't be.
    """

    #: How often it is tried in all.
    attempts: int = 4
    #: Seconds before it is tried for the second time.
    first: float = 0.5
    #: How many times as long each pause is as the one before.
    factor: float = 2.0
    #: Seconds that a pause has at most.
    most: float = 30.0
    #: The part of each pause that is left to chance: 0 for none of it, 1 for all.
    jitter: float = 0.5
    #: Failure statuses that are worth another attempt, such as A700H, out of resources (PS3.4 table B.2-1).
    statuses: Collection[int] = ()

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise LocalError(f"{self.attempts} attempts are none: at least 1, which is no retry")
        for name in ("first", "most"):
            seconds = getattr(self, name)
            if not 0 <= seconds < math.inf:
                raise LocalError(f"a pause of {seconds!r} s is none")
        if not 1 <= self.factor < math.inf:
            raise LocalError(f"a factor of {self.factor!r} makes no pause longer: at least 1")
        if not 0 <= self.jitter <= 1:
            raise LocalError(f"a jitter of {self.jitter!r} is no part of a pause: 0 to 1")

    def pause(self, failures: int, chance: float) -> float | None:
        """Returns the seconds to pause after so many failed attempts, None for no further attempt. `chance` is a random
        number, from 0 up to 1.
        """
        if failures >= self.attempts:
            return None
        # Beyond some power it is the longest anyhow, and a float ends.
        pause = min(self.first * self.factor ** min(failures - 1, 64), self.most)
        return pause * (1 - self.jitter * chance)

    def is_worthwhile(self, error: Exception, *, is_begun: bool, is_repeatable: bool) -> bool:
        """Whether an operation that raised this may be tried again: whether it had been begun, and may be repeated."""
        if is_begun and not is_repeatable:
            return False
        if isinstance(error, StatusError):
            return error.status in self.statuses
        if isinstance(error, AssociationRejected):
            return error.result == 2
        return isinstance(
            error, (ConnectFailed, ConnectionLost, AssociationAborted, AssociationClosed, DeadlineExceeded)
        )
