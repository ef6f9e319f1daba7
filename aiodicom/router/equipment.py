"""What a router's listeners do besides C-STORE: storage commitment, and what is passed through to a named peer."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from aiodicom.errors import OperationRefused
from aiodicom.net.suboperations import Destination as Address
from aiodicom.router.commitment import Findable, QueueCommitments
from aiodicom.router.config.destinations import DimseDestination
from aiodicom.router.config.queueing import Commitment
from aiodicom.router.queue.objects import QueueUnavailable
from aiodicom.router.senders.dimse import pool_of
from aiodicom.router.senders.making import context_of
from aiodicom.services.passing import Passing
from aiodicom.services.storage_commitment import StorageCommitment
from aiodicom.standard.status import Status

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.pool import Pool
    from aiodicom.net.requests import FindRequest, RetrieveRequest
    from aiodicom.net.server import Server
    from aiodicom.router.config.root import Config
    from aiodicom.router.transactions import Transactions
    from aiodicom.services.storage_commitment import CommitmentListener, Transaction

__all__ = ["Equipment"]

_log = logging.getLogger("aiodicom.router")

#: Seconds between looks for transactions whose processes are gone.
_LOOK: Final = 10.0


class Equipment:
    """The services of a configuration; `equip` gives them to a server.

    `queried` hears of each query, `performed` of what a performed procedure step has become.
    """

    def __init__(
        self,
        queue: Findable,
        listener: CommitmentListener,
        transactions: Callable[[], Transactions],
        *,
        queried: Callable[[FindRequest | RetrieveRequest], None],
        performed: Callable[[str, Dataset], None],
    ) -> None:
        self._queue = queue
        self._listener = listener
        self._open_transactions = transactions
        self._queried = queried
        self._performed = performed
        #: Services that are passed through, and by the destinations that answer them.
        self._services: tuple[str, ...] = ()
        self._destination_of: Mapping[str, str] = {}
        #: What makes pools of associations with a destination, and those that everything but C-GET goes by.
        self._makers: dict[str, Callable[..., Pool]] = {}
        self._pools: dict[str, Pool] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._commitments: QueueCommitments | None = None
        self._committing: list[StorageCommitment] = []
        #: Where senders are told of storage commitment, by AE title. Servers look into it as it is then.
        self._addresses: dict[str, Address] = {}
        self._resuming: asyncio.Task[None] | None = None

    async def apply(self, config: Config) -> bool:
        """Makes the services of a configuration; returns whether they are others than before, so that servers have to
        be equipped anew. Those that are the same go by the new destinations at once. Raises LocalError, OSError,
        ValueError.
        """
        addresses = {
            str(each.called_aet): Address(each.host, each.port, ssl=context_of(each.tls))
            for each in config.destinations.values()
            if isinstance(each, DimseDestination)
        }
        passed = msgspec.structs.asdict(config.pass_through)
        wanted = {service: name for service, name in passed.items() if name is not None}
        makers = {name: _maker(config, name) for name in wanted.values()}
        pools = {name: await make(size=16) for name, make in makers.items()}
        self._addresses.clear()
        self._addresses.update(addresses)
        before, self._pools, self._makers = self._pools, pools, makers
        self._destination_of = wanted
        for pool in before.values():
            self._see_out(pool)
        services = tuple(wanted)
        has_changed, self._services = services != self._services, services
        if config.queue.commitment is not Commitment.NO and self._commitments is None:
            self._commitments = QueueCommitments(self._queue, config.queue.commitment, self._open_transactions())
        return has_changed

    def _see_out(self, pool: Pool) -> None:
        """What is under way ends beside."""
        task = asyncio.get_running_loop().create_task(pool.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def equip(self, server: Server) -> None:
        """Gives a server its services, before it listens."""
        server.destinations = self._addresses
        self._listener.attach(server)
        for service in self._services:
            passing = Passing(
                functools.partial(self._pool_for, service),
                **{service: True},
                retrievals=functools.partial(self._retrieving, service),
                on_query=self._queried,
                on_step=self._performed,
            )
            passing.attach(server)
        if self._commitments is not None:
            committing = StorageCommitment(self._commitments)
            committing.attach(server)
            self._committing.append(committing)

    def _pool_for(self, service: str) -> Pool:
        return self._pools[self._asked(service)]

    def _retrieving(self, service: str, receives: Sequence[tuple[str, Sequence[str]]]) -> Pool:
        """A pool for one C-GET, of an association that proposes to receive these, and nothing that takes their room."""
        return self._makers[self._asked(service)](size=1, contexts=(), check=None, receives=receives)

    def _asked(self, service: str) -> str:
        """The destination that is asked for a service. Raises OperationRefused."""
        name = self._destination_of.get(service)
        if name is None:
            raise OperationRefused(Status.SOP_CLASS_NOT_SUPPORTED, "not passed on any more")
        return name

    async def resume(self) -> None:
        """Takes up the transactions of senders that were not ended before, once somebody listens; and from time to
        time those of others that are gone.
        """
        await self._take()
        self._resuming = asyncio.get_running_loop().create_task(self._keep_taking())

    async def _keep_taking(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            try:
                await self._take()
            except QueueUnavailable:
                pass  # which is said elsewhere
            except Exception:
                _log.exception("storage commitments that others have begun could not be taken up")

    async def _take(self) -> None:
        if self._commitments is not None:
            await self._take_up(await self._commitments.transactions.take())

    async def adopt(self, part: str) -> None:
        """Takes up the transactions of a part of the queue that nobody else has."""
        if self._commitments is not None:
            await self._take_up(await self._commitments.transactions.adopt(part))

    async def _take_up(self, transactions: list[Transaction]) -> None:
        assert self._commitments is not None
        known = []
        for transaction in transactions:
            if transaction.ae_title in self._addresses:
                known.append(transaction)
            else:
                _log.warning(
                    "%s asked for storage commitment and cannot be told: no destination has its AE title",
                    transaction.ae_title,
                )
                await self._commitments.end(transaction)
        if known:
            await self._committing[-1].resume(known)

    async def close(self) -> None:
        """Ends what is in progress; transactions of senders are taken up after the next start."""
        if self._resuming is not None:
            self._resuming.cancel()
            with suppress(asyncio.CancelledError):
                await self._resuming
        for committing in self._committing:
            await committing.close()
        for pool in self._pools.values():
            self._see_out(pool)
        while self._closing:
            await asyncio.wait(self._closing)
        if self._commitments is not None:
            self._commitments.transactions.close()


def _maker(config: Config, name: str) -> Callable[..., Pool]:
    """Makes pools of associations with a destination. Raises LocalError, OSError."""
    settings = config.destinations[name]
    assert isinstance(settings, DimseDestination)
    return functools.partial(pool_of, settings, config.calling_aet, context_of(settings.tls), window=1)
