"""Storage commitment towards senders: what the router answers for, and when (PS3.4 annex J)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from aiodicom.errors import OperationRefused
from aiodicom.router.config.queueing import Commitment
from aiodicom.router.queue.objects import QueueUnavailable
from aiodicom.router.whereabouts import Whereabouts, whereabouts
from aiodicom.services.storage_commitment import FailureReason, ReferencedInstance, Transaction
from aiodicom.standard.status import Status

if TYPE_CHECKING:
    from typing import Any

    from aiodicom.router.queue.objects import Way
    from aiodicom.router.transactions import Transactions

__all__ = ["Findable", "QueueCommitments"]

_log = logging.getLogger("aiodicom.router")

#: Seconds between looks at what destinations have not got yet: at first, and at the most, as each pause is longer than
#: the one before; and until a transaction has failed.
_LOOK: Final = 1.0
_MOST_LOOK: Final = 60.0
_LONGER: Final = 1.5
_PATIENCE: Final = 24 * 3600.0
#: Ways of an instance that are looked at: it may have come several times.
_WAYS: Final = 20


class Findable(Protocol):
    """A queue, as far as commitments need it."""

    async def find(self, **wanted: Any) -> list[Way]: ...


class QueueCommitments:
    """What `StorageCommitment` asks: whether instances are safe, here or at every destination of their routes.

    Transactions are kept before they are answered, and taken up again after a restart, or by another when their process
    is gone for good.
    """

    def __init__(self, queue: Findable, settings: Commitment, transactions: Transactions) -> None:
        self._queue = queue
        self._settings = settings
        self.transactions = transactions

    async def begin(self, transaction: Transaction) -> None:
        """Keeps a transaction. Raises OSError, OperationRefused."""
        try:
            await self.transactions.keep(transaction)
        except QueueUnavailable as error:
            _log.warning("storage commitment for %s is refused: %s", transaction.ae_title, error)
            raise OperationRefused(Status.RESOURCE_LIMITATION, "the shared queue is away") from error

    async def verify(self, transaction: Transaction) -> Mapping[str, int]:
        """Returns the instances that are not safe, and why; as soon as each is either safe or never will be."""
        failed: dict[str, int] = {}
        waiting = list(transaction.instances)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        pause = _LOOK
        while waiting:
            undecided = []
            for instance in waiting:
                try:
                    verdict = await self._verdict(instance)
                except QueueUnavailable:
                    verdict = None  # nobody knows, for the moment
                if verdict is None:
                    undecided.append(instance)
                elif verdict:
                    failed[instance.sop_instance_uid] = verdict
            waiting = undecided
            if waiting and loop.time() > deadline:
                failed.update((each.sop_instance_uid, FailureReason.PROCESSING_FAILURE) for each in waiting)
                break
            if waiting:
                await asyncio.sleep(pause)
                pause = min(pause * _LONGER, _MOST_LOOK)
        return failed

    async def _verdict(self, instance: ReferencedInstance) -> int | None:
        """0 for what is safe, else why it is not; None while that is not known."""
        ways = await self._queue.find(sop_instance_uid=instance.sop_instance_uid, limit=_WAYS)
        if not ways:
            return FailureReason.NO_SUCH_OBJECT_INSTANCE
        if ways[0].sop_class_uid != instance.sop_class_uid:
            return FailureReason.CLASS_INSTANCE_CONFLICT
        is_kept = self._settings is Commitment.SYNCED
        match whereabouts(ways):
            case Whereabouts.DELIVERED:
                return 0
            case Whereabouts.QUEUED:
                return 0 if is_kept else None
            case Whereabouts.DEAD if is_kept:
                return 0
            case _:
                return FailureReason.PROCESSING_FAILURE

    async def end(self, transaction: Transaction) -> None:
        """Forgets a transaction."""
        await self.transactions.forget(transaction)
