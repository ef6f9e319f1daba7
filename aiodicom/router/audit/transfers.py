"""Transfers gathered by study: one audit message for the instances of a study that went one way, not one for each.

Knows no clock: it is told the time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

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


_Key: TypeAlias = tuple[str, str, str, Outcome]


@dataclass(slots=True)
class _Gathered:
    transfer: Transfer
    #: When the first of its instances was added, and the last one.
    first: float
    last: float


class Transfers:
    """Gathers transfers until nothing has been added to one for `quiet` seconds, or for as long as it takes to gather
    `longest` seconds of it: a stream that never ends is told of too.
    """

    def __init__(self, *, quiet: float = 10.0, longest: float = 300.0, most: int = _MOST) -> None:
        self._quiet = quiet
        self._longest = longest
        self._most = most
        #: By when something was added last, and by when something was added first.
        self._gathered: OrderedDict[_Key, _Gathered] = OrderedDict()
        self._begun: OrderedDict[_Key, _Gathered] = OrderedDict()

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
        if found is None:
            found = _Gathered(Transfer(source, destination, study, outcome), now, now)
            self._gathered[key] = self._begun[key] = found
        classes = found.transfer.study.sop_classes
        classes[sop_class_uid] = classes.get(sop_class_uid, 0) + 1
        found.last = now
        self._gathered.move_to_end(key)

    def due(self, now: float) -> Iterator[Transfer]:
        """Gives what is to be told of now; all of it with an infinite time."""
        while self._gathered:
            key, found = next(iter(self._gathered.items()))
            if found.last + self._quiet > now and len(self._gathered) <= self._most:
                key, found = next(iter(self._begun.items()))
                if found.first + self._longest > now:
                    break
            del self._gathered[key], self._begun[key]
            yield found.transfer

    @property
    def next_deadline(self) -> float | None:
        """When to call `due` next; None while there is nothing."""
        if not self._gathered:
            return None
        quiet, longest = next(iter(self._gathered.values())), next(iter(self._begun.values()))
        return min(quiet.last + self._quiet, longest.first + self._longest)
