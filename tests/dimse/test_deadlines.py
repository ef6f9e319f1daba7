"""Every deadline, by the clock of the test: when it is, what it counts from, and what it does."""

from __future__ import annotations

import pytest

from aiodicom.dimse.command import encode_command
from aiodicom.dimse.events import Timeouts
from aiodicom.dimse.messages import CEchoRQ, CEchoRSP, CFindRQ, CFindRSP, CGetRQ, CGetRSP, CStoreRQ
from aiodicom.errors import DeadlineExceeded, LocalError
from aiodicom.standard.status import Status
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul.codec import encode
from aiodicom.ul.pdu import Abort, AssociateRJ, ReleaseRQ
from aiodicom.ul.table import State
from tests.dimse.sides import CT, PROPOSAL, STORE, VERIFY, Clock, Side, established, open_acceptor, open_requestor
from tests.ul.streams import p_data, pdv

NONE = Timeouts(artim=None, acse=None, dimse=None, idle=None)
ABORTED = encode(Abort(0, 0))


def expires(side: Side, seconds: float, what: str) -> None:
    """The association is aborted in `seconds` from now, not before, because nothing came of `what`."""
    deadline = side.clock.now + seconds
    assert side.protocol.next_deadline() == pytest.approx(deadline)
    side.sent()
    assert side.protocol.handle_timer(deadline - 0.001) is None
    assert side.sent() == b""
    ended = side.protocol.handle_timer(deadline)
    assert ended is not None
    assert isinstance(ended.error, DeadlineExceeded)
    assert ended.error.what == what
    assert side.sent() == ABORTED
    assert side.protocol.is_over
    assert side.protocol.handle_timer(deadline) is None


def answer(message_id: int) -> bytes:
    return p_data(pdv(VERIFY, 3, encode_command(CEchoRSP(message_id, Status.SUCCESS))))


def invoke(side: Side) -> int:
    message_id = side.protocol.next_message_id()
    side.protocol.send_request(VERIFY, CEchoRQ(message_id, VERIFICATION), message_id, side.clock.now)
    return message_id


# ARTIM ---------------------------------------------------------------------------------------------------------------


def test_artim_closes_when_no_associate_rq_comes() -> None:
    clock = Clock()
    scp = Side(clock, acceptor=True, timeouts=Timeouts(artim=3))
    scp.protocol.connection_made(clock.now)
    # Bytes that are no A-ASSOCIATE-RQ yet don't move it.
    for _ in range(2):
        clock.now += 1
        scp.receive(encode(PROPOSAL)[:1])
    assert scp.protocol.next_deadline() == 1003.0
    assert scp.protocol.handle_timer(1002.9) is None
    assert not scp.protocol.is_closing
    assert scp.protocol.handle_timer(1003.0) is None
    assert scp.protocol.is_closing
    assert scp.sent() == b""
    assert scp.protocol.next_deadline() is None


def test_artim_closes_when_the_peer_does_not_after_a_rejection() -> None:
    clock = Clock()
    scp = Side(clock, acceptor=True, timeouts=Timeouts(artim=3))
    scp._establish = lambda _event: scp.protocol.reject(AssociateRJ(1, 1, 1), clock.now)  # type: ignore[method-assign]
    scp.protocol.connection_made(clock.now)
    scp.receive(encode(PROPOSAL))
    assert scp.protocol.next_deadline() == 1003.0
    scp.protocol.handle_timer(1003.0)
    assert scp.protocol.is_closing


@pytest.mark.parametrize("how", ["abort", "release", "violation"])
def test_artim_closes_when_the_peer_does_not_after_the_end(how: str) -> None:
    scp = open_acceptor(timeouts=Timeouts(artim=3))
    scp.clock.now += 100
    if how == "abort":
        scp.protocol.abort(scp.clock.now)
    elif how == "release":
        scp.receive(encode(ReleaseRQ()))
        scp.protocol.respond_release(scp.clock.now)
    else:
        scp.receive(b"HTTP/1.1")
    assert scp.protocol.next_deadline() == scp.clock.now + 3
    scp.receive(b"more of it")
    assert scp.protocol.handle_timer(scp.clock.now + 2.9) is None
    assert not scp.protocol.is_closing
    assert scp.protocol.handle_timer(scp.clock.now + 3) is None
    assert scp.protocol.is_closing


# ACSE ----------------------------------------------------------------------------------------------------------------


def test_acse_for_the_answer_to_our_associate_rq() -> None:
    clock = Clock()
    scu = Side(clock, acceptor=False, timeouts=Timeouts(acse=5))
    scu.protocol.connection_made(clock.now, PROPOSAL)
    expires(scu, 5, "answer to the A-ASSOCIATE-RQ")


