"""Acceptors that break PS3.7 or PS3.8: what the SCU raises, and the A-ABORT that the acceptor gets."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import (
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    ConnectFailed,
    ConnectionLost,
    LocalError,
    ProtocolViolation,
    RemoteError,
    StatusError,
)
from tests.net.hostile import CT, PATIENCE, echo_command, timeouts
from tests.rawpeer import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    IMPLICIT,
    P_DATA_TF,
    Connection,
    Message,
    RawPeer,
    accept_pdu,
    command_set,
    p_data,
    pdu,
    response,
    ui,
    us,
)

ECHO = (aiodicom.VERIFICATION,)
UNRECOGNIZED_PDU, UNEXPECTED_PDU, UNEXPECTED_PARAMETER, INVALID_PARAMETER = 1, 2, 5, 6
ABORT_BY_USER, ABORT_BY_PROVIDER = pdu(A_ABORT, bytes(4)), pdu(A_ABORT, bytes((0, 0, 2, 6)))


def aborted_with(peer: Connection) -> tuple[int, int]:
    """Source and reason of the A-ABORT that comes next."""
    pdu_type, body = peer.receive_pdu()
    assert pdu_type == A_ABORT, pdu_type
    return body[2], body[3]


async def fails(port: int, error: type[Exception], **options: Any) -> Any:
    """What an association with one C-ECHO raises."""
    with pytest.raises(error) as raised:  # noqa: PT012
        async with asyncio.timeout(PATIENCE), aiodicom.connect("127.0.0.1", port, **options) as association:
            await association.c_echo()
            await association.c_echo()
    return raised.value


def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """A change of an A-ASSOCIATE-AC."""
    return lambda answer: answer.replace(old, new)


#: changes of an A-ASSOCIATE-AC that accepts context 1 with explicit VR little endian, and the reason of the A-ABORT
ANSWERS: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "a context never proposed": (swapped(b"\x21\0\0\x1b\x01", b"\x21\0\0\x1b\x05"), INVALID_PARAMETER),
    "a transfer syntax not proposed": (swapped(b"10008.1.2.1", b"10008.1.2.2"), INVALID_PARAMETER),
    "a result of 9": (swapped(b"\x21\0\0\x1b\x01\0\0", b"\x21\0\0\x1b\x01\0\x09"), INVALID_PARAMETER),
    "an item that overruns": (swapped(b"\x50\0\0", b"\x50\0\xff"), INVALID_PARAMETER),
    "http": (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", UNRECOGNIZED_PDU),
    "a request in place of the answer": (lambda answer: b"\x01" + answer[1:].replace(b"\x21\0", b"\x20\0"), -1),
    "data in place of the answer": (lambda _: p_data(1, echo_command()), UNEXPECTED_PDU),
    "a-release-rp": (lambda _: pdu(A_RELEASE_RP, bytes(4)), UNEXPECTED_PDU),
    "a-associate-ac of 2 MiB": (lambda _: struct.pack(">BBI", A_ASSOCIATE_AC, 0, 2 << 20), INVALID_PARAMETER),
    "an empty a-associate-ac": (lambda _: pdu(A_ASSOCIATE_AC, b""), INVALID_PARAMETER),
}


@pytest.mark.parametrize("byte_by_byte", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize(("change", "reason"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_answer_that_is_none(change: Callable[[bytes], bytes], reason: int, byte_by_byte: bool) -> None:
    seen: list[tuple[int, int]] = []

    def script(peer: Connection) -> None:
        body = peer.expect(A_ASSOCIATE_RQ)
        answer = change(accept_pdu(body))
        assert answer != accept_pdu(body)
        for piece in [answer[at : at + 1] for at in range(len(answer))] if byte_by_byte else [answer]:
            peer.send(piece)
        seen.append(aborted_with(peer))

    with RawPeer(script) as peer:
        error = await fails(peer.port, ProtocolViolation)
    assert reason == -1 or error.reason == reason
    # A peer that sends on while it is aborted may see a reset in place of the A-ABORT.
    assert seen == [(2, error.reason)] or (byte_by_byte and not seen)


@pytest.mark.parametrize("max_pdu", range(1, 8))
async def test_a_maximum_length_without_room_for_data(max_pdu: int) -> None:
    seen: list[tuple[int, int]] = []

    def script(peer: Connection) -> None:
        peer.accept(max_pdu=max_pdu)
        seen.append(aborted_with(peer))

    with RawPeer(script) as peer:
        assert (await fails(peer.port, ProtocolViolation)).reason == INVALID_PARAMETER
    assert seen == [(2, INVALID_PARAMETER)]


async def test_a_maximum_length_of_8_is_kept_to() -> None:
    def script(peer: Connection) -> None:
        peer.accept(max_pdu=8)
        command, flags = b"", 0
        while not flags & 2:
            body = peer.expect(P_DATA_TF)
            assert len(body) <= 8
            command, flags = command + body[6:], body[5]
        elements = {0x0002: ui(aiodicom.VERIFICATION), 0x0100: us(0x30), 0x0110: us(1), 0x0800: us(0x0101)}
        assert command == command_set(elements)
        peer.send(response(Message(1, elements, b"")))
        assert peer.message() is None

    with RawPeer(script) as peer:
        async with aiodicom.connect("127.0.0.1", peer.port) as association:
            assert (await association.c_echo()).status == 0


#: answers to a C-ECHO-RQ, with the reason of the A-ABORT that they get
RESPONSES: dict[str, tuple[Callable[[Message], bytes], int]] = {
    "garbage": (lambda _: b"\xffgarbage", UNRECOGNIZED_PDU),
    "wrong message id": (lambda request: response(request, message_id=77), UNEXPECTED_PARAMETER),
    "wrong command": (lambda request: response(request, field=0x8001), UNEXPECTED_PARAMETER),
    "wrong context": (lambda request: response(request, context_id=3), UNEXPECTED_PARAMETER),
    "context not accepted": (lambda request: response(request, context_id=7), INVALID_PARAMETER),
    "no status": (
        lambda _: p_data(1, command_set({0x0100: us(0x8030), 0x0120: us(1), 0x0800: us(0x101)})),
        INVALID_PARAMETER,
    ),
    "a second a-associate-ac": (lambda _: b"", UNEXPECTED_PDU),
    "a-associate-rj": (lambda _: pdu(A_ASSOCIATE_RJ, bytes((0, 1, 1, 1))), UNEXPECTED_PDU),
    "a-release-rp": (lambda _: pdu(A_RELEASE_RP, bytes(4)), UNEXPECTED_PDU),
    "larger than announced": (lambda _: struct.pack(">BBI", P_DATA_TF, 0, 131073), INVALID_PARAMETER),
}


@pytest.mark.parametrize(("answer", "reason"), RESPONSES.values(), ids=RESPONSES.keys())
async def test_a_response_that_is_none(answer: Callable[[Message], bytes], reason: int) -> None:
    seen: list[tuple[int, int]] = []

    def script(peer: Connection) -> None:
        body = peer.expect(A_ASSOCIATE_RQ)
        peer.send(accept_pdu(body))
        request = peer.message()
        assert request is not None
        peer.send(answer(request) or accept_pdu(body))
        while True:  # the answer may have been good for one C-ECHO, whose successor comes before the A-ABORT
            pdu_type, said = peer.receive_pdu()
            if pdu_type == A_ABORT:
                return seen.append((said[2], said[3]))

    with RawPeer(script) as peer:
        error = await fails(peer.port, ProtocolViolation, contexts=(aiodicom.VERIFICATION, aiodicom.VERIFICATION))
    assert error.reason == reason
    assert seen == [(2, reason)]


async def test_a_second_response_ends_the_association() -> None:
    seen: list[tuple[int, int]] = []

    def script(peer: Connection) -> None:
        peer.accept()
        request = peer.message()
        assert request is not None
        peer.send(2 * response(request))
        seen.append(aborted_with(peer))

    with RawPeer(script) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port)
        assert (await association.c_echo()).status == 0
        with pytest.raises(AssociationClosed) as failure:
            await association.c_echo()
        assert isinstance(failure.value.__cause__, ProtocolViolation)
        with pytest.raises(ProtocolViolation):
            await association.release()
    assert seen == [(2, UNEXPECTED_PARAMETER)]


async def test_a_failure_status_leaves_the_association_open() -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        statuses = iter((0x0122, 0))
        peer.serve(lambda _: next(statuses))

    with RawPeer(script) as peer:
        async with aiodicom.connect("127.0.0.1", peer.port) as association:
            with pytest.raises(StatusError) as failure:
                await association.c_echo()
            assert failure.value.status == 0x0122
            assert (await association.c_echo()).status == 0


@pytest.mark.parametrize("said", [(1, 1, 1), (1, 1, 7), (2, 3, 1), (2, 3, 2), (9, 9, 9)])
async def test_a_rejection_is_raised_and_the_connection_closed(said: tuple[int, int, int]) -> None:
    closed: list[bytes] = []

    def script(peer: Connection) -> None:
        peer.expect(A_ASSOCIATE_RQ)
        peer.send(pdu(A_ASSOCIATE_RJ, bytes((0, *said))))
        closed.append(peer.socket.recv(100))  # the requestor closes (AE-4), without a further word

    with RawPeer(script) as peer:
        error = await fails(peer.port, AssociationRejected)
    assert (error.result, error.source, error.reason) == said
    assert closed == [b""]


def at_each_step(send: Callable[[Connection], object]) -> dict[str, Callable[[Connection], None]]:
    """Scripts that do this in place of each of the acceptor's steps."""

    def answer(peer: Connection) -> None:
        peer.expect(A_ASSOCIATE_RQ)
        send(peer)

    def respond(peer: Connection) -> None:
        peer.accept()
        peer.message()
        send(peer)

    def inside(peer: Connection) -> None:
        peer.accept()
        request = peer.message()
        assert request is not None
        peer.send(response(request)[:20])
        send(peer)

    def release(peer: Connection) -> None:
        peer.accept()
        for _ in range(2):
            request = peer.message()
            assert request is not None
            peer.send(response(request))
        peer.expect(A_RELEASE_RQ)
        send(peer)

    def at_once(peer: Connection) -> None:
        send(peer)

    return {"connect": at_once, "associate": answer, "respond": respond, "inside": inside, "release": release}


