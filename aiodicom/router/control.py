"""What people ask of a running router, and have it do: as structs, for whoever shows them."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from aiodicom.router.queue.objects import PENDING, QueueUnavailable, Selection, State

if TYPE_CHECKING:
    from aiodicom.router.delivery import Deliverer
    from aiodicom.router.queue.objects import Way
    from aiodicom.router.queue.protocol import Queue
    from aiodicom.router.router import Router

__all__ = ["Control", "DestinationStatus", "Meant", "ObjectWay", "RouterStatus", "StepStatus"]

#: Objects that are told of at a time.
_MOST: Final = 500


class DestinationStatus(msgspec.Struct, kw_only=True):
    """How it goes with a destination."""

    name: str
    type: str
    #: open (objects go), left alone, trial, held, out of hours
    state: str
    reason: str = ""
    #: Deliveries by what has become of them.
    waiting: int = 0
    delayed: int = 0
    held: int = 0
    gathering: int = 0
    dead: int = 0
    delivered: int = 0
    #: On their way now, and associations or connections that are open.
    running: int = 0
    connections: int = 0
    #: Since the process began.
    delivered_here: int = 0
    bytes: int = 0
    failures: int = 0


class RouterStatus(msgspec.Struct, kw_only=True):
    """How it goes with one process of a router."""

    version: str
    pid: int
    shard: str
    #: Seconds since it began.
    uptime: float
    listening: list[str]
    associations: int
    received: int
    bytes: int
    refused: int
    #: Bytes of the queue's disk that are free, and whether objects are refused for want of them.
    disk_free: int
    disk_full: bool
    #: What was not as it should be when the queue was opened, and what is wrong with the configuration as it is now.
    findings: list[str] = []
    problems: list[str] = []
    destinations: list[DestinationStatus] = []


class StepStatus(msgspec.Struct, kw_only=True):
    """What has become of an object on its way to one destination."""

    number: int
    destination: str
    route: str
    state: str
    attempts: int
    reason: str
    changed: float
    retry_at: float | None = None


class ObjectWay(msgspec.Struct, kw_only=True):
    """An object, and where it was to go."""

    #: Its part of the queue, and its number there.
    object: str
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    patient_id: str
    calling_aet: str
    peer: str
    received: float
    size: int
    steps: list[StepStatus]


class Meant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deliveries somebody means; what is None says nothing."""

    destination: str | None = None
    state: str | None = None
    study: str | None = None
    #: As an `ObjectWay` has it.
    object: str | None = None
    #: Of the object's deliveries, which.
    number: int | None = None
    #: Why something is dropped, for those who look later.
    reason: str = "dropped by an operator"

    @property
    def shard(self) -> str | None:
        """The part of the queue that the object is in."""
        return None if self.object is None else self.object.partition("/")[0]

    def selection(self) -> Selection:
        """The same for a queue. Raises ValueError for a state, or an object, that is none."""
        return Selection(self.destination, self.pending_state(), self.study, self._number(), self.number)

    def pending_state(self) -> State | None:
        """The state. Raises ValueError for one that is none, or in which nothing waits."""
        if self.state is None:
            return None
        states = {state.name.lower(): state for state in PENDING}
        if self.state not in states:
            raise ValueError(f"{self.state!r} is no state that something waits in: {', '.join(states)}")
        return states[self.state]

    def _number(self) -> int | None:
        if self.object is None:
            return None
        shard, _, number = self.object.partition("/")
        if not shard or not number.isdecimal():
            raise ValueError(f"{self.object!r} is no object: it is written as shard-000/1099511627776")
        return int(number)


