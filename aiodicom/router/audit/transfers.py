"""Transfers gathered by study: one audit message for the instances of a study that went one way, not one for each.

Knows no clock: it is told the time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, NamedTuple

from aiodicom.router.audit.messages import Outcome, Participant, StudyObject

__all__ = ["Transfer", "Transfers"]

#: Transfers that are gathered at a time; beyond, the one that has waited longest is told of.
_MOST: Final = 10_000


class Transfer(NamedTuple):
    """Instances of one study that went from one node to another, or did not."""

    source: Participant
    destination: Participant
    study: StudyObject
    outcome: Outcome


class Transfers:
    """Gathers transfers until nothing has been added to one for `quiet` seconds, or for as long as it takes to gather
    `longest` seconds of it: a stream that never ends is told of too.
    """

    def __init__(self, *, quiet: float = 10.0, longest: float = 300.0, most: int = _MOST) -> None:
        self._quiet = quiet
        self._longest = longest
        self._most = most
        #: Until when each waits, in the order of those times but for what `longest` ends before; and the transfer.
        self._gathered: OrderedDict[tuple[str, str, str, Outcome], tuple[float, float, Transfer]] = OrderedDict()

    def add(
        self,
        source: Participant,
        destination: Participant,
        sop_class_uid: str,
        study: StudyObject,
        outcome: Outcome,
        now: float,
    ) -> None:
        """One more instance of a study; its `sop_classes` are filled in here."""
        key = (source.user_id, destination.user_id, study.study_instance_uid, outcome)
        found = self._gathered.get(key)
        first = now if found is None else found[1]
        transfer = Transfer(source, destination, study, outcome) if found is None else found[2]
        classes = transfer.study.sop_classes
        classes[sop_class_uid] = classes.get(sop_class_uid, 0) + 1
        self._gathered[key] = (min(now + self._quiet, first + self._longest), first, transfer)
        self._gathered.move_to_end(key)

    def due(self, now: float) -> Iterator[Transfer]:
        """Gives what is to be told of now; all of it with an infinite time."""
        while self._gathered:
            key, (deadline, _, transfer) = next(iter(self._gathered.items()))
            if deadline > now and len(self._gathered) <= self._most:
                break
            del self._gathered[key]
            yield transfer

    @property
    def next_deadline(self) -> float | None:
        """When to call `due` next; None while there is nothing."""
        return next(iter(self._gathered.values()))[0] if self._gathered else None
