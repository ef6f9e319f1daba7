"""What comes in: bytes into the store, then rows into the database, many at a time; then it may be answered for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

import asyncpg  # type: ignore[import-untyped]
import msgspec

from aiodicom.errors import LocalError
from aiodicom.router.queue.futures import finish, refuse
from aiodicom.router.queue.objects import Duplicates, Incoming, QueueUnavailable, Receipt
from aiodicom.router.queue.postgres import rows
from aiodicom.router.queue.postgres.batches import BatchTask
from aiodicom.router.queue.postgres.nodes import NodeEnded
from aiodicom.router.queue.postgres.rows import Put
from aiodicom.router.queue.postgres.upkeep import Bytes
from aiodicom.store.records import MOST_META, digest_of

if TYPE_CHECKING:
    from aiodicom.router.queue.postgres.link import Link
    from aiodicom.router.queue.postgres.membership import Membership
    from aiodicom.router.queue.postgres.store import ObjectStore

__all__ = ["Arrivals", "Arrived"]

_log = logging.getLogger("aiodicom.router")

#: Objects that are put side by side, and that get their rows together.
_SIDE_BY_SIDE: Final = 64
_TOGETHER: Final = 256
#: Commits that are on their way at a time: each is several round trips.
_COMMITS: Final = 4

_encode: Final = msgspec.msgpack.Encoder().encode


class Arrived(NamedTuple):
    """An object that is queued."""

    id: int
    incoming: Incoming
    data: bytes | memoryview


class _Arriving(NamedTuple):
    put: Put
    node: int
    data: bytes | memoryview
    done: asyncio.Future[Receipt]


class Arrivals:
    """Takes objects until it is closed; `told` hears of those that are queued.

    What has bytes and gets no row is deleted again; where nobody knows, by whoever buries this node's number.
    """

    def __init__(
        self,
        link: Link,
        store: ObjectStore,
        membership: Membership,
        duplicates: Duplicates,
        is_synced: bool,
        told: Callable[[list[Arrived]], None],
    ) -> None:
        self._link = link
        self._store = store
        self._membership = membership
        self._duplicates = duplicates
        self._is_synced = is_synced
        self._told = told
        self._numbers = count()
        self._room = asyncio.Semaphore(_SIDE_BY_SIDE)
        #: What gets its rows, or waits for that, by what makes an object the same as another.
        self._committing: dict[tuple[str, int, int], asyncio.Future[Receipt]] = {}
        self._batches = BatchTask[_Arriving](self._commit, _TOGETHER, _COMMITS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def enqueue(self, incoming: Incoming, data: bytes | memoryview) -> asyncio.Future[Receipt]:
        """See `LocalQueue.enqueue`; raises QueueUnavailable from the future."""
        if self._is_closed:
            raise LocalError("the queue is closed")
        meta = _encode(incoming)
        if len(meta) > MOST_META:
            raise ValueError(f"{len(meta)} bytes are too many to say what an object is")
        done: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._begin(self._put(_storable(incoming), data, done))
        return done

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put(self, incoming: Incoming, data: bytes | memoryview, done: asyncio.Future[Receipt]) -> None:
        node = self._membership.node
        try:
            if not node:
                raise self._membership.why_not()
            put = Put(next(self._numbers), incoming, len(data), digest_of(data))
            async with self._room:
                await self._store.put(Bytes(node, put.number), data)
            if self._duplicates is not Duplicates.FORWARD:
                await self._wait_for_the_same(put, done)
        except Exception as error:
            refuse(done, error)
        else:
            self._batches.give(_Arriving(put, node, data, done))

    async def _wait_for_the_same(self, put: Put, done: asyncio.Future[Receipt]) -> None:
        """Returns when no commit has the same object: of two in commits side by side neither would find the other."""
        same = put.incoming.sop_instance_uid, put.digest, put.size
        while (before := self._committing.get(same)) is not None:
            await asyncio.wait([before])
        self._committing[same] = done
        done.add_done_callback(lambda _: self._committing.pop(same))

    async def _commit(self, batch: list[_Arriving]) -> None:
        """Gives objects their rows."""
        node = self._membership.node
        foreign = [each for each in batch if each.node != node]
        batch = [each for each in batch if each.node == node]
        if foreign:  # of a number that the node had before: whoever deletes what that has left may be through
            self._refuse(foreign, self._membership.why_not(), is_deleted=True)
        if not batch:
            return
        puts = [each.put for each in batch]
        try:
            inserted = await self._link.run(rows.insert, node, puts, self._duplicates, is_synced=self._is_synced)
        except QueueUnavailable as error:
            self._membership.doubt(node, error)
            self._refuse(batch, error, is_deleted=False)
        except NodeEnded as error:
            self._membership.doubt(node, error)
            self._refuse(batch, self._membership.why_not(), is_deleted=True)
        except (asyncpg.PostgresError, ValueError, TypeError) as error:
            if len(batch) == 1:
                self._refuse(batch, error, is_deleted=True)
            else:  # one of them cannot be kept: the others can
                for each in batch:
                    await self._commit([each])
        else:
            self._queued(batch, inserted)

    def _queued(self, batch: list[_Arriving], inserted: rows.Inserted) -> None:
        pairs = list(zip(inserted.objects, batch, strict=True))
        self._told([Arrived(id, each.put.incoming, each.data) for id, each in pairs if id not in inserted.dropped])
        for id, each in pairs:
            finish(each.done, Receipt(id, id in inserted.dropped))

    def _refuse(self, batch: list[_Arriving], error: Exception, *, is_deleted: bool) -> None:
        _log.error("%d objects could not be queued: %s", len(batch), error)
        for each in batch:
            refuse(each.done, error)
        if is_deleted:
            self._begin(self._delete([Bytes(each.node, each.put.number) for each in batch]))

    async def _delete(self, places: list[Bytes]) -> None:
        with suppress(QueueUnavailable):
            await self._store.delete(places)

    async def close(self) -> None:
        """Returns when what was given is queued, or refused."""
        self._is_closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._batches.close()
        while self._tasks:
            await asyncio.wait(self._tasks)


def _storable(incoming: Incoming) -> Incoming:
    """What PostgreSQL can keep of it."""
    texts = {
        name: value.replace("\0", "\ufffd")
        for name in incoming.__struct_fields__
        if isinstance(value := getattr(incoming, name), str) and "\0" in value
    }
    deliveries = tuple(
        msgspec.structs.replace(each, group=each.group.replace("\0", "\ufffd")) if "\0" in each.group else each
        for each in incoming.deliveries
    )
    return msgspec.structs.replace(incoming, deliveries=deliveries, **texts)
