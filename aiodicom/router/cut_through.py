"""Forwarding that begins while an object still arrives: to destinations that take it as it comes.

The object is queued all the same, as durable as any other; its deliveries that are on their way already wait until it
is known what has become of these. After a crash, or a failure, they are made as others are.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from aiodicom.dataset import Dataset
from aiodicom.errors import AiodicomError, ConnectionLost
from aiodicom.net.proposing import Need
from aiodicom.net.sources import CHUNK, DataSource
from aiodicom.net.transcoding import Transcoding
from aiodicom.router.outcomes import Outcome, outcome_of, outcome_of_status
from aiodicom.router.queue.objects import lease_of
from aiodicom.store.segments import Place

if TYPE_CHECKING:
    from aiodicom.dimse.messages import CStoreRQ
    from aiodicom.net.pool import Pool
    from aiodicom.net.sources import Buffer
    from aiodicom.router.observing import Observer
    from aiodicom.router.origin import Origin
    from aiodicom.router.queue.objects import Incoming, Lease
    from aiodicom.router.routing import Plan, Routing
    from aiodicom.ul._pdu import Body

__all__ = ["CutThrough", "Forward", "Tee"]

_log = logging.getLogger("aiodicom.router")

#: Bytes of an object in which its header has to end, or it is not forwarded before it is there.
_HEADER: Final = 256 << 10
#: Bytes that have to come before the header is looked for again.
_STEP: Final = 4 << 10
#: Bytes that wait for a destination; one that is further behind gets the rest when the whole object is there.
_AHEAD: Final = 1 << 20
#: Where the header ends.
_PIXELS: Final = 0x7FE0

#: The pool of a destination that objects may be cut through to now, by its name; None for others.
PoolOf = Callable[[str], "Pool | None"]


class Settled(Protocol):
    """A queue, as far as forwards need it."""

    def now(self) -> float: ...

    async def forwarded(self, object: int, number: int, warning: str = "") -> None: ...

    async def complete(self, route: str, group: str) -> None: ...


class Forward(DataSource):
    """An object on its way to one destination, of which more may come. Its `size` is known once all is there."""

    __slots__ = ("_buffer", "_data", "_is_behind", "_is_lost", "_wake", "destination", "group", "outcome", "route")

    def __init__(self, message: CStoreRQ, transfer_syntax: str, plan: Plan, destination: str, group: str) -> None:
        super().__init__(
            message.affected_sop_class_uid, message.affected_sop_instance_uid, transfer_syntax, sys.maxsize
        )
        self.route = plan.route
        self.destination = destination
        #: For which its delivery waits in the queue.
        self.group = group
        #: What becomes of it.
        self.outcome: asyncio.Task[Outcome]
        self._buffer = bytearray()
        self._data: memoryview | None = None
        self._is_behind = False
        self._is_lost = False
        self._wake = asyncio.Event()

    def feed(self, view: memoryview) -> None:
        """The next bytes; those that come while too many wait are taken from the whole object later."""
        if not self._is_behind:
            self._buffer += view
            self._is_behind = len(self._buffer) >= _AHEAD
            self._wake.set()

    def finish(self, data: memoryview) -> None:
        """All of it is there."""
        self._data = data
        self._wake.set()

    def lose(self) -> None:
        """It will not be completed."""
        self._is_lost = True
        self._wake.set()

    def transfer_syntaxes(self, policy: Transcoding) -> tuple[str, ...]:
        return (self.transfer_syntax,)

    async def chunks(self, multiple: int) -> AsyncIterator[Buffer]:
        sent = 0
        while self._data is None:
            self._wake.clear()
            if self._is_lost:
                raise ConnectionLost("the association ended before the data set did")
            # Something stays, since what is last is sent otherwise; and fragments are of an even number of bytes.
            ready = (len(self._buffer) - 2) & ~1
            if ready < 1:
                await self._wake.wait()
                continue
            if ready > multiple:
                ready -= ready % multiple
            # As it stands, without a copy: what comes next goes elsewhere.
            piece, self._buffer = memoryview(self._buffer), bytearray(self._buffer[ready:])
            sent += ready
            yield piece[:ready].toreadonly()
        self.size = len(self._data)
        self._buffer = bytearray()
        for offset in range(sent, self.size, CHUNK):
            yield self._data[offset : offset + CHUNK]


class Tee:
    """A body that is gathered, and forwarded as far as its header allows.

    It does not know its request, which has it: the object would wait for the garbage collector.
    """

    def __init__(self, body: Body, message: CStoreRQ, origin: Origin, cut_through: CutThrough) -> None:
        self.body = body
        self._message = message
        self._origin = origin
        self._cut_through = cut_through
        self._head: bytearray | None = bytearray()
        #: Bytes of it from which on it is looked at again: not with each of very small pieces.
        self._look_at = 0
        self.forwards: list[Forward] = []

    def write(self, view: memoryview) -> None:
        """Takes the next bytes."""
        self.body.write(view)
        if self._head is not None:
            self._head += view
            if len(self._head) >= self._look_at:
                self._look_at = len(self._head) + _STEP
                self._decide(self._head)
        else:
            for forward in self.forwards:
                forward.feed(view)

    def _decide(self, head: bytearray) -> None:
        data = bytes(head)
        header = _header(data, self._origin.transfer_syntax)
        if header is None:
            if len(head) > _HEADER:
                self._head = None
            return
        self._head = None
        self.forwards = self._cut_through.begin(self._message, header, self._origin)
        for forward in self.forwards:
            forward.feed(memoryview(data))

    def finish(self) -> None:
        """The data set is complete."""
        self.body.finish()

    def abandon(self) -> None:
        """The data set will not be completed."""
        self.body.abandon()
        for forward in self.forwards:
            forward.lose()


class CutThrough:
    """Begins forwards, and ends them with itself. `is_wanted` says whether there is any destination for them now."""

    def __init__(self, routing: Callable[[], Routing], pool_of: PoolOf, is_wanted: Callable[[], bool]) -> None:
        self._routing = routing
        self.is_wanted = is_wanted
        self._pool_of = pool_of
        self._numbers = itertools.count()
        self._running: set[asyncio.Task[Outcome]] = set()
        self._following: set[asyncio.Task[None]] = set()

    def begin(self, message: CStoreRQ, header: Dataset, origin: Origin) -> list[Forward]:
        """Forwards what a header says may go as it is."""
        try:
            plans = self._routing().plan(header, origin)
        except AiodicomError:
            return []  # it is refused when all of it is there
        forwards = []
        for plan in plans:
            if plan.pipeline is not None or plan.completion is not None:
                continue
            for destination in plan.destinations:
                pool = self._pool_of(destination)
                if pool is not None:
                    group = f"cut through {next(self._numbers)} of {message.affected_sop_instance_uid}"
                    forward = Forward(message, origin.transfer_syntax, plan, destination, group)
                    forward.outcome = self._start(pool, forward)
                    forwards.append(forward)
        return forwards

    def _start(self, pool: Pool, forward: Forward) -> asyncio.Task[Outcome]:
        task = asyncio.get_running_loop().create_task(_send(pool, forward))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def settle(
        self,
        queue: Settled,
        observer: Observer,
        object: int,
        incoming: Incoming,
        size: int,
        forwards: Sequence[Forward],
    ) -> None:
        """An object is queued of which forwards have begun: has its deliveries follow what becomes of these."""
        numbers = {delivery.group: number for number, delivery in enumerate(incoming.deliveries) if delivery.group}
        for forward in forwards:
            number = numbers.get(forward.group)
            if number is not None:  # else the routes have changed meanwhile
                lease = lease_of(object, number, incoming, Place(0, 0, size, 0))
                task = asyncio.get_running_loop().create_task(self._follow(queue, observer, lease, forward))
                self._following.add(task)
                task.add_done_callback(self._following.discard)

    async def _follow(self, queue: Settled, observer: Observer, lease: Lease, forward: Forward) -> None:
        outcome = await forward.outcome
        if outcome.is_delivered:
            await queue.forwarded(lease.object, lease.number, outcome.reason)
            observer.delivered(lease, lease.place.size, max(queue.now() - lease.received, 0.0), outcome.reason)
        else:
            await queue.complete(forward.route, forward.group)

    async def close(self, timeout: float) -> None:
        """Ends what is on its way, once it is there or `timeout` seconds have passed; then its deliveries are made
        after the next start.
        """
        if self._following:
            await asyncio.wait(self._following, timeout=timeout)
        tasks = [*self._running, *self._following]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _send(pool: Pool, forward: Forward) -> Outcome:
    need = Need(forward.sop_class_uid, (forward.transfer_syntax,), True)
    try:
        response = await pool.perform(
            lambda association: association.c_store(forward, transcode=Transcoding.NEVER), need=need
        )
    except (AiodicomError, OSError) as error:
        _log.info("%s: %s is not cut through: %s", forward.destination, forward.sop_instance_uid, error)
        return outcome_of(error)
    return outcome_of_status(response.status)


def _header(data: bytes, transfer_syntax: str) -> Dataset | None:
    """What stands before the pixel data, once that has begun; None before, and for what is no data set."""
    try:
        header = Dataset.from_bytes(data, transfer_syntax)
    except AiodicomError:
        return None
    cut = header.truncated
    if cut is None or f"({_PIXELS:04x}," not in cut.path.lower():
        return None
    return header
