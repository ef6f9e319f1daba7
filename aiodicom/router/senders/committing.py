"""Objects to an AE that has to commit to their safekeeping before they leave the queue (PS3.4 annex J)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.errors import AiodicomError
from aiodicom.net.pool import Pool
from aiodicom.router.outcomes import Fault, Outcome, outcome_of
from aiodicom.router.outgoing import Outgoing
from aiodicom.router.senders.dimse import DimseSender, pool_of
from aiodicom.services.storage_commitment import CommitmentListener, ReferencedInstance, request_commitment
from aiodicom.standard.uids import STORAGE_COMMITMENT_PUSH_MODEL

if TYPE_CHECKING:
    import ssl as tls

    from aiodicom.router.config.destinations import DimseDestination, RequiredCommitment

__all__ = ["CommittingSender"]

#: Instances of a transaction, and the seconds in which they are gathered.
_MOST: Final = 500
_GATHERING: Final = 1.0
#: Objects that may wait for a commitment before further ones are sent.
_WAITING: Final = 5_000


class _Stored(NamedTuple):
    instance: ReferencedInstance
    outcome: Outcome
    committed: asyncio.Future[Outcome]


class CommittingSender:
    """Sends, then asks for commitment to many objects at once; each is delivered when its commitment is there.

    An object that is not committed to, or of which nothing is said in time, is sent again.
    """

    batch = 1

    def __init__(
        self,
        destination: DimseDestination,
        commitment: RequiredCommitment,
        calling_aet: str,
        ssl: tls.SSLContext | None,
        listener: CommitmentListener,
    ) -> None:
        self._inner = DimseSender(destination, calling_aet, ssl)
        self._timeout = float(commitment.timeout)
        self._listener = listener
        self._pool = _pool(destination, commitment, calling_aet, ssl, listener)
        self._stored: list[_Stored] = []
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._asking: set[asyncio.Task[None]] = set()

    @property
    def concurrency(self) -> int:
        """As many as are worth while, beside those that only wait for their commitment."""
        return self._inner.concurrency + min(self._waiting, _WAITING)

    @property
    def open(self) -> int:
        """Associations that are open."""
        return self._inner.open + self._pool.open

    async def start(self) -> None:
        """Nothing is opened before it is needed."""
        await self._inner.start()
        await self._pool

    async def send(self, objects: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Sends each, and waits for the commitment to it."""
        return [await self._send(outgoing) for outgoing in objects]

    async def _send(self, outgoing: Outgoing) -> Outcome:
        (outcome,) = await self._inner.send([outgoing])
        if not outcome.is_delivered:
            return outcome
        source = outgoing.source
        committed: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        instance = ReferencedInstance(source.sop_class_uid, source.sop_instance_uid)
        self._stored.append(_Stored(instance, outcome, committed))
        if len(self._stored) >= _MOST:
            self._ask()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHERING, self._ask)
        self._waiting += 1
        try:
            return await committed
        finally:
            self._waiting -= 1

    def _ask(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        stored, self._stored = self._stored, []
        if stored:
            task = asyncio.get_running_loop().create_task(self._ask_for(stored))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask_for(self, stored: list[_Stored]) -> None:
        instances = list(dict.fromkeys(each.instance for each in stored))
        try:
            async with self._pool.acquire(STORAGE_COMMITMENT_PUSH_MODEL) as association:
                commitment = await request_commitment(association, instances, self._listener, timeout=self._timeout)
        except (AiodicomError, OSError) as error:
            outcome = outcome_of(error)
            failed = Outcome(Fault.EITHER, f"no storage commitment: {outcome.reason}")
            for each in stored:
                _finish(each, failed)
            return
        refused = {each.sop_instance_uid: each.reason for each in commitment.failed}
        committed = {each.sop_instance_uid for each in commitment.committed}
        for each in stored:
            uid = each.instance.sop_instance_uid
            if uid in committed and uid not in refused:
                _finish(each, each.outcome)
            else:
                _finish(each, Outcome(Fault.EITHER, f"not committed to: {refused.get(uid, 0):04X}H"))

    async def close(self) -> None:
        """Releases the associations."""
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._asking):
            task.cancel()
        if self._asking:
            await asyncio.wait(list(self._asking))
        await self._inner.close()
        await self._pool.close()


def _finish(stored: _Stored, outcome: Outcome) -> None:
    if not stored.committed.done():
        stored.committed.set_result(outcome)


def _pool(
    destination: DimseDestination,
    commitment: RequiredCommitment,
    calling_aet: str,
    ssl: tls.SSLContext | None,
    listener: CommitmentListener,
) -> Pool:
    """One association with who commits."""
    return pool_of(
        destination,
        calling_aet,
        ssl,
        host=commitment.host or destination.host,
        port=commitment.port or destination.port,
        called_aet=commitment.called_aet or destination.called_aet,
        size=2,
        window=1,
        contexts=[STORAGE_COMMITMENT_PUSH_MODEL],
        handlers=listener.handlers,
    )
