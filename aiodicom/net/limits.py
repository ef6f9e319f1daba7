"""How many associations there may be, in one process or in several."""

from __future__ import annotations

from collections.abc import MutableSequence

__all__ = ["Places"]


class Places:
    """Counts the associations of this process, against a limit that holds over all processes that share `counts`.

    `counts` has one number for each process, of which this one writes only its own, `index`.
    """

    __slots__ = ("_counts", "_index", "limit")

    def __init__(self, limit: int | None, counts: MutableSequence[int] | None = None, index: int = 0) -> None:
        self.limit = limit
        self._counts: MutableSequence[int] = [0] if counts is None else counts
        self._index = index

    def take(self) -> bool:
        """Takes a place; false when none is left.

        The place is taken before the others are counted: two processes at the same moment may both find none, but never
        both the last one.
        """
        self._counts[self._index] += 1
        if self.limit is not None and sum(self._counts) > self.limit:
            self.give()
            return False
        return True

    def give(self) -> None:
        """Gives a place back."""
        self._counts[self._index] -= 1
