"""What has become of deliveries, on its way to the database: many at a time, and again until it is there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import asyncpg  # type: ignore[import-untyped]

from aiodicom.router.queue.objects import Failure, Lease, QueueUnavailable
from aiodicom.router.queue.postgres import rows
from aiodicom.router.queue.postgres.batches import BatchTask
from aiodicom.router.queue.postgres.nodes import NodeEnded

if TYPE_CHECKING:
    from aiodicom.router.queue.postgres.link import Link
    from aiodicom.router.queue.postgres.membership import Membership

__all__ = ["Settling"]

_log = logging.getLogger("aiodicom.router")

#: Deliveries that are settled together.
_TOGETHER: Final = 512
#: Seconds that are left for it at the end.
_LAST: Final = 10.0

#: A delivery by its object and number.
Key = tuple[int, int]


class _Returned(NamedTuple):
    """Nothing has become of a delivery."""

    lease: Lease


class Settling:
    """Keeps what the node has leased until the database knows what has become of it.

    While the database is away, no more is leased: so what waits here is no more than what was being delivered.
    """

    def __init__(self, link: Link, membership: Membership, returned: Callable[[set[str]], None]) -> None:
        """`returned` hears of the destinations for which something waits again."""
        self._returned = returned
        self._link = link
        self._membership = membership
        #: The deliveries that are leased here.
        self.held: set[Key] = set()
        self._batches = BatchTask[Lease | Failure | _Returned](self._settle, _TOGETHER)

    def delivered(self, leases: Sequence[Lease]) -> None:
        """The destination has them."""
        for lease in leases:
            self._batches.give(lease)

    def failed(self, failure: Failure) -> None:
        """It has not."""
        self._batches.give(failure)

    def give_back(self, leases: Sequence[Lease]) -> None:
        """Nothing has become of them."""
        for lease in leases:
            self._batches.give(_Returned(lease))

    async def done(self) -> None:
        """Returns when the database knows all that was said before."""
        await self._batches.done()

    async def close(self) -> None:
        """The same; what is not settled after ten seconds, because the database is away, is delivered again."""
        await self._batches.close(_LAST)

    async def _settle(self, batch: list[Lease | Failure | _Returned]) -> None:
        delivered = [each for each in batch if isinstance(each, Lease)]
        failed = [each for each in batch if isinstance(each, Failure)]
        returned = [each.lease for each in batch if isinstance(each, _Returned)]
        while True:
            node = await self._membership.up()
            try:
                await self._link.run(rows.settle, node, delivered, failed, returned)
                break
            except (QueueUnavailable, NodeEnded) as error:
                self._membership.doubt(node, error)
            except asyncpg.PostgresError as error:
                _log.exception("what has become of %d deliveries is lost: they are made again", len(batch))
                self._membership.doubt(node, error)  # they are not held any more, and wait again with its next number
                break
        ended = [*delivered, *(each.lease for each in failed), *returned]
        self.held.difference_update((lease.object, lease.number) for lease in ended)
        self._returned({lease.destination for lease in returned})