def test_acse_for_our_own_decision_about_an_association() -> None:
    clock = Clock()
    scp = Side(clock, acceptor=True, timeouts=Timeouts(acse=5))
    scp._establish = lambda _event: None  # type: ignore[method-assign]
    scp.protocol.connection_made(clock.now)
    scp.receive(encode(PROPOSAL))
    assert scp.protocol.state is State.Sta3
    expires(scp, 5, "decision about the association")


def test_acse_for_the_answer_to_our_release_rq() -> None:
    scu = open_requestor(timeouts=Timeouts(acse=5, idle=1, dimse=1))
    scu.protocol.release(scu.clock.now)
    expires(scu, 5, "answer to the A-RELEASE-RQ")


def test_bytes_in_place_of_an_answer_do_not_put_acse_off() -> None:
    clock = Clock()
    scu = Side(clock, acceptor=False, timeouts=Timeouts(acse=5))
    scu.protocol.connection_made(clock.now, PROPOSAL)
    for byte in b"\2\0\0\0":
        clock.now += 1
        scu.receive(bytes((byte,)))
    expires(scu, 1, "answer to the A-ASSOCIATE-RQ")


def test_data_after_our_release_rq_does_not_put_acse_off() -> None:
    scu = open_requestor(timeouts=Timeouts(acse=5))
    scu.protocol.release(scu.clock.now)
    for _ in range(4):
        scu.clock.now += 1
        scu.receive(p_data(pdv(VERIFY, 3, encode_command(CEchoRQ(1, VERIFICATION)))))
    expires(scu, 1, "answer to the A-RELEASE-RQ")


def test_acse_in_a_release_collision() -> None:
    pair = established(timeouts=Timeouts(acse=5))
    pair.acceptor.protocol.release(pair.clock.now)
    pair.acceptor.receive(encode(ReleaseRQ()))
    assert pair.acceptor.protocol.state is State.Sta10
    expires(pair.acceptor, 5, "answer to the A-RELEASE-RQ")


# DIMSE ---------------------------------------------------------------------------------------------------------------


def test_dimse_for_a_response() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7))
    assert scu.protocol.next_deadline() is None
    invoke(scu)
    expires(scu, 7, "C-ECHO response")


def test_dimse_counts_from_the_end_of_the_data_set() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7))
    scu.protocol.send_request(STORE, CStoreRQ(1, CT, "1.2.3"), None, scu.clock.now)
    for last in (False, False, True):
        scu.clock.now += 5
        scu.protocol.send_data(STORE, bytes(scu.protocol.fragment_size), is_last=last, now=scu.clock.now)
    expires(scu, 7, "C-STORE response")


def test_data_sets_of_our_responses_do_not_put_it_off() -> None:
    side = open_requestor(timeouts=Timeouts(dimse=7))
    side.protocol.send_request(STORE, CStoreRQ(1, CT, "1.2.3"), None, side.clock.now)
    side.protocol.send_data(STORE, b"data", is_last=True, now=side.clock.now)
    side.clock.now += 5
    side.protocol.send_response(VERIFY, CFindRSP(9, Status.PENDING, has_data_set=True), side.clock.now)
    side.protocol.send_data(VERIFY, b"data", is_last=True, now=side.clock.now)
    expires(side, 2, "C-STORE response")


def test_dimse_counts_from_the_last_pending_response() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7))
    find = CFindRQ(1, VERIFICATION, has_data_set=False)
    scu.protocol.send_request(VERIFY, find, None, scu.clock.now)
    for _ in range(3):
        scu.clock.now += 5
        scu.receive(p_data(pdv(VERIFY, 3, encode_command(CFindRSP(1, Status.PENDING)))))
    expires(scu, 7, "C-FIND response")


def test_the_objects_of_a_c_get_put_it_off() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7))
    scu.protocol.send_request(VERIFY, CGetRQ(1, VERIFICATION, has_data_set=False), None, scu.clock.now)
    store = CStoreRQ(1, CT, "1.2.3")
    for message in (pdv(STORE, 3, encode_command(store)), pdv(STORE, 0, b"data"), pdv(STORE, 0, b"data")):
        scu.clock.now += 5
        scu.receive(p_data(message))
    assert scu.protocol.next_deadline() == scu.clock.now + 7  # an object that stops coming is none
    scu.clock.now += 5
    scu.receive(p_data(pdv(STORE, 2, b"data")))
    assert scu.protocol.next_deadline() is None  # it is for us to answer
    invoke(scu)
    assert scu.protocol.next_deadline() == scu.clock.now + 7  # other operations have theirs
    scu.receive(answer(scu.protocol.invoked.oldest(besides=scu.protocol.retrieval).request.message_id))
    scu.clock.now += 100
    scu.protocol.respond(STORE, store, Status.SUCCESS, scu.clock.now)
    scu.clock.now += 5
    scu.protocol.send_cancel(VERIFY, 1, scu.clock.now)
    scu.clock.now += 5
    scu.receive(p_data(pdv(STORE, 3, encode_command(CStoreRQ(2, CT, "1.2.4")))))
    expires(scu, 2, "C-GET response")


