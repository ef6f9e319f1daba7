"""The Basic Worklist Management service class as SCP (PS3.4 annex K): modality worklists.

items = [Dataset(PatientName="Doe^Jane", ..., ScheduledProcedureStepSequence=[Dataset(Modality="CT", ...)])]
Worklist(items).attach(server)
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

from aiodicom.dataset import Dataset
from aiodicom.services.decoding import identifier_of
from aiodicom.services.dispatch import attach
from aiodicom.services.matching import Keys
from aiodicom.standard.models import ModalityWorklist

if TYPE_CHECKING:
    from aiodicom.net.handlers import Handlers
    from aiodicom.net.requests import FindRequest

__all__ = ["Worklist", "each"]

Items: TypeAlias = AsyncIterable[Dataset] | Iterable[Dataset]

#: Scheduled Procedure Step Start Date: with its time, one range (PS3.4 table K.6-1).
_COMBINED: Final = frozenset((0x00400002,))
#: Items that are looked at in one go.
_GO: Final = 256


class Worklist:
    """Answers C-FIND of the Modality Worklist information model.

    `source`: the worklist items (each an item of PS3.4 table K.6-1, with one Scheduled Procedure Step Sequence), or a
    function of the `FindRequest`, plain, ``async`` or an asynchronous generator, that gives those that may match. What
    is given is matched, and answered with the keys that were asked for.
    """

    def __init__(self, source: Items | Callable[[FindRequest], Items | Awaitable[Items]]) -> None:
        self._source = source

    def attach(self, handlers: Handlers) -> None:
        """Has this answer the C-FIND of a server in contexts of the Modality Worklist."""
        assert ModalityWorklist.find is not None
        attach(handlers, [ModalityWorklist.find], on_c_find=self.find)

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        """Yields the answers to a C-FIND, for a handler of your own. Raises `OperationRefused`."""
        keys = Keys(identifier_of(request), combined=_COMBINED)
        source = self._source
        items = source(request) if callable(source) else source
        if inspect.isawaitable(items):
            items = await items
        async for item in each(items):
            if keys.match(item):
                yield keys.answer(item)


async def each(items: Items) -> AsyncIterator[Dataset]:
    """Iterates over either kind, and leaves others on the event loop their turn."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
        return
    for number, item in enumerate(items):
        yield item
        if not (number + 1) % _GO:
            await asyncio.sleep(0)
