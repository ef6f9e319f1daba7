"""Storage commitment (PS3.4 annex J): asked for, and waited for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from aiodicom.errors import RemoteError
from aiodicom.load.operations.operation import Outcome, Waiting
from aiodicom.load.operations.store import StoreOf
from aiodicom.services.storage_commitment import CommitmentListener, request_commitment
from aiodicom.standard.uids import STORAGE_COMMITMENT_PUSH_MODEL

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.load.operations.store import Store
    from aiodicom.net.connect import ContextProposal

__all__ = ["Commitment", "CommitmentOf", "NotCommitted"]

_CONTEXTS: Sequence[ContextProposal] = (STORAGE_COMMITMENT_PUSH_MODEL,)


class NotCommitted(RemoteError):
    """The peer has not committed to all that it was asked to."""


class CommitmentOf(Waiting):
    """Has the peer commit to these instances; `listener` hears of its report."""

    name = "commitment"
    contexts = _CONTEXTS

    def __init__(self, listener: CommitmentListener, timeout: float, instances: Iterable[tuple[str, str]]) -> None:
        self._listener = listener
        self._timeout = timeout
        self._instances = list(instances)

    async def __call__(self, attempt: Attempt) -> Outcome:
        association = await attempt.associate()
        report = await request_commitment(association, self._instances, self._listener, timeout=self._timeout)
        if not report.is_complete:
            why = f"the first for reason {report.failed[0].reason:04X}H" if report.failed else "not in the report"
            raise NotCommitted(f"{len(report.failed) + len(report.missing)} of {len(self._instances)} instances, {why}")
        return Outcome()


class Commitment(Waiting):
    """Has the peer commit to an instance that it was sent: of those that have been stored last, the oldest. Where none
    has, one is stored first, which is a part of its own in the figures.
    """

    name = "commitment"
    contexts = _CONTEXTS

    def __init__(self, listener: CommitmentListener, timeout: float, store: Store) -> None:
        self._listener = listener
        self._timeout = timeout
        self._store = store
        self.contexts = (*_CONTEXTS, *store.contexts)

    async def __call__(self, attempt: Attempt) -> Outcome:
        instance = self._store.take_stored()
        if instance is None:
            source = self._store.next_source()
            await attempt.part(StoreOf(source))
            instance = (source.sop_class_uid, source.sop_instance_uid)
        return await CommitmentOf(self._listener, self._timeout, (instance,))(attempt)
