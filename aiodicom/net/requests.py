"""What the handlers of an SCP are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, BinaryIO

from aiodicom.dimse.events import AcceptedContext
from aiodicom.dimse.messages import CEchoRQ, CStoreRQ, Request
from aiodicom.errors import LocalError
from aiodicom.net.sinks import BodySink, FragmentStream
from aiodicom.store.spool import SpoolFile
from aiodicom.ul._pdu import Body

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association

__all__ = ["EchoRequest", "ServiceRequest", "StoreRequest"]


class ServiceRequest:
    """A request as it came; what all requests have."""

    __slots__ = ("association", "context", "message")

    #: The sink that took the data set, None where there is none.
    body: Any = None
    #: Whether the handler runs before the request has arrived completely.
    is_streamed = False

    def __init__(self, association: Association, context: AcceptedContext, message: Request) -> None:
        self.association = association
        self.context = context
        self.message = message

    @property
    def message_id(self) -> int:
        """The message ID that the peer gave."""
        return self.message.message_id

    async def completed(self) -> None:
        """Waits until the request has arrived completely: at once unless it `is_streamed`."""

    def close(self) -> None:
        """Gives back what the request holds outside of memory; the association does it when the handler has ended."""


class EchoRequest(ServiceRequest):
    """A C-ECHO request (PS3.7 9.1.5)."""

    __slots__ = ()

    message: CEchoRQ


class StoreRequest(ServiceRequest):
    """A C-STORE request (PS3.7 9.1.1) with its data set, encoded in the transfer syntax of its context."""

    __slots__ = ("_complete", "_dataset", "body")

    message: CStoreRQ
    body: BodySink | None

    def __init__(self, association: Association, context: AcceptedContext, message: CStoreRQ) -> None:
        self.association = association
        self.context = context
        self.message = message
        self.body = None
        self._complete: asyncio.Future[None] | None = None
        self._dataset: Dataset | None = None

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
    def data(self) -> memoryview:
        """The encoded data set as one contiguous read-only view, of the spooled file where there is one.

        Raises `LocalError` when the handler's body choice doesn't keep the data set.
        """
        if not isinstance(self.body, Body):
            raise LocalError("the data set was not kept: register the handler with body=Spooled()")
        if isinstance(self.body.spilled, SpoolFile):
            return self.body.spilled.map()
        return memoryview(self.body)

    @property
    def dataset(self) -> Dataset:
        """The data set, decoded when it is first asked for; its values when those are.

        It may be kept beyond the handler: it holds on to the memory, or the spooled file, that it was decoded from.
        Raises `LocalError` as `data` does, `DecodeError` for what is no data set.
        """
        if self._dataset is None:
            from aiodicom.dataset import Dataset

            self._dataset = Dataset.from_bytes(self.data, self.context.transfer_syntax)
        return self._dataset

    @property
    def file(self) -> BinaryIO | None:
        """The spooled file of a data set above the size for memory, at its start; closed when the handler ends."""
        spilled = self.body.spilled if isinstance(self.body, Body) else None
        return spilled.file if isinstance(spilled, SpoolFile) else None

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
        elif isinstance(self.body, Body) and isinstance(self.body.spilled, SpoolFile):
            self.body.spilled.file.close()
