"""The queue of one process: a shard behind an event loop.

    queue = await LocalQueue.open("queue/shard-000")
    receipt = await queue.enqueue(incoming, body)       # on the disk, and to be delivered
    for lease in await queue.claim("pacs", 32):
        source = queue.source(lease)
        ...
        queue.delivered(lease)

The event loop waits for neither disk nor rows: threads in C write and sync what has come (`SegmentWriter`), and one
of Python has the rows. So a group is on its way to the disk while the rows of the one before are committed, and
deliveries go on beside both.

What is on the disk is safe: a segment says all that rows say. So what comes for those who wait, while nothing of theirs
waits already, is leased at once (`Ahead`), and its rows follow with those of others, and with what has become of it.
Whatever looks at the rows has them complete. What might have come before needs its rows first: they tell.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

from aiodicom.errors import LocalError
from aiodicom.net.sources import DataSource
from aiodicom.router.queue.ahead import Ahead, Unnoted
from aiodicom.router.queue.by_hand import ShardByHand
from aiodicom.router.queue.clock import Clocks, QueueClock, system_clocks
from aiodicom.router.queue.futures import fail, finish, refuse
from aiodicom.router.queue.maintenance import Maintenance
from aiodicom.router.queue.noting import Notes, uids_of
from aiodicom.router.queue.objects import Failure, Incoming, Lease, Receipt, Selection, State, lease_of
from aiodicom.router.queue.recent import Recent
from aiodicom.router.queue.rows import Stored
from aiodicom.router.queue.shard import Arrival, Copied, Group, Shard, encode_meta
from aiodicom.router.queue.source import source_of
from aiodicom.router.queue.space import Watermarks, space_of
from aiodicom.router.queue.threads import CallThread
from aiodicom.router.queue.writing import Arriving, QueueFull, SegmentWriter
from aiodicom.store.records import MOST_META

__all__ = ["LocalQueue", "QueueFull", "QueueSettings"]

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

#: Seconds in which what becomes of deliveries is gathered: after a crash so much more of it may be made again.
_SETTLED: Final = 0.02
#: What is leased as its rows are committed, for a destination that somebody waits for.
_AHEAD: Final = 32
#: Bytes that are copied out of sparse segments in one round of maintenance.
_COPIED: Final = 16 << 20


class QueueSettings(NamedTuple):
    """How a queue behaves."""

    #: Bytes of objects that are kept in memory until they are delivered.
    memory: int = 64 << 20
    #: Seconds for which the ways of objects are remembered that have been delivered.
    history: float = 7 * 86400.0
    #: Seconds between rounds of maintenance; 0: whoever has the queue calls `maintain`.
    interval: float = 0.25


_DEFAULT: Final = QueueSettings()


class LocalQueue(ShardByHand):
    """A shard, for one event loop. All coroutines may be cancelled: that gives up the wait, what was asked for is
    done.
    """

    def __init__(
        self,
        shard: Shard,
        settings: QueueSettings = _DEFAULT,
        watermarks: Watermarks | None = None,
        clocks: Clocks = system_clocks,
    ) -> None:
        """For `open`; a shard that is open already belongs to the queue from here on."""
        self._shard = shard
        self._settings = settings
        self.watermarks = watermarks or Watermarks(lambda: space_of(shard.path))
        self._clocks = clocks
        self._clock = QueueClock(*clocks(), shard.rows.fact("clock"))
        self._clock_lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._recent = Recent(settings.memory)
        #: Destinations, each with whether there may be something to claim.
        self._awake: dict[str, bool] = {}
        self._listening: dict[str, Callable[[], object]] = {}
        #: Destinations that somebody listens for; and what was leased for them as it came, for the next claim.
        self._waited_for: set[str] = set()
        self._ahead = Ahead()
        self._unnoted = Unnoted()
        self._notes = Notes(
            shard,
            written=lambda uids: self._tell(self._unnoted.noted, uids),
            again=lambda destinations: self._tell(self._wait_in_rows, destinations),
        )
        self._settling: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._maintenance = Maintenance(shard, settings.history, self._call, self._copy)
        self._writer = SegmentWriter(shard, self.watermarks, written=self._written, refused=self._not_written)
        self._rows = CallThread("aiodicom-rows")
        self._maintaining = asyncio.create_task(self._keep_maintained()) if settings.interval else None

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        settings: QueueSettings = _DEFAULT,
        watermarks: Watermarks | None = None,
        clocks: Clocks = system_clocks,
        **options: Any,
    ) -> LocalQueue:
        """Opens the shard in a folder, with the options of `Shard`; after a crash that reads what has no rows.

        Raises ShardInUse, OSError, sqlite3.Error.
        """
        opening = functools.partial(Shard, path, now=clocks()[0], **options)
        shard = await asyncio.get_running_loop().run_in_executor(None, opening)
        return cls(shard, settings, watermarks, clocks)

    @property
    def path(self) -> str:
        """The folder of the shard."""
        return self._shard.path

    @property
    def findings(self) -> list[str]:
        """What was not as it should be when the queue was opened."""
        return self._shard.findings

    @property
    def on_hold(self) -> list[str]:
        """The destinations for which nothing is claimed."""
        return sorted(self._shard.rows.on_hold)

    def now(self) -> float:
        """Returns the time of the queue's clock, in seconds: it does not jump."""
        with self._clock_lock:
            return self._clock.now(*self._clocks())

    async def close(self) -> None:
        """Returns when what was enqueued and settled is done. Leases have ended."""
        if self._maintaining is not None:
            self._maintaining.cancel()
            with suppress(asyncio.CancelledError):
                await self._maintaining
        self._is_closed = True
        await self._writer.close()
        self._give_settled()
        await self._loop.run_in_executor(None, self._end)

    def _end(self) -> None:
        self._rows.close()
        try:
            self._shard.rows.remember("clock", self.now())
        except sqlite3.Error as error:  # the next owner believes the time of day
            _log.warning("%s: the time could not be noted: %s", self.path, error)
        finally:
            self._shard.close()

    # In.

    @property
    def is_told_here(self) -> bool:
        """Whether this process tells what is queued: nobody else has this part of it."""
        return True

    @property
    def obstacle(self) -> str:
        """Why nothing is taken, where it is not."""
        return "the queue's disk is nearly full"

    def accepts(self, size: int = 0) -> bool:
        """Whether there is room for so many bytes more, as far as can be told: to be asked before an object is taken.

        Raises OSError.
        """
        return self.watermarks.check(size)

    def enqueue(self, incoming: Incoming, data: bytes | memoryview) -> asyncio.Future[Receipt]:
        """Queues an object; `data` must stay as it is until that is done, and may be kept longer.

        The future raises `QueueFull`, and OSError or sqlite3.Error: then the object is not queued. Cancelling it gives
        up the wait alone. Raises ValueError when `incoming` is longer than 64 KiB, or no text.
        """
        meta = encode_meta(incoming)
        if len(meta) > MOST_META:
            raise ValueError(f"{len(meta)} bytes are too many to say what an object is")
        if self._is_closed:
            raise LocalError("the queue is closed")
        done: asyncio.Future[Receipt] = self._loop.create_future()
        self._writer.write(Arriving(Arrival(incoming, meta, data), done))
        self._unnoted.arrived()
        return done

    def _not_written(self, arriving: list[Arriving], error: Exception) -> None:
        self._unnoted.decided(len(arriving))
        self._refused(arriving, error)

    def _written(self, arriving: list[Arriving], group: Group) -> None:
        """Objects are on the disk: those that need not wait for their rows go on."""
        now = self._loop.time()
        leases: dict[tuple[int, int], Lease] = {}
        at_once: list[Stored] = []
        later: list[tuple[Arriving, Stored]] = []
        told: set[str] = set()
        for each, stored in zip(arriving, group.stored, strict=True):
            others = self._lease_ahead(stored, group.known, leases, now)
            if others:
                told.update(others)
                later.append((each, stored))
            else:
                at_once.append(stored)
                finish(each.done, Receipt(stored.id, False))
            if len(others) < len(stored.incoming.deliveries):
                self._recent.keep(stored.id, each.arrival.data, len(stored.incoming.deliveries), now)
        self._unnoted.decided(len(arriving))
        if at_once:
            ids = {stored.id for stored in at_once}
            here = {key: lease for key, lease in leases.items() if key[0] in ids}
            self._notes.queued(group._replace(stored=at_once, leases=here))
            self._settle()
        if later:
            self._ahead.may_wait(told)
            ids = {stored.id for _, stored in later}
            here = {key: lease for key, lease in leases.items() if key[0] in ids}
            rest = group._replace(stored=[stored for _, stored in later], leases=here)
            self._notes.coming(rest)
            self._give_rows(functools.partial(self._commit, [each for each, _ in later], rest, self._ahead.given + 1))
        self._wake({lease.destination for lease in leases.values()})

    def _lease_ahead(
        self, stored: Stored, known: Set[str] | None, leases: dict[tuple[int, int], Lease], now: float
    ) -> list[str]:
        """Leases the deliveries of an object that need no rows; returns the destinations of the others."""
        uid, deliveries = stored.incoming.sop_instance_uid, stored.incoming.deliveries
        may_be_again = self._notes.are_stuck or known is None or uid in known or uid in self._unnoted
        self._unnoted.add(uid)
        others: list[str] = []
        on_hold = self._shard.rows.on_hold
        for number, delivery in enumerate(deliveries):
            destination = delivery.destination
            if may_be_again or delivery.group or destination in on_hold or not self._ahead.takes(destination):
                others.append(destination)
            else:
                lease = lease_of(stored.id, number, stored.incoming, stored.place)
                leases[lease[:2]] = lease
                self._ahead.add(lease, now)
        return others

    def _commit(self, arriving: list[Arriving], group: Group, given: int) -> None:
        """In the thread of the rows."""
        try:
            dropped = self._notes.write(self.now(), [group])
        except Exception as error:
            self._tell(self._unnoted.noted, uids_of([group]))
            self._tell(self._refused, arriving, error)
        else:
            self._tell(self._queued, arriving, group, dropped, self._claim_ahead(arriving), given)

    def _claim_ahead(self, arriving: list[Arriving]) -> dict[str, list[Lease]]:
        """In the thread of the rows: leases what was just queued for those who wait, who need not ask then."""
        leases: dict[str, list[Lease]] = {}
        came_for = {delivery.destination for each in arriving for delivery in each.arrival.incoming.deliveries}
        for destination in came_for & self._waited_for:
            self._waited_for.discard(destination)
            try:
                leases[destination] = self._shard.claim(destination, _AHEAD)
            except sqlite3.Error as error:  # as somebody will hear who claims
                _log.error("nothing could be leased for %s: %s", destination, error)
        return leases

    def _queued(
        self,
        arriving: list[Arriving],
        group: Group,
        dropped: set[int],
        ahead: dict[str, list[Lease]],
        given: int,
    ) -> None:
        now = self._loop.time()
        for destination, leases in ahead.items():
            for lease in leases:
                self._ahead.add(lease, now)
            if len(leases) < _AHEAD and destination not in self._shard.rows.on_hold:
                self._ahead.found_none(destination, given)
        destinations: set[str] = set()
        kept = {object for object, _ in group.leases}
        for (arrival, done), stored in zip(arriving, group.stored, strict=True):
            is_duplicate = stored.id in dropped
            if not is_duplicate:
                deliveries = arrival.incoming.deliveries
                if stored.id not in kept:
                    self._recent.keep(stored.id, arrival.data, len(deliveries), now)
                destinations.update(delivery.destination for delivery in deliveries)
            finish(done, Receipt(stored.id, is_duplicate))
        self._wake(destinations)

    def _refused(self, arriving: list[Arriving], error: Exception) -> None:
        _log.error("%d objects could not be queued: %s", len(arriving), error)
        for _, done in arriving:
            refuse(done, error)

    # Out.

    async def claim(self, destination: str, limit: int, *, newest: bool = False) -> list[Lease]:
        """Leases up to `limit` deliveries for a destination, by priority and study; none when nothing waits, or it is
        held.

        With `newest`, those of the study that came last. Each is to be settled by `delivered`, `failed` or `give_back`.
        """
        self._awake[destination] = False
        if destination in self._shard.rows.on_hold:
            self._give_up_ahead(self._ahead.give_up(destination))
            return []
        if ahead := self._ahead.take(destination, limit, self._loop.time()):
            return ahead
        if self._ahead.is_clear(destination):
            return []
        # What is settled need not be noted before: it is leased until then.
        claiming = self._in_rows(functools.partial(self._shard.claim, destination, limit, newest=newest))
        given = self._ahead.given
        try:
            found = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            claiming.add_done_callback(self._unclaimed)
            raise
        if len(found) < limit and not newest:
            self._ahead.found_none(destination, given)
        return found

    def _give_up_ahead(self, leases: Sequence[Lease]) -> None:
        if leases:
            self.give_back(*leases)

    def _unclaimed(self, claiming: asyncio.Future[list[Lease]]) -> None:
        """Nobody waits for these any more."""
        if not claiming.cancelled() and claiming.exception() is None and not self._is_closed:
            self.give_back(*claiming.result())

    def listen(self, destination: str, told: Callable[[], object]) -> None:
        """Has `told` called, once, by the event loop: when there may be something to claim that was not there when that
        was last tried.
        """
        self._ahead.served(destination)
        if self._awake.setdefault(destination, False):
            self._loop.call_soon(told)
        else:
            self._waited_for.add(destination)
            self._listening[destination] = told

    def offered(self, destination: str, limit: int) -> list[Lease]:
        """Leases up to `limit` deliveries that have just come, if that need not be waited for; `claim` gives the
        rest.
        """
        if destination in self._shard.rows.on_hold:
            return []
        leases = self._ahead.take(destination, limit, self._loop.time())
        if self._ahead.is_all(destination):
            self._awake[destination] = False
        return leases

    def source(self, lease: Lease) -> DataSource:
        """Opens what a delivery sends; its user closes it. Raises OSError, FileNotFoundError when the bytes are
        gone.
        """
        data = self._recent.get(lease.object)
        return source_of(lease, -1 if data is not None else self._shard.log.open(lease.place.segment), data)

    def delivered(self, *leases: Lease, warning: str = "") -> None:
        """The destination has them; its `warning` is kept with them."""
        if warning:
            self._notes.failed.extend(Failure(lease, warning, None, ends_as=State.DELIVERED) for lease in leases)
        else:
            self._notes.delivered.extend(leases)
        for lease in leases:
            self._recent.delivered(lease.object)
        self._settle()

    def failed(self, lease: Lease, reason: str, retry_at: float | None, *, counts: bool = True) -> None:
        """A delivery is tried again, not before `retry_at` of the queue's clock; None: it is dead, and kept with the
        reason.

        `counts`: whether that was an attempt at it.
        """
        self._notes.failed.append(Failure(lease, reason, retry_at, counts))
        self._settle()

    def dropped(self, lease: Lease, reason: str) -> None:
        """A delivery is not made at all: its route says so."""
        self._recent.delivered(lease.object)
        self._notes.failed.append(Failure(lease, reason, None, ends_as=State.DROPPED))
        self._settle()

    async def forwarded(self, object: int, number: int, warning: str = "") -> None:
        """A delivery that waited for its group was made otherwise; the destination's `warning` is kept with it.

        Like `delivered`, it does not wait for the disk.
        """
        meant, now = Selection(object=object, number=number), self.now()
        self._recent.delivered(object)
        await self._call(functools.partial(self._shard.rows.change_selected, meant, State.DELIVERED, now, warning))

    async def complete(self, route: str, group: str) -> None:
        """A series or study is complete: what waits for the rest of it, by a route, goes."""
        while destinations := await self._call(functools.partial(self._shard.rows.complete, route, group, self.now())):
            self._wait_in_rows(destinations)

    async def gathering(self, after: int = 0) -> list[tuple[int, str, str, str]]:
        """Returns what waits for the rest of its group, some thousands at a time: object, route, group and SOP Instance
        UID, of objects with numbers above `after`.
        """
        return await self._call(functools.partial(self._shard.rows.gathering, after))

    def give_back(self, *leases: Lease) -> None:
        """They wait again."""
        destinations = {lease.destination for lease in leases}
        self._wait_in_rows(destinations)
        self._give_rows(functools.partial(self._give_back, leases))

    def _give_back(self, leases: Sequence[Lease]) -> None:
        """In the thread of the rows, which has to know them."""
        self._settle_all()
        self._shard.give_back(leases)

    async def flush(self) -> None:
        """Returns when everything is committed that was settled before."""
        await self._call(lambda: None)

    def _settle(self) -> None:
        if self._notes.are_many:
            self._give_settled()
        elif self._settling is None:
            self._settling = self._loop.call_later(_SETTLED, self._give_settled)

    def _give_settled(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if self._notes:
            self._give_rows(self._settle_all)

    def _settle_all(self) -> None:
        """In the thread of the rows."""
        with suppress(Exception):  # as is logged
            self._notes.write(self.now())

    # What has to be done from time to time.

    async def maintain(self) -> None:
        """One round of maintenance: see `Maintenance.round`."""
        self._give_up_ahead(self._ahead.left(self._loop.time()))
        self._wait_in_rows(await self._maintenance.round(self.now(), is_full=self.watermarks.is_full))

    async def _copy(self, segment: int, positions: list[int]) -> int:
        read = await self._loop.run_in_executor(None, self._shard.read, segment, positions, _COPIED)
        done: asyncio.Future[int] = self._loop.create_future()

        def copied(copied: Copied) -> None:
            # Right behind what was written before: its rows may not come after those of later groups.
            self._give_rows(functools.partial(self._commit_copy, copied, done))

        self._writer.copy(read, copied, functools.partial(fail, done))
        return await done

    def _commit_copy(self, copied: Copied, done: asyncio.Future[int]) -> None:
        """In the thread of the rows."""
        try:
            now = self.now()
            self._notes.write(now)
            self._shard.commit_copy(copied, now)
        except Exception as error:
            self._tell(fail, done, error)
        else:
            self._tell(finish, done, copied.done)

    async def _keep_maintained(self) -> None:
        while True:
            await asyncio.sleep(self._settings.interval)
            try:
                await self.maintain()
            except Exception:
                _log.exception("a round of maintenance has failed")

    # How the threads and the loop meet.

    def _call(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """What the function returns, in the thread of the rows, which knows then what was settled before."""
        self._give_settled()
        return self._in_rows(function)

    def _give_rows(self, call: Callable[[], object]) -> None:
        self._ahead.given += 1
        self._rows.give(call)

    def _in_rows(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        done: asyncio.Future[Result] = self._loop.create_future()

        def call() -> None:
            try:
                result = function()
            except Exception as error:
                self._tell(fail, done, error)
            else:
                self._tell(finish, done, result)

        self._give_rows(call)
        return done

    def _tell(self, function: Callable[..., object], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop was closed before the queue
            self._loop.call_soon_threadsafe(function, *arguments)

    def _wait_in_rows(self, destinations: set[str]) -> None:
        """There is something to claim of the rows."""
        self._ahead.may_wait(destinations)
        self._wake(destinations)

    def _all_wait_in_rows(self) -> None:
        self._ahead.all_may_wait()
        self._wake([*self._awake])

    def _wake(self, destinations: Iterable[str]) -> None:
        """There is something to claim."""
        for destination in destinations:
            self._awake[destination] = True
            told = self._listening.pop(destination, None)
            if told is not None:
                self._waited_for.discard(destination)
                told()
