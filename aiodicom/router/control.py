"""What people ask of a running router, and have it do: as structs, for whoever shows them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec

from aiodicom.router.queue.objects import QueueUnavailable, Selection, State

if TYPE_CHECKING:
    from aiodicom.router.delivery import Deliverer
    from aiodicom.router.queue.objects import Way
    from aiodicom.router.router import Router

__all__ = ["Control", "DestinationStatus", "ObjectWay", "RouterStatus", "StepStatus", "names_of_states"]

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

    shard: str
    object: int
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    patient_id: str
    calling_aet: str
    peer: str
    received: float
    size: int
    steps: list[StepStatus]


def names_of_states() -> dict[str, State]:
    """The states of deliveries by the names that people give them."""
    return {state.name.lower(): state for state in State}


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
        findings = list(router.queue.findings)
        counts: dict[str, dict[State, int]] = {}
        try:
            if router.queue.is_told_here:
                counts = await router.queue.counts()
        except QueueUnavailable as error:
            findings.append(str(error))
        space = router.queue.watermarks.space()
        servers = router.listeners.servers
        return RouterStatus(
            version=self._version,
            pid=self._pid,
            shard=router.shard,
            uptime=time.monotonic() - self._began,
            listening=[f"{host}:{port}" for host, port in router.listeners.addresses],
            associations=sum(len(server.associations) for server in servers),
            received=router.intake.received,
            bytes=router.intake.bytes,
            refused=router.intake.refused,
            disk_free=space.free,
            disk_full=router.queue.watermarks.is_full,
            findings=findings,
            problems=list(router.problems),
            destinations=[
                self._destination(name, router.destinations.deliverers.get(name), counts.get(name, {}))
                for name in dict.fromkeys([*router.destinations.deliverers, *counts])
            ],
        )

    def _destination(self, name: str, deliverer: Deliverer | None, counts: dict[State, int]) -> DestinationStatus:
        status = DestinationStatus(
            name=name,
            type="gone",
            state="not in the configuration",
            waiting=counts.get(State.WAITING, 0),
            delayed=counts.get(State.DELAYED, 0),
            held=counts.get(State.HELD, 0),
            gathering=counts.get(State.GATHERING, 0),
            dead=counts.get(State.DEAD, 0),
            delivered=counts.get(State.DELIVERED, 0),
        )
        if deliverer is not None:
            status.type = type(deliverer.settings).__name__.removesuffix("Destination").lower()
            status.state, status.reason = self._state(name, deliverer)
            status.running = deliverer.running
            status.connections = deliverer.sender.open
            status.delivered_here = deliverer.delivered
            status.bytes = deliverer.bytes
            status.failures = deliverer.failures
        return status

    def _state(self, name: str, deliverer: Deliverer) -> tuple[str, str]:
        if name in self._router.queue.on_hold:
            return "held", "until somebody releases it"
        if not deliverer.is_scheduled():
            return "out of hours", ""
        return {"closed": "open", "open": "left alone"}.get(deliverer.breaker.value, "trial"), deliverer.reason

    async def listed(
        self, destination: str | None = None, state: State | None = None, after: int = 0, limit: int = _MOST
    ) -> list[ObjectWay]:
        """What is pending, in the order in which it came, from above the object `after` on."""
        if not self._router.queue.is_told_here:
            return []
        ways = await self._router.queue.pending(Selection(destination, state), after, min(limit, _MOST))
        return [self._way(way) for way in ways]

    async def search(self, text: str, limit: int = 100) -> list[ObjectWay]:
        """The ways of the objects that a text names: a SOP Instance or Study Instance UID, or a Patient ID."""
        if not self._router.queue.is_told_here:
            return []
        found: dict[int, Way] = {}
        for key in ("sop_instance_uid", "study_instance_uid", "patient_id"):
            for way in await self._router.queue.find(**{key: text}, limit=min(limit, _MOST)):
                found[way.object] = way
        return [self._way(way) for way in found.values()][:limit]

    def _way(self, way: Way) -> ObjectWay:
        return ObjectWay(
            shard=self._router.shard,
            object=way.object,
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

    async def retry(self, meant: Selection) -> int:
        """Has dead and delayed deliveries tried now, and what is left alone tried at once; returns how many."""
        for name, deliverer in self._router.destinations.deliverers.items():
            if meant.destination in (None, name):
                deliverer.try_now()
        return await self._router.queue.retry(meant)

    async def hold(self, meant: Selection) -> int:
        """Has deliveries wait; a destination alone is held with what comes for it. Returns how many."""
        return await self._router.queue.hold(meant)

    async def release(self, meant: Selection) -> int:
        """Ends that."""
        return await self._router.queue.release(meant)

    async def drop(self, meant: Selection, reason: str) -> int:
        """Gives pending deliveries up; returns how many."""
        return await self._router.queue.drop(meant, reason)