def test_an_object_of_a_c_get_that_is_not_answered_does_not_hold_the_peer_up_for_ever() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7, paused=9))
    scu.protocol.send_request(VERIFY, CGetRQ(1, VERIFICATION, has_data_set=False), None, scu.clock.now)
    scu.receive(p_data(pdv(STORE, 3, encode_command(CStoreRQ(1, CT, "1.2.3")))))
    scu.protocol.held_since = scu.clock.now
    assert scu.protocol.next_deadline() == scu.clock.now + 7  # as long as it is on its way it is the peer's turn
    scu.receive(p_data(pdv(STORE, 2, b"data")))
    assert scu.protocol.next_deadline() == scu.clock.now + 9
    scu.clock.now += 5
    scu.receive(p_data(pdv(VERIFY, 3, encode_command(CGetRSP(1, Status.PENDING)))))  # which says that the peer lives
    assert scu.protocol.next_deadline() == scu.clock.now + 4
    scu.protocol.held_since = scu.clock.now
    expires(scu, 9, "answer of ours to an object of a C-GET")


def test_after_c_cancel_pending_responses_put_it_off_no_longer() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7))
    scu.protocol.send_request(VERIFY, CFindRQ(1, VERIFICATION, has_data_set=False), None, scu.clock.now)
    scu.clock.now += 5
    scu.protocol.send_cancel(VERIFY, 1, scu.clock.now)
    scu.clock.now += 5
    scu.receive(p_data(pdv(VERIFY, 3, encode_command(CFindRSP(1, Status.PENDING)))))
    expires(scu, 2, "C-FIND response")


def test_dimse_is_each_operations_own() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7))
    invoke(scu)
    for _ in range(3):
        # Others come and go meanwhile, and have data sets.
        scu.clock.now += 2
        scu.receive(answer(invoke(scu)))
        number = scu.protocol.next_message_id()
        scu.protocol.send_request(STORE, CStoreRQ(number, CT, "1.2.3"), None, scu.clock.now)
        scu.protocol.send_data(STORE, b"data", is_last=True, now=scu.clock.now)
    expires(scu, 1, "C-ECHO response")


def test_an_answer_ends_it() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7))
    first = invoke(scu)
    scu.clock.now += 5
    second = invoke(scu)
    scu.receive(answer(first))
    assert scu.protocol.next_deadline() == scu.clock.now + 7
    scu.receive(answer(second))
    assert scu.protocol.next_deadline() is None


def test_a_sign_from_elsewhere_begins_the_time_of_each_response_anew() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7))
    scu.protocol.note_progress(scu.clock.now)  # nobody waits
    invoke(scu)
    scu.clock.now += 5
    invoke(scu)
    scu.protocol.note_progress(scu.clock.now)
    expires(scu, 7, "C-ECHO response")


def test_an_early_answer_while_its_data_set_is_being_sent() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7))
    number = scu.protocol.next_message_id()
    scu.protocol.send_request(VERIFY, CEchoRQ(number, VERIFICATION), "token", scu.clock.now)
    scu.receive(answer(number))
    scu.clock.now += 5
    scu.protocol.send_data(VERIFY, b"data", is_last=True, now=scu.clock.now)
    assert scu.protocol.next_deadline() is None
    assert [event.operation.token for event in scu.take_events()] == ["token"]  # type: ignore[union-attr]


def test_bytes_of_another_kind_do_not_put_dimse_off() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7))
    invoke(scu)
    for _ in range(3):
        scu.clock.now += 2
        scu.receive(b"\4")
        scu.receive(p_data(pdv(VERIFY, 3, encode_command(CEchoRQ(1, VERIFICATION))))[1:])
        scu.protocol.send_response(VERIFY, CEchoRSP(1, Status.SUCCESS), scu.clock.now)
    expires(scu, 1, "C-ECHO response")


def test_dimse_for_a_peer_that_takes_nothing() -> None:
    scu = open_requestor(timeouts=Timeouts(dimse=7, idle=1))
    invoke(scu)
    scu.clock.now += 5
    scu.protocol.blocked_since = scu.clock.now
    # As long as it is not sent completely, the response isn't waited for.
    expires(scu, 7, "progress in sending")


def test_dimse_for_a_peer_that_takes_no_responses() -> None:
    scp = open_acceptor(timeouts=Timeouts(dimse=7))
    scp.protocol.blocked_since = scp.clock.now
    expires(scp, 7, "progress in sending")