class Control:
    """Asks and tells one process of a router."""

    def __init__(self, router: Router, version: str, pid: int) -> None:
        self._router = router
        self._version = version
        self._pid = pid
        self._began = time.monotonic()

    async def status(self) -> RouterStatus:
        """How it goes."""
        router = self._router
        findings = [finding for queue in router.queues for finding in queue.findings]
        counts: dict[str, Counter[State]] = {}
        try:
            for queue in self._told():
                for name, found in (await queue.counts()).items():
                    counts.setdefault(name, Counter()).update(found)
        except QueueUnavailable as error:
            findings.append(str(error))
        watermarks = router.queue.watermarks
        # Looked at now: while nobody sends, nobody else does, and whoever waits for readiness would wait for ever.
        watermarks.check()
        return RouterStatus(
            version=self._version,
            pid=self._pid,
            shard=router.shard,
            uptime=time.monotonic() - self._began,
            listening=[f"{host}:{port}" for host, port in router.listeners.addresses],
            associations=router.listeners.associations,
            received=router.intake.received,
            bytes=router.intake.bytes,
            refused=router.intake.refused,
            disk_free=watermarks.space().free,
            disk_full=watermarks.is_full,
            findings=findings,
            problems=list(router.problems),
            destinations=[
                self._destination(name, router.destinations.deliverers.get(name), counts.get(name, Counter()))
                for name in dict.fromkeys([*router.destinations.deliverers, *counts, *router.queue.on_hold])
            ],
        )

    def _destination(self, name: str, deliverer: Deliverer | None, counts: Counter[State]) -> DestinationStatus:
        tally = self._router.tally.of(name)
        status = DestinationStatus(
            name=name,
            type="gone",
            state="not in the configuration",
            waiting=counts[State.WAITING],
            delayed=counts[State.DELAYED],
            held=counts[State.HELD],
            gathering=counts[State.GATHERING],
            dead=counts[State.DEAD],
            delivered=counts[State.DELIVERED],
            delivered_here=tally.objects,
            bytes=tally.bytes,
            failures=tally.failures,
        )
        if deliverer is not None:
            status.type = type(deliverer.settings).__name__.removesuffix("Destination").lower()
            status.state, status.reason = self._state(name, deliverer)
            status.running = deliverer.running
            status.connections = deliverer.sender.open
        return status

    def _state(self, name: str, deliverer: Deliverer) -> tuple[str, str]:
        if name in self._router.queue.on_hold:
            return "held", "until somebody releases it"
        if not deliverer.is_scheduled():
            return "out of hours", ""
        return {"closed": "open", "open": "left alone"}.get(deliverer.breaker.value, "trial"), deliverer.reason

    async def listed(
        self, destination: str | None = None, state: State | None = None, limit: int = _MOST
    ) -> list[ObjectWay]:
        """What is pending, the oldest first."""
        limit = _clamped(limit)
        ways = [
            _way(queue, way)
            for queue in self._told()
            for way in await queue.pending(Selection(destination, state), limit=limit)
        ]
        return sorted(ways, key=lambda way: way.received)[:limit]

    async def search(self, text: str, limit: int = 100) -> list[ObjectWay]:
        """The ways of the objects that a text names: a SOP Instance or Study Instance UID, or a Patient ID; the newest
        first.
        """
        limit = _clamped(limit)
        found: dict[str, ObjectWay] = {}
        for queue in self._told():
            for key in ("sop_instance_uid", "study_instance_uid", "patient_id"):
                for each in await queue.find(**{key: text}, limit=limit):
                    way = _way(queue, each)
                    found[way.object] = way
        return sorted(found.values(), key=lambda way: -way.received)[:limit]

    def _told(self) -> list[Queue]:
        """The parts of the queue that this process tells of."""
        return [queue for queue in self._router.queues if queue.is_told_here]

    async def retry(self, meant: Meant) -> int:
        """Has dead and delayed deliveries tried now, and what is left alone tried at once; returns how many. Raises
        ValueError for what cannot be meant, as the others do.
        """
        parts = self._meant(meant)
        destinations = (self._router.destinations, *(each.destinations for each in self._router.adopted))
        for each in destinations:
            for name, deliverer in each.deliverers.items():
                if meant.destination in (None, name):
                    deliverer.try_now()
        return sum([await queue.retry(selection) for queue, selection in parts])

    async def hold(self, meant: Meant) -> int:
        """Has deliveries wait; a destination alone is held with what comes for it. Returns how many."""
        return sum([await queue.hold(selection) for queue, selection in self._meant(meant)])

    async def release(self, meant: Meant) -> int:
        """Ends that."""
        return sum([await queue.release(selection) for queue, selection in self._meant(meant)])

    async def drop(self, meant: Meant) -> int:
        """Gives pending deliveries up; returns how many."""
        return sum([await queue.drop(selection, meant.reason) for queue, selection in self._meant(meant)])

    def _meant(self, meant: Meant) -> list[tuple[Queue, Selection]]:
        """The parts of the queue that have something of what is meant: an object is in one of them."""
        selection = meant.selection()
        shard = meant.shard
        return [(queue, selection) for queue in self._router.queues if shard in (None, _shard_of(queue))]


def _clamped(limit: int) -> int:
    return max(1, min(limit, _MOST))


def _shard_of(queue: Queue) -> str:
    return os.path.basename(queue.path)


def _way(queue: Queue, way: Way) -> ObjectWay:
    return ObjectWay(
        object=f"{_shard_of(queue)}/{way.object}",
        sop_class_uid=way.sop_class_uid,
        sop_instance_uid=way.sop_instance_uid,
        study_instance_uid=way.study_instance_uid,
        patient_id=way.patient_id,
        calling_aet=way.calling_aet,
        peer=way.peer,
        received=way.received,
        size=way.place.size,
        steps=[
            StepStatus(
                number=step.number,
                destination=step.destination,
                route=step.route,
                state=step.state.name.lower(),
                attempts=step.attempts,
                reason=step.reason,
                changed=step.changed,
                retry_at=step.retry_at,
            )
            for step in way.steps
        ],
    )
