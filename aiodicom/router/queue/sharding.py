"""The shards of a queue: each process opens one, and takes over what a dead one has left."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from typing import Any

from aiodicom.router.queue.local import LocalQueue
from aiodicom.router.queue.ownership import ShardInUse, shard_path, shards_in

__all__ = ["adopt", "open_first_free"]


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
