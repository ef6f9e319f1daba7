"""One association as its users see it: the operations of an SCU, and its end."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Self

from aiodicom.dimse.events import (
    AcceptedContext,
    CancelReceived,
    Ended,
    ProtocolEvent,
    ReleaseRequested,
    RequestReceived,
    RequestRefused,
    ResponseReceived,
    Timeouts,
)
from aiodicom.dimse.protocol import Protocol
from aiodicom.dimse.tracing import Tracer, printable
from aiodicom.errors import (
    REJECT_REASONS,
    AssociationClosed,
    AssociationRejected,
    ConnectionLost,
    ProtocolViolation,
    RemoteError,
)
from aiodicom.metrics import Counters
from aiodicom.net.handlers import Handlers
from aiodicom.net.invoker import Invoker
from aiodicom.net.operations import Operations
from aiodicom.net.outbox import Outbox
from aiodicom.net.performer import Performer
from aiodicom.net.transport import Transport
from aiodicom.ul._pdu import Budget
from aiodicom.ul.events import AssociateConfirm, AssociateIndication
from aiodicom.ul.pdu import AssociateRJ, AssociateRQ, AsynchronousOperationsWindow, ContextResult, UserIdentity
from aiodicom.ul.table import State

__all__ = ["Association", "Establish"]

_log = logging.getLogger("aiodicom.association")
_numbers = itertools.count(1)

#: Looking up a member of an enumeration takes as long as the rest of `is_open`, which is asked for every operation.
_OPEN = State.Sta6

#: How long the end of an association waits for the peer to close before the socket is closed regardless, in seconds.
_CLOSE_GRACE = 2.0

_NOTHING: Mapping[str, bytes] = MappingProxyType({})

#: What a new association does with the peer's proposal, or with the answer to its own: (association, PDU, now).
Establish = Callable[["Association", Any, float], None]


class Association(Operations):
    """A DICOM association, from its transport connection to its end.

    `aiodicom.connect` gives one that is open; the handlers of a `Server` see theirs. The operations of an SCU may be
    called from several tasks: up to `window` of them are outstanding, the others wait for their turn in order.
    """

    __slots__ = (
        "_closed",
        "_counters",
        "_end_reason",
        "_ended",
        "_establish",
        "_invoker",
        "_is_counted",
        "_is_ended",
        "_loop",
        "_on_closed",
        "_on_connected",
        "_on_end",
        "_opened",
        "_outbox",
        "_performer",
        "_protocol",
        "_window",
        "budget",
        "called_aet",
        "calling_aet",
        "context_results",
        "extended_negotiation",
        "id",
        "proposal",
        "transport",
        "user_identity_response",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        timeouts: Timeouts,
        *,
        acceptor: bool,
        maximum_length: int,
        establish: Establish,
        handlers: Handlers,
        counters: Counters,
        budget: Budget,
        decode_request: Callable[[bytes], AssociateRQ] | None = None,
        on_connected: Callable[[Association], None] | None = None,
        on_end: Callable[[], None] | None = None,
        on_closed: Callable[[Association], None] | None = None,
    ) -> None:
        #: A number that no other association of this process has; logs name it.
        self.id = next(_numbers)
        self.calling_aet = ""
        self.called_aet = ""
        #: What the data sets that arrive take their memory from.
        self.budget = budget
        #: What the requestor proposed, once that is known.
        self.proposal: AssociateRQ | None = None
        #: What the acceptor answered to each proposed context, in that order: its transfer syntax, or why it was
        #: refused (PS3.8 9.3.3.2). Empty until the association is open.
        self.context_results: tuple[ContextResult, ...] = ()
        #: What the acceptor answered in SOP class extended negotiation, by SOP class UID (PS3.7 D.3.3.5):
        #: `QueryRetrieveExtended` and its like decode it. What is missing was not asked, or not answered.
        self.extended_negotiation: Mapping[str, bytes] = _NOTHING
        #: What the acceptor answered to the requestor's user identity (PS3.7 D.3.3.7.2): empty for user names. None
        #: where no positive response was asked for, and where none came: then nobody has looked at the identity.
        self.user_identity_response: bytes | None = None
        self._loop = loop
        self._protocol = Protocol(
            acceptor=acceptor,
            timeouts=timeouts,
            maximum_length=maximum_length,
            open_body=None,  # as the performer, which has it, has this protocol
            counters=counters,
            decode_request=decode_request,
            tracer=Tracer(self._trace) if _log.isEnabledFor(logging.DEBUG) else None,
        )
        self.transport = Transport(loop, self._protocol, self, timeouts)
        self._outbox = Outbox(loop, self._protocol, self.transport)
        self._performer = Performer(self, self._protocol, handlers, self._outbox)
        self._protocol.body_of = self._performer.open_body
        #: Made when an operation is invoked, which most acceptors never do; with how many may be outstanding then.
        self._invoker: Invoker | None = None
        self._window = 1
        self._establish: Establish | None = establish
        self._counters = counters
        self._is_counted = False
        self._is_ended = False
        self._on_connected = on_connected
        self._on_end = on_end
        self._on_closed = on_closed
        self._end_reason: Exception | None = None
        self._opened: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None

    # --- what it is -------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether operations can be invoked."""
        return self._protocol.machine.state is _OPEN

    @property
    def contexts(self) -> Mapping[int, AcceptedContext]:
        """The accepted presentation contexts by their ID."""
        return self._protocol.contexts

    @property
    def max_pdu(self) -> int:
        """The largest P-DATA-TF that the peer receives, in bytes; 0 for any."""
        return self._protocol.peer_maximum_length

    @property
    def window(self) -> int:
        """How many operations we may have outstanding with the peer (PS3.7 D.3.3.3); 0 for any number."""
        return self._window

    @property
    def outstanding(self) -> int:
        """How many operations that we have invoked are not answered yet, or wait to be sent."""
        return 0 if self._invoker is None else self._invoker.turns.taken

    @property
    def user_identity(self) -> UserIdentity | None:
        """Who the requestor said its user is (PS3.7 D.3.3.7); verified by `Server.on_user_identity` alone."""
        return None if self.proposal is None else self.proposal.user_information.user_identity

    @property
    def peer(self) -> str:
        """The peer's address, such as ``192.0.2.1:104``."""
        return self.transport.address("peername")

    @property
    def is_acceptor(self) -> bool:
        """Whether the peer has requested the association."""
        return self._protocol.machine.acceptor

    @property
    def local(self) -> str:
        """Our own address."""
        return self.transport.address("sockname")

    @property
    def certificate(self) -> dict[str, Any] | None:
        """The peer's certificate as `ssl.SSLSocket.getpeercert` gives it; None without TLS or without a certificate."""
        return self.transport.certificate

    def accepted(self, abstract_syntax: str) -> list[AcceptedContext]:
        """Returns the accepted presentation contexts of an abstract syntax, in the order of their proposal."""
        return [context for context in self.contexts.values() if context.abstract_syntax == abstract_syntax]

    def __repr__(self) -> str:
        titles = f"{self.calling_aet or '?'} to {self.called_aet or '?'}"
        return f"<Association {self.id} {titles}: {self._protocol.state.description}>"

    # --- for its operations -----------------------------------------------------------------------------------------

    @property
    def performer(self) -> Performer:
        """What performs the requests of the peer."""
        return self._performer

    @property
    def invoker(self) -> Invoker:
        """What sends requests to the peer."""
        if self._invoker is None:
            self._invoker = Invoker(self, self._performer, self._outbox, self._window)
        return self._invoker

    @property
    def is_blocked(self) -> bool:
        """Whether the peer takes less than is written."""
        return self.transport.is_blocked

    @property
    def sends_files(self) -> bool:
        """Whether parts of files are sent without being read."""
        return self.transport.sends_files

    def when_drained(self, told: Callable[[], object]) -> None:
        """Has `told` called when the peer no longer takes less than is written, or the association is over."""
        self.transport.when_drained(told)

    def note_progress(self) -> None:
        """Says that the peer is at work, as is known from elsewhere: `Timeouts.dimse` begins anew.

        Such as when an object of a C-MOVE has arrived that the peer sends on an association of its own: some peers send
        no pending responses, and are silent on this one until the last object has gone.
        """
        self._protocol.note_progress(self._loop.time())

    # --- its end ----------------------------------------------------------------------------------------------------

    async def release(self) -> None:
        """Waits for the operations in flight, releases the association (PS3.8 7.2) and waits until the connection is
        closed.

        Raises the `RemoteError` that ended the association instead. Cancelled, it is aborted. Harmless when it is over.
        """
        try:
            while self.is_open and self.outstanding:
                await self.invoker.turns.all_given()
            if self.is_open:
                self._protocol.release(self._loop.time())
                self.transport.flush()
            if not self._is_ended:
                await asyncio.shield(self._future("_ended"))
            await self.wait_closed()
        except asyncio.CancelledError:
            self.abort()
            raise
        if isinstance(self._end_reason, RemoteError):
            raise self._end_reason

    def abort(self) -> None:
        """Aborts the association (PS3.8 7.3); operations in flight raise `AssociationClosed`. Harmless when it is
        over.
        """
        self._protocol.abort(self._loop.time())
        self.transport.flush()
        self._end(AssociationClosed("the association was aborted on this side"))

    async def wait_closed(self) -> None:
        """Waits until the connection is closed; when the association is over, for a moment only. Cancelling changes
        nothing.
        """
        if self.transport.is_closed:
            return
        grace = self._loop.call_later(_CLOSE_GRACE, self.transport.close_now) if self._protocol.is_over else None
        try:
            await asyncio.shield(self._future("_closed"))
        finally:
            if grace is not None:
                grace.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.release()
        else:
            self.abort()
            await self.wait_closed()

    # --- for the engine: establishing it ----------------------------------------------------------------------------

    def establish(
        self,
        contexts: Mapping[int, AcceptedContext],
        peer_maximum_length: int,
        window: AsynchronousOperationsWindow,
        response: bytes | None = None,
    ) -> None:
        """Opens the association: as the acceptor, with the encoded A-ASSOCIATE-AC that is then sent.

        `window` is from our side. Raises `ProtocolViolation` for a maximum length that leaves no room for data.
        """
        if response is None:
            self._protocol.establish(contexts, peer_maximum_length)
        else:
            self._protocol.accept(response, contexts, peer_maximum_length, self._loop.time())
        self._window = window.invoked
        self._performer.limit = window.performed
        self._establish = None
        if self._opened is not None:
            self._opened.set_result(None)
        self._is_counted = True
        self._counters.association_opened()
        self.log(
            logging.INFO,
            "association established: %d of %d presentation contexts accepted",
            len(contexts),
            len(self.context_results),
        )
        self.transport.flush()

    def reject(self, rejection: AssociateRJ) -> None:
        """Answers the proposal with A-ASSOCIATE-RJ."""
        self._protocol.reject(rejection, self._loop.time())
        self._establish = None
        self._counters.rejections += 1
        codes = (rejection.result, rejection.source, rejection.reason)
        why = REJECT_REASONS.get(codes[1:], "for a reason of its own")
        self.log(logging.INFO, "rejected with result %d, source %d, reason %d: %s", *codes, why)
        self.transport.flush()
        self._end(AssociationRejected(*codes))

    async def wait_established(self) -> None:
        """Waits until the association is open. Raises why it isn't."""
        if self._establish is not None and not self._is_ended:
            await asyncio.shield(self._future("_opened"))
        if self._end_reason is not None:
            raise self._end_reason

    def finish(self) -> None:
        """Lets what runs end, then releases the association."""
        if self._protocol.state in (State.Sta1, State.Sta2, State.Sta3):
            self.abort()
            self.transport.close_now()
        else:
            self._performer.finish()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the association lives in."""
        return self._loop

    @property
    def state(self) -> State:
        """The state of PS3.8 9.2."""
        return self._protocol.state

    def own(self, task: asyncio.Future[None]) -> None:
        """Has a task, or a future, cancelled when the association ends."""
        self._performer.own(task)

    def violated(self, error: ProtocolViolation) -> None:
        """Aborts for what the peer proposed or answered."""
        self._end(self._protocol.violated(error, self._loop.time()).error)
        self.transport.flush()

    @property
    def expected_body_size(self) -> int:
        """How large the next data set may be, in bytes: as large as the last one."""
        return self._performer.last_body_size

    def settle(self, *, is_asked: bool) -> None:
        """Everything is answered: grant the release that the peer has asked for, or ask for it."""
        now = self._loop.time()
        if is_asked and self._protocol.state is State.Sta8:
            self._protocol.respond_release(now)
            self.transport.flush()
            self._end(None)
        elif not is_asked and self.is_open and not self._protocol.receiver.is_incomplete:
            self._protocol.release(now)
            self.transport.flush()

    def log(self, level: int, message: str, *arguments: object, error: BaseException | None = None) -> None:
        """Logs a line with what identifies the association; never with what a data set or a command set holds."""
        if _log.isEnabledFor(level):
            # The titles are what a stranger sent.
            calling, called = printable(self.calling_aet), printable(self.called_aet)
            _log.log(
                level,
                f"[%d %s %s>%s] {message}",
                self.id,
                self.peer,
                calling,
                called,
                *arguments,
                exc_info=error,
                extra={"association": self.id, "peer": self.peer, "calling_aet": calling, "called_aet": called},
            )

    # --- for the transport: what happens ----------------------------------------------------------------------------

    def on_connected(self, transport: Transport) -> None:
        """The transport is connected: the requestor sends its `proposal`, the acceptor waits for one."""
        try:
            # At once: what the peer sends of its own accord may be read before anybody who awaits the connection runs.
            self._protocol.connection_made(self._loop.time(), self.proposal)
        except Exception as error:  # a proposal that can't be encoded
            self._end(error)
            transport.close_now()
        if self._on_connected is not None:
            self._on_connected(self)
            self._on_connected = None

    def on_event(self, event: ProtocolEvent, now: float) -> None:
        """The protocol has given an event."""
        kind = type(event)
        if kind is RequestReceived:
            self._performer.on_request(event)  # type: ignore[arg-type]
        elif kind is ResponseReceived:
            self.invoker.on_response(event)  # type: ignore[arg-type]
        elif kind is RequestRefused:
            self._performer.on_refused(event)  # type: ignore[arg-type]
        elif kind is CancelReceived:
            self.on_cancel(event.message_id)  # type: ignore[union-attr]
        elif isinstance(event, Ended):
            self._end(event.error)
        elif isinstance(event, ReleaseRequested):
            self._performer.on_release()
        elif isinstance(event, (AssociateIndication, AssociateConfirm)):
            assert self._establish is not None
            self._establish(self, event.pdu, now)

    def on_cancel(self, message_id: int) -> None:
        """The peer wants no more of an operation."""
        self._performer.on_cancel(message_id)

    def on_gone(self, error: RemoteError) -> None:
        """The peer has left while it was not listened to."""
        self._protocol.abort(self._loop.time())
        self._end(error)

    def on_closed(self) -> None:
        """The socket is closed."""
        self._end(None)
        self._performer.detach()
        self._invoker = None  # which has this association: a cycle that ends here, as the performer's does
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        if self._on_closed is not None:
            self._on_closed(self)
            self._on_closed = None

    def _end(self, error: Exception | None) -> None:
        """The association is over: everybody who waits on it learns why."""
        if self._is_ended:
            return
        self._is_ended = True
        self._end_reason = error
        if self._on_end is not None:
            self._on_end()
            self._on_end = None
        if self._is_counted:
            self._counters.associations_open -= 1
            self._counters.aborts += error is not None
            self.log(logging.INFO, "association released" if error is None else "association ended: %s", *_some(error))
        elif isinstance(error, ProtocolViolation):  # who only connects and leaves, such as a load balancer, is not news
            self.log(logging.INFO, "no association: %s", error)
        reason: Exception | None = None
        if self._invoker is not None:
            reason = error if error is not None else self.why_closed()
            self._invoker.fail(reason)
        self._outbox.end()
        self.transport.wake()
        self._performer.end()
        self.transport.forget_pauses()
        for future in (self._opened, self._ended):
            if future is not None and not future.done():
                future.set_result(None)
        if reason is not None and (tokens := self._protocol.take_tokens()):  # last, for some do something about it
            if error is None and self._performer.is_released:
                reason = ConnectionLost("the peer released the association before it had answered")
            for token in tokens:
                if not token.done():
                    token.set_exception(reason)

    def why_closed(self) -> AssociationClosed:
        """Returns what operations raise once the association is over."""
        why = AssociationClosed(f"the association is over: {self._end_reason or 'it was released'}")
        why.__cause__ = self._end_reason
        return why

    def _future(self, name: str) -> asyncio.Future[None]:
        future: asyncio.Future[None] | None = getattr(self, name)
        if future is None:
            future = self._loop.create_future()
            setattr(self, name, future)
        return future

    def _trace(self, line: str) -> None:
        self.log(logging.DEBUG, "%s", line)


def _some(value: object) -> tuple[object, ...]:
    return () if value is None else (value,)
