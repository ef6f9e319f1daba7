"""What goes out to one destination: claimed from the queue, sent, settled."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from random import random
from typing import TYPE_CHECKING, Final, Protocol

from aiodicom.errors import AiodicomError, TransformationFailed
from aiodicom.net.starting import TaskStarter
from aiodicom.router.attempts import Attempts
from aiodicom.router.breaker import State
from aiodicom.router.config.destinations import is_open, next_change
from aiodicom.router.origin import Origin
from aiodicom.router.outcomes import Fault, Outcome, outcome_of
from aiodicom.router.outgoing import Outgoing, prepare
from aiodicom.router.queue.objects import QueueUnavailable
from aiodicom.router.rates import Pace
from aiodicom.router.whereabouts import dropped_by

if TYPE_CHECKING:
    from aiodicom.net.sources import DataSource
    from aiodicom.router.config.destinations import Destination
    from aiodicom.router.observing import Observer
    from aiodicom.router.queue.objects import Lease
    from aiodicom.router.senders.sender import Sender
    from aiodicom.router.transformations.pipeline import Pipeline

__all__ = ["Deliverer", "Deliveries"]

_log = logging.getLogger("aiodicom.router")

#: Deliveries that are claimed at a time at the most, and of which so few are left when more are claimed.
_CLAIMED: Final = 128
_LOW: Final = 32
#: Seconds after which a queue that fails is asked again.
_QUEUE_PAUSE: Final = 5.0
#: Seconds after which a destination is looked at although nobody has said anything.
_LOOK: Final = 60.0


class Deliveries(Protocol):
    """A queue, as far as a destination needs it."""

    @property
    def on_hold(self) -> Sequence[str]: ...

    async def claim(self, destination: str, limit: int, *, newest: bool = False) -> list[Lease]: ...

    def listen(self, destination: str, told: Callable[[], object]) -> None: ...

    def offered(self, destination: str, limit: int) -> Sequence[Lease]: ...

    def source(self, lease: Lease) -> DataSource: ...

    def delivered(self, *leases: Lease, warning: str = "") -> None: ...

    def failed(self, lease: Lease, reason: str, retry_at: float | None, *, counts: bool = True) -> None: ...

    def dropped(self, lease: Lease, reason: str) -> None: ...

    def give_back(self, *leases: Lease) -> None: ...

    def now(self) -> float: ...


class _Running:
    """A delivery on its way."""

    __slots__ = ("task",)

    task: asyncio.Task[None]


class Deliverer:
    """Delivers to one destination until it is stopped.

    As many deliveries run side by side as the sender has use for, unless schedule, rate or circuit breaker leave fewer.
    What arrives while there are arrears gets every other claim, so that it need not wait for all of them.

    `pipeline_of` gives what a route makes of objects, and raises KeyError for a route that there is no more.
    """

    def __init__(
        self,
        name: str,
        settings: Destination,
        queue: Deliveries,
        sender: Sender,
        pipeline_of: Callable[[str], Pipeline | None],
        observer: Observer,
    ) -> None:
        self.name = name
        self.settings = settings
        self._queue = queue
        self.sender = sender
        self._pipeline_of = pipeline_of
        self._observer = observer
        self._time = asyncio.get_running_loop().time
        self._attempts = Attempts(settings.retry, settings.breaker)
        self._pace = Pace(settings.rate, settings.bandwidth, self._time())
        self._claimed: deque[Lease] = deque()
        #: Whether it was told that the circuit breaker is open.
        self._is_left_alone = False
        self._in_arrears = False
        self._is_newest_next = False
        self._running: set[_Running] = set()
        self._starter = TaskStarter()
        self._wake = asyncio.Event()
        self._is_stopping = False
        #: Whether nothing is waited for but something to claim.
        self._is_idle = False

    @property
    def running(self) -> int:
        """Deliveries that are on their way."""
        return len(self._running)

    @property
    def breaker(self) -> State:
        """Whether the destination is sent to."""
        return self._attempts.breaker.state

    @property
    def reason(self) -> str:
        """Why not."""
        return self._attempts.breaker.reason

    def is_scheduled(self) -> bool:
        """Whether the schedule lets objects go now."""
        return is_open(self.settings.schedule, datetime.now())

    def is_free(self) -> bool:
        """Whether something could be sent beside the queue without getting ahead of what waits, or past a limit."""
        settings = self.settings
        return (
            not self._claimed
            and len(self._running) < self.sender.concurrency
            and self._attempts.breaker.state is State.CLOSED
            and settings.rate is None
            and settings.bandwidth is None
            and self.is_scheduled()
            and not self._is_held()
        )

    def _is_held(self) -> bool:
        return self.name in self._queue.on_hold

    # --- its life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Returns after `stop`, when what was on its way has been settled. Cancelled, it ends that at once."""
        await self.sender.start()
        try:
            while not self._is_stopping:
                self._wake.clear()
                # One time for both: what there is room for between two looks at the clock would be slept through.
                now, local = self._time(), datetime.now()
                room = self._room(now, local)
                if room < 1:
                    await self._sleep(self._next_look(now, local))
                elif await self._fill():
                    self._begin(int(room))
                else:
                    self._spare_trial()
                    await self._until_something_comes()
            while self._running:
                await asyncio.wait([running.task for running in self._running])
        finally:
            ending = [running.task for running in self._running]
            for task in ending:
                task.cancel()
            if ending:
                await asyncio.wait(ending)
            await self._starter.close()
            self._give_back()
            with suppress(AiodicomError, OSError):
                await self.sender.close()

    def stop(self) -> None:
        """Has it begin nothing more."""
        self._is_stopping = True
        self._wake.set()

    def try_now(self) -> None:
        """Somebody wants it to be tried, whatever the circuit breaker thinks."""
        self._attempts.breaker.try_now(self._time())
        self._wake.set()

    # --- when, and how many -----------------------------------------------------------------------------------------

    def _room(self, now: float, local: datetime) -> float:
        """How many deliveries may be begun now."""
        free = self.sender.concurrency - len(self._running)
        if free < 1 or not is_open(self.settings.schedule, local):
            return 0
        room = min(free * self.sender.batch, self._pace.room(now))
        return min(room, self._attempts.breaker.allowance(now)) if room >= 1 else 0

    def _next_look(self, now: float, local: datetime) -> float:
        """Seconds until there may be room again without anything having ended."""
        waits = [_LOOK]
        if not is_open(self.settings.schedule, local):
            opens = next_change(self.settings.schedule, local) or local + timedelta(seconds=_LOOK)
            waits.append((opens - local).total_seconds())
        reopens = self._attempts.breaker.reopens_at
        if reopens is not None:
            waits.append(reopens - now)
        elif len(self._running) < self.sender.concurrency and (pause := self._pace.wait(now)):
            waits.append(pause)
        return max(min(waits), 0.0)

    async def _sleep(self, seconds: float) -> None:
        if self._attempts.breaker.state is State.OPEN or not self.is_scheduled():
            self._give_back()  # somebody may want to hold or drop them
        timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _until_something_comes(self) -> None:
        """Meanwhile what comes is sent at once, and deliveries that end wake nobody."""
        self._is_idle = True
        self._queue.listen(self.name, self._told)
        try:
            await self._sleep(_LOOK)
        finally:
            self._is_idle = False

    def _told(self) -> None:
        """There may be something to claim."""
        is_closed = self._attempts.breaker.state is State.CLOSED
        is_ready = is_closed and self._is_idle and not self._is_stopping and not self._is_held()
        if is_ready and (room := int(self._room(self._time(), datetime.now()))):
            self._claimed.extend(self._queue.offered(self.name, min(room, _CLAIMED)))
            if self._claimed:
                self._begin(room)
                self._queue.listen(self.name, self._told)
                return
        self._wake.set()

    def _spare_trial(self) -> None:
        if self._attempts.breaker.state is State.TRIAL and not self._running:
            self._attempts.breaker.given_up(self._time())

    async def _fill(self) -> bool:
        """Claims more where few are left; returns whether there are any. Of what is held there are none, and what was
        claimed before waits with the rest.
        """
        if self._is_held():
            self._give_back()
        if len(self._claimed) <= _LOW and (not self._claimed or self._in_arrears):
            newest = self._in_arrears and self._is_newest_next
            try:
                found = await self._queue.claim(self.name, _CLAIMED, newest=newest)
            except Exception:
                _log.exception("%s: the queue does not say what there is to deliver, and is asked again", self.name)
                await self._sleep(_QUEUE_PAUSE)
                return False
            self._in_arrears = len(found) == _CLAIMED or (newest and bool(found))
            self._is_newest_next = not newest
            self._claimed.extend(found)
        return bool(self._claimed)

    def _give_back(self) -> None:
        if self._claimed:
            self._queue.give_back(*self._claimed)
            self._claimed.clear()

    # --- deliveries -------------------------------------------------------------------------------------------------

    def _begin(self, room: int) -> None:
        while room > 0 and self._claimed and len(self._running) < self.sender.concurrency:
            leases = [self._claimed.popleft() for _ in range(min(self.sender.batch, room, len(self._claimed)))]
            room -= len(leases)
            self._pace.sent(len(leases), sum(lease.place.size for lease in leases))
            running = _Running()
            self._running.add(running)
            task = self._starter.start(self._deliver(leases), asyncio.get_running_loop(), self._ended, running)
            if task is not None:
                running.task = task

    def _ended(self, running: _Running, _: None, error: BaseException | None) -> None:
        self._running.discard(running)
        self._spare_trial()
        if not self._is_idle:
            self._wake.set()
        if isinstance(error, Exception):
            _log.error("%s: a delivery has ended by a fault of ours", self.name, exc_info=error)

    async def _deliver(self, leases: list[Lease]) -> None:
        """Sends some, and has every one of them settled or given back."""
        unsettled = dict.fromkeys(leases)
        objects: list[Outgoing] = []
        try:
            for lease in leases:
                outgoing = await self._prepared(lease)
                if outgoing is None:
                    del unsettled[lease]
                else:
                    objects.append(outgoing)
            if objects:
                for outgoing, outcome in zip(objects, await self._sent(objects), strict=True):
                    del unsettled[outgoing.lease]
                    self._settle(outgoing.lease, outgoing.source.size, outcome)
        finally:
            for outgoing in objects:
                outgoing.source.close()
            if unsettled:
                self._queue.give_back(*unsettled)

    async def _prepared(self, lease: Lease) -> Outgoing | None:
        """None where that is settled already: its route drops it, or it cannot be made ready."""
        try:
            pipeline = self._pipeline_of(lease.route)
        except KeyError:
            missing = TransformationFailed(
                lease.route, "there is no such route any more: give one that name again and retry, or drop it"
            )
            self._settle(lease, 0, outcome_of(missing))
            return None
        try:
            if pipeline is None:
                return Outgoing(lease, self._queue.source(lease))
            origin = Origin(lease.calling_aet, lease.called_aet, lease.peer, lease.transfer_syntax)
            outgoing = await prepare(lease, self._queue.source(lease), pipeline, origin)
        except QueueUnavailable as error:
            self._settle(lease, 0, outcome_of(error))
            return None
        except (AiodicomError, OSError, ValueError) as error:
            # Bytes that cannot be read, or made into what the route wants, will not get better.
            self._settle(lease, 0, Outcome(Fault.HOPELESS, outcome_of(error).reason))
            return None
        if outgoing is None:
            self._queue.dropped(lease, dropped_by(lease.route))
            self._observer.dropped(lease)
        return outgoing

    async def _sent(self, objects: Sequence[Outgoing]) -> Sequence[Outcome]:
        try:
            return await self.sender.send(objects)
        except Exception as error:
            if not isinstance(error, AiodicomError | OSError):
                _log.exception("%s: an object could not be sent by a fault of ours", self.name)
            outcome = outcome_of(error)
        if len(objects) == 1 or outcome.fault is Fault.DESTINATION:
            return [outcome] * len(objects)
        # One of them may be to blame, and the others are not to suffer for it.
        return [each for outgoing in objects for each in await self._sent([outgoing])]

    def _settle(self, lease: Lease, size: int, outcome: Outcome) -> None:
        if outcome.is_delivered:
            self._attempts.succeeded()
            self._queue.delivered(lease, warning=outcome.reason)
            self._observer.delivered(lease, size, max(self._queue.now() - lease.received, 0.0), outcome.reason)
        else:
            key = (lease.object, lease.number)
            verdict = self._attempts.failed(key, lease.attempts, outcome, self._time(), random())
            retry_at = None if verdict.pause is None else self._queue.now() + verdict.pause
            self._queue.failed(lease, outcome.reason, retry_at, counts=verdict.counts)
            self._observer.failed(lease, outcome, retry_at is None)
            later = f"is tried again in {verdict.pause:.1f} s" if verdict.pause else "waits for its destination"
            what = "is given up" if retry_at is None else later
            level = logging.WARNING if retry_at is None else logging.INFO
            _log.log(level, "%s: %s %s: %s", self.name, lease.sop_instance_uid, what, outcome.reason)
        self._tell_of_breaker()

    def _tell_of_breaker(self) -> None:
        """A trial is not told of, nor that it was of no use."""
        breaker = self._attempts.breaker
        if breaker.state is State.TRIAL or (breaker.state is State.OPEN) == self._is_left_alone:
            return
        self._is_left_alone = not self._is_left_alone
        if self._is_left_alone:
            _log.warning("%s is left alone, and tried from time to time: %s", self.name, breaker.reason)
        else:
            _log.warning("%s is sent to again", self.name)
        self._observer.breaker_changed(self.name, self._is_left_alone, breaker.reason)
