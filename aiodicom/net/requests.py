"""What the handlers of an SCP are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from aiodicom.dimse.events import AcceptedContext
from aiodicom.dimse.messages import (
    CEchoRQ,
    CFindRQ,
    CGetRQ,
    CMoveRQ,
    CStoreRQ,
    NActionRQ,
    NCreateRQ,
    NDeleteRQ,
    NEventReportRQ,
    NGetRQ,
    NSetRQ,
    Request,
)
from aiodicom.dimse.responses import sop_class_of
from aiodicom.errors import DecodeError, LocalError
from aiodicom.net._performing import Normalized, Received
from aiodicom.net.sinks import FragmentStream
from aiodicom.standard.status import Status
from aiodicom.standard.uids import generate_uid
from aiodicom.store.spool import SpoolFile
from aiodicom.ul._pdu import Body

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association

__all__ = [
    "REQUESTS",
    "CancellableRequest",
    "EchoRequest",
    "FindRequest",
    "GetRequest",
    "MoveRequest",
    "NActionRequest",
    "NCreateRequest",
    "NDeleteRequest",
    "NEventReportRequest",
    "NGetRequest",
    "NSetRequest",
    "NormalizedRequest",
    "RetrieveRequest",
    "ServiceRequest",
    "StoreRequest",
]


#: Bytes of an Identifier that are decoded: a hundred thousand UIDs have room.
_MOST_IDENTIFIER: Final = 16 << 20


class ServiceRequest(Received):
    """A request as it came; what all requests have."""

    __slots__ = ()

    message: Request
    #: Whether the handler runs before the request has arrived completely.
    is_streamed = False
    #: How large its data set may be, in bytes; 0 where that is not known.
    expected_body_size = 0

    @property
    def message_id(self) -> int:
        """The message ID that the peer gave."""
        return self.message.message_id

    @property
    def sop_class_uid(self) -> str:
        """The affected or requested SOP class; that of the context where the request names none."""
        return sop_class_of(self.message) or self.context.abstract_syntax

    async def completed(self) -> None:
        """Waits until the request has arrived completely: at once unless it `is_streamed`."""


class EchoRequest(ServiceRequest):
    """A C-ECHO request (PS3.7 9.1.5)."""

    __slots__ = ()

    message: CEchoRQ


class _DataRequest(ServiceRequest):
    """A request with a data set, or one that may have one, encoded in the transfer syntax of its context."""

    __slots__ = ()

    @property
    def data(self) -> memoryview:
        """The encoded data set as one contiguous read-only view, of the spooled file where there is one.

        Raises `LocalError` when there is none: the request came without, or the handler's body choice doesn't keep it.
        """
        if not isinstance(self.body, Body):
            raise LocalError(
                "the data set was not kept: register the handler with body=Spooled()"
                if self.message.has_data_set
                else "the request has no data set"
            )
        if isinstance(self.body.spilled, SpoolFile):
            return self.body.spilled.map()
        return memoryview(self.body)

    @property
    def file(self) -> BinaryIO | None:
        """The spooled file of a data set above the size for memory, at its start; closed when the handler ends."""
        spilled = self.body.spilled if isinstance(self.body, Body) else None
        return spilled.file if isinstance(spilled, SpoolFile) else None


class StoreRequest(_DataRequest):
    """A C-STORE request (PS3.7 9.1.1) with its data set, encoded in the transfer syntax of its context."""

    __slots__ = ("_complete", "status")

    message: CStoreRQ

    def __init__(self, association: Association, context: AcceptedContext, message: CStoreRQ) -> None:
        #: Of an object that `Association.c_get` has received: what its C-STORE is answered with.
        self.status = Status.SUCCESS
        self._complete: asyncio.Future[None] | None = None

    @property
    def expected_body_size(self) -> int:  # type: ignore[override]
        """As large as the last one, in bytes."""
        return self.association.expected_body_size

    @property
    def affected_sop_class_uid(self) -> str:
        """The SOP class of the object, which is the context's abstract syntax."""
        return self.message.affected_sop_class_uid

    @property
    def affected_sop_instance_uid(self) -> str:
        """The SOP instance that the object is; always a valid UID."""
        return self.message.affected_sop_instance_uid

    @property
    def priority(self) -> int:
        """0 medium, 1 high, 2 low."""
        return self.message.priority

    @property
    def dataset(self) -> Dataset:
        """The data set, decoded when it is first asked for; its values when those are.

        It may be kept beyond the handler: it holds on to the memory, or the spooled file, that it was decoded from.
        Raises `LocalError` as `data` does, `DecodeError` for what is no data set.
        """
        return self.decoded()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterates over the fragments as they arrive.

        Raises `LocalError` unless the handler was registered with ``body=Streamed()``.
        """
        if not isinstance(self.body, FragmentStream):
            raise LocalError("fragments are not streamed: register the handler with body=Streamed()")
        return self.body

    @property
    def is_streamed(self) -> bool:  # type: ignore[override]
        """Whether the handler runs while the data set arrives."""
        return self._complete is not None

    def expect_completion(self) -> None:
        """The handler runs while the data set arrives."""
        self._complete = self.association.loop.create_future()

    def when_completed(self, told: Callable[[], None]) -> None:
        """Has `told` called when the data set has arrived, of a request that `is_streamed`."""
        assert self._complete is not None
        self._complete.add_done_callback(lambda _complete: told())

    def complete(self) -> None:
        """The data set has arrived."""
        if self._complete is not None and not self._complete.done():
            self._complete.set_result(None)

    async def completed(self) -> None:
        """Waits until the data set has arrived, throwing away what the handler didn't take of it."""
        if self._complete is not None:
            if isinstance(self.body, FragmentStream):
                self.body.ignore_rest()
            await self._complete

    def close(self) -> None:
        if isinstance(self.body, FragmentStream):
            self.body.ignore_rest()
        super().close()


