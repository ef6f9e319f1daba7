"""What the router does, as metrics of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from aiodicom.router.observing import Observer

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.router.control import RouterStatus
    from aiodicom.router.outcomes import Outcome
    from aiodicom.router.queue.objects import Incoming, Lease

__all__ = ["MeteringObserver"]

#: AE titles of senders that are told apart: anybody may call themselves anything.
_SENDERS: Final = 1_000
_OTHERS: Final = "other"

#: Seconds from the receipt of an object to its delivery.
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)

_STATES: Final = ("waiting", "delayed", "held", "gathering", "dead")


class MeteringObserver(Observer):
    """Counts what happens into a registry of its own; `update` takes over what is counted elsewhere."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._senders: set[str] = set()
        prefix = "aiodicom_router"
        self._received = Counter(f"{prefix}_received_objects", "Objects taken.", ["calling_aet"], registry=registry)
        self._received_bytes = Counter(f"{prefix}_received_bytes", "Bytes of objects taken.", registry=registry)
        self._refused = Counter(f"{prefix}_refused_objects", "Objects refused.", ["status"], registry=registry)
        self._not_admitted = Counter(f"{prefix}_rejected_associations", "Nodes not let in.", registry=registry)
        self._delivered = Counter(
            f"{prefix}_delivered_objects", "Objects that a destination has.", ["destination"], registry=registry
        )
        self._delivered_bytes = Counter(
            f"{prefix}_delivered_bytes", "Bytes of these.", ["destination"], registry=registry
        )
        self._failed = Counter(
            f"{prefix}_failed_deliveries", "Attempts that failed.", ["destination", "fault"], registry=registry
        )
        self._given_up = Counter(
            f"{prefix}_given_up_deliveries", "Deliveries that are dead letters.", ["destination"], registry=registry
        )
        self._seconds = Histogram(
            f"{prefix}_delivery_seconds",
            "From an object's receipt to its delivery.",
            ["destination"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._queued = Gauge(
            f"{prefix}_queued_deliveries", "Deliveries in the queue.", ["destination", "state"], registry=registry
        )
        self._is_open = Gauge(
            f"{prefix}_destination_open", "Whether a destination is sent to.", ["destination"], registry=registry
        )
        self._running = Gauge(
            f"{prefix}_running_deliveries", "Deliveries on their way.", ["destination"], registry=registry
        )
        self._associations = Gauge(f"{prefix}_associations", "Associations with senders.", registry=registry)
        self._disk_free = Gauge(f"{prefix}_disk_free_bytes", "Free on the queue's disk.", registry=registry)
        self._disk_full = Gauge(f"{prefix}_disk_full", "Whether objects are refused.", registry=registry)

    def update(self, status: RouterStatus) -> None:
        """What is counted by others."""
        self._associations.set(status.associations)
        self._disk_free.set(status.disk_free)
        self._disk_full.set(status.disk_full)
        self._queued.clear()
        for destination in status.destinations:
            name = destination.name
            for state in _STATES:
                self._queued.labels(name, state).set(getattr(destination, state))
            self._is_open.labels(name).set(destination.state == "open")
            self._running.labels(name).set(destination.running)

    def received(self, incoming: Incoming, size: int, header: Dataset, association: Association) -> None:
        """An object has been taken."""
        sender = incoming.calling_aet
        if sender not in self._senders:
            if len(self._senders) < _SENDERS:
                self._senders.add(sender)
            else:
                sender = _OTHERS
        self._received.labels(sender).inc()
        self._received_bytes.inc(size)

    def refused(self, association: Association, status: int, reason: str) -> None:
        """An object has been refused."""
        self._refused.labels(f"{int(status):04X}").inc()

    def delivered(self, lease: Lease, size: int, seconds: float, reason: str) -> None:
        """A destination has an object."""
        self._delivered.labels(lease.destination).inc()
        self._delivered_bytes.labels(lease.destination).inc(size)
        self._seconds.labels(lease.destination).observe(seconds)

    def failed(self, lease: Lease, outcome: Outcome, is_dead: bool) -> None:
        """An attempt has failed."""
        self._failed.labels(lease.destination, outcome.fault.value).inc()
        if is_dead:
            self._given_up.labels(lease.destination).inc()

    def not_admitted(self, calling_aet: str, address: str, reason: str) -> None:
        """Somebody was not let in."""
        self._not_admitted.inc()
