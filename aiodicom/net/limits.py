"""How many connections and associations there may be, in one process or in several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

__all__ = ["Numbers", "Places"]

#: Connections without an association that a process keeps for each one that it may have, and those it keeps anyway.
_IDLE_PER_PLACE = 4
_IDLE = 256


class Numbers(Protocol):
    """One number for each process: a list, or memory that they share."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...

    def __iter__(self) -> Iterator[int]: ...

    def __len__(self) -> int: ...


class Places:
    """Counts the connections and the associations of this process, these against a limit for all processes together.

    `present` (connections whose association is not over, or has yet to come) and `associations` have one number for
    each process, of which this one writes only its own, `index`. While it is in `exclusive`, no other process takes a
    place.
    """

    __slots__ = ("_associations", "_exclusive", "_index", "_present", "connections", "limit")

    def __init__(
        self,
        limit: int | None,
        present: Numbers | None = None,
        associations: Numbers | None = None,
        index: int = 0,
        exclusive: AbstractContextManager[object] | None = None,
    ) -> None:
        self.limit = limit
        #: The connections of this process, with an association or without.
        self.connections = 0
        self._present: Numbers = [0] if present is None else present
        self._associations: Numbers = [0] if associations is None else associations
        self._index = index
        self._exclusive = nullcontext() if exclusive is None else exclusive

    @property
    def idle(self) -> int:
        """The connections of this process that have no association: none yet, none any more, or one was rejected."""
        return self.connections - self._associations[self._index]

    @property
    def is_crowded(self) -> bool:
        """Whether so many connections have no association that another one may be closed at once.

        Each is given the time to propose one, or to go (ARTIM), and costs a descriptor until then.
        """
        return self.limit is not None and self.idle >= _IDLE + _IDLE_PER_PLACE * self.limit

    def enter(self) -> None:
        """There is a connection."""
        self.connections += 1
        self._present[self._index] += 1

    def end(self) -> None:
        """The association of a connection is over, or none will come of it."""
        self._present[self._index] -= 1

    def leave(self) -> None:
        """A connection is closed."""
        self.connections -= 1

    def take(self) -> bool:
        """Takes a place for an association; false when none is left."""
        if self.limit is not None:
            with self._exclusive:
                if sum(self._associations) >= self.limit:
                    return False
                self._associations[self._index] += 1
        else:
            self._associations[self._index] += 1
        return True

    def give(self) -> None:
        """Gives a place back."""
        self._associations[self._index] -= 1