class CancellableRequest(_DataRequest):
    """A request that the peer may cancel (PS3.7 9.3.2.3): C-FIND, C-GET or C-MOVE."""

    __slots__ = ("is_cancelled",)

    message: CFindRQ | CGetRQ | CMoveRQ

    def __init__(self, association: Association, context: AcceptedContext, message: Any) -> None:
        #: Whether the peer has sent C-CANCEL. The engine then ends the handler and answers FE00H.
        self.is_cancelled = False

    @property
    def identifier(self) -> Dataset:
        """The Identifier: what is asked for (PS3.4 C.4). Raises `LocalError` where there is none, `DecodeError` for
        what is no data set, ends too early, or is longer than 16 MiB.
        """
        if isinstance(self.body, Body) and self.body.total > _MOST_IDENTIFIER:
            raise DecodeError(f"an identifier of {self.body.total:,} bytes is longer than {_MOST_IDENTIFIER:,}")
        return self.whole()

    @property
    def level(self) -> str:
        """The Query/Retrieve Level (0008,0052), such as ``STUDY``; empty where the identifier has none."""
        return str(self.identifier.get("QueryRetrieveLevel") or "")

    @property
    def priority(self) -> int:
        """0 medium, 1 high, 2 low."""
        return self.message.priority


class FindRequest(CancellableRequest):
    """A C-FIND request (PS3.7 9.1.2)."""

    __slots__ = ()

    message: CFindRQ


class RetrieveRequest(CancellableRequest):
    """A C-GET or C-MOVE request: what is retrieved is sent by C-STORE sub-operations."""

    __slots__ = ("total",)

    message: CGetRQ | CMoveRQ

    def __init__(self, association: Association, context: AcceptedContext, message: Any) -> None:
        super().__init__(association, context, message)
        #: How many sub-operations there will be. A handler that knows sets it before it yields the first, so that the
        #: pending responses can say how many remain; otherwise they count those that it has yielded.
        self.total: int | None = None


class GetRequest(RetrieveRequest):
    """A C-GET request (PS3.7 9.1.3)."""

    __slots__ = ()

    message: CGetRQ


class MoveRequest(RetrieveRequest):
    """A C-MOVE request (PS3.7 9.1.4)."""

    __slots__ = ()

    message: CMoveRQ

    @property
    def move_destination(self) -> str:
        """The AE title that the instances are sent to."""
        return self.message.move_destination


class NormalizedRequest(Normalized, _DataRequest):
    """A request of the DIMSE-N services (PS3.7 10.1)."""

    __slots__ = ()


class NGetRequest(NormalizedRequest):
    """An N-GET request (PS3.7 10.1.2)."""

    __slots__ = ()

    message: NGetRQ

    @property
    def attributes(self) -> tuple[int, ...]:
        """The tags asked for; empty for all."""
        return self.message.attribute_identifier_list


class NSetRequest(NormalizedRequest):
    """An N-SET request (PS3.7 10.1.3); its data set is the modification list."""

    __slots__ = ()

    message: NSetRQ


class NActionRequest(NormalizedRequest):
    """An N-ACTION request (PS3.7 10.1.4); its data set is the action information."""

    __slots__ = ()

    message: NActionRQ

    @property
    def action_type_id(self) -> int:
        """Which action of the SOP class."""
        return self.message.action_type_id


class NCreateRequest(NormalizedRequest):
    """An N-CREATE request (PS3.7 10.1.5); its data set is the attribute list."""

    __slots__ = ("_uid",)

    message: NCreateRQ

    def new_uid(self) -> str:
        """The UID of an instance that the requestor leaves to the SCP to name."""
        if not hasattr(self, "_uid"):
            self._uid = generate_uid()
        return self._uid


class NDeleteRequest(NormalizedRequest):
    """An N-DELETE request (PS3.7 10.1.6)."""

    __slots__ = ()

    message: NDeleteRQ


class NEventReportRequest(NormalizedRequest):
    """An N-EVENT-REPORT request (PS3.7 10.1.1); its data set is the event information."""

    __slots__ = ()

    message: NEventReportRQ

    @property
    def event_type_id(self) -> int:
        """Which event of the SOP class."""
        return self.message.event_type_id


#: What the handlers of messages are given.
REQUESTS: dict[type[Request], type[ServiceRequest]] = {
    CEchoRQ: EchoRequest,
    CStoreRQ: StoreRequest,
    CFindRQ: FindRequest,
    CGetRQ: GetRequest,
    CMoveRQ: MoveRequest,
    NGetRQ: NGetRequest,
    NSetRQ: NSetRequest,
    NActionRQ: NActionRequest,
    NCreateRQ: NCreateRequest,
    NDeleteRQ: NDeleteRequest,
    NEventReportRQ: NEventReportRequest,
}
