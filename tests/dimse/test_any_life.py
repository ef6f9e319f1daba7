"""Associations in which both sides do whatever they may at any time, while bytes are on their way in any pieces."""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodicom.dimse.events import Ended, ReleaseRequested, RequestReceived, ResponseReceived, Timeouts
from aiodicom.dimse.messages import CEchoRQ, CStoreRQ
from aiodicom.dimse.responses import response_to
from aiodicom.errors import AssociationAborted, AssociationClosed, DeadlineExceeded, LocalError, ProtocolViolation
from aiodicom.standard.status import Status
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul.events import AssociateConfirm, AssociateIndication
from aiodicom.ul.pdu import UserInformation
from aiodicom.ul.table import State
from tests.dimse.sides import CT, PROPOSAL, STORE, VERIFY, Clock, Side
from tests.ul.wire import checked


class Life:
    """One side with what it has done and what it knows."""

    def __init__(self, clock: Clock, *, acceptor: bool) -> None:
        self.side = Side(clock, acceptor=acceptor, maximum_length=100, timeouts=Timeouts(acse=30, dimse=60, idle=90))
        self.protocol = self.side.protocol
        self.acceptor = acceptor
        self.unread = b""
        self.invoked: list[Any] = []
        self.performed: list[Any] = []
        self.to_answer: deque[RequestReceived] = deque()
        self.answered: set[int] = set()
        self.end: Ended | None = None
        self.is_asked = False

    def look(self) -> None:
        """Takes in what has happened."""
        for event in self.side.take_events():
            assert self.end is None, f"{event} after the end"
            if isinstance(event, Ended):
                self.end = event
            elif isinstance(event, RequestReceived):
                self.performed.append((event.message, None if event.body is None else bytes(event.body)))
                self.to_answer.append(event)
            elif isinstance(event, ResponseReceived):
                assert event.is_final
                assert event.operation.token not in self.answered
                assert event.message.message_id_being_responded_to == event.operation.request.message_id
                self.answered.add(event.operation.token)
            elif isinstance(event, ReleaseRequested):
                self.is_asked = True
            else:
                assert isinstance(event, (AssociateIndication, AssociateConfirm))

    def act(self, action: str, size: int, clock: Clock) -> None:
        """Does one thing, if it may."""
        if action == "release" and self.protocol.state is not State.Sta6:
            with pytest.raises(LocalError):
                self.protocol.release(clock.now)
        elif action == "echo":
            request = CEchoRQ(self.protocol.next_message_id(), VERIFICATION)
            self.protocol.send_request(VERIFY, request, len(self.invoked), clock.now)
            self.invoked.append((request, None))
        elif action == "store":
            data = bytes(i & 0xFF for i in range(2 * size))
            store = CStoreRQ(self.protocol.next_message_id(), CT, f"1.2.{size}")
            self.protocol.send_request(STORE, store, len(self.invoked), clock.now)
            self.protocol.send_data(STORE, data, is_last=True, now=clock.now)
            self.invoked.append((store, data))
        elif action == "answer" and self.to_answer and self.protocol.can_send:
            self.to_answer.rotate(size)
            request_received = self.to_answer.popleft()
            response = response_to(request_received.message, Status.SUCCESS)
            self.protocol.send_response(request_received.context.context_id, response, clock.now)
        elif action == "release":
            self.protocol.release(clock.now)
        elif action == "grant" and self.is_asked and not self.protocol.is_over:
            self.protocol.respond_release(clock.now)
            self.is_asked = False
            self.end = Ended(None)
        elif action == "abort":
            if not self.protocol.is_over:
                self.end = Ended(None)
            self.protocol.abort(clock.now)
        elif action == "wait":
            clock.now += size / 3
            ended = self.protocol.handle_timer(clock.now)
            if ended is not None:
                assert self.end is None
                assert isinstance(ended.error, DeadlineExceeded)
                self.end = ended


#: As often as a life has them: most ends come in their own time.
ACTIONS = ["echo", "store", "answer", "answer", "answer", "deliver", "deliver", "deliver", "deliver"] * 4
ACTIONS += ["release", "grant", "grant", "abort", "wait", "wait"]
steps = st.lists(st.tuples(st.booleans(), st.sampled_from(ACTIONS), st.integers(0, 120)), max_size=100)


@checked(200)
@given(steps)
def test_whatever_both_sides_do(steps: list[tuple[bool, str, int]]) -> None:
    clock = Clock()
    requestor, acceptor = Life(clock, acceptor=False), Life(clock, acceptor=True)
    acceptor.protocol.connection_made(clock.now)
    requestor.protocol.connection_made(clock.now, replace(PROPOSAL, user_information=UserInformation(100)))

    def carry() -> None:
        requestor.unread += acceptor.side.sent()
        acceptor.unread += requestor.side.sent()

    def deliver(life: Life, size: int) -> None:
        life.side.receive(life.unread[:size])
        life.unread = life.unread[size:]
        life.look()

    def settle() -> None:
        while requestor.unread or acceptor.unread:
            for life in (requestor, acceptor):
                deliver(life, len(life.unread))
            carry()

    carry()
    settle()
    for is_acceptor, action, size in steps:
        life = acceptor if is_acceptor else requestor
        if action == "deliver":
            deliver(life, size * size // 10)
        else:
            with contextlib.nullcontext() if life.protocol.can_send else contextlib.suppress(AssociationClosed):
                life.act(action, size, clock)
        carry()
    settle()
    for life, peer in ((requestor, acceptor), (acceptor, requestor)):
        assert life.end is None or not isinstance(life.end.error, ProtocolViolation)
        # What has been performed is what was asked for, in that order; all of it unless the association has ended.
        assert life.performed == peer.invoked[: len(life.performed)]
        if life.end is peer.end is None and not life.is_asked and not peer.is_asked:
            if requestor.protocol.can_send and acceptor.protocol.can_send:
                assert len(life.performed) == len(peer.invoked)
            assert len(life.answered) + len(peer.to_answer) == len(peer.performed)
        if life.end is not None and isinstance(life.end.error, AssociationAborted):
            assert peer.end is not None
        assert life.protocol.is_over == (life.end is not None)
