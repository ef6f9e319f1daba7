"""What a process does of a run that several share: together exactly the whole, whatever is counted or planned."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["WHOLE", "Share"]


class Share(NamedTuple):
    """Of everything that has a number from 0 on, what leaves the remainder `number` when divided by `of`."""

    number: int
    of: int

    def numbers(self, total: int) -> range:
        """Which ones of so many."""
        return range(self.number, total, self.of)

    def part(self, total: int) -> int:
        """How many of so many."""
        return len(self.numbers(total))

    def seed(self, seed: int | str) -> int | str:
        """What is chosen at random is chosen otherwise in each process, and nothing is made twice."""
        return seed if self.of == 1 else f"{seed}.{self.number}"


WHOLE = Share(0, 1)
