"""The queue that a configuration asks for, opened; and what dead processes have left of it, taken over."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from aiodicom.errors import LocalError
from aiodicom.router.completing import Completions
from aiodicom.router.config.queueing import Duplicates, Durability
from aiodicom.router.queue.local import LocalQueue, QueueSettings
from aiodicom.router.queue.objects import PENDING
from aiodicom.router.queue.objects import Duplicates as QueueDuplicates
from aiodicom.router.queue.ownership import Ownership, first_free, shard_path
from aiodicom.router.queue.sharding import adopt, open_first_free
from aiodicom.router.queue.space import Watermarks, space_of

if TYPE_CHECKING:
    from aiodicom.router.config.queueing import Queue as Settings
    from aiodicom.router.destinations import Destinations
    from aiodicom.router.queue.protocol import Queue
    from aiodicom.router.shared_completing import SharedCompletions

__all__ = ["Adoption", "open_queue"]

_log = logging.getLogger("aiodicom.router")

_DUPLICATES: Final = {Duplicates.DROP: QueueDuplicates.DROP, Duplicates.KEEP: QueueDuplicates.FORWARD}

#: Seconds between looks for what nobody has, and at what was taken over.
_LOOK: Final = 10.0


async def open_queue(settings: Settings, *, is_shared: bool) -> Queue:
    """Opens the queue; `is_shared`: other processes of this machine have other parts of it.

    Raises OSError, LocalError, ValueError, sqlite3.Error.
    """
    os.makedirs(settings.directory, exist_ok=True)
    if settings.postgres is not None:
        return await _open_postgres(settings, is_shared=is_shared)
    if is_shared:
        return await open_first_free(settings.directory, **_options(settings))
    return await LocalQueue.open(shard_path(settings.directory, 0), **_options(settings))


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
            lambda: space_of(place), refuse=settings.refuse_below, resume=settings.resume_above
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


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "settings": QueueSettings(history=settings.remember),
        "watermarks": Watermarks(
            lambda: space_of(settings.directory), refuse=settings.refuse_below, resume=settings.resume_above
        ),
        "duplicates": _DUPLICATES[settings.duplicates],
        "segment_size": settings.segment_size,
        "is_synced": settings.durability in (Durability.SYNCED, Durability.FORWARDED),
    }


class Adoption:
    """Delivers what nobody else will: parts of the queue whose processes have died and have no successor.

    `deliver` makes what delivers from a queue to the destinations of the configuration as it is.
    """

    def __init__(self, settings: Settings, deliver: Callable[[LocalQueue], Awaitable[Destinations]]) -> None:
        self._settings = settings
        self._deliver = deliver
        self._adopted: dict[LocalQueue, Destinations] = {}
        self._task = asyncio.get_running_loop().create_task(self._work())

    @property
    def destinations(self) -> list[Destinations]:
        """What delivers from what was taken over."""
        return list(self._adopted.values())

    async def _work(self) -> None:
        if self._settings.postgres is not None:
            return  # the nodes take over from each other
        while True:
            await asyncio.sleep(_LOOK)
            try:
                await self._look()
            except Exception:
                _log.exception("what others have left of the queue could not be taken over")

    async def _look(self) -> None:
        for queue in await adopt(self._settings.directory, **_options(self._settings)):
            if await _is_empty(queue):
                await queue.close()
                continue
            _log.warning("%s is taken over: nobody else had it", queue.path)
            self._adopted[queue] = await self._deliver(queue)
        for queue, destinations in list(self._adopted.items()):
            if await _is_empty(queue):
                del self._adopted[queue]
                await destinations.close(0)
                await queue.close()
                _log.warning("%s is empty: what was left in it has been delivered", queue.path)

    async def close(self, timeout: float) -> None:
        """Leaves them to others."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        for queue, destinations in self._adopted.items():
            await destinations.close(timeout)
            await queue.close()


async def _is_empty(queue: LocalQueue) -> bool:
    counts = await queue.counts()
    return not any(states.get(state, 0) for states in counts.values() for state in PENDING)
