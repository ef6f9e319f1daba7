"""When a series or study is complete: nothing has come for a while, all that was counted has, or MPPS says so.

Knows no clock. One queue of deadlines, in their order, serves any number of studies: there is no timer for an object.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Completion", "Reason"]

#: Groups that are watched at a time; beyond, the one that has waited longest is taken to be complete.
_MOST: Final = 100_000

#: Why a group is complete.
Reason = str


@dataclass(slots=True)
class _Group:
    first: float
    deadline: float
    #: Hashes of the SOP Instance UIDs that have come: distinct ones count.
    arrived: set[int] = field(default_factory=set)
    #: Instances that the group will have; 0 where nobody has said.
    expected: int = 0
    #: Hashes of those that a performed procedure step has named, until they have come.
    missing: set[int] | None = None


class Completion:
    """Watches the groups (series, or studies) of one route: one is complete when nothing has come for `quiet` seconds,
    or `longest` seconds after its first object, whatever comes.

    An object of a group that was complete begins it anew: what comes late is one more completion.
    """

    def __init__(self, quiet: float, longest: float = math.inf, *, most: int = _MOST) -> None:
        self._quiet = quiet
        self._longest = longest
        self._most = most
        #: In the order of their deadlines, since all wait for the same time, but for those that have waited long.
        self._groups: OrderedDict[str, _Group] = OrderedDict()
        self._complete: OrderedDict[str, Reason] = OrderedDict()

    def __len__(self) -> int:
        return len(self._groups)

    def arrived(self, group: str, sop_instance_uid: str, now: float, expected: int = 0) -> None:
        """An object of a group has come; `expected` is what it says how many instances the group has (0020,1208,
        0020,1209), 0 where it says nothing.
        """
        watched = self._groups.get(group)
        if watched is None:
            if len(self._groups) >= self._most:
                oldest, _ = self._groups.popitem(last=False)
                self._complete[oldest] = "too many are watched"
            watched = self._groups[group] = _Group(now, now)
        watched.deadline = min(now + self._quiet, watched.first + self._longest)
        self._groups.move_to_end(group)
        key = hash(sop_instance_uid)
        watched.arrived.add(key)
        watched.expected = max(watched.expected, expected)
        if watched.expected and len(watched.arrived) >= watched.expected:
            self._end(group, f"all {watched.expected} instances are there")
        elif watched.missing is not None:
            watched.missing.discard(key)
            self._look(group, watched)

    def change(self, quiet: float, longest: float) -> None:
        """Has other times hold, also for what is watched already."""
        for watched in self._groups.values():
            arrived = watched.deadline - self._quiet
            watched.deadline = min(arrived + quiet, watched.first + longest)
        self._quiet, self._longest = quiet, longest

    def performed(self, group: str, instances: Collection[str]) -> None:
        """A performed procedure step has ended which made these instances of a group: it is complete with them."""
        watched = self._groups.get(group)
        if watched is not None:
            watched.missing = {hash(uid) for uid in instances} - watched.arrived
            self._look(group, watched)

    def _look(self, group: str, watched: _Group) -> None:
        if not watched.missing:
            self._end(group, "the performed procedure step has ended")

    def _end(self, group: str, reason: Reason) -> None:
        del self._groups[group]
        self._complete[group] = reason

    def due(self, now: float) -> Iterator[tuple[str, Reason]]:
        """Gives each group that has become complete since the last call, with why."""
        while self._groups:
            group, watched = next(iter(self._groups.items()))
            if watched.deadline > now:
                break
            self._end(group, f"nothing has come for {self._quiet:g} s")
        while self._complete:
            yield self._complete.popitem(last=False)

    @property
    def next_deadline(self) -> float | None:
        """When to call `due` next, a time in the past where something is complete already; None while nothing waits."""
        if self._complete:
            return 0.0
        return next(iter(self._groups.values())).deadline if self._groups else None
