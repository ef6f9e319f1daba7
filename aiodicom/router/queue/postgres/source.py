"""What a delivery sends: an object as it lies in the object store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_64

from aiodicom.net.sources import DataSource
from aiodicom.router.queue.postgres.upkeep import Bytes
from aiodicom.router.queue.source import damaged, encode_pieces

if TYPE_CHECKING:
    from aiodicom.net.reencoding import Reencoded
    from aiodicom.router.queue.objects import Lease
    from aiodicom.router.queue.postgres.store import ObjectStore

__all__ = ["StoredSource"]

#: Bytes of a request: one is on its way while those of the one before are sent.
_PART: Final = 4 << 20


class StoredSource(DataSource):
    """Reads an object in parts. It is checked on the way: `DamagedRecord` comes before the last piece is given, so that
    no destination ever has a whole object that is not what was received.
    """

    __slots__ = ("_digest", "_place", "_store")

    def __init__(self, lease: Lease, store: ObjectStore) -> None:
        super().__init__(lease.sop_class_uid, lease.sop_instance_uid, lease.transfer_syntax, lease.place.size)
        self._store = store
        self._place = Bytes(lease.place.segment, lease.place.offset)
        self._digest = lease.place.digest

    def encoder(self, transfer_syntax: str) -> Callable[[], Reencoded]:
        return lambda: encode_pieces(self._pieces(), self, self._digest, transfer_syntax)

    def _pieces(self) -> Iterator[memoryview]:
        for offset in range(0, self.size, _PART):
            try:
                yield self._store.read_now(self._place, offset, min(offset + _PART, self.size))
            except FileNotFoundError:
                raise damaged(self) from None

    async def chunks(self, multiple: int) -> AsyncIterator[memoryview]:
        step = max(_PART // multiple, 1) * multiple
        digest = xxh3_64()
        following = self._read(0, step)
        try:
            for offset in range(0, self.size, step):
                data = await following
                if offset + step < self.size:
                    following = self._read(offset + step, step)
                digest.update(data)
                size = min(step, self.size - offset)
                if len(data) != size or (offset + size == self.size and digest.intdigest() != self._digest):
                    raise damaged(self)
                yield data
        finally:
            if not following.done():
                following.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await following

    def _read(self, offset: int, size: int) -> asyncio.Task[memoryview]:
        return asyncio.get_running_loop().create_task(self._part(offset, min(offset + size, self.size)))

    async def _part(self, start: int, end: int) -> memoryview:
        if start == end:
            return memoryview(b"")
        try:
            return await self._store.read(self._place, start, end)
        except FileNotFoundError:
            raise damaged(self) from None
