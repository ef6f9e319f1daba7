"""The shards of a queue: each process opens one, and takes over what a dead one has left."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from typing import TYPE_CHECKING, Any

from aiodicom.router.queue.local import LocalQueue
from aiodicom.router.queue.ownership import ShardInUse, shard_path, shards_in
from aiodicom.router.queue.search import find_in

if TYPE_CHECKING:
    from aiodicom.router.queue.objects import Way
    from aiodicom.router.queue.protocol import Queue

__all__ = ["AllShards", "adopt", "open_first_free"]


async def open_first_free(directory: str | os.PathLike[str], **options: Any) -> LocalQueue:
    """Opens the first shard of a queue that nobody has, a new one if there is none: with the options of
    `LocalQueue.open`.

    So the successor of a process that has died goes on with its shard. Raises OSError, sqlite3.Error.
    """
    for number in count():
        try:
            return await LocalQueue.open(shard_path(directory, number), **options)
        except ShardInUse:
            continue
    raise AssertionError


async def adopt(directory: str | os.PathLike[str], **options: Any) -> list[LocalQueue]:
    """Opens all shards of a queue that nobody has, because their owners died and no successor has come.

    To be delivered from, and closed when nothing is pending in them; what arrives goes into the caller's own.
    Cancellation closes them. Raises OSError, sqlite3.Error.
    """
    loop = asyncio.get_running_loop()
    adopted: list[LocalQueue] = []
    try:
        for path in await loop.run_in_executor(None, shards_in, directory):
            try:
                adopted.append(await LocalQueue.open(path, **options))
            except ShardInUse:
                continue
    except BaseException:
        for queue in adopted:
            await queue.close()
        raise
    return adopted


class AllShards:
    """Looks for objects in a shard of one's own, and for what is not there in the others of the queue, whoever has
    them.
    """

    def __init__(self, own: Queue) -> None:
        self._own = own

    async def find(self, **wanted: Any) -> list[Way]:
        """Returns the ways of objects, the newest first, with the arguments of `search.find`. Raises OSError,
        sqlite3.Error.
        """
        found = await self._own.find(**wanted)
        if found:
            return found
        return await asyncio.get_running_loop().run_in_executor(None, self._find_elsewhere, wanted)

    def _find_elsewhere(self, wanted: dict[str, Any]) -> list[Way]:
        others = [path for path in shards_in(os.path.dirname(self._own.path)) if path != self._own.path]
        ways = [way for path in others for way in find_in(os.path.join(path, "index.db"), **wanted)]
        return sorted(ways, key=lambda way: -way.received)
