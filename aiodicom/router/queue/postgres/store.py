"""The bytes of a queue that several nodes share: in an object store, or in a folder that all of them have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError

from aiodicom.router.object_stores import open_store, reason_of
from aiodicom.router.queue.objects import QueueUnavailable
from aiodicom.router.queue.postgres.upkeep import Bytes
from aiodicom.store.committer import Committer
from aiodicom.store.files import Folder

__all__ = ["ObjectStore"]

#: Sub-folders of a node, and objects that go into one before the next: folders of many thousand names are not fast, and
#: those that come together have their folder synced once.
_FOLDERS: Final = 256
_IN_ONE: Final = 1024


class ObjectStore:
    """Puts, reads and deletes objects by the node that has put them and their number with it.

    All calls raise QueueUnavailable when the store cannot be used, as it may be a moment later.
    """

    def __init__(self, url: str, options: Mapping[str, str], *, is_synced: bool) -> None:
        """Raises OSError, ValueError."""
        self._folder: Folder | None = None
        if url.startswith("file:"):
            # Files are written by us, since the store does not have them on the disk when it says that they are.
            self._folder = Folder(unquote(urlsplit(url).path))
            self._committer = Committer(self._folder)
        self._store = open_store(url, options)
        self._is_synced = is_synced

    @property
    def folder(self) -> str | None:
        """The folder, where it is one."""
        return None if self._folder is None else self._folder.path

    async def put(self, place: Bytes, data: bytes | memoryview) -> None:
        """Returns when the store has an object; a folder, when the disk has it, where that is asked for."""
        try:
            if self._folder is None:
                await obstore.put_async(self._store, _path(place), data)
                return
            *folders, name = _path(place).split("/")
            file = self._folder.create(name)
            try:
                file.write(data)
                file.finish()
            except BaseException:
                file.discard()
                raise
            await self._committer.commit(file, (*folders, name), sync=self._is_synced)
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def read(self, place: Bytes, start: int, end: int) -> memoryview:
        """Returns a part of an object. Raises FileNotFoundError where there is none."""
        try:
            return memoryview(await obstore.get_range_async(self._store, _path(place), start=start, end=end))
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    def read_now(self, place: Bytes, start: int, end: int) -> memoryview:
        """The same, in a thread."""
        try:
            return memoryview(obstore.get_range(self._store, _path(place), start=start, end=end))
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def delete(self, places: Iterable[Bytes]) -> None:
        """Deletes objects; those that are gone already are none the less."""
        paths = [_path(place) for place in places]
        try:
            try:
                await obstore.delete_async(self._store, paths)
            except FileNotFoundError:  # which ends it, for stores that say so: the others one by one
                await asyncio.gather(*map(self._delete, paths))
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def _delete(self, path: str) -> None:
        try:
            await obstore.delete_async(self._store, path)
        except FileNotFoundError:
            return

    async def numbers(self, node: int) -> AsyncIterator[list[int]]:
        """Gives the numbers of all objects that a node has put and that are there, a thousand or so at a time."""
        try:
            async for found in obstore.list(self._store, prefix=f"{node}/", chunk_size=1000):
                names = [each["path"].rpartition("/")[2] for each in found]
                yield [int(name) for name in names if name.isdigit()]
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        """Returns when what was given has been written."""
        if self._folder is not None:
            await self._committer.close()
            self._folder.close()


def _unavailable(error: Exception) -> QueueUnavailable:
    return QueueUnavailable(f"the object store cannot be used: {reason_of(error)}")


def _path(place: Bytes) -> str:
    node, number = place
    return f"{node}/{number // _IN_ONE % _FOLDERS:02x}/{number}"
