"""What a router's listeners do besides C-STORE: storage commitment, and what is passed through to a named peer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiodicom.net.suboperations import Destination as Address
from aiodicom.router.commitment import QueueCommitments
from aiodicom.router.config.destinations import DimseDestination
from aiodicom.router.config.queueing import Commitment
from aiodicom.router.senders.dimse import pool_of
from aiodicom.router.senders.making import context_of
from aiodicom.services.passing import Passing
from aiodicom.services.storage_commitment import StorageCommitment

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.pool import Pool
    from aiodicom.net.requests import FindRequest
    from aiodicom.net.server import Server
    from aiodicom.router.config.root import Config
    from aiodicom.router.queue.protocol import Queue
    from aiodicom.services.storage_commitment import CommitmentListener

__all__ = ["Equipment"]


class Equipment:
    """The services of a configuration; `equip` gives them to a server.

    `queried` hears of each query, `performed` of what a performed procedure step has become.
    """

    def __init__(
        self,
        queue: Queue,
        listener: CommitmentListener,
        *,
        queried: Callable[[FindRequest], None],
        performed: Callable[[Dataset], None],
    ) -> None:
        self._queue = queue
        self._listener = listener
        self._queried = queried
        self._performed = performed
        self._passing: list[Passing] = []
        self._pools: dict[str, Pool] = {}
        self._commitments: QueueCommitments | None = None
        self._committing: list[StorageCommitment] = []
        self._addresses: dict[str, Address] = {}
        self._has_resumed = False

    async def apply(self, config: Config, directory: str) -> None:
        """Makes the services of a configuration, for the servers that are equipped from now on."""
        self._addresses = {
            str(each.called_aet): Address(each.host, each.port, ssl=context_of(each.tls))
            for each in config.destinations.values()
            if isinstance(each, DimseDestination)
        }
        if config.queue.commitment is Commitment.NO:
            self._commitments = None
        elif self._commitments is None:
            folder = os.path.join(directory, "commitments")
            self._commitments = QueueCommitments(self._queue, config.queue.commitment, folder)
        await self._pass(config)

    async def _pass(self, config: Config) -> None:
        wanted = config.pass_through
        names = {"queries": wanted.queries, "worklist": wanted.worklist, "mpps": wanted.mpps}
        pools = self._pools
        self._pools = {}
        for name in {name for name in names.values() if name is not None}:
            settings = config.destinations[name]
            assert isinstance(settings, DimseDestination)
            pool = pool_of(settings, config.calling_aet, context_of(settings.tls), size=16, window=1)
            self._pools[name] = await pool
        self._passing = [
            Passing(
                pool,
                **{what: names[what] == name for what in names},
                on_query=self._queried,
                on_step=lambda _, step: self._performed(step),
            )
            for name, pool in self._pools.items()
        ]
        for pool in pools.values():
            await pool.close()

    def equip(self, server: Server) -> None:
        """Gives a server its services, before it listens."""
        server.destinations = self._addresses
        self._listener.attach(server)
        for passing in self._passing:
            passing.attach(server)
        if self._commitments is not None:
            committing = StorageCommitment(self._commitments)
            committing.attach(server)
            self._committing.append(committing)

    async def resume(self) -> None:
        """Takes up the transactions of senders that were not ended before, once somebody listens."""
        if self._commitments is None or not self._committing or self._has_resumed:
            return
        self._has_resumed = True
        unfinished = await asyncio.to_thread(self._commitments.unfinished)
        known = [transaction for transaction in unfinished if transaction.ae_title in self._addresses]
        await self._committing[0].resume(known)

    async def close(self) -> None:
        """Ends what is in progress; transactions of senders are taken up after the next start."""
        for committing in self._committing:
            await committing.close()
        for pool in self._pools.values():
            await pool.close()
        if self._commitments is not None:
            self._commitments.close()
