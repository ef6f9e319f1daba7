"""What an association sends: one message at a time, and a large data set in pieces as the peer takes them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiodicom.dimse.messages import Request, Response
from aiodicom.dimse.protocol import Protocol
from aiodicom.net._outbox import WholeMessages
from aiodicom.net.sources import Source
from aiodicom.net.transport import Transport

__all__ = ["Outbox"]


class Outbox(WholeMessages):
    """Orders the messages of one association on the wire.

    Invariants: while `is_busy`, responses wait in `_held`, requests for their turn with the `Invoker`. Once
    `is_broken`, a data set stays incomplete for ever.
    """

    __slots__ = ("_free", "_held", "_loop", "is_broken")

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Protocol, transport: Transport) -> None:
        super().__init__(protocol, transport, loop.time)
        self._loop = loop
        #: Whether nothing more can be sent but A-ABORT.
        self.is_broken = False
        #: What is to be sent after the data set that is on its way.
        self._held: deque[Callable[[], None]] | None = None
        self._free: asyncio.Future[None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no message is being sent or waits for that."""
        return not self.is_busy

    def send_request(
        self, context_id: int, build: Callable[[int], Request], token: Any, source: Source | None
    ) -> Awaitable[None] | None:
        """Sends the request that `build(message_id)` gives, and its data set; what is returned, to be awaited at once,
        sends a large one. The caller has the turn.

        Raises what the source raises. If that, or cancellation, leaves a data set incomplete, the outbox `is_broken`.
        """
        pieces = () if source is None else source.at_once()
        if pieces is not None:
            self.send_whole(context_id, build, token, pieces)
            return None
        assert source is not None
        protocol = self.protocol
        protocol.send_request(context_id, build(protocol.next_message_id()), token, self.time())
        self.is_busy = self.is_broken = True
        return self._send_pieces(context_id, source)

    def send_response(self, context_id: int, response: Response, data: bytes | None = None) -> None:
        """Sends a response, with its encoded data set, or has it follow the data set that is on its way."""
        self._send(lambda: self._respond(context_id, response, data))

    def send_cancel(self, context_id: int, message_id: int) -> None:
        """Sends C-CANCEL for an operation in flight, or has it follow the data set that is on its way."""
        self._send(lambda: self.protocol.send_cancel(context_id, message_id, self.time()))

    # --- many pending responses -------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether a message can be sent at once, and the peer takes what is written."""
        return not self.is_busy and not self.transport.is_blocked

    async def ready(self) -> None:
        """Waits until `is_ready`, or until the association is over."""
        while not self.is_ready and self.protocol.can_send:
            if self.is_busy:
                if self._free is None:
                    self._free = self._loop.create_future()
                await asyncio.shield(self._free)
            else:
                await self.transport.drain()

    def when_ready(self, told: Callable[[], object]) -> None:
        """Has `told` called when it may be so, or the association is over."""
        if self.is_busy:
            if self._free is None:
                self._free = self._loop.create_future()
            self._free.add_done_callback(lambda _free: told())
        else:
            self.transport.when_drained(told)

    def encode_response(self, context_id: int, response: Response) -> bytes:
        """Returns what `send_pending` sends before a data set."""
        return self.protocol.encode_response(context_id, response)

    def send_pending(self, context_id: int, encoded: bytes, data: bytes) -> None:
        """Sends a pending response that has been encoded, and its data set, when it `is_ready`; what is sent in the
        same turn of the event loop goes with it.
        """
        if self.protocol.can_send:
            self.protocol.send_pending(context_id, encoded, data, self.time())
            self.transport.flush_soon(len(encoded) + len(data))

    def _respond(self, context_id: int, response: Response, data: bytes | None) -> None:
        now = self.time()
        self.protocol.send_response(context_id, response, now)
        if data is not None:
            self.protocol.send_data(context_id, data, is_last=True, now=now)

    def _send(self, send: Callable[[], None]) -> None:
        if self.is_busy:
            if self._held is None:
                self._held = deque()
            self._held.append(send)
            return
        send()
        self.transport.flush()

    async def _send_pieces(self, context_id: int, source: Source) -> None:
        sent = 0
        async for piece in source.chunks(self.protocol.fragment_size):
            sent += len(piece)
            is_last = sent == source.size
            self.protocol.send_data(context_id, piece, is_last=is_last, now=self.time())
            self.transport.flush()
            await self.transport.drain()
        self.is_busy = self.is_broken = False
        self._resume()
        self.transport.flush()

    def _resume(self) -> None:
        held, self._held = self._held, None
        for send in held or ():
            send()
        self._set_free()

    def _set_free(self) -> None:
        if self._free is not None:
            self._free.set_result(None)
            self._free = None

    def end(self) -> None:
        """The association is over: nothing more is sent."""
        self._held = None
        self._set_free()
