"""Times in which nothing happens at all: no byte is read, no answer leaves."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import NamedTuple

__all__ = ["Stall", "Stalls"]


class Stall(NamedTuple):
    """A stall of so many `seconds`, first `at` so many seconds after the start, then again after each `every`."""

    at: float
    seconds: float
    every: float | None = None

    def end(self, elapsed: float) -> float | None:
        """Returns when the stall ends that goes on at this time; None when none does."""
        if elapsed < self.at:
            return None
        begun = self.at if self.every is None else self.at + self.every * floor((elapsed - self.at) / self.every)
        end = begun + self.seconds
        return end if elapsed < end else None

    def next(self, elapsed: float) -> float | None:
        """Returns when a stall begins next, after this time; None for never."""
        if elapsed < self.at:
            return self.at
        if self.every is None:
            return None
        return self.at + self.every * (floor((elapsed - self.at) / self.every) + 1)


class Stalls:
    """Several of them, which may overlap. Times are seconds since the start."""

    def __init__(self, stalls: Sequence[Stall]) -> None:
        self._stalls = tuple(stalls)

    def end(self, elapsed: float) -> float | None:
        """Returns when everything goes on, of something that comes at this time; None where nothing stands still."""
        end = None
        ends: list[float]
        # One may begin before another has ended; at most so many in a row, or those that overlap themselves never end.
        for _ in range(1 + len(self._stalls)):
            at = elapsed if end is None else end
            ends = [found for stall in self._stalls if (found := stall.end(at)) is not None]
            if not ends:
                break
            end = max(ends)
        return end

    def next(self, elapsed: float) -> float | None:
        """Returns when the next one begins, after this time; None for never."""
        return min((found for stall in self._stalls if (found := stall.next(elapsed)) is not None), default=None)
