"""The SCP's side of an association: requests go to their handlers, answers go back."""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import uuid
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiodicom.dimse.events import RequestRefused
from aiodicom.dimse.messages import CEchoRQ, CFindRQ, CGetRQ, CMoveRQ, Message, NCreateRQ, Request
from aiodicom.dimse.protocol import Protocol
from aiodicom.dimse.responses import response_to
from aiodicom.errors import ConnectionLost, OperationRefused
from aiodicom.net._performing import Performing
from aiodicom.net.answers import Later, Reply, encode_answer, final_status, refusal
from aiodicom.net.handlers import Handler, Handlers, Refusal
from aiodicom.net.outbox import Outbox
from aiodicom.net.requests import REQUESTS, CancellableRequest, ServiceRequest, StoreRequest
from aiodicom.net.responses import is_failure
from aiodicom.net.sinks import FragmentStream
from aiodicom.net.window import Window
from aiodicom.standard.status import Status
from aiodicom.store.spool import SpoolFile
from aiodicom.ul._pdu import Body, Discard

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = ["Performer"]

#: Data sets of responses up to this size are kept in memory, larger ones in a file without a name.
_MOST_IN_MEMORY = 8 << 20
#: Errors of the operating system that mean "out of resources".
_NO_RESOURCES = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM))


