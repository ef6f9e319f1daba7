"""One association, without IO: bytes and the time go in; bytes, events and the next deadline come out.

A `Protocol` joins the state machine of PS3.8 (`aiodicom.ul.machine`) with the messages of PS3.7, whose compiled
`Exchange` it is.  Its owner moves the bytes:

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

from aiodicom.dimse._exchange import Exchange
from aiodicom.dimse.events import (
    AcceptedContext,
    Ended,
    OperationCounters,
    ProtocolEvent,
    ReleaseRequested,
    Timeouts,
)
from aiodicom.dimse.messages import Message
from aiodicom.dimse.tracing import Tracer
from aiodicom.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectionLost,
    DeadlineExceeded,
    ProtocolViolation,
)
from aiodicom.ul._pdu import ControlPdu, fragment_size
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
from aiodicom.ul.machine import Machine, allows_data
from aiodicom.ul.pdu import AbortReason, AssociateRJ, AssociateRQ, PduError, PduType
from aiodicom.ul.table import Event, State, action_of

__all__ = ["Protocol"]


#: For each state, whether data may come and whether it may be sent.
_DATA = {state: (allows_data(state), bool(action_of(Event.P_DATA_REQUEST, state))) for state in State}
_AWAITING_RELEASE = frozenset((State.Sta7, State.Sta9, State.Sta10, State.Sta11, State.Sta12))
_OVER = frozenset((State.Sta1, State.Sta2, State.Sta13))


class Protocol(Exchange):
    """One association's state: Upper Layer, messages, operations in flight, deadlines.

    `open_body(context, message)` chooses the sink for the data set of a message that is to come; where it is None,
    `body_of` is to be set before any can come. `counters` counts the peer's operations.

    Invariants: `can_send`, `is_closing` and the receiver's `allows_data` follow the state of the machine.
    """

    __slots__ = (
        "_last_primitive",
        "_timeouts",
        "blocked_since",
        "decode_request",
        "held_since",
        "machine",
        "paused_since",
        "peer_maximum_length",
    )

    def __init__(
        self,
        *,
        acceptor: bool,
        timeouts: Timeouts,
        maximum_length: int,
        open_body: Callable[[AcceptedContext, Message], Any] | None,
        counters: OperationCounters,
        decode_request: Callable[[bytes], AssociateRQ] | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.machine = Machine(acceptor=acceptor, artim=timeouts.artim)
        super().__init__(self.machine.outgoing, counters, open_body, tracer, maximum_length)
        #: What the peer can receive in one P-DATA-TF, 0 for any.
        self.peer_maximum_length = 0
        #: Set by the owner while it does not read, to the time when that began: no idle timeout then.
        self.paused_since: float | None = None
        #: Set by the owner while the transport takes nothing more, to the time when that began.
        self.blocked_since: float | None = None
        #: Set by the owner while objects of a C-GET are neither taken nor answered, to the time when one last was.
        self.held_since: float | None = None
        self.decode_request = decode_request
        self._timeouts = timeouts
        #: When the association's user, or the transport, last had the state machine do something.
        self._last_primitive = 0.0

    # --- association establishment and its end ----------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state of PS3.8 9.2."""
        return self.machine.state

    @property
    def is_over(self) -> bool:
        """Whether there is no association, neither open nor on its way."""
        return self.machine.state in _OVER

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
        self._follow()
        self.receiver.discard()
        self.body_of = self.decode_request = None  # often bound to the owner: a cycle that ends here
        return None if indication is None else Ended(ConnectionLost("the peer closed the connection"))

    # --- bytes and time ---------------------------------------------------------------------------------------------

    def read_on(self, now: float) -> None:
        """The owner reads again: the idle time starts anew, and no response could come meanwhile."""
        if self.paused_since is not None:
            self.invoked.postpone(now - self.paused_since)
            self.paused_since = None
        self.last_activity = now

    def note_progress(self, now: float) -> None:
        """There was a sign that the peer is at work which it has not given on this association: each response that is
        waited for has its timeout from now.
        """
        oldest = self.invoked.oldest()
        if oldest is not None:
            self.invoked.postpone(now - oldest.started)

    def next_deadline(self) -> float | None:
        """Returns the earliest time at which `handle_timer()` has to be called, None for never."""
        due = [deadline for deadline, _, _ in self._deadlines()]
        if self.machine.deadline is not None:
            due.append(self.machine.deadline)
        return min(due, default=None)

    def handle_timer(self, now: float) -> Ended | None:
        """Does what is due at this time: ARTIM closes the transport, the other deadlines abort the association."""
        self.machine.handle_timer(now)
        self._follow()
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
        if timeouts.paused is not None and self.paused_since is not None:
            due.append((self.paused_since + timeouts.paused, "progress of a handler", timeouts.paused))
        if self.can_send:
            # While we have an object of a C-GET in hand, the peer waits for our answer to that.
            is_ours_to_act = bool(self.performing) and not self.receiver.is_incomplete
            if is_ours_to_act and self.held_since is not None and timeouts.paused is not None:
                what = "answer of ours to an object of a C-GET"
                due.append((self.held_since + timeouts.paused, what, timeouts.paused))
            oldest = self.invoked.oldest(besides=self.retrieval if is_ours_to_act else None)
            if oldest is not None:
                # While we don't read, no response can come.
                if timeouts.dimse is not None and self.blocked_since is None and self.paused_since is None:
                    due.append((oldest.started + timeouts.dimse, f"{oldest.request.SERVICE} response", timeouts.dimse))
            elif (
                timeouts.idle is not None
                and self.paused_since is None
                and (self.receiver.is_incomplete or not self.performing)
            ):
                due.append((self.last_activity + timeouts.idle, "sign of the peer", timeouts.idle))
        elif timeouts.acse is not None:
            if state == State.Sta3:
                due.append((self._last_primitive + timeouts.acse, "decision about the association", timeouts.acse))
            elif state == State.Sta5:
                due.append((self._last_primitive + timeouts.acse, "answer to the A-ASSOCIATE-RQ", timeouts.acse))
            elif state in _AWAITING_RELEASE:
                due.append((self._last_primitive + timeouts.acse, "answer to the A-RELEASE-RQ", timeouts.acse))
        return due

    def _handle(self, event: Event, now: float, pdu: Any = None, reason: int = 0) -> Indication | None:
        """Passes an event to the state machine."""
        indication = self.machine.handle(event, now, pdu, reason)
        self._follow()
        self.last_activity = self._last_primitive = now
        return indication

    def _follow(self) -> None:
        """The state of the machine may have changed."""
        self.receiver.allows_data, self.can_send = _DATA[self.machine.state]
        self.is_closing = self.machine.closing

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
            self._follow()
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
