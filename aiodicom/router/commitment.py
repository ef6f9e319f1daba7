"""Storage commitment towards senders: what the router answers for, and when (PS3.4 annex J)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from aiodicom.router.config.queueing import Commitment
from aiodicom.router.queue.objects import PENDING, State
from aiodicom.services.storage_commitment import FailureReason, ReferencedInstance, Transaction
from aiodicom.store.files import Folder

if TYPE_CHECKING:
    from typing import Any

    from aiodicom.router.queue.objects import Way

__all__ = ["QueueCommitments"]

_log = logging.getLogger("aiodicom.router")

#: Seconds between looks at what destinations have not got yet, and until a transaction has failed.
_LOOK: Final = 1.0
_PATIENCE: Final = 24 * 3600.0
_SUFFIX: Final = ".json"


class Findable(Protocol):
    """A queue, as far as commitments need it."""

    async def find(self, **wanted: Any) -> list[Way]: ...


class QueueCommitments:
    """What `StorageCommitment` asks: whether instances are safe, here or at every destination of their routes.

    Transactions are files in a folder, on the disk before they are answered, and taken up again after a restart.
    """

    def __init__(self, queue: Findable, settings: Commitment, directory: str) -> None:
        self._queue = queue
        self._settings = settings
        self._folder = Folder(directory)

    async def begin(self, transaction: Transaction) -> None:
        """Keeps a transaction."""
        await asyncio.to_thread(self._keep, transaction)

    def _keep(self, transaction: Transaction) -> None:
        file = self._folder.create(_name(transaction))
        file.write(msgspec.json.encode(transaction._asdict()))
        file.finish()
        job = file.job(sync=True)
        job.run()
        if job.result:
            raise OSError(job.result, os.strerror(job.result))
        os.fsync(self._folder.descriptor)

    async def verify(self, transaction: Transaction) -> Mapping[str, int]:
        """Returns the instances that are not safe, and why; as soon as each is either safe or never will be."""
        failed: dict[str, int] = {}
        waiting = list(transaction.instances)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        while waiting:
            undecided = []
            for instance in waiting:
                verdict = await self._verdict(instance)
                if verdict is None:
                    undecided.append(instance)
                elif verdict:
                    failed[instance.sop_instance_uid] = verdict
            waiting = undecided
            if waiting and loop.time() > deadline:
                failed.update((each.sop_instance_uid, FailureReason.PROCESSING_FAILURE) for each in waiting)
                break
            if waiting:
                await asyncio.sleep(_LOOK)
        return failed

    async def _verdict(self, instance: ReferencedInstance) -> int | None:
        """0 for what is safe, else why it is not; None while that is not known."""
        ways = await self._queue.find(sop_instance_uid=instance.sop_instance_uid, limit=1)
        if not ways:
            return FailureReason.NO_SUCH_OBJECT_INSTANCE
        (way,) = ways
        if way.sop_class_uid != instance.sop_class_uid:
            return FailureReason.CLASS_INSTANCE_CONFLICT
        if self._settings is Commitment.SYNCED:
            return 0
        states = {step.state for step in way.steps} - {State.DUPLICATE, State.DROPPED}
        if State.EXPIRED in states or State.DEAD in states:
            return FailureReason.PROCESSING_FAILURE
        return None if states & set(PENDING) else 0

    async def end(self, transaction: Transaction) -> None:
        """Forgets a transaction."""
        with suppress(FileNotFoundError):
            await asyncio.to_thread(os.unlink, os.path.join(self._folder.path, _name(transaction)))

    def unfinished(self) -> list[Transaction]:
        """The transactions that nobody has been told the end of. Blocks."""
        found = []
        for name in sorted(os.listdir(self._folder.path)):
            if not name.endswith(_SUFFIX):
                continue
            try:
                with open(os.path.join(self._folder.path, name), "rb") as file:
                    found.append(msgspec.json.decode(file.read(), type=Transaction))
            except (OSError, msgspec.DecodeError) as error:
                _log.error("the storage commitment transaction %s cannot be read: %s", name, error)
        return found

    def close(self) -> None:
        """Keeps no more."""
        self._folder.close()


def _name(transaction: Transaction) -> str:
    # A UID, which was checked; two requestors may have chosen the same one.
    title = transaction.ae_title.encode().hex()
    return f"{transaction.transaction_uid}-{title}{_SUFFIX}"
