"""Understands one association from a copy of the bytes that pass: no IO, no clock, and no say in anything.

The compiled receiver reads either direction; data sets are counted as they pass, and thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from aiodicom.dataset import Dataset
from aiodicom.dimse.command import decode_command
from aiodicom.dimse.messages import (
    CCancelRQ,
    CFindRQ,
    CGetRQ,
    CMoveRQ,
    CStoreRQ,
    Message,
    Request,
    Response,
)
from aiodicom.dimse.responses import sop_class_of
from aiodicom.errors import AiodicomError
from aiodicom.load.recording.trace import AssociationRecord, Context, EndRecord, OperationRecord, Record
from aiodicom.standard.status import Status, StatusCategory
from aiodicom.ul._pdu import ControlPdu, Receiver
from aiodicom.ul.codec import decode
from aiodicom.ul.negotiation import agreed_window
from aiodicom.ul.pdu import Abort, AssociateAC, AssociateRJ, AssociateRQ, ReleaseRP, ReleaseRQ

__all__ = ["Keep", "Observation", "ObjectFile"]

#: A query's or a retrieval's identifier is looked into for its level up to so many bytes.
_MOST_IDENTIFIER = 1 << 16
#: What TLS begins with (RFC 8446 5.1), which is no PDU.
_TLS_HANDSHAKE = b"\x16\x03"


class ObjectFile(Protocol):
    """Takes an object that is kept: a body sink, which must not raise."""

    @property
    def name(self) -> str:
        """The name of the file, once it is finished; empty where it could not be written."""

    def write(self, view: memoryview, /) -> object: ...

    def finish(self) -> object: ...

    def abandon(self) -> object: ...


#: Opens the file for an object: of the C-STORE request, and the transfer syntax of its context.
Keep = Callable[[CStoreRQ, str], ObjectFile]


class Observation:
    """One connection: give it what either side has sent, and the time.

    `emit` is called with each record. `name_of` says what an AE title is recorded as. `keep`, if given, opens the files
    that objects are kept in.

    Invariants: `_under_way[side]` has the operations that this side has invoked and that are not answered; there is a
    record of every operation and every association that has been seen, when the connection has `ended`.
    """

    def __init__(
        self, number: int, emit: Callable[[Record], object], name_of: Callable[[str], str], keep: Keep | None = None
    ) -> None:
        self.number = number
        #: Why the rest is not understood; empty while it is.
        self.trouble = ""
        self._emit = emit
        self._name_of = name_of
        self._keep = keep
        self._requestor = _Side(self, is_acceptor=False)
        self._acceptor = _Side(self, is_acceptor=True)
        self._proposal: AssociateRQ | None = None
        self._proposed_at = 0.0
        self._is_answered = False
        self._end = ""
        self._ended_at = 0.0
        self.contexts: dict[int, Context] = {}

    def requestor_sent(self, data: bytes, now: float) -> None:
        """Takes what the requestor has sent."""
        self._take(self._requestor, data, now)

    def acceptor_sent(self, data: bytes, now: float) -> None:
        """Takes what the acceptor has sent."""
        self._take(self._acceptor, data, now)

    def ended(self, now: float) -> None:
        """The connection is closed."""
        for side in (self._requestor, self._acceptor):
            side.end()
            for operation in side.under_way.values():
                self._emit(operation.record(self, side.is_acceptor))
            side.under_way.clear()
        if self._proposal is not None and not self._is_answered:
            self._answered(now, "no answer")
        if self._proposal is not None or self.trouble:
            self._emit(EndRecord(association=self.number, at_s=self._ended_at or now, how=self.how))

    @property
    def how(self) -> str:
        """How it has ended."""
        return self._end or (f"not understood: {self.trouble}" if self.trouble else "connection lost")

    # --- for its sides -----------------------------------------------------------------------------------------------

    def _take(self, side: _Side, data: bytes, now: float) -> None:
        if self.trouble or self._end.startswith("aborted"):
            return
        try:
            side.take(data, now)
        except Exception as error:  # whatever it is, it is no business of those who are recorded
            is_tls = self._proposal is None and data.startswith(_TLS_HANDSHAKE)
            self.trouble = "TLS" if is_tls else str(error) or type(error).__name__

    def keep(self, request: CStoreRQ, context_id: int) -> ObjectFile | None:
        """Returns the file for an object, if objects are kept."""
        return None if self._keep is None else self._keep(request, self.contexts[context_id].accepted)

    def other(self, side: _Side) -> _Side:
        """Returns the peer of a side."""
        return self._requestor if side.is_acceptor else self._acceptor

    def record(self, operation: _Operation, side: _Side) -> None:
        """An operation that a side has invoked has ended."""
        self._emit(operation.record(self, side.is_acceptor))

    def on_control(self, side: _Side, event: ControlPdu, now: float) -> None:
        """A side has sent a PDU that is no P-DATA-TF."""
        pdu = decode(event.pdu_type, event.body or b"")
        match pdu:
            case AssociateRQ():
                self._proposal = pdu
                self._proposed_at = now
                self.contexts = {
                    each.context_id: Context(each.abstract_syntax, each.transfer_syntaxes) for each in pdu.contexts
                }
            case AssociateAC():
                self._accepted(pdu, now)
            case AssociateRJ():
                self._answered(now, f"rejected {pdu.result},{pdu.source},{pdu.reason}")
                self._over("rejected", now)
            case ReleaseRQ() | ReleaseRP():
                self._over("released", now)
            case Abort():
                if self._proposal is not None and not self._is_answered:
                    self._answered(now, "aborted")
                self._over(f"aborted by the {'acceptor' if side.is_acceptor else 'requestor'}", now)

    def _accepted(self, answer: AssociateAC, now: float) -> None:
        proposed = dict(self.contexts)
        for result in answer.results:
            if result.result == 0 and result.context_id in proposed:
                known = proposed[result.context_id]
                self.contexts[result.context_id] = Context(
                    known.abstract_syntax, known.transfer_syntaxes, result.transfer_syntax
                )
        accepted = [context_id for context_id, context in self.contexts.items() if context.accepted]
        for side in (self._requestor, self._acceptor):
            side.receiver.accept_contexts(accepted)
            side.receiver.allows_data = True
        self._answered(now, "accepted", answer)

    def _answered(self, now: float, result: str, answer: AssociateAC | None = None) -> None:
        if self._proposal is None or self._is_answered:
            return
        self._is_answered = True
        asked = self._proposal.user_information
        window = agreed_window(
            asked.asynchronous_operations_window,
            None if answer is None else answer.user_information.asynchronous_operations_window,
        )
        self._emit(
            AssociationRecord(
                association=self.number,
                at_s=self._proposed_at,
                answer_s=now - self._proposed_at,
                result=result,
                calling=self._name_of(self._proposal.calling_ae_title),
                called=self._name_of(self._proposal.called_ae_title),
                contexts=tuple(self.contexts.values()),
                max_pdu=(asked.maximum_length, 0 if answer is None else answer.user_information.maximum_length),
                window=(window.invoked, window.performed),
            )
        )

    def _over(self, how: str, now: float) -> None:
        """The first that ends it counts, but an abort counts more than a release that nobody has answered."""
        if not self._end or how.startswith("aborted"):
            self._end = how
            self._ended_at = now


class _Side:
    """What one of the two sends."""

    def __init__(self, observation: Observation, *, is_acceptor: bool) -> None:
        self.is_acceptor = is_acceptor
        self.receiver = Receiver(decode_command, self._open_body, 0)
        #: What it has invoked, by message ID.
        self.under_way: dict[int, _Operation] = {}
        self._observation = observation
        self._now = 0.0
        self._incoming: _Operation | None = None

    def take(self, data: bytes, now: float) -> None:
        """Takes what it has sent. Raises `AiodicomError` for what is no DICOM."""
        self._now = now
        self.receiver.receive(data, len(data))
        while (event := self.receiver.next_event()) is not None:
            if isinstance(event, ControlPdu):
                if event.body is not None:
                    self._observation.on_control(self, event, now)
            else:
                self._on_message(event.context_id, event.message, event.body)

    def end(self) -> None:
        """Nothing more comes: a data set that is under way will not be complete."""
        self.receiver.discard()

    def _open_body(self, context_id: int, message: Message) -> Any:
        """The command set has passed; where its data set goes."""
        if isinstance(message, Request):
            self._incoming = self._begin(context_id, message)
            if isinstance(message, CStoreRQ) and (kept := self._observation.keep(message, context_id)) is not None:
                return _Counted(kept)
            if isinstance(message, (CFindRQ, CGetRQ, CMoveRQ)):
                return _Counted(_Identifier())
        return _Counted(None)

    def _begin(self, context_id: int, message: Request) -> _Operation:
        # A message ID that is used again before the answer has come: the first is answered no more.
        forgotten = self.under_way.get(message.message_id)
        if forgotten is not None:
            self._observation.record(forgotten, self)
        self.under_way[message.message_id] = operation = _Operation(context_id, message, self._now)
        return operation

    def _on_message(self, context_id: int, message: Message, body: Any) -> None:
        size = body.size if isinstance(body, _Counted) else 0
        if isinstance(message, Request):
            operation, self._incoming = self._incoming or self._begin(context_id, message), None
            operation.request_s = self._now - operation.at
            operation.request_bytes = size
            sink = body.sink if isinstance(body, _Counted) else None
            if isinstance(sink, _Identifier):
                operation.level = sink.level(self._observation.contexts[context_id].accepted)
            elif sink is not None:
                operation.file = sink.name
        elif isinstance(message, Response):
            self._on_response(message, size)
        elif isinstance(message, CCancelRQ):
            cancelled = self.under_way.get(message.message_id_being_responded_to)
            if cancelled is not None:
                cancelled.is_cancelled = True

    def _on_response(self, response: Response, size: int) -> None:
        """A response to what the other side has invoked, or to nothing."""
        other = self._observation.other(self)
        operation = other.under_way.get(response.message_id_being_responded_to)
        if operation is None:
            return
        operation.answer(response.status, size, self._now)
        if response.status.category is not StatusCategory.PENDING:
            del other.under_way[response.message_id_being_responded_to]
            self._observation.record(operation, other)


class _Operation:
    """An operation under way."""

    def __init__(self, context_id: int, request: Request, at: float) -> None:
        self.context_id = context_id
        self.service = request.SERVICE
        self.sop_class = sop_class_of(request) or ""
        self.at = at
        self.request_s = 0.0
        self.request_bytes = 0
        self.level = ""
        self.is_cancelled = False
        self.file = ""
        self._responses = 0
        self._pending = 0
        self._response_bytes = 0
        self._first_s: float | None = None
        self._last_s: float | None = None
        self._status: Status | None = None

    def answer(self, status: Status, size: int, now: float) -> None:
        """A response has passed."""
        self._response_bytes += size
        if self._first_s is None:
            self._first_s = now - self.at
        if status.category is StatusCategory.PENDING:
            self._pending += 1
        else:
            self._last_s = now - self.at
            self._status = status

    def record(self, observation: Observation, by_acceptor: bool) -> OperationRecord:
        """What there is to say of it."""
        context = observation.contexts.get(self.context_id)
        return OperationRecord(
            association=observation.number,
            service=self.service,
            at_s=self.at,
            request_s=self.request_s,
            first_response_s=self._first_s if self._pending else None,
            latency_s=self._last_s,
            status="" if self._status is None else f"{self._status:04X}",
            sop_class=self.sop_class or ("" if context is None else context.abstract_syntax),
            transfer_syntax="" if context is None else context.accepted,
            request_bytes=self.request_bytes,
            response_bytes=self._response_bytes,
            pending=self._pending,
            by_acceptor=by_acceptor,
            level=self.level,
            cancelled=self.is_cancelled,
            file=self.file,
        )


class _Counted:
    """A body sink that counts, and passes on."""

    __slots__ = ("sink", "size")

    def __init__(self, sink: ObjectFile | _Identifier | None) -> None:
        self.sink = sink
        self.size = 0

    def write(self, view: memoryview) -> None:
        self.size += len(view)
        if self.sink is not None:
            self.sink.write(view)

    def finish(self) -> None:
        if self.sink is not None:
            self.sink.finish()

    def abandon(self) -> None:
        if self.sink is not None:
            self.sink.abandon()


class _Identifier:
    """The identifier of a query or a retrieval, of which only the level is of interest."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, view: memoryview) -> None:
        if len(self._data) < _MOST_IDENTIFIER:
            self._data += view

    def finish(self) -> None:
        pass

    def abandon(self) -> None:
        pass

    def level(self, transfer_syntax: str) -> str:
        """The Query/Retrieve Level, if it is one."""
        try:
            identifier = Dataset.from_bytes(bytes(self._data), transfer_syntax, stop_before=0x00080053)
            level = str(identifier.get("QueryRetrieveLevel") or "")
        except AiodicomError:
            return ""
        # Whatever else stands there may tell of somebody.
        return level if level in ("PATIENT", "STUDY", "SERIES", "IMAGE") else ""
