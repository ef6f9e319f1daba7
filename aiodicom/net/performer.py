"""The SCP's side of an association: requests go to their handlers, answers go back."""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from aiodicom.dimse.events import AcceptedContext, RequestReceived, RequestRefused
from aiodicom.dimse.messages import CEchoRQ, CFindRQ, CGetRQ, CMoveRQ, CStoreRQ, NCreateRQ, Request
from aiodicom.dimse.protocol import Protocol
from aiodicom.dimse.responses import response_to
from aiodicom.errors import ConnectionLost, OperationRefused
from aiodicom.net.answers import Later, Reply, encode_answer, final_status, refusal
from aiodicom.net.handlers import Handler, Handlers
from aiodicom.net.outbox import Outbox
from aiodicom.net.requests import CancellableRequest, ServiceRequest, StoreRequest, request_for
from aiodicom.net.sinks import FragmentStream
from aiodicom.net.window import Window
from aiodicom.standard.status import Status
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
        "_retrieval",
        "_retrievals",
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
        #: Who takes the objects of a C-GET of ours, in place of the handler of C-STORE, and who waits for that.
        self._retrieval: Handler | None = None
        self._retrievals: Window | None = None
        #: The request whose data set is arriving.
        self._incoming: ServiceRequest | None = None
        self._waiting: deque[ServiceRequest] | None = None
        #: What runs for the association, by the request that it performs, or by itself.
        self._tasks: dict[object, asyncio.Future[Any] | Later] | None = None
        self._is_over = False
        self._is_released = False
        self._is_finishing = False
        protocol.answers_verification = handlers.handler_of(CEchoRQ) is None

    # --- what arrives -----------------------------------------------------------------------------------------------

    def open_body(self, context: AcceptedContext, message: Request) -> Any:
        """Returns the sink for the data set that follows `message`."""
        handler = self._handler_of(type(message))
        if handler is None or handler.body is None:
            # What nobody handles is answered so when it is complete; until then its data set has to go somewhere.
            return Discard()
        self._incoming = request = request_for(self._association, context, message)
        request.body = handler.body(request)
        if isinstance(request.body, FragmentStream):
            assert isinstance(request, StoreRequest)
            request.expect_completion()
            self._begin(request)
        return request.body

    def on_request(self, event: RequestReceived) -> None:
        """A request is complete."""
        if self._incoming is not None:
            request, self._incoming = self._incoming, None
            if isinstance(request, StoreRequest):
                if request.is_streamed:
                    request.complete()
                    return
                if isinstance(event.body, Body):
                    self.last_body_size = event.body.total
            if isinstance(event.body, Discard):
                request.body = event.body  # in place of a sink that has failed, perhaps
        else:
            request = request_for(self._association, event.context, event.message)
        self._begin(request)

    def on_cancel(self, message_id: int) -> None:
        """The peer wants no more of an operation, which may have ended already."""
        for request in (*(self._tasks or ()), *(self._waiting or ())):
            if (
                isinstance(request, CancellableRequest)
                and request.message_id == message_id
                and not request.is_cancelled
            ):
                request.is_cancelled = True
                self._tell_of_cancel(request)
                task = (self._tasks or {}).get(request)
                if task is not None:
                    task.cancel()

    def _tell_of_cancel(self, request: CancellableRequest) -> None:
        if self._handlers.cancel_handler is not None:
            try:
                self._handlers.cancel_handler(request)
            except Exception as error:
                self._association.log(logging.ERROR, "the handler of C-CANCEL failed", error=error)

    async def take_retrieval(self, handler: Handler) -> None:
        """Has `handler` answer C-STORE, when nobody else has: nothing says which C-GET an object belongs to."""
        if self._retrievals is None:
            self._retrievals = Window(1)
        await self._retrievals.take()
        self._retrieval = handler

    def give_retrieval(self) -> None:
        """The C-GET has ended."""
        assert self._retrievals is not None
        self._retrieval = None
        self._retrievals.give()

    def _handler_of(self, kind: type[Request]) -> Handler | None:
        if kind is CStoreRQ and self._retrieval is not None:
            return self._retrieval
        return self._handlers.handler_of(kind)

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
        if self._retrievals is not None:
            self._retrievals.fail(self._association.why_closed())
        waiting, self._waiting = self._waiting, None
        for request in waiting or ():
            if request.body is not None:
                self._abandon(request)
        for performed, task in tuple(self._tasks.items()) if self._tasks else ():
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
        handler = self._handler_of(type(message))
        if handler is None:
            is_echo = type(message) is CEchoRQ
            self._answer(request.context, message, _SUCCESS if is_echo else Status.UNRECOGNIZED_OPERATION)
        elif type(request.body) is Discard and request.body.error is not None:
            error, request.body = request.body.error, None  # which has frames that have the request: a cycle ends here
            self._answer_failure(request, error)
        elif isinstance(request, CancellableRequest) and (request.is_cancelled or not message.has_data_set):
            self._answer_without_handler(request)
        elif handler.is_asynchronous:
            self._start(handler, request)
        else:
            self._call(handler, request)

    def _answer_without_handler(self, request: CancellableRequest) -> None:
        """Answers what was cancelled before it was begun, or what asks for nothing."""
        if request.is_cancelled:
            self._answer(request.context, request.message, Status.CANCEL)
        else:
            response = response_to(
                request.message,
                Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS,
                error_comment=f"{request.message.SERVICE}-RQ without a data set",
            )
            self._reply(request, Reply(response))
        request.close()

    def _call(self, handler: Handler, request: ServiceRequest) -> None:
        try:
            answer = handler.function(request)
        except (Exception, asyncio.CancelledError) as error:
            self._answer_failure(request, error)
        else:
            if isinstance(answer, Later):
                answer.tell(functools.partial(self._given, request))
                self._run(request, answer)
                return
            if isinstance(answer, asyncio.Future):
                self._run(request, answer)
                answer.add_done_callback(functools.partial(self._arrived, request))
                return
            self._answer_with(request, answer)
        request.close()

    def _arrived(self, request: ServiceRequest, answer: asyncio.Future[Any]) -> None:
        """The answer that a plain handler has promised is there."""
        error = asyncio.CancelledError() if answer.cancelled() else answer.exception()
        self._done(request, None if error is not None else answer.result(), error)

    def _given(self, request: ServiceRequest, answer: Any, error: BaseException | None, more: bool) -> None:
        """The answer that a plain handler had for later is there."""
        self._outbox.is_gathering = more
        try:
            self._done(request, answer, error)
        finally:
            self._outbox.is_gathering = False

    def _start(self, handler: Handler, request: ServiceRequest) -> None:
        """Starts an asynchronous handler; it is cancelled when the association ends."""
        try:
            if handler.driver is not None:
                coroutine = handler.driver(handler.function, request, self._outbox)
            else:
                coroutine = self._stream(handler, request) if request.is_streamed else handler.function(request)
        except Exception as error:  # a function that can't be called with a request
            self._answer_failure(request, error)
            request.close()
            return
        task = self._handlers.starter.start(coroutine, self._loop, self._done, request)
        if task is not None:
            self._run(request, task)

    def _run(self, request: ServiceRequest, answer: asyncio.Future[Any] | Later) -> None:
        """Has what will be the answer cancelled when the association ends."""
        if self._tasks is None:
            self._tasks = {}
        self._tasks[request] = answer
        if self._is_over:  # the handler itself has ended the association
            answer.cancel()

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
            self._answer_with(request, answer)
        elif (
            isinstance(error, asyncio.CancelledError)
            and isinstance(request, CancellableRequest)
            and request.is_cancelled
        ):
            # By C-CANCEL, where nothing had been yielded yet or all had been.
            self._answer(request.context, request.message, Status.CANCEL)
        elif not self._is_over or not isinstance(error, (asyncio.CancelledError, ConnectionLost)):
            # Cancelled while the association lives is the handler's own affair: the peer still wants an answer.
            self._answer_failure(request, error)
        request.close()

    def own(self, task: asyncio.Future[None]) -> None:
        """Has a task, or a future, cancelled when the association ends."""
        if self._tasks is None:
            self._tasks = {}
        self._tasks[task] = task
        task.add_done_callback(self._tasks.pop)

    # --- answers ----------------------------------------------------------------------------------------------------

    def _answer_with(self, request: ServiceRequest, answer: Any) -> None:
        """Answers with what a handler has returned."""
        if answer is None or answer is _SUCCESS:
            if not isinstance(request.message, NCreateRQ) or request.message.affected_sop_instance_uid:
                self._answer(request.context, request.message, _SUCCESS)
                return
        elif isinstance(answer, int):
            try:
                status = final_status(answer)
            except (TypeError, ValueError) as wrong:
                self._answer_failure(request, wrong)
            else:
                self._answer(request.context, request.message, status)
            return
        try:
            reply = encode_answer(request, answer)
        except Exception as wrong:  # whatever encoding what a handler made comes across
            self._answer_failure(request, wrong)
        else:
            self._reply(request, reply)

    def _answer_failure(self, request: ServiceRequest, error: BaseException) -> None:
        """Tells the peer that it failed, and the log why: what an exception says may be no business of the peer's."""
        if isinstance(error, OperationRefused):
            try:
                reply = encode_answer(request, refusal(error))
            except Exception as wrong:
                error = wrong
            else:
                self._association.log(logging.INFO, "%s was refused: %s", request.message.SERVICE, error)
                self._reply(request, reply)
                return
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
        self._answered()

    def _reply(self, request: ServiceRequest, reply: Reply) -> None:
        self.performing -= 1
        if self._protocol.can_send:
            self._outbox.send_response(request.context.context_id, *reply)
        self._answered()

    def _answered(self) -> None:
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
