"""How many connections and associations there may be, in one process or in several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

__all__ = ["Numbers", "Places"]

#: Connections without a proposal that a process keeps for each association that it may have, and those it keeps anyway.
_WAITING_PER_PLACE = 4
_WAITING = 256


class Numbers(Protocol):
    """One number for each process: a list, or memory that they share."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...

    def __iter__(self) -> Iterator[int]: ...

    def __len__(self) -> int: ...


class Places:
    """Counts the connections and the associations of this process, these against a limit for all processes together.

    `connections` and `associations` have one number for each process, of which this one writes only its own, `index`.
    While it is in `exclusive`, no other process takes a place.
    """

    __slots__ = ("_associations", "_connections", "_exclusive", "_index", "_waiting", "limit")

    def __init__(
        self,
        limit: int | None,
        connections: Numbers | None = None,
        associations: Numbers | None = None,
        index: int = 0,
        exclusive: AbstractContextManager[object] | None = None,
    ) -> None:
        self.limit = limit
        self._connections: Numbers = [0] if connections is None else connections
        self._associations: Numbers = [0] if associations is None else associations
        self._index = index
        self._exclusive = nullcontext() if exclusive is None else exclusive
        self._waiting = 0

    @property
    def connections(self) -> int:
        """The connections of this process, with an association or without."""
        return self._connections[self._index]

    @property
    def waiting(self) -> int:
        """Those of them that have not proposed an association yet."""
        return self._waiting

    @property
    def is_crowded(self) -> bool:
        """Whether so many connections have proposed nothing that another one may be closed at once.

        Each is given the time for its A-ASSOCIATE-RQ (ARTIM), and costs a descriptor until then.
        """
        return self.limit is not None and self._waiting >= _WAITING + _WAITING_PER_PLACE * self.limit

    def enter(self) -> None:
        """There is a connection."""
        self._connections[self._index] += 1
        self._waiting += 1

    def propose(self) -> None:
        """A connection has proposed an association."""
        self._waiting -= 1

    def leave(self, has_proposed: bool) -> None:
        """A connection has ended."""
        self._connections[self._index] -= 1
        if not has_proposed:
            self._waiting -= 1

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
