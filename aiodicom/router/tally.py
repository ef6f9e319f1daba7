"""What has been delivered, and has not, since the process began: for people."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiodicom.router.observing import Observer

if TYPE_CHECKING:
    from aiodicom.router.outcomes import Outcome
    from aiodicom.router.queue.objects import Lease

__all__ = ["Count", "Tally"]


@dataclass(slots=True)
class Count:
    """Of one destination."""

    objects: int = 0
    bytes: int = 0
    #: Attempts that failed.
    failures: int = 0


class Tally(Observer):
    """Counts by destination, whatever part of the queue an object came from, and whether it was cut through."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Count] = defaultdict(Count)

    def of(self, destination: str) -> Count:
        """What has been counted of a destination."""
        return self._counts.get(destination) or Count()

    def delivered(self, lease: Lease, size: int, seconds: float, reason: str) -> None:
        """It has an object."""
        count = self._counts[lease.destination]
        count.objects += 1
        count.bytes += size

    def failed(self, lease: Lease, outcome: Outcome, is_dead: bool) -> None:
        """It has not taken one."""
        self._counts[lease.destination].failures += 1
