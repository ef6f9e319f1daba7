"""C-STORE of what the supply gives (PS3.4 annex B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiodicom.load.operations.operation import Outcome
from aiodicom.net.unawaited import begin_store

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.load.supply import Supply
    from aiodicom.net.association import Association
    from aiodicom.net.connect import ContextProposal

__all__ = ["Store"]


class Store:
    """Stores the next instance."""

    name = "store"
    receives: Sequence[ContextProposal] = ()

    def __init__(self, supply: Supply) -> None:
        self._supply = supply
        self.contexts: Sequence[ContextProposal] = tuple(supply.contexts)

    def begin(self, association: Association, attempt: Attempt) -> bool:
        source = self._supply.next().source
        attempt.sent = source.size
        attempt.source = source
        return begin_store(association, source, attempt)

    async def __call__(self, attempt: Attempt) -> Outcome:
        source = attempt.source or self._supply.next().source
        association = await attempt.associate()
        attempt.sent = source.size
        response = await association.c_store(source)
        return Outcome(response.status, sent=source.size)
