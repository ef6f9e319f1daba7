"""The SCP's side of an association: requests go to their handlers, answers go back."""

from __future__ import annotations

import asyncio
import errno
import logging
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from aiodicom.dimse.events import AcceptedContext, RequestReceived, RequestRefused
from aiodicom.dimse.messages import CEchoRQ, CFindRQ, CGetRQ, CMoveRQ, CStoreRQ, Message, Request
from aiodicom.dimse.protocol import Protocol
from aiodicom.dimse.responses import response_to
from aiodicom.errors import ConnectionLost
from aiodicom.net.handlers import Handler, Handlers
from aiodicom.net.outbox import Outbox
from aiodicom.net.requests import EchoRequest, ServiceRequest, StoreRequest
from aiodicom.net.sinks import FragmentStream
from aiodicom.standard.status import Status, StatusCategory
from aiodicom.ul._pdu import Body, Discard

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = ["Performer"]

_SUCCESS = Status.SUCCESS

#: Errors of the operating system that mean "out of resources".
_NO_RESOURCES = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM))


class Performer:
    """Performs the requests of one association, at most `limit` at a time.

    Invariants: `performing` counts the requests that handlers have and that are not answered; requests beyond `limit`
    are in `_waiting`, and then nothing more is read.
    """

    __slots__ = (
        "_association",
        "_handlers",
        "_incoming",
        "_is_finishing",
        "_is_over",
        "_is_released",
        "_loop",
        "_outbox",
        "_protocol",
        "_tasks",
        "_waiting",
        "last_body_size",
        "limit",
        "performing",
    )

    def __init__(self, association: Association, protocol: Protocol, handlers: Handlers, outbox: Outbox) -> None:
        self.limit = 1
        self.performing = 0
        #: Bytes of the last data set received, from which the next one's buffer takes its size.
        self.last_body_size = 0
        self._association = association
        self._loop = association.loop
        self._protocol = protocol
        self._handlers = handlers
        self._outbox = outbox
        #: The C-STORE whose data set is arriving.
        self._incoming: StoreRequest | None = None
        self._waiting: deque[ServiceRequest] | None = None
        #: What runs for the association, by the request that it performs, or by itself.
        self._tasks: dict[object, asyncio.Task[None]] | None = None
        self._is_over = False
        self._is_released = False
        self._is_finishing = False
        protocol.answers_verification = handlers.find(CEchoRQ) is None

    # --- what arrives -----------------------------------------------------------------------------------------------

    def open_body(self, context: AcceptedContext, message: Message) -> Any:
        """Returns the sink for the data set that follows `message`."""
        handler = self._handlers.find(type(message)) if isinstance(message, CStoreRQ) else None
        if handler is None or handler.body is None:
            # What nobody handles is answered so when it is complete; until then its data set has to go somewhere.
            return Discard()
        assert isinstance(message, CStoreRQ)
        self._incoming = request = StoreRequest(self._association, context, message)
        request.body = handler.body(request)
        if isinstance(request.body, FragmentStream):
            request.expect_completion()
            self._begin(request)
        return request.body

    def on_request(self, event: RequestReceived) -> None:
        """A request is complete."""
        request: ServiceRequest
        if self._incoming is not None:
            request, self._incoming = self._incoming, None
            if request.is_streamed:
                request.complete()
                return
            if isinstance(event.body, Body):
                self.last_body_size = event.body.total
            elif isinstance(event.body, Discard):
                request.body = event.body  # in place of a sink that has failed, perhaps
        else:
            kind = EchoRequest if type(event.message) is CEchoRQ else ServiceRequest
            request = kind(self._association, event.context, event.message)
        self._begin(request)

    def on_refused(self, event: RequestRefused) -> None:
        """A request was refused without a handler."""
        self._association.log(
            logging.INFO, "%s was refused: status %04XH (%s)", event.message.SERVICE, event.status, event.status.name
        )
        if self._is_finishing:
            self._settle()

    def on_release(self) -> None:
        """The peer asks for release, which is granted when everything is answered."""
        self._is_released = True
        if self._incoming is not None:
            # No data may come any more (PS3.8 table 9-10, Sta8): the message is dropped, with what its handler began.
            self._association.settle(is_asked=True)
        else:
            self._settle()

    def on_sent(self) -> None:
        """A request of ours has been sent completely: a release that the peer has asked for meanwhile is granted."""
        if self._is_released:
            self._settle()

    def finish(self) -> None:
        """Asks for release as soon as everything that has begun is answered."""
        self._is_finishing = True
        self._protocol.answers_verification = False  # whatever ends here has to be noticed
        self._settle()

    def end(self) -> None:
        """The association is over: the handlers are cancelled, but for one that waits for fragments and learns it from
        there.
        """
        self._is_over = True
        waiting, self._waiting = self._waiting, None
        for request in waiting or ():
            if request.body is not None:
                self._abandon(request)
        for performed, task in tuple((self._tasks or {}).items()):
            stream = performed.body if isinstance(performed, ServiceRequest) else None
            if not (isinstance(stream, FragmentStream) and stream.is_awaited):
                task.cancel()

    def detach(self) -> None:
        """The connection is closed: without handlers that still run, nothing is to be told to the association."""
        if not self._tasks:
            del self._association  # which has this performer: a cycle that ends here

    def _abandon(self, request: ServiceRequest) -> None:
        try:
            request.body.abandon()
        except Exception as error:  # a sink of the user's: the others are to be told as well
            self._association.log(logging.ERROR, "a sink failed to be abandoned", error=error)

    # --- what is done with it ---------------------------------------------------------------------------------------

    def _begin(self, request: ServiceRequest) -> None:
        if self.performing >= self.limit > 0:
            # More than was agreed on, or sent ahead of our answer: read no more until this one has its turn.
            if self._waiting is None:
                self._waiting = deque()
            self._waiting.append(request)
            self._association.transport.pause_reading(self)
            return
        self.performing += 1
        message = request.message
        handler = self._handlers.find(type(message))
        if handler is None:
            is_echo = type(message) is CEchoRQ
            self._answer(request.context, message, _SUCCESS if is_echo else Status.UNRECOGNIZED_OPERATION)
        elif type(request.body) is Discard and request.body.error is not None:
            self._answer_failure(request, request.body.error)
        elif handler.is_asynchronous:
            self._start(handler, request)
        else:
            self._call(handler, request)

    def _call(self, handler: Handler, request: ServiceRequest) -> None:
        try:
            status = _status(handler.function(request))
        except (Exception, asyncio.CancelledError) as error:
            self._answer_failure(request, error)
        else:
            self._answer(request.context, request.message, status)
        request.close()

    def _start(self, handler: Handler, request: ServiceRequest) -> None:
        """Starts an asynchronous handler; it is cancelled when the association ends."""
        try:
            coroutine = self._stream(handler, request) if request.is_streamed else handler.function(request)
        except Exception as error:  # a function that can't be called with a request
            self._answer_failure(request, error)
            request.close()
            return
        task = self._handlers.starter.start(coroutine, self._loop, self._done, request)
        if task is not None:
            if self._tasks is None:
                self._tasks = {}
            self._tasks[request] = task

    async def _stream(self, handler: Handler, request: ServiceRequest) -> Any:
        """Runs a handler that takes the fragments; the answer has to wait until all of them have come."""
        try:
            return await handler.function(request)
        finally:
            if not self._is_over:
                await request.completed()

    def _done(self, request: ServiceRequest, answer: Any, error: BaseException | None) -> None:
        """An asynchronous handler has ended."""
        if self._tasks is not None:
            self._tasks.pop(request, None)
        if error is None:
            try:
                status = _status(answer)
            except (TypeError, ValueError) as wrong:
                error = wrong
        if error is None:
            self._answer(request.context, request.message, status)
        elif not self._is_over or not isinstance(error, (asyncio.CancelledError, ConnectionLost)):
            # Cancelled while the association lives is the handler's own affair: the peer still wants an answer.
            self._answer_failure(request, error)
        request.close()

    def own(self, task: asyncio.Task[None]) -> None:
        """Has a task cancelled when the association ends."""
        if self._tasks is None:
            self._tasks = {}
        self._tasks[task] = task
        task.add_done_callback(self._tasks.pop)

    # --- answers ----------------------------------------------------------------------------------------------------

    def _answer_failure(self, request: ServiceRequest, error: BaseException) -> None:
        """Tells the peer that it failed, and the log why: what an exception says may be no business of the peer's."""
        log_id = uuid.uuid4().hex[:8]
        self._association.log(logging.ERROR, "%s failed, log id %s", request.message.SERVICE, log_id, error=error)
        status = Status.PROCESSING_FAILURE
        if isinstance(error, OSError) and error.errno in _NO_RESOURCES:
            status = Status.OUT_OF_RESOURCES
        elif isinstance(request.message, (CFindRQ, CGetRQ, CMoveRQ)):
            status = Status.UNABLE_TO_PROCESS
        self._answer(request.context, request.message, status, f"internal error, log id {log_id}")

    def _answer(self, context: AcceptedContext, message: Request, status: Status, comment: str | None = None) -> None:
        self.performing -= 1
        if self._protocol.can_send:
            if comment is None:
                self._outbox.respond(context.context_id, message, status)
            else:
                self._outbox.send_response(context.context_id, response_to(message, status, error_comment=comment))
        if self._waiting:
            self._take_waiting()
        if self._is_released or self._is_finishing:
            self._settle()

    def _take_waiting(self) -> None:
        assert self._waiting is not None
        while self._waiting and self.performing < self.limit:  # nothing waits without a limit
            self._begin(self._waiting.popleft())
        if not self._waiting:
            self._association.transport.resume_reading(self)

    def _settle(self) -> None:
        """Releases the association once nothing is left to do."""
        if not self._is_over and not self.performing and not self._waiting and self._outbox.is_empty:
            self._association.settle(is_asked=self._is_released)


def _status(answer: Any) -> Status:
    """Returns what a handler's answer stands for: None is success. Raises `ValueError` or `TypeError` for what is no
    status, or none that ends an operation.
    """
    if answer is None or answer is _SUCCESS:
        return _SUCCESS
    status = Status(answer)
    if status and status.category is StatusCategory.PENDING:
        raise ValueError(f"{status!r} answers nothing: the operation is over when its handler returns")
    return status
