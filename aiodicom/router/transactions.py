"""Where transactions of storage commitment are kept until who has asked has been told: a folder, or the database that
nodes share.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from aiodicom.services.storage_commitment import Transaction
from aiodicom.store.files import Folder

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FolderTransactions", "SharedTransactions", "Transactions"]

_log = logging.getLogger("aiodicom.router")

_FOLDER: Final = "commitments"
_SUFFIX: Final = ".json"


class Transactions(Protocol):
    """What `StorageCommitment` has begun and not ended. Raises OSError, QueueUnavailable."""

    async def keep(self, transaction: Transaction) -> None:
        """Returns when it outlasts a crash."""
        ...

    async def forget(self, transaction: Transaction) -> None:
        """Its end has been told."""
        ...

    async def take(self) -> list[Transaction]:
        """Returns those that nobody sees to, as who has begun them is gone: from now on they are ours."""
        ...

    async def adopt(self, part: str) -> list[Transaction]:
        """Returns those of another part of the queue, whose path this is and whose process is gone."""
        ...

    def close(self) -> None:
        """Keeps no more."""
        ...


class FolderTransactions:
    """A file for each, in a folder of the process's own part of the queue."""

    def __init__(self, part: str) -> None:
        self._folder = Folder(os.path.join(part, _FOLDER))
        self._is_taken = False

    async def keep(self, transaction: Transaction) -> None:
        """Returns when its file is on the disk."""
        await asyncio.to_thread(self._keep, transaction)

    def _keep(self, transaction: Transaction) -> None:
        file = self._folder.create(_name(transaction))
        file.write(msgspec.json.encode(transaction))
        file.finish()
        job = file.job(sync=True)
        job.run()
        if job.result:
            raise OSError(job.result, os.strerror(job.result))
        os.fsync(self._folder.descriptor)

    async def forget(self, transaction: Transaction) -> None:
        """Deletes its file."""
        with suppress(FileNotFoundError):
            await asyncio.to_thread(os.unlink, os.path.join(self._folder.path, _name(transaction)))

    async def take(self) -> list[Transaction]:
        """Returns those that were there at the start, once."""
        if self._is_taken:
            return []
        self._is_taken = True
        return await asyncio.to_thread(_read, self._folder.path)

    async def adopt(self, part: str) -> list[Transaction]:
        """Has the files of another part moved here."""
        return await asyncio.to_thread(self._adopt, os.path.join(part, _FOLDER))

    def _adopt(self, folder: str) -> list[Transaction]:
        if not os.path.isdir(folder):
            return []
        found = _read(folder)
        for transaction in found:
            self._keep(transaction)
            os.unlink(os.path.join(folder, _name(transaction)))
        return found

    def close(self) -> None:
        """Keeps no more."""
        self._folder.close()


class _Shared(Protocol):
    """A queue that nodes share, as far as transactions need it."""

    async def keep_transaction(self, uid: str, ae_title: str, content: bytes) -> None: ...

    async def forget_transaction(self, uid: str, ae_title: str) -> None: ...

    async def take_transactions(self) -> Sequence[bytes]: ...


class SharedTransactions:
    """Rows of the database: a node that dies leaves its own to the others."""

    def __init__(self, queue: _Shared) -> None:
        self._queue = queue

    async def keep(self, transaction: Transaction) -> None:
        """Returns when it is committed."""
        content = msgspec.json.encode(transaction)
        await self._queue.keep_transaction(transaction.transaction_uid, transaction.ae_title, content)

    async def forget(self, transaction: Transaction) -> None:
        """Deletes its row."""
        await self._queue.forget_transaction(transaction.transaction_uid, transaction.ae_title)

    async def take(self) -> list[Transaction]:
        """Returns those of nodes that are none any more."""
        return [msgspec.json.decode(each, type=Transaction) for each in await self._queue.take_transactions()]

    async def adopt(self, part: str) -> list[Transaction]:
        """None: there are no parts."""
        return []

    def close(self) -> None:
        """The database keeps them."""


def _read(folder: str) -> list[Transaction]:
    found = []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(_SUFFIX):
            continue
        try:
            with open(os.path.join(folder, name), "rb") as file:
                found.append(msgspec.json.decode(file.read(), type=Transaction))
        except (OSError, msgspec.DecodeError) as error:
            _log.error("the storage commitment transaction %s cannot be read: %s", name, error)
    return found


def _name(transaction: Transaction) -> str:
    # A UID, which was checked; two requestors may have chosen the same one.
    title = transaction.ae_title.encode().hex()
    return f"{transaction.transaction_uid}-{title}{_SUFFIX}"