def test_progress_ends_it() -> None:
    scp = open_acceptor(timeouts=Timeouts(dimse=7))
    scp.protocol.blocked_since = scp.clock.now
    scp.protocol.blocked_since = None
    assert scp.protocol.next_deadline() is None


# idle ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [open_acceptor, open_requestor])
def test_idle_when_nothing_comes(role: type[Side]) -> None:
    expires(role(timeouts=Timeouts(idle=9)), 9, "sign of the peer")


def test_any_byte_puts_idle_off() -> None:
    scp = open_acceptor(timeouts=Timeouts(idle=9))
    scp.clock.now += 5
    scp.receive(b"\4")
    expires(scp, 9, "sign of the peer")


def test_idle_inside_a_data_set() -> None:
    scp = open_acceptor(timeouts=Timeouts(idle=9))
    scp.receive(p_data(pdv(STORE, 3, encode_command(CStoreRQ(1, CT, "1.2.3"))), pdv(STORE, 0, b"data")))
    expires(scp, 9, "sign of the peer")


def test_not_idle_while_we_perform() -> None:
    scp = open_acceptor(timeouts=Timeouts(idle=9))
    scp.receive(p_data(pdv(VERIFY, 3, encode_command(CEchoRQ(1, VERIFICATION)))))
    assert scp.protocol.next_deadline() is None
    scp.clock.now += 100
    scp.protocol.send_response(VERIFY, CEchoRSP(1, Status.SUCCESS), scp.clock.now)
    expires(scp, 9, "sign of the peer")


def test_idle_while_we_perform_and_the_next_message_stalls() -> None:
    scp = open_acceptor(timeouts=Timeouts(idle=9))
    scp.receive(p_data(pdv(VERIFY, 3, encode_command(CEchoRQ(1, VERIFICATION)))) + b"\4")
    expires(scp, 9, "sign of the peer")


def test_not_idle_while_we_do_not_read() -> None:
    scp = open_acceptor(timeouts=Timeouts(idle=9, paused=None))
    scp.protocol.paused_since = scp.clock.now
    assert scp.protocol.next_deadline() is None
    scp.clock.now += 100
    scp.protocol.read_on(scp.clock.now)
    expires(scp, 9, "sign of the peer")


def test_a_peer_that_we_do_not_read_is_not_kept_for_ever() -> None:
    scp = open_acceptor(timeouts=Timeouts(paused=9))
    assert scp.protocol.next_deadline() is None
    scp.protocol.paused_since = scp.clock.now
    expires(scp, 9, "progress of a handler")


def test_not_idle_while_we_wait_for_a_response() -> None:
    scu = open_requestor(timeouts=Timeouts(idle=9, dimse=None))
    number = invoke(scu)
    assert scu.protocol.next_deadline() is None
    scu.clock.now += 100
    scu.receive(answer(number))
    expires(scu, 9, "sign of the peer")


# None ----------------------------------------------------------------------------------------------------------------


def test_none_waits_for_ever() -> None:
    clock = Clock()
    waiting = Side(clock, acceptor=True, timeouts=NONE)
    waiting.protocol.connection_made(clock.now)
    asking = Side(clock, acceptor=False, timeouts=NONE)
    asking.protocol.connection_made(clock.now, PROPOSAL)
    scu = open_requestor(timeouts=NONE)
    invoke(scu)
    blocked = open_acceptor(timeouts=NONE)
    blocked.protocol.blocked_since = clock.now
    releasing = open_requestor(timeouts=NONE)
    releasing.protocol.release(clock.now)
    stalled = open_acceptor(timeouts=NONE)
    stalled.receive(b"\4")
    over = open_acceptor(timeouts=NONE)
    over.protocol.abort(clock.now)
    for side in (waiting, asking, scu, blocked, releasing, stalled, over):
        side.sent()
        assert side.protocol.next_deadline() is None
        assert side.protocol.handle_timer(clock.now + 1e9) is None
        assert side.sent() == b""


def test_what_is_over_has_no_deadline_but_artim() -> None:
    scu = open_requestor(timeouts=Timeouts(artim=3, dimse=1, idle=1, acse=1))
    invoke(scu)
    scu.protocol.blocked_since = scu.clock.now
    scu.protocol.abort(scu.clock.now)
    assert scu.protocol.next_deadline() == scu.clock.now + 3
    scu.protocol.connection_lost(scu.clock.now)
    assert scu.protocol.next_deadline() is None


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), "30"])
def test_what_is_no_number_of_seconds(seconds: object) -> None:
    with pytest.raises(LocalError, match=r"for idle is none: seconds, or None"):
        Timeouts(idle=seconds)  # type: ignore[arg-type]
