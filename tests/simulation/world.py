"""An acceptor's associations, peers that are a script, and a clock that jumps from one event to the next.

Each association is a `Protocol` as the engine has it; of a peer there is nothing but the bytes that it sends. What it
sends and what is due is in one queue by time, as in the engine's timer wheel: an association is there once for its
deadline, and is asked again when that comes whether it has been put off.
"""

from __future__ import annotations

import heapq
from enum import IntEnum

from aiodicom.dimse.command import encode_command
from aiodicom.dimse.events import AcceptedContext, Ended, ReleaseRequested, RequestReceived, Timeouts
from aiodicom.dimse.messages import CEchoRQ, CEchoRSP
from aiodicom.dimse.protocol import Protocol
from aiodicom.errors import DeadlineExceeded
from aiodicom.metrics import Counters
from aiodicom.standard.status import Status
from aiodicom.standard.uids import IMPLICIT_VR_LITTLE_ENDIAN, VERIFICATION
from aiodicom.ul._pdu import Body
from aiodicom.ul._pdu import encode_command as encode_command_pdus
from aiodicom.ul.codec import encode
from aiodicom.ul.events import AssociateIndication
from aiodicom.ul.pdu import (
    Abort,
    AssociateAC,
    AssociateRQ,
    ContextResult,
    ProposedContext,
    ReleaseRP,
    ReleaseRQ,
    ResultReason,
    UserInformation,
)

IDLE = 60.0
_TIMEOUTS = Timeouts(artim=30.0, acse=30.0, dimse=60.0, idle=IDLE)
_MAXIMUM_LENGTH = 16384
_FRAGMENT = 16384 - 12

PROPOSAL = encode(
    AssociateRQ(
        "SCP",
        "SCU",
        (ProposedContext(1, VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,)),),
        UserInformation(_MAXIMUM_LENGTH),
    )
)
ACCEPTANCE = encode(
    AssociateAC(
        "SCP",
        "SCU",
        (ContextResult(1, ResultReason.ACCEPTANCE, IMPLICIT_VR_LITTLE_ENDIAN),),
        UserInformation(_MAXIMUM_LENGTH),
    )
)
RELEASE, RELEASED, ABORTED = encode(ReleaseRQ()), encode(ReleaseRP()), encode(Abort(0, 0))
_CONTEXTS = {1: AcceptedContext(1, VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN, as_scu=True, as_scp=True)}


def echo_request(message_id: int) -> bytes:
    return encode_command_pdus(1, encode_command(CEchoRQ(message_id, VERIFICATION)), _FRAGMENT)


def echo_response(message_id: int) -> bytes:
    return encode_command_pdus(1, encode_command(_response(message_id)), _FRAGMENT)


def _response(message_id: int) -> CEchoRSP:
    return CEchoRSP(message_id, Status.SUCCESS, affected_sop_class_uid=VERIFICATION)


class End(IntEnum):
    """How an association has ended."""

    RELEASED = 1
    IDLE = 2
    OTHERWISE = 3


class Acceptance:
    """One association of the acceptor: its protocol, and what its peer waits for."""

    __slots__ = ("end", "ended_at", "expected", "heard_at", "protocol")

    def __init__(self, counters: Counters) -> None:
        self.protocol = Protocol(
            acceptor=True,
            counters=counters,
            timeouts=_TIMEOUTS,
            maximum_length=_MAXIMUM_LENGTH,
            open_body=lambda _context, _message: Body(),
        )
        #: What the peer has to get next; None when it may get nothing.
        self.expected: bytes | None = None
        #: When the peer last sent anything.
        self.heard_at = 0.0
        self.end: End | None = None
        self.ended_at = 0.0


