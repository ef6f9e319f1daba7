"""A whole archive in this process: what a load may ask of one, it does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiodicom
from aiodicom.net.suboperations import Destination
from aiodicom.services.index import MemoryIndex
from aiodicom.services.instances import MemoryInstances
from aiodicom.services.mpps import PerformedProcedureSteps
from aiodicom.services.query_retrieve import QueryRetrieve
from aiodicom.services.storage_commitment import FailureReason, StorageCommitment, Transaction
from aiodicom.services.worklist import Worklist


class Archive:
    """Keeps what it gets; `status` is what C-STORE is answered with, `destinations` where C-MOVE can send to."""

    def __init__(self, status: int = 0, destinations: Mapping[str, int] | None = None, **options: Any) -> None:
        self.status = status
        self.index = MemoryIndex()
        self.steps = MemoryInstances()
        self.sizes: list[int] = []
        self.echoes = 0
        self.titles: set[tuple[str, str]] = set()
        self.asked: list[aiodicom.Dataset] = []
        self.commits = True
        self.server = aiodicom.Server(
            destinations={title: Destination("127.0.0.1", port) for title, port in (destinations or {}).items()},
            **options,
        )
        self.server.on_c_store(self._store)
        self.server.on_c_echo(self._echo)
        QueryRetrieve(self.index).attach(self.server)
        PerformedProcedureSteps(self.steps).attach(self.server)
        self._commitment = StorageCommitment(self)
        self._commitment.attach(self.server)
        Worklist(self._scheduled).attach(self.server)
        self.port = 0

    def _store(self, request: aiodicom.StoreRequest) -> aiodicom.Status:
        self.sizes.append(len(request.data))
        self.titles.add((request.association.calling_aet, request.association.called_aet))
        if not self.status:
            data = bytes(request.data)
            self.index.add(aiodicom.Dataset.from_bytes(data, request.context.transfer_syntax))
        return aiodicom.Status(self.status)

    def _echo(self, request: aiodicom.EchoRequest) -> None:
        self.echoes += 1
        self.titles.add((request.association.calling_aet, request.association.called_aet))

    def _scheduled(self, request: aiodicom.FindRequest) -> list[aiodicom.Dataset]:
        self.asked.append(request.identifier)
        return []

    async def begin(self, transaction: Transaction) -> None:
        """Of a commitment."""

    async def verify(self, transaction: Transaction) -> Mapping[str, int]:
        missing = [
            each for each in transaction.instances if not self.commits or each.sop_instance_uid not in self.index
        ]
        return {each.sop_instance_uid: FailureReason.NO_SUCH_OBJECT_INSTANCE for each in missing}

    async def end(self, transaction: Transaction) -> None:
        """Of a commitment."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Archive]:
        """Listens meanwhile."""
        async with self.server.listen("127.0.0.1", 0) as listening:
            self.port = listening.port
            try:
                yield self
            finally:
                await self._commitment.close()
