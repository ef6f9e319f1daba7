"""What the router tells those who watch it: audit, metrics, traces, completion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.net.requests import FindRequest, RetrieveRequest
    from aiodicom.router.outcomes import Outcome
    from aiodicom.router.queue.objects import Incoming, Lease

__all__ = ["Observer", "Observers"]


class Observer:
    """Hears of everything, on the event loop; does what it does about it later, and raises nothing. All methods may be
    left as they are.
    """

    def received(self, incoming: Incoming, size: int, header: Dataset, association: Association) -> None:
        """An object has been taken, and answered with success."""

    def refused(self, association: Association, status: int, reason: str) -> None:
        """An object has been refused."""

    def delivered(self, lease: Lease, size: int, seconds: float, reason: str) -> None:
        """A destination has an object, `seconds` after it was received; `reason` is the warning that it gave."""

    def failed(self, lease: Lease, outcome: Outcome, is_dead: bool) -> None:
        """An attempt at a delivery has failed; it was the last one if it `is_dead`."""

    def dropped(self, lease: Lease) -> None:
        """A delivery is not made, as its route says."""

    def breaker_changed(self, destination: str, is_open: bool, reason: str) -> None:
        """A destination is left alone, or is sent to again."""

    def queried(self, request: FindRequest | RetrieveRequest) -> None:
        """Somebody asks, and is passed on."""

    def admitted(self, association: Association) -> None:
        """Somebody has opened an association."""

    def not_admitted(self, calling_aet: str, address: str, reason: str) -> None:
        """Somebody was not let in."""


class Observers(Observer):
    """Tells several."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = list(observers)

    def add(self, observer: Observer) -> None:
        """One more."""
        self._observers.append(observer)

    def received(self, incoming: Incoming, size: int, header: Dataset, association: Association) -> None:
        for each in self._observers:
            each.received(incoming, size, header, association)

    def refused(self, association: Association, status: int, reason: str) -> None:
        for each in self._observers:
            each.refused(association, status, reason)

    def delivered(self, lease: Lease, size: int, seconds: float, reason: str) -> None:
        for each in self._observers:
            each.delivered(lease, size, seconds, reason)

    def failed(self, lease: Lease, outcome: Outcome, is_dead: bool) -> None:
        for each in self._observers:
            each.failed(lease, outcome, is_dead)

    def dropped(self, lease: Lease) -> None:
        for each in self._observers:
            each.dropped(lease)

    def breaker_changed(self, destination: str, is_open: bool, reason: str) -> None:
        for each in self._observers:
            each.breaker_changed(destination, is_open, reason)

    def queried(self, request: FindRequest | RetrieveRequest) -> None:
        for each in self._observers:
            each.queried(request)

    def admitted(self, association: Association) -> None:
        for each in self._observers:
            each.admitted(association)

    def not_admitted(self, calling_aet: str, address: str, reason: str) -> None:
        for each in self._observers:
            each.not_admitted(calling_aet, address, reason)
