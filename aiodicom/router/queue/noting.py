"""What the rows are to be told: what has come and goes on already, and what has become of deliveries."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence, Set
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from aiodicom.router.queue.objects import Failure, Lease
    from aiodicom.router.queue.shard import Group, Shard

__all__ = ["Notes", "uids_of"]

_log = logging.getLogger(__name__)

Item = TypeVar("Item")

#: Groups and deliveries that do not wait for more of them.
_MANY: Final = 256


class Notes:
    """Gathers what may wait, and writes it into the rows of a shard together, so that what was delivered before it had
    rows gets them once.

    It is filled by one thread and written by another. `written` is told the SOP Instance UIDs of what has rows then,
    `again` the destinations of deliveries that are made again, because it could not be noted that they have been.

    Invariant: of what was written to the segments before, everything that was answered has rows or is in `_groups`,
    and whatever is written into the rows takes all of these with it. So a segment never says that it has rows up to
    where it has not.
    """

    def __init__(
        self, shard: Shard, *, written: Callable[[list[str]], object], again: Callable[[set[str]], object]
    ) -> None:
        self._shard = shard
        self._written = written
        self._again = again
        self._groups: deque[Group] = deque()
        self.delivered: deque[Lease] = deque()
        self.failed: deque[Failure] = deque()
        #: Leases of objects that others of their deliveries keep waiting for their rows.
        self._coming: set[tuple[int, int]] = set()
        #: Whether rows could not be written the last time: then nothing is to be answered before it has some.
        self.are_stuck = False

    def __bool__(self) -> bool:
        return bool(self._groups or self.delivered or self.failed)

    @property
    def are_many(self) -> bool:
        """Whether they should not wait for more."""
        return len(self._groups) >= _MANY or len(self.delivered) >= _MANY

    def queued(self, group: Group) -> None:
        """A group goes on before it has rows."""
        self._groups.append(group)

    def coming(self, group: Group) -> None:
        """A group is to be given to `write`; what becomes of its leases before is noted with it."""
        self._coming.update(group.leases)

    def write(self, now: float, groups: Sequence[Group] = ()) -> set[int]:
        """Gives what has none its rows, and `groups` too, and notes what has become of leases.

        Returns the objects of which nothing is queued. Raises what SQLite does: then `groups` are not queued; what goes
        on already gets its rows with what comes next.
        """
        for group in groups:
            self._coming.difference_update(group.leases)
        # In this order: what was delivered had its group there before.
        delivered = [lease for lease in _emptied(self.delivered) if not self._is_early(self.delivered, lease, lease)]
        failed = [each for each in _emptied(self.failed) if not self._is_early(self.failed, each, each.lease)]
        unnoted = _emptied(self._groups)
        if not (delivered or failed or unnoted or groups):
            return set()
        try:
            dropped = self._shard.note([*unnoted, *groups], delivered, failed, now)
        except Exception:
            self.are_stuck = True
            leases = [*delivered, *(failure.lease for failure in failed)]
            _log.exception(
                "%d groups of objects have to wait for their rows; what has become of %d deliveries is lost: they are"
                " made again",
                len(unnoted),
                len(leases),
            )
            ended = {lease[:2] for lease in leases}
            self._groups.extendleft(reversed([_without(group, ended) for group in unnoted]))
            self._shard.give_back(leases)
            self._again({lease.destination for lease in leases})
            raise
        self.are_stuck = False
        self._written(uids_of([*unnoted, *groups]))
        return dropped

    def _is_early(self, kept: deque[Item], item: Item, lease: Lease) -> bool:
        """Keeps what has become of a lease until its group is written."""
        if is_early := lease[:2] in self._coming:
            kept.append(item)
        return is_early


def uids_of(groups: Iterable[Group]) -> list[str]:
    """The SOP Instance UIDs of objects."""
    return [stored.incoming.sop_instance_uid for group in groups for stored in group.stored]


def _emptied(given: deque[Item]) -> list[Item]:
    return [given.popleft() for _ in range(len(given))]


def _without(group: Group, ended: Set[tuple[int, int]]) -> Group:
    """The group with the leases that have not ended."""
    return group._replace(leases={key: lease for key, lease in group.leases.items() if key not in ended})
