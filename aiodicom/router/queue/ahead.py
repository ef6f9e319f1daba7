"""What goes on before it has rows: leases of objects that have just come, for those who wait. Knows no clock."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiodicom.router.queue.objects import Lease

__all__ = ["Ahead", "Unnoted"]

#: Leases of a destination that nobody has taken yet: what comes beyond these waits in the rows.
_MOST: Final = 512
#: Seconds after which nobody is expected any more to take them.
_PATIENCE: Final = 1.0


class Ahead:
    """Which deliveries may be leased before they have rows, and which leases there are.

    That is so for a destination that somebody waits for or has waited for, and of which nothing waits in the rows:
    what comes never gets ahead of that.

    Invariants: for the destinations in `_clear` nothing that waits in the rows can be claimed. `given` numbers what the
    thread of the rows was told, and `_told` by destination the last of it that may have left something waiting there.
    """

    def __init__(self) -> None:
        self.given = 0
        self._told: dict[str, int] = {}
        self._all_told = 0
        self._clear: set[str] = set()
        self._served: set[str] = set()
        self._leases: dict[str, list[Lease]] = {}
        #: When leases were last taken, or the first of them came.
        self._since: dict[str, float] = {}

    def served(self, destination: str) -> None:
        """Somebody waits for what comes."""
        self._served.add(destination)

    def takes(self, destination: str) -> bool:
        """Whether a delivery may be leased as it comes."""
        return (
            destination in self._clear
            and destination in self._served
            and len(self._leases.get(destination, ())) < _MOST
        )

    def add(self, lease: Lease, now: float) -> None:
        """One is."""
        leases = self._leases.get(lease.destination)
        if not leases:
            self._leases[lease.destination] = [lease]
            self._since[lease.destination] = now
        elif leases[-1].priority >= lease.priority:
            leases.append(lease)
        else:
            insort(leases, lease, key=_rank)

    def take(self, destination: str, limit: int, now: float) -> list[Lease]:
        """Returns up to so many leases, by priority and as they have come; they are not here any more."""
        leases = self._leases.get(destination)
        if not leases or limit < 1:
            return []
        self._since[destination] = now
        taken = leases[:limit]
        del leases[:limit]
        return taken

    def give_up(self, destination: str) -> list[Lease]:
        """Returns all leases of a destination that nobody is to take."""
        self._served.discard(destination)
        return self._leases.pop(destination, [])

    def left(self, now: float) -> list[Lease]:
        """Returns the leases that nobody has come for: they wait in the rows then."""
        late = [name for name, leases in self._leases.items() if leases and now - self._since[name] > _PATIENCE]
        return [lease for name in late for lease in self.give_up(name)]

    # What waits in the rows.

    def may_wait(self, destinations: Iterable[str]) -> None:
        """Something may wait in the rows for these, from what is given to their thread next on."""
        for destination in destinations:
            self._told[destination] = self.given + 1
            self._clear.discard(destination)

    def all_may_wait(self) -> None:
        """And so it may for any destination."""
        self._all_told = self.given + 1
        self._clear.clear()

    def is_clear(self, destination: str) -> bool:
        """Whether nothing can be claimed of the rows."""
        return destination in self._clear

    def is_all(self, destination: str) -> bool:
        """Whether nothing can be claimed at all, neither of the rows nor of the leases."""
        return destination in self._clear and not self._leases.get(destination)

    def found_none(self, destination: str, given: int) -> None:
        """Nothing is left to be claimed after what was given to the thread as number `given`."""
        if given >= max(self._told.get(destination, 0), self._all_told):
            self._clear.add(destination)


def _rank(lease: Lease) -> int:
    return -lease.priority


class Unnoted:
    """The SOP Instance UIDs of objects that may not have been in the rows yet when these were last looked at.

    Arrivals are looked up, in the order of their coming, before they are decided on; so a UID is needed until those are
    decided that had come when its rows were committed.
    """

    def __init__(self) -> None:
        self._uids: dict[str, int] = {}
        self._arrived = self._decided = 0
        self._ending: deque[tuple[int, list[str]]] = deque()

    def __contains__(self, uid: str) -> bool:
        return uid in self._uids

    def arrived(self) -> None:
        """An object has come that is going to be looked up."""
        self._arrived += 1

    def add(self, uid: str) -> None:
        """One is decided on, and gets its rows later."""
        self._uids[uid] = self._uids.get(uid, 0) + 1

    def decided(self, count: int) -> None:
        """So many of those that had come are decided on, or refused."""
        self._decided += count
        while self._ending and self._ending[0][0] <= self._decided:
            for uid in self._ending.popleft()[1]:
                left = self._uids[uid] - 1
                if left:
                    self._uids[uid] = left
                else:
                    del self._uids[uid]

    def noted(self, uids: list[str]) -> None:
        """These have rows now, or never will."""
        self._ending.append((self._arrived, uids))
        self.decided(0)