class Performer(Performing):
    """Performs the requests of one association: what is done for most of them is compiled."""

    __slots__ = ("_retrievals",)

    def __init__(self, association: Association, protocol: Protocol, handlers: Handlers, outbox: Outbox) -> None:
        super().__init__(association, protocol, handlers, outbox, REQUESTS, ServiceRequest)
        #: Who waits for the C-GET of ours that has `retrieval`.
        self._retrievals: Window | None = None
        protocol.answers_verification = handlers.handler_of(CEchoRQ) is None

    # --- what arrives -----------------------------------------------------------------------------------------------

    def open_other(self, message: Message) -> Body | Discard:
        """Returns the sink for a data set that is not for a handler."""
        if isinstance(message, Request):
            # What nobody handles is answered so when it is complete; until then its data set has to go somewhere.
            return Discard()
        return Body(_MOST_IN_MEMORY, SpoolFile, 0, self.association.budget)

    def stream(self, request: ServiceRequest) -> None:
        """A data set begins to arrive that is not gathered: a handler that takes the fragments begins now."""
        if isinstance(request.body, FragmentStream):
            assert isinstance(request, StoreRequest)
            request.expect_completion()
            self.begin(request)

    def put_off(self, request: ServiceRequest) -> None:
        """Has a request wait for its turn."""
        if self.waiting is None:
            self.waiting = deque()
        self.waiting.append(request)
        self.association.transport.pause_reading(self)

    def on_cancel(self, message_id: int) -> None:
        """The peer wants no more of an operation, which may have ended already."""
        for request in (*(self.tasks or ()), *(self.waiting or ())):
            if (
                isinstance(request, CancellableRequest)
                and request.message_id == message_id
                and not request.is_cancelled
            ):
                request.is_cancelled = True
                self._tell_of_cancel(request)
                task = (self.tasks or {}).get(request)
                if task is not None:
                    task.cancel()

    def _tell_of_cancel(self, request: CancellableRequest) -> None:
        if self.handlers.cancel_handler is not None:
            try:
                self.handlers.cancel_handler(request)
            except Exception as error:
                self.association.log(logging.ERROR, "the handler of C-CANCEL failed", error=error)

    async def take_retrieval(self, handler: Handler) -> None:
        """Has `handler` answer C-STORE, when nobody else has: nothing says which C-GET an object belongs to."""
        if self._retrievals is None:
            self._retrievals = Window(1)
        await self._retrievals.take()
        self.retrieval = handler

    def give_retrieval(self) -> None:
        """The C-GET has ended."""
        assert self._retrievals is not None
        self.retrieval = None
        self._retrievals.give()

    def on_refused(self, event: RequestRefused) -> None:
        """A request was refused without a handler."""
        self.association.log(
            logging.INFO, "%s was refused: status %04XH (%s)", event.message.SERVICE, event.status, event.status.name
        )
        self._tell_of_refusal(event.message, event.status)
        if self.is_finishing:
            self.settle()

    def _tell_of_refusal(self, message: Request, status: Status, error: BaseException | None = None) -> None:
        if self.handlers.refusal_handler is not None:
            try:
                self.handlers.refusal_handler(Refusal(self.association, message, status, error))
            except Exception as wrong:
                self.association.log(logging.ERROR, "who hears of refusals failed", error=wrong)

    def on_release(self) -> None:
        """The peer asks for release, which is granted when everything is answered."""
        self.is_released = True
        if self.incoming is not None:
            # No data may come any more (PS3.8 table 9-10, Sta8): the message is dropped, with what its handler began.
            self.association.settle(is_asked=True)
        else:
            self.settle()

    def on_sent(self) -> None:
        """A request of ours has been sent completely: a release that the peer has asked for meanwhile is granted."""
        if self.is_released:
            self.settle()

    def finish(self) -> None:
        """Asks for release as soon as everything that has begun is answered."""
        self.is_finishing = True
        self.protocol.answers_verification = False  # whatever ends here has to be noticed
        self.settle()

    def end(self) -> None:
        """The association is over: the handlers are cancelled, but for one that waits for fragments and learns it from
        there.
        """
        self.is_over = True
        if self._retrievals is not None:
            self._retrievals.fail(self.association.why_closed())
        waiting, self.waiting = self.waiting, None
        for request in waiting or ():
            if request.body is not None:
                self._abandon(request)
        for performed, task in tuple(self.tasks.items()) if self.tasks else ():
            stream = performed.body if isinstance(performed, ServiceRequest) else None
            if not (isinstance(stream, FragmentStream) and stream.is_awaited):
                task.cancel()

    def detach(self) -> None:
        """The connection is closed: without handlers that still run, nothing is to be told to the association."""
        if not self.tasks:
            self.association = None  # which has this performer: a cycle that ends here

    def _abandon(self, request: ServiceRequest) -> None:
        try:
            request.body.abandon()
        except Exception as error:  # a sink of the user's: the others are to be told as well
            self.association.log(logging.ERROR, "a sink failed to be abandoned", error=error)

    # --- what is done with it ---------------------------------------------------------------------------------------

    def answer_without_handler(self, request: CancellableRequest) -> None:
        """Answers what was cancelled before it was begun, or what asks for nothing."""
        if request.is_cancelled:
            self.answer(request, Status.CANCEL)
        else:
            response = response_to(
                request.message,
                Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS,
                error_comment=f"{request.message.SERVICE}-RQ without a data set",
            )
            self._reply(request, Reply(response))
        request.close()

    def is_promised(self, request: ServiceRequest, answer: object) -> bool:
        """Whether what a plain handler has returned is a promise of its answer, which is waited for then."""
        if isinstance(answer, Later):
            answer.tell(functools.partial(self._given, request))
        elif isinstance(answer, asyncio.Future):
            answer.add_done_callback(functools.partial(self._arrived, request))
        else:
            return False
        self.run(request, answer)
        return True

    def _arrived(self, request: ServiceRequest, answer: asyncio.Future[Any]) -> None:
        """The answer that a plain handler has promised is there."""
        error = asyncio.CancelledError() if answer.cancelled() else answer.exception()
        self.done(request, None if error is not None else answer.result(), error)

    def _given(self, request: ServiceRequest, answer: Any, error: BaseException | None, more: bool) -> None:
        """The answer that a plain handler had for later is there."""
        self.outbox.is_gathering = more
        try:
            self.done(request, answer, error)
        finally:
            self.outbox.is_gathering = False

    async def take_fragments(self, function: Callable[[Any], Any], request: ServiceRequest) -> Any:
        """Runs a handler that takes the fragments; the answer has to wait until all of them have come."""
        try:
            return await function(request)
        finally:
            if not self.is_over:
                await request.completed()

    def answer_error(self, request: ServiceRequest, error: BaseException) -> None:
        """A handler that was waited for has raised."""
        is_cancelled = isinstance(request, CancellableRequest) and request.is_cancelled
        if is_cancelled and isinstance(error, asyncio.CancelledError):
            # By C-CANCEL, where nothing had been yielded yet or all had been.
            self.answer(request, Status.CANCEL)
        elif not self.is_over or not isinstance(error, (asyncio.CancelledError, ConnectionLost)):
            # Cancelled while the association lives is the handler's own affair: the peer still wants an answer.
            self.answer_failure(request, error)

    def own(self, task: asyncio.Future[None]) -> None:
        """Has a task, or a future, cancelled when the association ends."""
        if self.tasks is None:
            self.tasks = {}
        self.tasks[task] = task
        task.add_done_callback(self.tasks.pop)

    # --- answers ----------------------------------------------------------------------------------------------------

    def answer_more(self, request: ServiceRequest, answer: Any) -> None:
        """Answers with what a handler has returned, where that is more than success, or the response says more."""
        if isinstance(answer, int):
            try:
                status = final_status(answer)
            except (TypeError, ValueError) as wrong:
                self.answer_failure(request, wrong)
                return
            if is_failure(status) or not _is_to_be_named(request.message):
                self.answer(request, status)
                return
        try:
            reply = encode_answer(request, answer)
        except Exception as wrong:  # whatever encoding what a handler made comes across
            self.answer_failure(request, wrong)
        else:
            self._reply(request, reply)

    def answer_failure(self, request: ServiceRequest, error: BaseException) -> None:
        """Tells the peer that it failed, and the log why: what an exception says may be no business of the peer's."""
        if isinstance(error, OperationRefused):
            try:
                reply = encode_answer(request, refusal(error))
            except Exception as wrong:
                error = wrong
            else:
                self.association.log(logging.INFO, "%s was refused: %s", request.message.SERVICE, error)
                self._tell_of_refusal(request.message, reply.message.status, error)
                self._reply(request, reply)
                return
        log_id = uuid.uuid4().hex[:8]
        self.association.log(logging.ERROR, "%s failed, log id %s", request.message.SERVICE, log_id, error=error)
        status = Status.PROCESSING_FAILURE
        if isinstance(error, OSError) and error.errno in _NO_RESOURCES:
            status = Status.OUT_OF_RESOURCES
        elif isinstance(request.message, (CFindRQ, CGetRQ, CMoveRQ)):
            status = Status.UNABLE_TO_PROCESS
        self._tell_of_refusal(request.message, status, error)
        comment = f"internal error, log id {log_id}"
        self._reply(request, Reply(response_to(request.message, status, error_comment=comment)))

    def _reply(self, request: ServiceRequest, reply: Reply) -> None:
        self.performing -= 1
        if self.protocol.can_send:
            self.outbox.send_response(request.context.context_id, *reply)
        self.answered()

    def take_waiting(self) -> None:
        """Has the requests that wait performed, as far as it is their turn."""
        assert self.waiting is not None
        while self.waiting and self.performing < self.limit:  # nothing waits without a limit
            self.begin(self.waiting.popleft())
        if not self.waiting:
            self.association.transport.resume_reading(self)

    def settle(self) -> None:
        """Releases the association once nothing is left to do."""
        if not self.is_over and not self.performing and not self.waiting and self.outbox.is_empty:
            self.association.settle(is_asked=self.is_released)


def _is_to_be_named(message: Request) -> bool:
    """Whether the response to a request has to say which instance has been created."""
    return isinstance(message, NCreateRQ) and not message.affected_sop_instance_uid
