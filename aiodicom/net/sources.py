"""What a C-STORE sends: an encoded data set in memory or in a file, and what its request has to say of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Protocol

from aiodicom.errors import LocalError
from aiodicom.part10.meta import read_file_meta
from aiodicom.store._files import read_cached

__all__ = ["DataSource", "FileSource", "MemorySource", "Storable", "open_source"]

#: About how many bytes of a file are in memory at a time for each association that sends.
CHUNK = 1 << 19


class HasToBytes(Protocol):
    """Such as a `memoryview`, an `array.array` or an array of numpy."""

    def tobytes(self) -> bytes:
        """Returns all of it."""


#: A path of a Part 10 file; or Part 10 bytes, or an encoded data set, in memory.
Storable = str | os.PathLike[str] | bytes | bytearray | memoryview | HasToBytes


class DataSource:
    """An encoded data set with the UIDs that say what it is."""

    __slots__ = ("size", "sop_class_uid", "sop_instance_uid", "transfer_syntax")

    def __init__(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str, size: int) -> None:
        self.sop_class_uid = sop_class_uid
        self.sop_instance_uid = sop_instance_uid
        self.transfer_syntax = transfer_syntax
        #: Bytes of the encoded data set.
        self.size = size

    def chunks(self, multiple: int) -> AsyncIterator[bytes | memoryview]:
        """Iterates over the data set in pieces, the sizes of all but the last a multiple of `multiple` bytes."""
        raise LocalError("this source has no data")

    def whole(self) -> bytes | memoryview | None:
        """Returns all of the data set if it is there without waiting and small enough for one piece."""
        return None

    def close(self) -> None:
        """Gives back what the source holds."""


class MemorySource(DataSource):
    """A data set in memory; it must not change until the response is there."""

    __slots__ = ("_view",)

    def __init__(self, view: memoryview, sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> None:
        super().__init__(sop_class_uid, sop_instance_uid, transfer_syntax, len(view))
        self._view = view

    def whole(self) -> memoryview | None:
        return self._view if self.size <= CHUNK else None

    async def chunks(self, multiple: int) -> AsyncIterator[memoryview]:
        step = _chunk_size(multiple)
        for offset in range(0, self.size, step):
            yield self._view[offset : offset + step]


class FileSource(DataSource):
    """The data set of a Part 10 file, read from the page cache, or in a thread what is not there."""

    __slots__ = ("_descriptor", "_offset")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            meta = read_file_meta(descriptor)
            size = os.fstat(descriptor).st_size - meta.data_offset
            super().__init__(meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax, size)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._offset = meta.data_offset

    def whole(self) -> bytes | None:
        return read_cached(self._descriptor, self.size, self._offset) if self.size <= CHUNK else None

    async def chunks(self, multiple: int) -> AsyncIterator[bytes]:
        step = _chunk_size(multiple)
        for offset in range(0, self.size, step):
            size = min(step, self.size - offset)
            data = read_cached(self._descriptor, size, self._offset + offset)
            if data is None:
                loop = asyncio.get_running_loop()
                data = await loop.run_in_executor(None, os.pread, self._descriptor, size, self._offset + offset)
            if len(data) != size:
                raise LocalError(
                    f"the file was cut short to {self._offset + offset + len(data)} bytes while it was sent"
                )
            yield data

    def close(self) -> None:
        os.close(self._descriptor)


def _chunk_size(multiple: int) -> int:
    return max(CHUNK // multiple, 1) * multiple


def open_source(
    source: Storable,
    sop_class_uid: str | None = None,
    sop_instance_uid: str | None = None,
    transfer_syntax: str | None = None,
) -> DataSource:
    """Returns the source of what is to be stored.

    Memory that isn't Part 10 is an encoded data set, and all three UIDs have to be given. Raises `DecodeError` for a
    file or bytes that are no DICOM, `OSError` for a file that can't be read, `LocalError` for missing UIDs.
    """
    if isinstance(source, (str, os.PathLike)):
        if sop_class_uid or sop_instance_uid or transfer_syntax:
            raise LocalError("UIDs go with encoded bytes; a file says its own in its file meta information")
        return FileSource(source)
    if not isinstance(source, (bytes, bytearray, memoryview)):
        source = source.tobytes()
    view = memoryview(source).cast("B").toreadonly()
    if sop_class_uid and sop_instance_uid and transfer_syntax:
        return MemorySource(view, sop_class_uid, sop_instance_uid, transfer_syntax)
    if bytes(view[128:132]) != b"DICM":
        raise LocalError(
            "an encoded data set needs sop_class_uid, sop_instance_uid and transfer_syntax, "
            "or to begin with a preamble and file meta information"
        )
    meta = read_file_meta(view)
    return MemorySource(view[meta.data_offset :], meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax)
