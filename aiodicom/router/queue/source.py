"""What is queued of an object that has arrived, and what a delivery sends: its data set, as it lies in its segment."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING

from xxhash import xxh3_64

from aiodicom.net import reencoding
from aiodicom.net.sources import CHUNK, DataSource, MemorySource
from aiodicom.store._files import read_cached
from aiodicom.store.records import DamagedRecord, digest_of
from aiodicom.store.spool import SpoolFile

if TYPE_CHECKING:
    from aiodicom.net.reencoding import Reencoded
    from aiodicom.net.sources import Buffer
    from aiodicom.router.queue.objects import Lease
    from aiodicom.ul._pdu import Body

__all__ = ["QueuedSource", "damaged", "data_of", "encode_pieces", "source_of"]


def data_of(body: Body) -> memoryview:
    """Returns what a `Spooled` body has gathered, to be queued: memory, or its file, mapped and closed.

    Raises OSError.
    """
    if body.spilled is None:
        return memoryview(body)
    spool = body.spilled
    assert isinstance(spool, SpoolFile)
    try:
        return spool.map()
    finally:
        spool.abandon()


def source_of(lease: Lease, descriptor: int, data: bytes | memoryview | None) -> DataSource:
    """Returns the source of a delivery: from memory where `data` is, else from the segment with the descriptor, which
    it closes with itself.
    """
    if data is not None:
        view = memoryview(data).cast("B").toreadonly()
        return MemorySource(view, lease.sop_class_uid, lease.sop_instance_uid, lease.transfer_syntax)
    return QueuedSource(lease, descriptor)


class QueuedSource(DataSource):
    """Reads an object from its segment, what the page cache has on the spot and the rest in a thread.

    It is checked on the way: `DamagedRecord` comes before the last piece is given, so that no destination ever has a
    whole object that is not what was received.
    """

    __slots__ = ("_descriptor", "_digest", "_offset")

    def __init__(self, lease: Lease, descriptor: int) -> None:
        super().__init__(lease.sop_class_uid, lease.sop_instance_uid, lease.transfer_syntax, lease.place.size)
        self._descriptor = descriptor
        self._offset = lease.place.offset
        self._digest = lease.place.digest

    def encoder(self, transfer_syntax: str) -> Callable[[], Reencoded]:
        # Of its own: the thread may still read when nobody waits for it and the source is closed.
        descriptor = os.dup(self._descriptor)
        return functools.partial(self._encode, descriptor, transfer_syntax)

    def _encode(self, descriptor: int, transfer_syntax: str) -> Reencoded:
        end = self._offset + self.size
        pieces = (os.pread(descriptor, min(CHUNK, end - offset), offset) for offset in range(self._offset, end, CHUNK))
        try:
            return encode_pieces(pieces, self, self._digest, transfer_syntax)
        finally:
            os.close(descriptor)

    def at_once(self) -> tuple[Buffer, ...] | None:
        if self.size > CHUNK:
            return None
        data = read_cached(self._descriptor, self.size, self._offset)
        if data is None:
            return None
        if digest_of(data) != self._digest:
            raise damaged(self)
        return (data,)

    async def chunks(self, multiple: int) -> AsyncIterator[bytes | memoryview]:
        step = max(CHUNK // multiple, 1) * multiple
        digest = xxh3_64()
        end = self._offset + self.size
        loop = asyncio.get_running_loop()
        for offset in range(self._offset, end, step):
            size = min(step, end - offset)
            data: bytes | memoryview | None = read_cached(self._descriptor, size, offset)
            if data is None:
                data = await loop.run_in_executor(None, os.pread, self._descriptor, size, offset)
            digest.update(data)
            if len(data) != size or (offset + size == end and digest.intdigest() != self._digest):
                raise damaged(self)
            yield data

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def encode_pieces(
    pieces: Iterable[bytes | memoryview], source: DataSource, digest: int, transfer_syntax: str
) -> Reencoded:
    """Encodes what the pieces of a source hold in another transfer syntax, once it is known to be what was received.

    Raises DamagedRecord.
    """
    whole = xxh3_64()
    if source.size <= reencoding.IN_MEMORY:
        data = b"".join(pieces)
        whole.update(data)
        if whole.intdigest() != digest:
            raise damaged(source)
        return reencoding.encode_memory(memoryview(data), source.transfer_syntax, transfer_syntax)
    spool = SpoolFile()  # a file that ends where the data set does
    try:
        for piece in pieces:
            whole.update(piece)
            spool.write(piece)
        if whole.intdigest() != digest:
            raise damaged(source)
        return reencoding.encode_file(os.dup(spool.file.fileno()), 0, source.transfer_syntax, transfer_syntax)
    finally:
        spool.abandon()


def damaged(source: DataSource) -> DamagedRecord:
    """What is said of a source whose bytes are not what was received."""
    return DamagedRecord(errno.EIO, f"its {source.size} bytes in the queue are damaged")
