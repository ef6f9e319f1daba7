"""C-FIND whose matches are counted and not kept: for a generator of load, which has no use for what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from aiodicom.dimse.messages import CFindRQ
from aiodicom.errors import DecodeError
from aiodicom.net.operations import identifier_source, sop_class_of
from aiodicom.net.responses import ResponseStream, check
from aiodicom.ul._pdu import Body

if TYPE_CHECKING:
    from aiodicom.dimse.events import AcceptedContext, ResponseReceived
    from aiodicom.net.association import Association
    from aiodicom.net.operations import Identifier
    from aiodicom.standard.models import InformationModel

__all__ = ["Found", "count_matches"]


class Found(NamedTuple):
    """What a C-FIND has found: how many matches, and the bytes of their Identifiers as they came."""

    matches: int
    size: int


async def count_matches(
    association: Association,
    query: Identifier,
    model: InformationModel | str,
    *,
    most: int | None = None,
    on_first: Callable[[], object] | None = None,
) -> Found:
    """Performs C-FIND as `Association.c_find` does, and counts the matches as they come: they are neither decoded nor
    waited for one by one. Returns when the final response is there.

    `on_first` is called with the first match. After `most` matches C-CANCEL is sent, and what still comes is not
    counted. Raises `ContextNotAccepted`, `StatusError`, `DecodeError` for a match without an Identifier, or the error
    that ended the association. Cancelled, C-CANCEL is sent, and the association stays usable.
    """
    context = association.context_for(sop_class_of(model, "find"), None)
    stream = _CountedStream(association, context, most, on_first)
    try:
        await stream.begin(identifier_source(query, context))
        event = await stream.final()
    finally:
        stream.leave()
    check(event.message, allowing_cancel=most is not None)
    if stream.lacking:
        raise DecodeError(f"{stream.lacking} of {stream.matches} pending responses to C-FIND without an identifier")
    return Found(stream.matches, stream.size)


class _CountedStream(ResponseStream):
    """Invariants: no pending response waits in it, so reading is not paused for it."""

    def __init__(
        self,
        association: Association,
        context: AcceptedContext,
        most: int | None,
        on_first: Callable[[], object] | None,
    ) -> None:
        super().__init__(association, context, lambda message_id: CFindRQ(message_id, context.abstract_syntax, 0))
        self._most = most
        self._on_first = on_first
        self.matches = 0
        self.size = 0
        #: Pending responses that had no data set.
        self.lacking = 0

    def on_pending(self, event: ResponseReceived) -> None:
        """Counts a match."""
        if self.matches == self._most:
            return
        self.matches += 1
        if event.message.has_data_set and isinstance(event.body, Body):
            self.size += event.body.total
        else:
            self.lacking += 1
        if self.matches == 1 and self._on_first is not None:
            self._on_first()
        if self.matches == self._most:
            self.leave()