@pytest.mark.parametrize(("sent", "said"), [(ABORT_BY_USER, (0, 0)), (ABORT_BY_PROVIDER, (2, 6))])
@pytest.mark.parametrize("step", ["connect", "associate", "respond", "release"])
async def test_an_abort_at_each_step(step: str, sent: bytes, said: tuple[int, int]) -> None:
    # "connect": before the A-ASSOCIATE-RQ has even been sent, perhaps
    with RawPeer(at_each_step(lambda peer: (peer.send(sent), peer.stay_silent()))[step]) as peer:
        error = await fails(peer.port, AssociationAborted)
    assert (error.source, error.reason) == said


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("step", ["connect", "associate", "respond", "inside", "release"])
async def test_a_connection_that_ends_at_each_step(step: str, how: str) -> None:
    scripts = at_each_step(lambda peer: peer.reset() if how == "reset" else None)
    with RawPeer(scripts[step]) as peer:
        error = await fails(peer.port, RemoteError)
    # A reset may come while the connection is still being made.
    assert isinstance(error, ConnectionLost) or (step == "connect" and isinstance(error, ConnectFailed))


async def test_an_acceptor_that_closes_in_place_of_answering_the_release_is_no_success() -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        peer.expect(A_RELEASE_RQ)

    with RawPeer(script) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port)
        with pytest.raises(ConnectionLost):
            await association.release()
        with pytest.raises(AssociationClosed):
            await association.c_echo()


