"""How long an association of a pool is kept. Knows neither clocks nor chance: it is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import random
from typing import Final

from aiodicom.errors import LocalError
from aiodicom.values import Value, frozen

__all__ = ["Upkeep"]

#: The part of the lifetime that is left to chance, so that associations opened together do not end together.
_JITTER: Final = 0.2


@frozen
class Upkeep(Value):
    """When an association is released, and when it is asked whether it lives, in seconds; None for never.

    Raises `LocalError` for what is no number of seconds, or of operations.
    """

    #: Unused for so long, it is released.
    idle: float | None
    #: Unused for so long, it is asked by C-ECHO (PS3.7 9.1.5), and again after as long.
    check: float | None = None
    #: That old, it is released once nothing runs on it; up to a fifth earlier.
    lifetime: float | None = None
    #: After so many operations, it is released once nothing runs on it; None for any number.
    operations: int | None = None
    #: Gives a random number from 0 up to 1.
    chance: Callable[[], float] = random

    def __post_init__(self) -> None:
        for name in ("idle", "check", "lifetime"):
            seconds = getattr(self, name)
            if seconds is not None and not 0 < seconds < math.inf:
                raise LocalError(f"{name}={seconds!r} is no time for a pool: more than 0 seconds, or None for no limit")

        if self.operations is not None and self.operations < 1:
            raise LocalError(
                f"operations={self.operations} of an association are none: 1 or more, or None for no limit"
            )

    @property
    def is_checking(self) -> bool:
        """Whether an association is ever asked before it is released."""
        return self.check is not None and (self.idle is None or self.check < self.idle)

    @property
    def shortest(self) -> float:
        """The least time after which anything is due for an association that is not used."""
        return min(self.idle or math.inf, self.check or math.inf)

    def is_last(self, turns: int) -> bool:
        """Whether an association is released after so many turns."""
        return self.operations is not None and turns >= self.operations

    def end(self, now: float) -> float:
        """Returns when an association that is opened now ends of old age."""
        return math.inf if self.lifetime is None else now + self.lifetime * (1 - _JITTER * self.chance())

    def release_at(self, used: float) -> float:
        """Returns when an association that was used last then is released."""
        return math.inf if self.idle is None else used + self.idle

    def check_at(self, heard: float) -> float:
        """Returns when an association that was used or asked last then is asked."""
        return math.inf if self.check is None else heard + self.check
