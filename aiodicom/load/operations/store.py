"""C-STORE of what the supply gives (PS3.4 annex B)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aiodicom.load.operations.operation import Outcome, Waiting
from aiodicom.net.unawaited import begin_store

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.load.supply import Supply
    from aiodicom.net.association import Association
    from aiodicom.net.connect import ContextProposal
    from aiodicom.net.sources import DataSource

__all__ = ["Store", "StoreOf"]


#: Of what was stored last, so many can be asked commitment for.
_MOST_STORED: Final = 1000


class Store:
    """Stores the next instance."""

    name = "store"
    is_receiving = False

    def __init__(self, supply: Supply, *, remembers: bool = False) -> None:
        """`remembers`: what has been stored, for `take_stored`."""
        self._supply = supply
        self._stored: deque[tuple[str, str]] | None = deque(maxlen=_MOST_STORED) if remembers else None
        self.contexts: Sequence[ContextProposal] = tuple(supply.contexts)

    def begin(self, association: Association, attempt: Attempt) -> bool:
        source = self.next_source()
        attempt.sent = source.size
        attempt.source = source
        # Who remembers wants to know whether it has been stored.
        return self._stored is None and begin_store(association, source, attempt)

    async def __call__(self, attempt: Attempt) -> Outcome:
        source = attempt.source or self.next_source()
        association = await attempt.associate()
        attempt.sent = source.size
        response = await association.c_store(source)
        if self._stored is not None:
            self._stored.append((source.sop_class_uid, source.sop_instance_uid))
        return Outcome(response.status, sent=source.size)

    def next_source(self) -> DataSource:
        """The next instance."""
        return self._supply.next().source

    def take_stored(self) -> tuple[str, str] | None:
        """SOP class and instance of what has been stored and not been taken; None where nothing has."""
        return self._stored.popleft() if self._stored else None


class StoreOf(Waiting):
    """Stores this instance."""

    name = "store"
    contexts: Sequence[ContextProposal] = ()

    def __init__(self, source: DataSource) -> None:
        self._source = source

    async def __call__(self, attempt: Attempt) -> Outcome:
        association = await attempt.associate()
        attempt.sent = self._source.size
        response = await association.c_store(self._source)
        return Outcome(response.status, sent=self._source.size)
