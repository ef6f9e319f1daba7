"""The queue of a node that shares it with others.

    queue = await PostgresQueue.open("postgresql://router@db/router", "s3://router/objects", lease=60.0)
    receipt = await queue.enqueue(incoming, body)       # in the object store and the database, and to be delivered

Any number of nodes deliver what any of them has received. While the database is away nothing is taken (A700H) and
nothing claimed; what was on its way to destinations goes on, and is settled when the database is back.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import asyncpg  # type: ignore[import-untyped]

from aiodicom.errors import LocalError
from aiodicom.net.sources import DataSource, MemorySource
from aiodicom.router.queue.by_hand import ByHand
from aiodicom.router.queue.local import QueueSettings
from aiodicom.router.queue.objects import (
    Duplicates,
    Failure,
    Incoming,
    Lease,
    QueueUnavailable,
    Receipt,
    Selection,
    State,
    Way,
)
from aiodicom.router.queue.ownership import shard_path
from aiodicom.router.queue.postgres import groups, rows, search, transactions, upkeep
from aiodicom.router.queue.postgres.arrivals import Arrivals, Arrived
from aiodicom.router.queue.postgres.batches import BatchTask
from aiodicom.router.queue.postgres.groups import DueGroup, Waiting
from aiodicom.router.queue.postgres.link import Link
from aiodicom.router.queue.postgres.membership import Membership
from aiodicom.router.queue.postgres.nodes import NodeEnded
from aiodicom.router.queue.postgres.settling import Settling
from aiodicom.router.queue.postgres.source import StoredSource
from aiodicom.router.queue.postgres.store import ObjectStore
from aiodicom.router.queue.recent import Recent

if TYPE_CHECKING:
    from asyncpg import Connection

    from aiodicom.router.queue.ownership import Ownership
    from aiodicom.router.queue.space import Watermarks

__all__ = ["PostgresQueue"]

_log = logging.getLogger("aiodicom.router")

Result = TypeVar("Result")

_DEFAULT: Final = QueueSettings()
#: Seconds for which nobody delays a delivery: what seems to be is the clock's fault.
_LONGEST_DELAY: Final = 7 * 86400.0
#: Seconds in which nodes tell each other once what has come, and how much of it at a time.
_TELLING: Final = 0.02
_TOLD: Final = 1_000
#: What nodes tell each other besides the names of destinations: that one is held, or released.
_HOLDS: Final = ""


class PostgresQueue(ByHand):
    """A node's queue, for one event loop. All coroutines may be cancelled: that gives up the wait.

    What asks the database raises QueueUnavailable while that is away, but for `claim`, which finds nothing then.
    """

    def __init__(
        self,
        link: Link,
        store: ObjectStore,
        settings: QueueSettings,
        watermarks: Watermarks,
        duplicates: Duplicates,
        lease: float,
        is_synced: bool,
        folder: Ownership,
    ) -> None:
        """For `open`."""
        self._link = link
        self._store = store
        self._settings = settings
        self._lease = lease
        self._folder = folder
        self.watermarks = watermarks
        #: What was not as it should be when the queue was opened.
        self.findings: list[str] = []
        #: The destinations for which nothing is claimed, whoever has said so.
        self.on_hold: list[str] = []
        #: Destinations, each with whether there may be something to claim.
        self._awake: dict[str, bool] = {}
        self._listening: dict[str, Callable[[], object]] = {}
        self._forgotten = 0
        self._recent = Recent(settings.memory)
        self._membership = Membership(link, lease, lambda: self._settling.held, self._told, self._returned)
        self._settling = Settling(link, self._membership, self._announce)
        self._arrivals = Arrivals(link, store, self._membership, duplicates, is_synced, self._queued)
        self._telling = BatchTask[str](self._tell, _TOLD)
        self._claiming: set[asyncio.Task[list[Lease]]] = set()
        self._maintaining: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        objects: str,
        folder: Ownership,
        watermarks: Watermarks,
        settings: QueueSettings = _DEFAULT,
        *,
        options: Mapping[str, str] | None = None,
        duplicates: Duplicates = Duplicates.DROP_WAITING,
        lease: float = 60.0,
        is_synced: bool = True,
    ) -> Self:
        """Joins the nodes of a database and an object store; makes the tables where they are missing.

        `folder` is the node's own, and the queue's from here on.

        Raises QueueUnavailable, WrongVersion, OSError, ValueError.
        """
        link = Link(url)
        store = None
        try:
            store = await asyncio.to_thread(lambda: ObjectStore(objects, options or {}, is_synced=is_synced))
            queue = cls(link, store, settings, watermarks, duplicates, lease, is_synced, folder)
            await link.open()
            await queue._membership.start()
            queue.on_hold = await link.run(rows.on_hold)
        except BaseException:
            await link.close()
            if store is not None:
                await store.close()
            folder.release()
            raise
        if settings.interval:
            queue._maintaining = asyncio.create_task(queue._keep_maintained())
        return queue

    @property
    def path(self) -> str:
        """The folder of the node's own."""
        return self._folder.path

    @property
    def is_told_here(self) -> bool:
        """Whether this process tells what is queued: of several on one machine one does, or all would say the same."""
        return self.path == shard_path(os.path.dirname(self.path), 0)

    def now(self) -> float:
        """Returns the database's time, in seconds."""
        return self._membership.now()

    async def close(self) -> None:
        """Returns when what was enqueued and settled is done. Leases have ended."""
        if self._maintaining is not None:
            self._maintaining.cancel()
            with suppress(asyncio.CancelledError):
                await self._maintaining
        await self._arrivals.close()
        while self._claiming:
            await asyncio.wait(self._claiming)
        await self._settling.close()
        await self._telling.close()
        await self._membership.close()
        await self._link.close()
        await self._store.close()
        self._folder.release()

    # In.

    @property
    def obstacle(self) -> str:
        """Why nothing is taken."""
        return self._membership.obstacle or "the queue's disk is nearly full"

    def accepts(self, size: int = 0) -> bool:
        """Whether the database is there, and room for so many bytes more, as far as can be told: to be asked before an
        object is taken. Raises OSError.
        """
        return bool(self._membership.node) and self.watermarks.check(size)

    def enqueue(self, incoming: Incoming, data: bytes | memoryview) -> asyncio.Future[Receipt]:
        """Queues an object; `data` must stay as it is until that is done, and may be kept longer.

        The future raises QueueUnavailable when that may be so by chance; the object may be queued all the same then,
        and is known when it comes again. Cancelling it gives up the wait alone. Raises ValueError when `incoming` is
        longer than 64 KiB, or no text.
        """
        return self._arrivals.enqueue(incoming, data)

    def _queued(self, arrived: list[Arrived]) -> None:
        now = asyncio.get_running_loop().time()
        destinations: set[str] = set()
        for id, incoming, data in arrived:
            self._recent.keep(id, data, len(incoming.deliveries), now)
            destinations.update(delivery.destination for delivery in incoming.deliveries if not delivery.group)
        self._announce(destinations)

    # Out.

    async def claim(self, destination: str, limit: int, *, newest: bool = False) -> list[Lease]:
        """Leases up to `limit` deliveries for a destination, by priority and study; none when nothing waits, it is
        held, or the database is away.

        With `newest`, those of the study that came last. Each is to be settled by `delivered`, `failed` or `give_back`.
        """
        self._awake[destination] = False
        claiming = asyncio.ensure_future(self._claim(destination, limit, newest))
        self._claiming.add(claiming)
        claiming.add_done_callback(self._claiming.discard)
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            claiming.add_done_callback(self._unclaimed)
            raise

    async def _claim(self, destination: str, limit: int, newest: bool) -> list[Lease]:
        membership = self._membership
        node = membership.node
        if not node or limit < 1:
            return []
        try:
            leases = await self._link.run(rows.claim, node, destination, limit, newest=newest)
        except (QueueUnavailable, NodeEnded) as error:
            membership.doubt(node, error)
            return []
        except asyncpg.PostgresError as error:
            _log.exception("%s: nothing can be claimed", destination)
            membership.doubt(node, error)
            return []
        if membership.node != node:
            return []  # they have ended with that number
        self._settling.held.update((lease.object, lease.number) for lease in leases)
        return leases

    def _unclaimed(self, claiming: asyncio.Task[list[Lease]]) -> None:
        """Nobody waits for these any more."""
        if not claiming.cancelled() and claiming.exception() is None and claiming.result():
            with suppress(LocalError):  # it is closed: they end with the node
                self.give_back(*claiming.result())

    def listen(self, destination: str, told: Callable[[], object]) -> None:
        """Has `told` called, once, by the event loop: when there may be something to claim that was not there when that
        was last tried.
        """
        if self._awake.setdefault(destination, False):
            asyncio.get_running_loop().call_soon(told)
        else:
            self._listening[destination] = told

    def offered(self, destination: str, limit: int) -> Sequence[Lease]:
        """Leases nothing: the database is to be asked, as all nodes have what comes."""
        return ()

    def source(self, lease: Lease) -> DataSource:
        """Opens what a delivery sends; its user closes it."""
        data = self._recent.get(lease.object)
        if data is None:
            return StoredSource(lease, self._store)
        view = memoryview(data).cast("B").toreadonly()
        return MemorySource(view, lease.sop_class_uid, lease.sop_instance_uid, lease.transfer_syntax)

    def delivered(self, *leases: Lease, warning: str = "") -> None:
        """The destination has them; its `warning` is kept with them."""
        for lease in leases:
            self._recent.delivered(lease.object)
            if warning:
                self._settling.failed(Failure(lease, warning, None, ends_as=State.DELIVERED))
        if not warning:
            self._settling.delivered(leases)

    def failed(self, lease: Lease, reason: str, retry_at: float | None, *, counts: bool = True) -> None:
        """A delivery is tried again, not before `retry_at` of the queue's clock; None: it is dead, and kept with the
        reason.

        `counts`: whether that was an attempt at it.
        """
        self._settling.failed(Failure(lease, reason, retry_at, counts))

    def dropped(self, lease: Lease, reason: str) -> None:
        """A delivery is not made at all: its route says so."""
        self._recent.delivered(lease.object)
        self._settling.failed(Failure(lease, reason, None, ends_as=State.DROPPED))

    async def forwarded(self, object: int, number: int, warning: str = "") -> None:
        """A delivery that waited for its group was made otherwise; the destination's `warning` is kept with it."""
        await self._change(Selection(object=object, number=number), State.DELIVERED, warning)

    async def complete(self, route: str, group: str) -> None:
        """A series or study is complete: what waits for the rest of it, by a route, goes."""
        self._announce({*await self._link.run(groups.release, route, group)})

    async def gathering(self, after: int = 0) -> Sequence[tuple[int, str, str, str]]:
        """Returns what waits for the rest of its group, some thousands at a time: object, route, group and SOP Instance
        UID, of objects with numbers above `after`.
        """
        return await self._link.run(groups.gathering, after)

    async def due(self, routes: Sequence[Waiting]) -> Sequence[DueGroup]:
        """Returns the series and studies that are complete. What waits for something else, which its node sees to, is
        when that has not been seen for the time of a lease. See `groups.due`.
        """
        return await self._link.run(groups.due, routes, self._lease)

    async def complete_due(self, group: DueGroup) -> bool:
        """What waits for the rest of a group goes; returns whether it was this node by whom."""
        destinations = await self._link.run(groups.complete, group)
        self._announce(set(destinations or ()))
        return destinations is not None

    async def expect(self, expected: Collection[tuple[str, str, int]]) -> None:
        """Notes how many instances groups will have: see `groups.expect`."""
        await self._link.run(groups.expect, expected)

    async def performed(self, route: str, group: str, instances: Sequence[str]) -> None:
        """Notes what a performed procedure step has made: see `groups.performed`."""
        await self._link.run(groups.performed, route, group, instances)

    async def keep_transaction(self, uid: str, ae_title: str, content: bytes) -> None:
        """Notes a transaction of storage commitment: see `transactions.keep`."""
        try:
            await self._link.run(transactions.keep, self._membership.node, uid, ae_title, content, is_synced=True)
        except NodeEnded:
            raise self._membership.why_not() from None

    async def forget_transaction(self, uid: str, ae_title: str) -> None:
        """Its end has been told."""
        await self._link.run(transactions.forget, uid, ae_title)

    async def take_transactions(self) -> Sequence[bytes]:
        """Takes over those of nodes that are none any more: see `transactions.take`."""
        try:
            return await self._link.run(transactions.take, self._membership.node)
        except NodeEnded:
            raise self._membership.why_not() from None

    def give_back(self, *leases: Lease) -> None:
        """They wait again."""
        self._settling.give_back(leases)

    async def flush(self) -> None:
        """Returns when everything is committed that was settled before."""
        await self._settling.done()

    # What people do.

    async def _hold_destination(self, destination: str) -> None:
        await self._link.run(rows.hold_destination, destination, is_synced=True)
        await self._holds_changed()

    async def _release_destination(self, destination: str) -> None:
        await self._link.run(rows.release_destination, destination, is_synced=True)
        await self._holds_changed()

    async def _holds_changed(self) -> None:
        self._telling.give(_HOLDS)
        self.on_hold = await self._link.run(rows.on_hold)

    async def _change(self, meant: Selection, state: State, reason: str | None = None) -> int:
        changed = 0
        while step := await self._link.run(rows.change_selected, meant, state, reason, is_synced=True):
            changed += step
        if state is State.WAITING:
            self._announce(set(self._awake))
        return changed

    async def counts(self) -> dict[str, dict[State, int]]:
        """Returns how many deliveries there are, by destination and state."""
        return await self._link.run(rows.counts)

    async def find(self, **wanted: Any) -> list[Way]:
        """Looks for objects: see `search.find`."""
        return await self._link.run(search.find, **wanted)

    async def pending(self, meant: Selection, after: int = 0, limit: int = 100) -> list[Way]:
        """Lists what is pending: see `search.listed`."""
        return await self._link.run(search.listed, meant, after, limit)

    # What has to be done from time to time.

    async def maintain(self) -> None:
        """One round: what is due waits again, what is late expires, what is old is forgotten, bytes are deleted that
        nobody needs, and those that nobody knows of. Raises QueueUnavailable.
        """
        run = self._link.run
        self.on_hold = await run(rows.on_hold)
        self._announce({*await run(upkeep.wake, _LONGEST_DELAY)})
        # Whatever was told while nobody listened.
        self._wake({*await run(upkeep.waiting, [*self._awake])})
        await self._first(upkeep.expire)
        forgotten = await self._first(upkeep.forget, self._settings.history, self._forgotten)
        self._forgotten = forgotten or 0
        await self._first(upkeep.sum_up)
        while unneeded := await run(upkeep.begin_removing, is_synced=True):
            await self._store.delete(unneeded)
            await run(upkeep.forget_removed, unneeded)
        while (node := await run(upkeep.retired)) is not None:
            await self._sweep(node)

    async def _first(self, work: Callable[..., Awaitable[Result]], *arguments: Any) -> Result | None:
        """Does what one node is enough for; None where another is at it."""

        async def if_first(connection: Connection) -> Result | None:
            return await work(connection, *arguments) if await upkeep.is_first(connection) else None

        return await self._link.run(if_first)

    async def _sweep(self, node: int) -> None:
        """Deletes what a node has put that is none any more, and that has no rows."""
        run = self._link.run
        async for numbers in self._store.numbers(node):
            orphans = await run(upkeep.orphans, node, numbers)
            if orphans:
                _log.warning("%d objects that were not queued are deleted: node %d has left them", len(orphans), node)
                await self._store.delete(orphans)
        await run(upkeep.forget_retired, node)

    async def _keep_maintained(self) -> None:
        said = ""
        while True:
            await asyncio.sleep(self._settings.interval)
            await self._membership.up()
            try:
                await self.maintain()
                said = ""
            except QueueUnavailable as error:
                if said != str(error):  # once, however long it lasts
                    said = str(error)
                    _log.warning("a round of maintenance has not come to its end: %s", error)
            except Exception:
                _log.exception("a round of maintenance has failed")

    # How nodes tell each other.

    def _announce(self, destinations: set[str]) -> None:
        """Tells of what waits: here at once, and everywhere."""
        self._wake(destinations)
        with suppress(LocalError):  # it is closed
            for destination in destinations:
                self._telling.give(f"{self._membership.node} {destination}")

    async def _tell(self, texts: list[str]) -> None:
        with suppress(QueueUnavailable):  # they look for themselves
            await self._link.tell(sorted(set(texts)))
        await asyncio.sleep(_TELLING)

    def _told(self, text: str) -> None:
        node, _, destination = text.partition(" ")
        if text == _HOLDS:
            self._wake(set(self._awake))
        elif node != str(self._membership.node):
            self._wake({destination})

    def _returned(self) -> None:
        """The database is back, or another node gone: nobody has told what waits."""
        self._wake(set(self._awake))

    def _wake(self, destinations: set[str]) -> None:
        for destination in destinations:
            self._awake[destination] = True
            if (told := self._listening.pop(destination, None)) is not None:
                told()
