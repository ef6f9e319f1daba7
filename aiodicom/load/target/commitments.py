"""Storage commitment of a bad PACS: what is asked for is committed to in part, late, or never spoken of again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiodicom.load.target.behaviour import Behaviour
from aiodicom.load.target.counts import Counts
from aiodicom.services.storage_commitment import StorageCommitment, Transaction
from aiodicom.standard.status import Status

if TYPE_CHECKING:
    from aiodicom.net.handlers import Handlers
    from aiodicom.net.requests import NActionRequest

__all__ = ["Commitments"]


class Commitments:
    """Performs N-ACTION of the Storage Commitment Push Model."""

    def __init__(self, behaviour: Behaviour, counts: Counts, handlers: Handlers) -> None:
        self._behaviour = behaviour
        self._counts = counts
        # Who cannot be told is not told later: that is what `never` is for.
        self._service = StorageCommitment(self, retries=())
        self._service.attach(handlers)

    async def action(self, request: NActionRequest) -> Status:
        """Answers the request and has its report follow, if one does. Raises `OperationRefused`."""
        if self._behaviour.forgets():
            self._counts.reports["never"] += 1
            return Status.SUCCESS
        return await self._service.action(request)

    async def begin(self, transaction: Transaction) -> None:
        """Nothing is kept."""

    async def verify(self, transaction: Transaction) -> Mapping[str, int]:
        """Decides about the instances."""
        plan = self._behaviour.report()
        await asyncio.sleep(plan.delay)
        failed = self._behaviour.failed(plan, [each.sop_instance_uid for each in transaction.instances])
        self._counts.reports["failure" if failed else "success"] += 1
        return failed

    async def end(self, transaction: Transaction) -> None:
        """Nothing was kept."""

    async def close(self) -> None:
        """Gives up what is in progress."""
        await self._service.close()
