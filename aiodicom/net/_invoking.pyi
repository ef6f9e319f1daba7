import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiodicom.dimse.events import AcceptedContext, ResponseReceived
from aiodicom.dimse.messages import Request
from aiodicom.net.association import Association
from aiodicom.net.outbox import Outbox
from aiodicom.net.performer import Performer
from aiodicom.net.responses import Token
from aiodicom.net.results import Result
from aiodicom.net.sources import DataSource, Source
from aiodicom.net.suboperations import MoveOriginator
from aiodicom.net.window import Window

def result_of(event: ResponseReceived, context: AcceptedContext, /) -> Result: ...

class Turns:
    limit: int
    taken: int
    waiters: deque[asyncio.Future[None]] | None
    drained: asyncio.Future[None] | None
    def __init__(self, limit: int = 1) -> None: ...
    def take_now(self) -> bool: ...
    def give(self) -> None: ...

class Invoking:
    def __init__(
        self, association: Association, performer: Performer, outbox: Outbox, turns: Window, sending: Window, /
    ) -> None: ...
    @property
    def association(self) -> Association: ...
    @property
    def performer(self) -> Performer: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def turns(self) -> Window: ...
    @property
    def sending(self) -> Window: ...
    def context_for(
        self, abstract_syntax: str, transfer_syntaxes: tuple[str, ...] | None, *, as_scp: bool = False
    ) -> AcceptedContext: ...
    def invoke(
        self, context: AcceptedContext, build: Callable[[int], Request], source: Source | None, /
    ) -> Awaitable[ResponseReceived]: ...
    def ask(
        self, context: AcceptedContext, kind: type[Request], fields: tuple[Any, ...], data_set: Any, /
    ) -> Awaitable[ResponseReceived]: ...
    def begin_now(
        self, context: AcceptedContext, build: Callable[[int], Request], source: Source | None, token: Token, /
    ) -> bool: ...
    def take_sending_now(self) -> bool: ...
    def on_response(self, event: ResponseReceived, /) -> None: ...

    # What it calls of its subclass.
    def find_context(
        self, abstract_syntax: str, transfer_syntaxes: tuple[str, ...] | None, as_scp: bool
    ) -> AcceptedContext: ...
    async def invoke_later(
        self,
        context: AcceptedContext,
        build: Callable[[int], Request],
        source: Source | None,
        waiter: asyncio.Future[ResponseReceived],
    ) -> ResponseReceived: ...

class StoreRequest:
    def __init__(self, source: DataSource, priority: int, move_originator: MoveOriginator | None, /) -> None: ...
    def __call__(self, message_id: int, /) -> Request: ...
    def begin(self, association: Association, token: Token, /) -> bool: ...
