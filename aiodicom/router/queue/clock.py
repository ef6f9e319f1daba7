"""The queue's clock: the time of day, but for its jumps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

__all__ = ["Clocks", "QueueClock", "system_clocks"]

#: The time of day, in seconds since 1970, and a clock that is never set.
Clocks = Callable[[], tuple[float, float]]

#: Seconds by which the time of day may run away from the monotonic clock before that is a jump.
_JUMP: Final = 5.0


class QueueClock:
    """Times that are kept over restarts and compared with each other: when a delivery is tried again, when it expires.

    The time of day is the only clock that survives a restart; but an administrator, or a machine that has just found
    its time server, may set it by years, and then everything would expire at once, or nothing be tried again. So it is
    followed only as far as the monotonic clock agrees; by how much it has jumped is `jumped`. After a restart it is
    believed, but never goes back behind `last`, what it was when it was noted last.

    It is told both clocks and asks none.
    """

    __slots__ = ("_monotonic", "_now", "_wall", "jumped")

    def __init__(self, wall: float, monotonic: float, last: float = 0.0) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._now = max(wall, last)
        #: Seconds by which the time of day was set since the start, in all.
        self.jumped = 0.0

    def now(self, wall: float, monotonic: float) -> float:
        """Returns the queue's time, in seconds; it never goes back."""
        passed = max(monotonic - self._monotonic, 0.0)
        moved = wall - self._wall
        self._wall, self._monotonic = wall, monotonic
        if abs(moved - passed) > _JUMP:
            self.jumped += moved - passed
        else:
            passed = max(moved, 0.0)
        self._now += passed
        return self._now


def system_clocks() -> tuple[float, float]:
    """Those of the machine."""
    return time.time(), time.monotonic()
