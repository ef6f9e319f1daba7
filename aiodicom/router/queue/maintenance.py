"""What has to be done to a shard from time to time, in steps so small that what arrives and is delivered goes on
between.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

from aiodicom.router.queue import upkeep
from aiodicom.router.queue.schema import checkpoint
from aiodicom.router.queue.shard import Shard

__all__ = ["Maintenance"]

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

#: Objects that are looked at in one step to be forgotten, and steps of a round.
_FORGET: Final = 500
_FORGET_STEPS: Final = 20
#: Seconds after which objects are looked at again that were old and still pending.
_LOOK_AGAIN: Final = 3600.0
#: Bytes of SQLite's log from which on it is worth while to bring them into its file. Many would keep the disk from
#: syncing objects meanwhile.
_CHECKPOINT: Final = 1 << 20
#: Seconds between notes of the queue's clock.
_CLOCK_NOTED: Final = 10.0
#: Seconds for which nobody delays a delivery: what seems to be is the clock's fault.
_LONGEST_DELAY: Final = 7 * 86400.0


class _Call(Protocol):
    """Calls a function in the thread of the rows."""

    def __call__(self, function: Callable[[], Result], /) -> asyncio.Future[Result]: ...


class Maintenance:
    """Rounds of maintenance of a shard whose rows have a thread of their own.

    `call` runs something in that thread. `copy` copies records of a segment, by their positions, and says how many it
    has done.
    """

    def __init__(
        self,
        shard: Shard,
        history: float,
        call: _Call,
        copy: Callable[[int, list[int]], Awaitable[int]],
    ) -> None:
        self._shard = shard
        self._history = history
        self._call = call
        self._copy = copy
        #: Up to which object all was looked at that is old, and when to begin again.
        self._forgotten = 0
        self._look_again = 0.0
        self._clock_noted = 0.0
        #: A segment that is being emptied, and where in it what is left is.
        self._emptying: tuple[int, list[int]] | None = None
        self._unreadable: set[int] = set()

    async def round(self, now: float, *, is_full: bool = False) -> set[str]:
        """What is due waits again, what is late expires, what is old is forgotten, segments are deleted that nobody
        needs, and those that hold little are emptied; when the disk `is_full`, the one that is written to as well, as
        nothing may ever be written to it again. Returns the destinations of what was due.

        Raises OSError, sqlite3.Error. Cancelled, it leaves nothing half done that the next round would not end.
        """
        rows = self._shard.rows
        due = await self._call(functools.partial(upkeep.wake, rows, now, _LONGEST_DELAY))
        await self._call(functools.partial(upkeep.expire, rows, now))
        await self._forget(now)
        if is_full and await self._call(self._shard.holds_little):
            self._shard.seal()
        await self._remove()
        await self._empty()
        if now >= self._clock_noted + _CLOCK_NOTED:
            self._clock_noted = now
            await self._call(functools.partial(rows.remember, "clock", now))
        await self._beside(checkpoint, f"{self._shard.path}/index.db", _CHECKPOINT)
        return due

    async def _forget(self, now: float) -> None:
        if now >= self._look_again:
            self._forgotten, self._look_again = 0, now + _LOOK_AGAIN
        rows, before = self._shard.rows, now - self._history
        for _ in range(_FORGET_STEPS):
            step = functools.partial(upkeep.forget, rows, before, self._forgotten, _FORGET)
            self._forgotten, seen = await self._call(step)
            if seen < _FORGET:
                break

    async def _remove(self) -> None:
        unneeded = await self._call(self._shard.begin_removing)
        if unneeded:
            await self._beside(self._shard.remove, unneeded)
            await self._call(functools.partial(self._shard.end_removing, unneeded))

    async def _empty(self) -> None:
        if self._emptying is None:
            self._emptying = await self._find_sparse()
        if self._emptying is None:
            return
        segment, positions = self._emptying
        try:
            rest = positions[await self._copy(segment, positions) :]
        except OSError as error:
            _log.error("segment %x holds little and cannot be emptied: %s", segment, error)
            self._unreadable.add(segment)
            rest = []
        self._emptying = (segment, rest) if rest else None

    async def _find_sparse(self) -> tuple[int, list[int]] | None:
        segment = await self._call(functools.partial(self._shard.sparsest, self._unreadable))
        if segment is None:
            return None
        records = await self._beside(self._shard.positions, segment)
        live: list[int] = []
        for at in range(0, len(records), _FORGET):
            part = records[at : at + _FORGET]
            ids = [id for id, _ in part]
            needed = await self._call(functools.partial(upkeep.live_in, self._shard.rows, segment, ids))
            live += [position for id, position in part if id in needed]
        return segment, live

    async def _beside(self, function: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)