async def test_a_request_that_an_scu_does_not_know_is_answered() -> None:
    """N-EVENT-REPORT-RQ to an SCU: 0211H (PS3.7 C.5.15), with and without a data set, and the association goes on."""
    statuses: list[int] = []

    def script(peer: Connection) -> None:
        peer.accept()
        pending = peer.message()
        assert pending is not None
        event = {0x0002: ui("1.2.3"), 0x0100: us(0x0100), 0x0110: us(9), 0x1000: ui("1.2.3.4"), 0x1002: us(1)}
        for data in (b"", b"data"):
            peer.send(p_data(1, event | {0x0800: us(1 if data else 0x0101)}, data))
            answer = peer.message()
            assert answer is not None
            assert answer.number(0x0100) == 0x8100
            assert answer.number(0x0120) == 9
            statuses.append(answer.number(0x0900))
        peer.send(response(pending))
        peer.serve()

    with RawPeer(script) as peer:
        async with aiodicom.connect("127.0.0.1", peer.port) as association:
            assert (await association.c_echo()).status == 0
    assert statuses == [0x0211, 0x0211]


async def test_a_release_collision_of_the_requestor() -> None:
    """Both sides ask for release at once: the requestor answers first (PS3.8 7.2.2.7)."""
    order: list[int] = []

    def script(peer: Connection) -> None:
        peer.accept()
        peer.expect(A_RELEASE_RQ)
        peer.send(pdu(A_RELEASE_RQ, bytes(4)))
        order.append(peer.receive_pdu()[0])
        peer.send(pdu(A_RELEASE_RP, bytes(4)))
        assert peer.socket.recv(100) == b""

    with RawPeer(script) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port)
        await association.release()
    assert order == [A_RELEASE_RP]


async def test_a_peer_that_releases_an_idle_association() -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        peer.send(pdu(A_RELEASE_RQ, bytes(4)))
        peer.expect(A_RELEASE_RP)

    with RawPeer(script) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port)
        async with asyncio.timeout(PATIENCE):
            await association.wait_closed()
        assert not association.is_open
        with pytest.raises(LocalError):
            await association.c_echo()


async def test_a_proposal_that_can_not_be_encoded_is_raised_and_closes() -> None:
    closed: list[bytes] = []
    with RawPeer(lambda peer: closed.append(peer.socket.recv(100))) as peer:
        contexts = [(aiodicom.VERIFICATION, ["1." * 30 + "2"] * 1200)]
        with pytest.raises((ValueError, LocalError)):
            async with asyncio.timeout(PATIENCE):
                await aiodicom.connect("127.0.0.1", peer.port, contexts=contexts)
        while not closed:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert closed == [b""]


async def test_an_abort_while_a_data_set_is_being_sent_closes_at_once() -> None:
    """What is unsent then is for nobody: the acceptor doesn't read it, and waits for our close."""
    may_end = threading.Event()

    def script(peer: Connection) -> None:
        peer.accept()
        peer.receive(100)
        peer.send(ABORT_BY_USER)
        may_end.wait(PATIENCE)

    with RawPeer(script) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port, contexts=[(CT, [IMPLICIT])], timeouts=timeouts())
        uids = {"sop_class_uid": CT, "sop_instance_uid": "1.2.3", "transfer_syntax": IMPLICIT}
        with pytest.raises(AssociationAborted):
            await association.c_store(bytes(32 << 20), **uids)
        async with asyncio.timeout(1.0):
            await association.wait_closed()
        may_end.set()
