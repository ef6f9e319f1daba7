"""The queue that a configuration asks for, opened; and what dead processes have left of it, taken over."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from aiodicom.errors import LocalError
from aiodicom.router.completing import Completions
from aiodicom.router.config.queueing import Duplicates, Durability
from aiodicom.router.queue.clock import Clocks, system_clocks
from aiodicom.router.queue.local import LocalQueue, QueueSettings
from aiodicom.router.queue.objects import PENDING
from aiodicom.router.queue.objects import Duplicates as QueueDuplicates
from aiodicom.router.queue.ownership import Ownership, first_free, shard_path
from aiodicom.router.queue.sharding import adopt, open_first_free
from aiodicom.router.queue.space import Watermarks, space_of
from aiodicom.router.transactions import FolderTransactions, SharedTransactions

if TYPE_CHECKING:
    from aiodicom.router.config.queueing import Queue as Settings
    from aiodicom.router.destinations import Destinations
    from aiodicom.router.queue.protocol import Queue
    from aiodicom.router.shared_completing import SharedCompletions
    from aiodicom.router.transactions import Transactions

__all__ = ["Adopted", "Adoption", "make_completions", "make_transactions", "open_queue"]

_log = logging.getLogger("aiodicom.router")

_DUPLICATES: Final = {Duplicates.DROP: QueueDuplicates.DROP, Duplicates.KEEP: QueueDuplicates.FORWARD}

#: Bytes of the disk that objects never get: without some, nobody could note that any is delivered, and nothing would
#: ever be deleted.
_RESERVE: Final = 4 << 20
#: Seconds for which what the disk says of its space is believed.
_SPACE_AGE: Final = 0.1
#: Seconds between looks for what nobody has, and at what was taken over.
_LOOK: Final = 10.0


async def open_queue(settings: Settings, *, is_shared: bool, clocks: Clocks = system_clocks) -> Queue:
    """Opens the queue; `is_shared`: other processes of this machine have other parts of it.

    Raises OSError, LocalError, ValueError, sqlite3.Error.
    """
    os.makedirs(settings.directory, exist_ok=True)
    if settings.postgres is not None:
        return await _open_postgres(settings, is_shared=is_shared)
    if is_shared:
        return await open_first_free(settings.directory, clocks=clocks, **_options(settings))
    return await LocalQueue.open(shard_path(settings.directory, 0), clocks=clocks, **_options(settings))


async def _open_postgres(settings: Settings, *, is_shared: bool) -> Queue:
    try:
        from aiodicom.router.queue.postgres.queue import PostgresQueue
    except ModuleNotFoundError as error:
        raise LocalError("a queue in PostgreSQL needs more packages: pip install 'aiodicom[postgres,s3]'") from error
    assert settings.postgres is not None
    assert settings.objects is not None
    options = _options(settings)
    del options["segment_size"]
    if settings.objects.startswith("file:"):
        place = unquote(urlsplit(settings.objects).path)
        options["watermarks"] = Watermarks(
            lambda: space_of(place),
            age=_SPACE_AGE,
            refuse=None if settings.refuse_below is None else max(settings.refuse_below, _RESERVE),
            resume=settings.resume_above,
        )
    folder = first_free(settings.directory) if is_shared else Ownership(shard_path(settings.directory, 0))
    return await PostgresQueue.open(
        settings.postgres,
        settings.objects,
        folder,
        options=settings.object_options,
        lease=settings.lease,
        **options,
    )


def make_completions(queue: Queue) -> Completions | SharedCompletions:
    """Returns what sees when series and studies are complete."""
    if isinstance(queue, LocalQueue):
        return Completions(queue)
    from aiodicom.router.queue.postgres.queue import PostgresQueue
    from aiodicom.router.shared_completing import SharedCompletions

    assert isinstance(queue, PostgresQueue)
    return SharedCompletions(queue)


def make_transactions(queue: Queue) -> Transactions:
    """Returns where storage commitments that senders have asked for are kept. Raises OSError."""
    if isinstance(queue, LocalQueue):
        return FolderTransactions(queue.path)
    from aiodicom.router.queue.postgres.queue import PostgresQueue

    assert isinstance(queue, PostgresQueue)
    return SharedTransactions(queue)


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "settings": QueueSettings(history=settings.remember),
        "watermarks": Watermarks(
            lambda: space_of(settings.directory),
            age=_SPACE_AGE,
            refuse=None if settings.refuse_below is None else max(settings.refuse_below, _RESERVE),
            resume=settings.resume_above,
        ),
        "duplicates": _DUPLICATES[settings.duplicates],
        "segment_size": settings.segment_size,
        "is_synced": settings.durability in (Durability.SYNCED, Durability.FORWARDED),
    }


class Adopted(NamedTuple):
    """A part of the queue that was taken over, with what delivers from it and what has its studies complete."""

    queue: LocalQueue
    destinations: Destinations
    completions: Completions


class Adoption:
    """Delivers what nobody else will: parts of the queue whose processes have died and have no successor.

    `take` makes what is to be had for one of them, by the configuration as it is; `left` is called with the path of
    each that nobody has, whether anything is to be delivered from it or not.
    """

    def __init__(
        self,
        settings: Settings,
        take: Callable[[LocalQueue], Awaitable[Adopted]],
        left: Callable[[str], Awaitable[None]],
        clocks: Clocks = system_clocks,
    ) -> None:
        self._settings = settings
        self._clocks = clocks
        self._take = take
        self._left = left
        #: What was taken over.
        self.adopted: list[Adopted] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Looks from time to time from now on."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        if self._settings.postgres is not None:
            return  # the nodes take over from each other
        while True:
            await asyncio.sleep(_LOOK)
            try:
                await self.look()
            except Exception:
                _log.exception("what others have left of the queue could not be taken over")

    async def look(self) -> None:
        """Takes over what nobody has, and leaves what is empty."""
        found = await adopt(self._settings.directory, clocks=self._clocks, **_options(self._settings))
        while found:
            queue = found.pop()
            try:
                await self._left(queue.path)
                if await _is_empty(queue):
                    await queue.close()
                    continue
                _log.warning("%s is taken over: nobody else had it", queue.path)
                self.adopted.append(await self._take(queue))
            except BaseException:
                for other in (queue, *found):
                    await other.close()
                raise
        for each in list(self.adopted):
            if await _is_empty(each.queue):
                self.adopted.remove(each)
                await _leave(each, 0)
                _log.warning("%s is empty: what was left in it has been delivered", each.queue.path)

    async def close(self, timeout: float) -> None:
        """Leaves them to others."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for each in self.adopted:
            await _leave(each, timeout)


async def _leave(adopted: Adopted, timeout: float) -> None:
    await adopted.completions.close()
    await adopted.destinations.close(timeout)
    await adopted.queue.close()


async def _is_empty(queue: LocalQueue) -> bool:
    counts = await queue.counts()
    return not any(states.get(state, 0) for states in counts.values() for state in PENDING)
