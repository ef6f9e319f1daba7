import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from aiodicom.dataset import Dataset
from aiodicom.dimse.events import AcceptedContext, RequestReceived
from aiodicom.dimse.messages import Message, Request
from aiodicom.dimse.protocol import Protocol
from aiodicom.net.answers import Later
from aiodicom.net.association import Association
from aiodicom.net.handlers import Handler, Handlers
from aiodicom.net.outbox import Outbox
from aiodicom.net.requests import ServiceRequest
from aiodicom.net.sinks import BodySink
from aiodicom.ul._pdu import Body

def gathering(request: ServiceRequest, above: int, spill: Callable[[], BodySink], *, unread: bool = False) -> Body: ...

class Received:
    body: Any
    def __init__(self, association: Association, context: AcceptedContext, message: Any) -> None: ...
    @property
    def association(self) -> Association: ...
    @property
    def context(self) -> AcceptedContext: ...
    def decoded(self) -> Dataset: ...
    def whole(self) -> Dataset: ...
    def close(self) -> None: ...

class Normalized(Received):
    message: Any
    @property
    def sop_instance_uid(self) -> str: ...
    @property
    def dataset(self) -> Dataset | None: ...

class Performing:
    limit: int
    performing: int
    last_body_size: int
    association: Any
    retrieval: Handler | None
    incoming: ServiceRequest | None
    waiting: deque[ServiceRequest] | None
    tasks: dict[object, asyncio.Future[Any] | Later] | None
    is_over: bool
    is_released: bool
    is_finishing: bool
    def __init__(
        self,
        association: Association,
        protocol: Protocol,
        handlers: Handlers,
        outbox: Outbox,
        kinds: dict[type[Request], type[ServiceRequest]],
        other: type[ServiceRequest],
        /,
    ) -> None: ...
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def protocol(self) -> Protocol: ...
    @property
    def handlers(self) -> Handlers: ...
    @property
    def outbox(self) -> Outbox: ...
    def open_body(self, context: AcceptedContext, message: Message) -> Any: ...
    def on_request(self, event: RequestReceived) -> None: ...
    def begin(self, request: ServiceRequest) -> None: ...
    def run(self, request: ServiceRequest, answer: asyncio.Future[Any] | Later) -> None: ...
    def done(self, request: ServiceRequest, answer: Any, error: BaseException | None) -> None: ...
    def answer(self, request: ServiceRequest, status: int) -> None: ...
    def answered(self) -> None: ...