class World:
    """All associations, and the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.associations: list[Acceptance] = []
        #: C-ECHO requests that peers sent, and that were performed.
        self.asked = self.answered = 0
        #: What peers got and did not expect, or (no bytes) expected and did not get.
        self.wrong: list[tuple[Acceptance, bytes]] = []
        #: How often an association was asked for its deadline.
        self.deadlines_asked = 0
        self._counters = Counters()
        self._scratch = bytearray(65536)
        self._sequence = 0
        self._queue: list[tuple[float, int, Acceptance, bytes | None, bytes | None]] = []

    # --- what peers do -----------------------------------------------------------------------------------------------

    def connect(self, at: float) -> Acceptance:
        """A peer connects and proposes."""
        association = Acceptance(self._counters)
        self.associations.append(association)
        association.protocol.connection_made(at)
        self.send(association, at, PROPOSAL, ACCEPTANCE)
        self._await_deadline(association, at)
        return association

    def echo(self, association: Acceptance, at: float, message_id: int, *, stalls: float = 0.0) -> None:
        """The peer sends a C-ECHO; half of it `stalls` seconds before the rest."""
        self.asked += 1
        request = echo_request(message_id)
        half = len(request) // 2 if stalls else 0
        if half:
            self.send(association, at, request[:half], None)
        self.send(association, at + stalls, request[half:], echo_response(message_id))

    def release(self, association: Acceptance, at: float) -> None:
        self.send(association, at, RELEASE, RELEASED)

    def send(self, association: Acceptance, at: float, data: bytes, expected: bytes | None) -> None:
        """The peer sends bytes, and expects others in return, or nothing."""
        self._schedule(at, association, data, expected)

    # --- time --------------------------------------------------------------------------------------------------------

    def run(self, until: float) -> None:
        """Lets time pass."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            self.now, _, association, data, expected = heapq.heappop(queue)
            if data is None:
                self._on_deadline(association)
            elif association.end is None:
                association.expected = expected
                association.heard_at = self.now
                self._receive(association, data)
                if association.expected is not None:
                    self.wrong.append((association, b""))
        self.now = until

    def _schedule(self, at: float, association: Acceptance, data: bytes | None, expected: bytes | None) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (at, self._sequence, association, data, expected))

    def _await_deadline(self, association: Acceptance, now: float) -> None:
        self.deadlines_asked += 1
        deadline = association.protocol.next_deadline()
        if deadline is not None:
            self._schedule(max(deadline, now), association, None, None)

    def _on_deadline(self, association: Acceptance) -> None:
        if association.end is not None:
            return
        protocol = association.protocol
        self.deadlines_asked += 1
        deadline = protocol.next_deadline()
        if deadline is not None and deadline > self.now:
            self._schedule(deadline, association, None, None)  # it was put off
            return
        association.expected = ABORTED
        ended = protocol.handle_timer(self.now)
        if ended is not None:
            self._on_end(association, ended)
        self._deliver(association)

    # --- what the acceptor does --------------------------------------------------------------------------------------

    def _receive(self, association: Acceptance, data: bytes) -> None:
        protocol, now, scratch = association.protocol, self.now, self._scratch
        scratch[: len(data)] = data
        protocol.receive(scratch, len(data), now)
        while (event := protocol.next_event(now)) is not None:
            if isinstance(event, RequestReceived):
                protocol.send_response(1, _response(event.message.message_id), now)
                self.answered += 1
            elif isinstance(event, AssociateIndication):
                protocol.accept(ACCEPTANCE, _CONTEXTS, event.pdu.user_information.maximum_length, now)
            elif isinstance(event, ReleaseRequested):
                protocol.respond_release(now)
                self._on_end(association, Ended(None))
            else:
                assert isinstance(event, Ended)
                self._on_end(association, event)
        self._deliver(association)

    def _deliver(self, association: Acceptance) -> None:
        """What the acceptor has to say reaches the peer."""
        outgoing = association.protocol.take_outgoing()
        if outgoing:
            said = b"".join(outgoing)
            if said == association.expected:
                association.expected = None
            else:
                self.wrong.append((association, said))

    def _on_end(self, association: Acceptance, ended: Ended) -> None:
        if ended.error is None:
            association.end = End.RELEASED
        else:
            association.end = End.IDLE if isinstance(ended.error, DeadlineExceeded) else End.OTHERWISE
        association.ended_at = self.now
