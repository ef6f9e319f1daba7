"""Associations without sockets: protocols that are fed bytes, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from aiodicom.dimse.events import AcceptedContext, Ended, ProtocolEvent, RequestRefused, Timeouts
from aiodicom.dimse.messages import Message
from aiodicom.dimse.protocol import Protocol
from aiodicom.standard.uids import IMPLICIT_VR_LITTLE_ENDIAN, VERIFICATION
from aiodicom.ul._pdu import Body
from aiodicom.ul.codec import encode
from aiodicom.ul.events import AssociateConfirm, AssociateIndication
from aiodicom.ul.pdu import (
    AssociateAC,
    AssociateRQ,
    ContextResult,
    ProposedContext,
    ResultReason,
    UserInformation,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
#: Contexts 1 and 3 are accepted, 5 is not.
VERIFY, STORE, REFUSED = 1, 3, 5
PROPOSAL = AssociateRQ(
    "SCP",
    "SCU",
    tuple(
        ProposedContext(context_id, abstract_syntax, (IMPLICIT_VR_LITTLE_ENDIAN,))
        for context_id, abstract_syntax in ((VERIFY, VERIFICATION), (STORE, CT), (REFUSED, "1.2.3"))
    ),
    UserInformation(16384),
)
CONTEXTS = {
    context.context_id: AcceptedContext(
        context.context_id, context.abstract_syntax, context.transfer_syntaxes[0], as_scu=True, as_scp=True
    )
    for context in PROPOSAL.contexts
    if context.context_id != REFUSED
}


class Clock:
    """The time, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0


class Side:
    """One side of an association: its protocol, the events that it gave, what it has to say."""

    def __init__(
        self,
        clock: Clock,
        *,
        acceptor: bool,
        is_chopped: bool = False,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (immutable)
        maximum_length: int = 16384,
        open_body: Callable[[AcceptedContext, Message], Any] = lambda _context, _message: Body(),
    ) -> None:
        self.clock = clock
        self.maximum_length = maximum_length
        self.is_chopped = is_chopped
        self.events: list[ProtocolEvent] = []
        #: The requests that were answered without being performed; they are no events here.
        self.refused: list[RequestRefused] = []
        self.counters = SimpleNamespace(operations=0, failures=0)
        self.protocol = Protocol(
            acceptor=acceptor,
            timeouts=timeouts,
            maximum_length=maximum_length,
            open_body=open_body,
            counters=self.counters,
        )

    def receive(self, data: bytes) -> None:
        """Bytes have come: byte by byte, or in one piece."""
        scratch = bytearray(max(len(data), 1))
        for piece in (data[i : i + 1] for i in range(len(data))) if self.is_chopped else (data,):
            scratch[: len(piece)] = piece
            self.protocol.receive(scratch, len(piece), self.clock.now)
            while (event := self.protocol.next_event(self.clock.now)) is not None:
                if isinstance(event, RequestRefused):
                    self.refused.append(event)
                else:
                    self.events.append(event)
                    self._establish(event)
            scratch[: len(piece)] = b"\xee" * len(piece)

    def _establish(self, event: ProtocolEvent) -> None:
        if isinstance(event, AssociateIndication):
            answer = AssociateAC(
                event.pdu.called_ae_title,
                event.pdu.calling_ae_title,
                tuple(
                    ContextResult(context.context_id, ResultReason.ACCEPTANCE, context.transfer_syntaxes[0])
                    if context.context_id in CONTEXTS
                    else ContextResult(context.context_id, ResultReason.ABSTRACT_SYNTAX_NOT_SUPPORTED)
                    for context in event.pdu.contexts
                ),
                UserInformation(self.maximum_length),
            )
            self.protocol.accept(encode(answer), CONTEXTS, event.pdu.user_information.maximum_length, self.clock.now)
        elif isinstance(event, AssociateConfirm):
            self.protocol.establish(CONTEXTS, event.pdu.user_information.maximum_length)

    def sent(self) -> bytes:
        """What it has to say, which is taken."""
        return b"".join(self.protocol.take_outgoing())

    def take_events(self) -> list[ProtocolEvent]:
        """The events since the last call."""
        events, self.events = self.events, []
        return events

    @property
    def end(self) -> Ended:
        """The event that ended the association, which has to be the only one left."""
        (event,) = self.take_events()
        assert isinstance(event, Ended)
        return event


class Pair:
    """Two protocols wired back to back."""

    def __init__(self, *, is_chopped: bool = False, **options: Any) -> None:
        self.clock = Clock()
        self.requestor = Side(self.clock, acceptor=False, is_chopped=is_chopped, **options)
        self.acceptor = Side(self.clock, acceptor=True, is_chopped=is_chopped, **options)
        self.acceptor.protocol.connection_made(self.clock.now)
        proposal = replace(PROPOSAL, user_information=UserInformation(self.requestor.maximum_length))
        self.requestor.protocol.connection_made(self.clock.now, proposal)

    def pump(self) -> None:
        """Carries bytes both ways until nobody has anything to say."""
        while True:
            there, back = self.requestor.sent(), self.acceptor.sent()
            if there:
                self.acceptor.receive(there)
            if back:
                self.requestor.receive(back)
            if not there and not back:
                return


def established(**options: Any) -> Pair:
    """A pair with an open association and no event left."""
    pair = Pair(**options)
    pair.pump()
    assert [type(event) for event in pair.acceptor.take_events()] == [AssociateIndication]
    assert [type(event) for event in pair.requestor.take_events()] == [AssociateConfirm]
    return pair


def open_acceptor(**options: Any) -> Side:
    """The acceptor of an open association, to be fed by hand."""
    return established(**options).acceptor


def open_requestor(**options: Any) -> Side:
    """The requestor of an open association, to be fed by hand."""
    return established(**options).requestor


def joined(pieces: Iterable[bytes | memoryview]) -> bytes:
    """Buffers as one."""
    return b"".join(pieces)
