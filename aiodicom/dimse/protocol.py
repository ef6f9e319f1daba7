"""One association, without IO: bytes and the time go in; bytes, events and the next deadline come out.

A `Protocol` joins the state machine of PS3.8 (`aiodicom.ul.machine`) with the compiled receiver, and keeps the
operations in flight in both directions (PS3.7).  Its owner moves the bytes:

- what the transport read goes to `receive()`, then `next_event()` is called until it gives None;
- `take_outgoing()` gives what is to be written, in order;
- when `next_deadline()` has passed, `handle_timer()` is called;
- when `is_closing` is true and all is written, the transport is closed; when the transport ends, `connection_lost()`
  is called.

An event is an indication of `aiodicom.ul.events`, or one of the tuples of `aiodicom.dimse.events`.  `Ended` is always
the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiodicom.dimse.command import decode_command, encode_command
from aiodicom.dimse.events import (
    AcceptedContext,
    CancelReceived,
    Ended,
    ProtocolEvent,
    ReleaseRequested,
    RequestReceived,
    ResponseReceived,
    Timeouts,
)
from aiodicom.dimse.messages import (
    CCancelRQ,
    CEchoRQ,
    CFindRQ,
    CGetRQ,
    CMoveRQ,
    CStoreRQ,
    Message,
    Request,
    Response,
    UnrecognizedRequest,
)
from aiodicom.dimse.operations import InvokedOperations, Operation
from aiodicom.dimse.responses import response_to
from aiodicom.dimse.tracing import Tracer
from aiodicom.errors import (
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    ConnectionLost,
    DeadlineExceeded,
    DecodeError,
    ProtocolViolation,
)
from aiodicom.standard.status import Status
from aiodicom.standard.uids import is_valid_uid
from aiodicom.ul._pdu import (
    ControlPdu,
    Discard,
    ReceivedMessage,
    Receiver,
    encode_data,
    fragment_size,
)
from aiodicom.ul._pdu import encode_command as encode_command_pdus
from aiodicom.ul.events import (
    AbortIndication,
    AssociateConfirm,
    AssociateIndication,
    AssociateRejected,
    Indication,
    ProviderAbortIndication,
    ReleaseConfirm,
    ReleaseIndication,
)
from aiodicom.ul.machine import Machine
from aiodicom.ul.pdu import AbortReason, AssociateRJ, AssociateRQ, PduError, PduType
from aiodicom.ul.table import Event, State, action_of

__all__ = ["Protocol"]


#: Of C services, whose SOP class has to be the abstract syntax of their context (PS3.7 C.5.6, 0122H).
_COMPOSITE_REQUESTS = (CEchoRQ, CStoreRQ, CFindRQ, CGetRQ, CMoveRQ)
_SENDING = frozenset(state for state in State if action_of(Event.P_DATA_REQUEST, state))
_AWAITING_RELEASE = frozenset((State.Sta7, State.Sta9, State.Sta10, State.Sta11, State.Sta12))
_OVER = frozenset((State.Sta1, State.Sta2, State.Sta13))
_PENDING = frozenset((0xFF00, 0xFF01))
#: The operations that have pending responses.
_QUERY_RETRIEVE = (CFindRQ, CGetRQ, CMoveRQ)
#: Refusals that wait until a data set of ours has been sent; who causes more meanwhile is up to no good.
_MOST_HELD = 64


class Protocol:
    """One association's state: Upper Layer, messages, operations in flight, deadlines.

    `open_body(context, message)` chooses the sink for the data set of a message that is to come.
    """

    __slots__ = (
        "_body_of",
        "_held",
        "_invoked",
        "_last_activity",
        "_last_primitive",
        "_refusal",
        "_sending",
        "_timeouts",
        "_tracer",
        "blocked_since",
        "contexts",
        "decode_request",
        "fragment_size",
        "is_paused",
        "machine",
        "peer_maximum_length",
        "performing",
        "receiver",
    )

    def __init__(
        self,
        *,
        acceptor: bool,
        timeouts: Timeouts,
        maximum_length: int,
        open_body: Callable[[AcceptedContext, Message], Any],
        decode_request: Callable[[bytes], AssociateRQ] | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.machine = Machine(acceptor=acceptor, artim=timeouts.artim)
        self.receiver = Receiver(decode_command, self._open_body, maximum_length)
        self.contexts: Mapping[int, AcceptedContext] = {}
        #: What the peer can receive in one P-DATA-TF, 0 for any.
        self.peer_maximum_length = 0
        #: How many bytes of a data set go into one P-DATA-TF.
        self.fragment_size = 0
        #: Message IDs of the operations that we are performing.
        self.performing: set[int] = set()
        #: Set by the owner while it does not read: no idle timeout then.
        self.is_paused = False
        #: Set by the owner while the transport takes nothing more, to the time when that began.
        self.blocked_since: float | None = None
        self.decode_request = decode_request
        self._timeouts = timeouts
        self._body_of = open_body
        self._tracer = tracer
        self._invoked = InvokedOperations()
        self._refusal: Response | None = None
        self._held: list[tuple[int, Response]] = []
        self._last_activity = 0.0
        #: When the association's user, or the transport, last had the state machine do something.
        self._last_primitive = 0.0
        #: The operation whose data set is being sent.
        self._sending: Operation | None = None

    # --- association establishment and its end ----------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state of PS3.8 9.2."""
        return self.machine.state

    @property
    def can_send(self) -> bool:
        """Whether messages may be sent."""
        return self.machine.state in _SENDING

    @property
    def is_over(self) -> bool:
        """Whether there is no association, neither open nor on its way."""
        return self.machine.state in _OVER

    @property
    def is_closing(self) -> bool:
        """Whether the transport is to be closed once all is written."""
        return self.machine.closing

    def connection_made(self, now: float, request: AssociateRQ | None = None) -> None:
        """The transport is there: the requestor sends its `request`, the acceptor waits for one.

        Raises `LocalError` for a request that can't be encoded.
        """
        if request is None:
            self._handle(Event.TRANSPORT_CONNECT_INDICATION, now)
        else:
            self._handle(Event.A_ASSOCIATE_REQUEST, now, request)
            self._handle(Event.TRANSPORT_CONNECT_CONFIRM, now)

    def accept(
        self, response: bytes, contexts: Mapping[int, AcceptedContext], peer_maximum_length: int, now: float
    ) -> None:
        """Accepts the association with an encoded A-ASSOCIATE-AC."""
        self.fragment_size = fragment_size(peer_maximum_length)
        self._handle(Event.A_ASSOCIATE_ACCEPT, now, response)
        self.establish(contexts, peer_maximum_length)

    def establish(self, contexts: Mapping[int, AcceptedContext], peer_maximum_length: int) -> None:
        """Lets messages flow on these contexts; the requestor's call after `AssociateConfirm`.

        Raises `PduError` for a maximum length that leaves no room for data.
        """
        self.fragment_size = fragment_size(peer_maximum_length)
        self.contexts = contexts
        self.peer_maximum_length = peer_maximum_length
        self.receiver.accept_contexts(contexts)

    def reject(self, response: AssociateRJ, now: float) -> None:
        """Rejects the association."""
        self._handle(Event.A_ASSOCIATE_REJECT, now, response)

    def release(self, now: float) -> None:
        """Asks the peer to release the association; `Ended` tells when it has."""
        self._handle(Event.A_RELEASE_REQUEST, now)

    def respond_release(self, now: float) -> None:
        """Answers `ReleaseRequested`."""
        self._handle(Event.A_RELEASE_RESPONSE, now)
        self.receiver.discard()

    def abort(self, now: float) -> None:
        """Aborts the association as its service user; nothing more of the peer is heard. Does nothing when it is
        over.
        """
        if not self.is_over:
            self._handle(Event.A_ABORT_REQUEST, now)
            self.receiver.discard()

    def violated(self, error: ProtocolViolation, now: float) -> Ended:
        """Aborts the association for what the peer sent."""
        self._handle(Event.INVALID_PDU, now, reason=error.reason)
        self.receiver.discard()
        return Ended(error)

    def connection_lost(self, now: float) -> Ended | None:
        """The transport has ended. Gives `Ended` unless the association was over before."""
        indication = self.machine.transport_closed(now)
        self.receiver.discard()
        return None if indication is None else Ended(ConnectionLost("the peer closed the connection"))

    # --- bytes and time ---------------------------------------------------------------------------------------------

    def receive(self, buffer: Any, size: int, now: float) -> None:
        """Lends the first `size` bytes of `buffer` until `next_event()` gives None."""
        self._last_activity = now
        if self._tracer is not None:
            self._tracer.received(memoryview(buffer)[:size])
        self.receiver.receive(buffer, size)

    def touch(self, now: float) -> None:
        """Starts the idle time anew."""
        self._last_activity = now

    def next_event(self, now: float) -> ProtocolEvent | None:
        """Returns the next event in the bytes received, or None when all are consumed."""
        while True:
            try:
                event = self.receiver.next_event()
            except ProtocolViolation as error:
                return self.violated(error, now)
            except DecodeError as error:
                return self.violated(_invalid(f"malformed command set: {error}"), now)
            if event is None:
                return None
            if type(event) is ReceivedMessage:
                result = self._on_message(event.context_id, event.message, event.body, now)
            else:
                assert isinstance(event, ControlPdu)
                result = self._on_control(event, now)
            if result is not None:
                return result

    def take_outgoing(self) -> list[bytes | memoryview]:
        """Returns what is to be written now, oldest first, and forgets it."""
        outgoing: list[bytes | memoryview] = self.machine.outgoing  # type: ignore[assignment]
        if not outgoing:
            return outgoing
        taken = outgoing[:]
        outgoing.clear()
        if self._tracer is not None:
            for buffer in taken:
                self._tracer.sent(buffer)
        return taken

    def next_deadline(self) -> float | None:
        """Returns the earliest time at which `handle_timer()` has to be called, None for never."""
        due = [deadline for deadline, _, _ in self._deadlines()]
        if self.machine.deadline is not None:
            due.append(self.machine.deadline)
        return min(due, default=None)

    def handle_timer(self, now: float) -> Ended | None:
        """Does what is due at this time: ARTIM closes the transport, the other deadlines abort the association."""
        self.machine.handle_timer(now)
        for deadline, what, seconds in self._deadlines():
            if deadline <= now:
                self.abort(now)
                return Ended(DeadlineExceeded(what, seconds))
        return None

    def _deadlines(self) -> list[tuple[float, str, float]]:
        """Each deadline but ARTIM, which is the machine's: when, what is waited for, how long it may take."""
        timeouts = self._timeouts
        state = self.machine.state
        due: list[tuple[float, str, float]] = []
        if state in _OVER:
            return due
        if timeouts.dimse is not None and self.blocked_since is not None:
            due.append((self.blocked_since + timeouts.dimse, "progress in sending", timeouts.dimse))
        if state in _SENDING:
            oldest = self._invoked.oldest()
            if oldest is not None:
                if timeouts.dimse is not None and self.blocked_since is None:
                    due.append((oldest.started + timeouts.dimse, f"{oldest.request.SERVICE} response", timeouts.dimse))
            elif (
                timeouts.idle is not None
                and not self.is_paused
                and (self.receiver.is_incomplete or not self.performing)
            ):
                due.append((self._last_activity + timeouts.idle, "sign of the peer", timeouts.idle))
        elif timeouts.acse is not None:
            if state == State.Sta3:
                due.append((self._last_primitive + timeouts.acse, "decision about the association", timeouts.acse))
            elif state == State.Sta5:
                due.append((self._last_primitive + timeouts.acse, "answer to the A-ASSOCIATE-RQ", timeouts.acse))
            elif state in _AWAITING_RELEASE:
                due.append((self._last_primitive + timeouts.acse, "answer to the A-RELEASE-RQ", timeouts.acse))
        return due

    def _handle(self, event: Event, now: float, pdu: Any = None, reason: int = 0) -> Indication | None:
        """Passes an event to the state machine and lets the receiver follow its state."""
        indication = self.machine.handle(event, now, pdu, reason)
        self.receiver.allows_data = self.machine.allows_data
        self._last_activity = self._last_primitive = now
        return indication

    # --- messages to the peer ---------------------------------------------------------------------------------------

    def next_message_id(self) -> int:
        """Returns a message ID for the next request."""
        return self._invoked.next_message_id()

    def take_tokens(self) -> list[Any]:
        """Returns the tokens of the operations in flight, and forgets them: no response will come."""
        return [operation.token for operation in self._invoked.take()]

    def send_request(self, context_id: int, request: Request, token: Any, now: float) -> None:
        """Sends a request whose message ID came from `next_message_id()`; `token` comes back with its responses.

        Where it `has_data_set`, `send_data()` has to follow before anything else is sent.
        """
        self._send(context_id, request)
        operation = Operation(context_id, request, token, now)
        self._invoked.begin(operation)
        if request.has_data_set:
            self._sending = operation

    def send_response(self, context_id: int, response: Response, now: float) -> None:
        """Sends a response; unless its status is pending, the operation is then over."""
        self._send(context_id, response)
        self._last_activity = now
        if response.status not in _PENDING:
            self.performing.discard(response.message_id_being_responded_to)

    def send_cancel(self, context_id: int, message_id: int) -> None:
        """Sends C-CANCEL for an operation in flight (PS3.7 9.3.2.3)."""
        self._send(context_id, CCancelRQ(message_id))

    def send_data(self, context_id: int, data: Any, *, is_last: bool, now: float) -> None:
        """Sends bytes of the data set of the message begun; their number is a multiple of `fragment_size` unless
        `is_last`.
        """
        self._require_sending()
        self.machine.outgoing.extend(encode_data(context_id, data, self.fragment_size, is_last))  # type: ignore[arg-type]
        if self._sending is not None:
            self._invoked.touch(self._sending, now)  # the peer can't answer before it has everything
            if is_last:
                self._sending = None
                held, self._held = self._held, []
                for held_context_id, refusal in held:
                    self._send(held_context_id, refusal)

    def _send(self, context_id: int, message: Message) -> None:
        machine = self.machine
        if machine.state not in _SENDING:
            self._require_sending()
        machine.outgoing.append(encode_command_pdus(context_id, encode_command(message), self.fragment_size))

    def _require_sending(self) -> None:
        if self.machine.state not in _SENDING:
            raise AssociationClosed(f"the association is not open: {self.machine.state.description}")

    # --- events from the peer ---------------------------------------------------------------------------------------

    def _on_control(self, event: ControlPdu, now: float) -> ProtocolEvent | None:
        if event.body is None:
            indication = self._handle(Event.P_DATA_TF_PDU, now, reason=AbortReason.UNEXPECTED_PDU)
        elif (
            event.pdu_type == PduType.ASSOCIATE_RQ
            and self.machine.state == State.Sta2
            and self.decode_request is not None
        ):
            try:
                request = self.decode_request(event.body)
            except PduError as error:
                return self.violated(error, now)
            indication = self._handle(Event.A_ASSOCIATE_RQ_PDU, now, request)
        else:
            indication = self.machine.receive(event.pdu_type, event.body, now)
            self.receiver.allows_data = self.machine.allows_data
        if self.machine.state in _OVER:
            self.receiver.discard()
        return None if indication is None else self._on_indication(indication, now)

    def _on_indication(self, indication: Indication, now: float) -> ProtocolEvent | None:
        match indication:
            case AssociateIndication() | AssociateConfirm():
                return indication
            case AssociateRejected(pdu):
                return Ended(AssociationRejected(pdu.result, pdu.source, pdu.reason))
            case ReleaseIndication():
                # In a collision the requestor answers at once, the acceptor only after the confirmation (PS3.8
                # 7.2.2.7).
                if self.machine.state == State.Sta9:
                    self._handle(Event.A_RELEASE_RESPONSE, now)
                return ReleaseRequested() if self.machine.state == State.Sta8 else None
            case ReleaseConfirm():
                if self.machine.state == State.Sta12:
                    self.respond_release(now)
                return Ended(None)
            case AbortIndication(source, reason):
                return Ended(AssociationAborted(source, reason))
            case ProviderAbortIndication(source, reason, by_us=True, detail=detail):
                return Ended(ProtocolViolation(detail or "the peer sent a PDU that may not come now", reason))
            case ProviderAbortIndication(source, reason):
                return Ended(AssociationAborted(source, reason))
        raise AssertionError(f"{indication} does not come from a control PDU")

    def _on_message(self, context_id: int, message: Message, body: Any, now: float) -> ProtocolEvent | None:
        if not isinstance(message, Request):
            if isinstance(message, Response):
                return self._on_response(context_id, message, body, now)
            assert isinstance(message, CCancelRQ)
            return CancelReceived(message.message_id_being_responded_to)
        if self.machine.state not in _SENDING:
            return None  # we have asked for release: what the peer still asks of us can't be answered
        context = self.contexts[context_id]
        refusal = self._refuse(context, message) if body is None else self._refusal
        if refusal is not None:
            self._refusal = None
            return self._send_refusal(context_id, refusal, now)
        self.performing.add(message.message_id)
        return RequestReceived(context, message, body)

    def _send_refusal(self, context_id: int, refusal: Response, now: float) -> Ended | None:
        """Answers a request that is not performed, after the data set that may be on its way."""
        # Not as an operation's response: one with this message ID may be in flight.
        if self._sending is None:
            self._send(context_id, refusal)
        elif len(self._held) < _MOST_HELD:
            self._held.append((context_id, refusal))
        else:
            return self.violated(_unexpected("more refused requests than we answer at a time"), now)
        return None

    def _on_response(self, context_id: int, response: Response, body: Any, now: float) -> ProtocolEvent:
        message_id = response.message_id_being_responded_to
        operation = self._invoked.find(message_id)
        if operation is None:
            return self.violated(_unexpected(f"a response to message ID {message_id}, which is not in flight"), now)
        if response.SERVICE != operation.request.SERVICE:
            text = f"a {response.SERVICE} response to a {operation.request.SERVICE} request"
            return self.violated(_unexpected(text), now)
        if context_id != operation.context_id:
            text = f"a response on presentation context {context_id} to a request on {operation.context_id}"
            return self.violated(_unexpected(text), now)
        is_final = response.status not in _PENDING
        if not is_final and not isinstance(operation.request, _QUERY_RETRIEVE):
            return self.violated(_unexpected(f"a pending response to a {response.SERVICE} request"), now)
        if is_final:
            self._invoked.end(operation)
        else:
            self._invoked.touch(operation, now)
        return ResponseReceived(operation, response, body, is_final)

    def _open_body(self, context_id: int, message: Message) -> Any:
        context = self.contexts[context_id]
        if isinstance(message, Request):
            self._refusal = self._refuse(context, message)
            if self._refusal is not None or not self.can_send:
                return Discard()  # it will not be performed
        return self._body_of(context, message)

    def _refuse(self, context: AcceptedContext, request: Request) -> Response | None:
        """Returns the response to a request that is not to be performed at all (PS3.7 annex C)."""
        if request.message_id in self.performing:
            return response_to(request, Status.DUPLICATE_INVOCATION)
        if isinstance(request, _COMPOSITE_REQUESTS):
            if request.affected_sop_class_uid != context.abstract_syntax:
                return response_to(request, Status.SOP_CLASS_NOT_SUPPORTED)
            if isinstance(request, CStoreRQ):
                if not is_valid_uid(request.affected_sop_instance_uid):
                    return response_to(request, Status.INVALID_SOP_INSTANCE)
                if not request.has_data_set:
                    return response_to(request, Status.CANNOT_UNDERSTAND, error_comment="C-STORE-RQ without a data set")
        elif isinstance(request, UnrecognizedRequest):
            return response_to(request, Status.UNRECOGNIZED_OPERATION)
        return None


def _invalid(text: str) -> PduError:
    return PduError(AbortReason.INVALID_PDU_PARAMETER_VALUE, text)


def _unexpected(text: str) -> PduError:
    return PduError(AbortReason.UNEXPECTED_PDU_PARAMETER, f"the peer sent {text}")
