"""The peer dies at each step of a query or a retrieval: who asks, who answers, who receives."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset, Destination, FindRequest, Server, Status, StoreRequest, StudyRoot, SubOperation
from aiodicom.errors import AssociationClosed, RemoteError
from tests.net.hostile import Requestor, serving, until
from tests.net.raw_scu import C_FIND_RQ, C_GET_RQ, C_MOVE_RQ, COMPLETED, QUERY, REMAINING, raw_scu
from tests.net.sides import CT, DATA, LARGE, soon
from tests.rawpeer import (
    A_ABORT,
    C_STORE_RQ,
    IMPLICIT,
    P_DATA_TF,
    Connection,
    Message,
    RawPeer,
    p_data,
    pdu,
    ui,
    us,
)

assert StudyRoot.find is not None
assert StudyRoot.get is not None
assert StudyRoot.move is not None
FIND, GET, MOVE = StudyRoot.find, StudyRoot.get, StudyRoot.move
MATCH = Dataset(StudyInstanceUID="1.2.3")
ABORT = pdu(A_ABORT, bytes(4))


# --- who asks dies ----------------------------------------------------------------------------------------------------


async def by_reset(peer: Requestor) -> None:
    peer.reset()


async def by_close(peer: Requestor) -> None:
    peer.writer.close()


async def by_abort(peer: Requestor) -> None:
    await peer.send(ABORT)
    await peer.ended()


deaths = pytest.mark.parametrize("die", [by_reset, by_close, by_abort])


class Scp(Server):
    """Answers with `things`, then waits for ever, unless it is to end; notes how its handler ends."""

    def __init__(self, *things: Any, is_ending: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.things = things
        self.is_ending = is_ending
        self.begun = 0
        self.ends: list[str] = []
        self.on_c_find(self.answer)
        self.on_c_get(self.answer)
        self.on_c_move(self.answer)
        self.on_c_store(self.store)

    async def answer(self, request: Any) -> AsyncIterator[Any]:
        self.begun += 1
        try:
            for thing in self.things:
                yield thing
            if not self.is_ending:
                await asyncio.Event().wait()
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise

    async def store(self, request: StoreRequest) -> None:
        pass


def encoded(number: int, data: bytes = DATA) -> SubOperation:
    return SubOperation(data, CT, f"1.2.{number}", IMPLICIT)


@pytest.mark.parametrize("die", [by_reset, by_close])  # there is no A-ABORT within a PDU
@pytest.mark.parametrize("size", [1, 12, 60, 120, -1])
async def test_within_its_request(die: Any, size: int) -> None:
    """In a PDU's header, in the command set, between the two, in the identifier."""
    server = Scp()
    async with serving(server) as (_, port), raw_scu(port, FIND) as scu:
        await scu.peer.send(scu.request(C_FIND_RQ)[:size])
        await die(scu.peer)
    assert server.begun == 0


@deaths
@pytest.mark.parametrize("matches", [0, 3])
async def test_before_the_next_match(die: Any, matches: int) -> None:
    server = Scp(*[MATCH] * matches)
    async with serving(server) as (_, port), raw_scu(port, FIND) as scu:
        await scu.ask(C_FIND_RQ)
        for _ in range(matches):
            assert (await scu.message()).number(0x0900) == 0xFF00
        await until(lambda: server.begun == 1)
        await die(scu.peer)
        await until(lambda: bool(server.ends))
    assert server.ends in (["CancelledError"], ["GeneratorExit"])


@deaths
async def test_without_taking_matches(die: Any) -> None:
    """The server is held up with as many as the system's buffers take."""

    async def endless(request: FindRequest) -> AsyncIterator[Dataset]:
        nonlocal count
        try:
            while True:
                count += 1
                yield large
        finally:
            ended.set()

    count, ended = 0, asyncio.Event()
    large = Dataset(StudyInstanceUID="1.2.3", StudyDescription="x" * 60_000)
    server = Server()
    server.on_c_find(endless)
    server.on_c_store(lambda request: None)
    async with serving(server) as (_, port), raw_scu(port, FIND, max_pdu=131072) as scu:
        scu.peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await scu.ask(C_FIND_RQ)
        [association] = server.associations
        await until(lambda: association.transport.is_blocked)
        if die is by_abort:  # which would read
            await scu.peer.send(ABORT)
            scu.peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        else:
            await die(scu.peer)
        await soon(ended.wait())
    assert count < 1000


@deaths
async def test_before_the_final_response(die: Any) -> None:
    """It is on its way when the peer is gone."""
    server = Scp(MATCH, is_ending=True)
    async with serving(server) as (_, port), raw_scu(port, FIND) as scu:
        await scu.ask(C_FIND_RQ)
        assert (await scu.message()).number(0x0900) == 0xFF00
        await die(scu.peer)


RECEIVES = [(3, CT, (IMPLICIT,))]


def roles(uid: str) -> bytes:
    """Role selection of one SOP class: SCP alone (PS3.7 D.3.3.4)."""
    value = struct.pack(">H", len(uid)) + uid.encode() + b"\0\1"
    return struct.pack(">BBH", 0x54, 0, len(value)) + value


@deaths
@pytest.mark.parametrize(
    "step", ["before the first object", "within an object", "with an object unanswered", "between"]
)
async def test_while_it_gets(die: Any, step: str) -> None:
    things = {
        "before the first object": [],
        "within an object": [encoded(1, LARGE * 4), encoded(2)],
        "with an object unanswered": [encoded(1), encoded(2)],
        "between": [encoded(1)],
    }[step]
    server = Scp(*things)
    async with (
        serving(server) as (_, port),
        raw_scu(port, GET, further=RECEIVES, sub_items=roles(CT)) as scu,
    ):
        await scu.ask(C_GET_RQ)
        await until(lambda: server.begun == 1)
        if step == "within an object":
            await scu.peer.expect(P_DATA_TF)
            await scu.peer.expect(P_DATA_TF)
        elif things:
            request = await scu.message()
            assert request.number(0x0100) == C_STORE_RQ
            if step == "between":
                await scu.peer.send(store_response(request))
        await die(scu.peer)
        await until(lambda: bool(server.ends))
    assert server.ends in (["CancelledError"], ["GeneratorExit"])


def store_response(request: Message) -> bytes:
    return p_data(
        request.context_id,
        {
            0x0002: request.command[0x0002],
            0x0100: us(0x8001),
            0x0120: request.command[0x0110],
            0x0800: us(0x0101),
            0x0900: us(0),
            0x1000: request.command[0x1000],
        },
    )


async def test_nothing_follows_the_final_response_when_the_handler_is_cancelled() -> None:
    """By itself: the association goes on, and the object that was on its way is answered later."""
    server = Server(pending_interval=0)

    @server.on_c_get
    async def get(request: aiodicom.GetRequest) -> AsyncIterator[SubOperation]:
        if request.message_id == 1:
            yield encoded(1)
            raise asyncio.CancelledError

    async with serving(server) as (_, port), raw_scu(port, GET, further=RECEIVES, sub_items=roles(CT)) as scu:
        await scu.ask(C_GET_RQ)
        request = await scu.message()
        assert request.number(0x0100) == C_STORE_RQ
        assert (await scu.final()).number(0x0900) == Status.UNABLE_TO_PROCESS
        await scu.peer.send(store_response(request) + scu.request(C_GET_RQ, 2))
        assert (await scu.message()).number(0x0120) == 2


@deaths
@pytest.mark.parametrize("step", ["before the first object", "with an object on its way", "after all objects"])
async def test_while_it_has_objects_moved(die: Any, step: str) -> None:
    """What is on its way arrives, the handler is cancelled, and nobody is left at the destination."""
    receiver, held = Server(), asyncio.Event()
    received: list[str] = []

    @receiver.on_c_store
    async def store(request: StoreRequest) -> None:
        received.append(request.affected_sop_instance_uid)
        if step == "with an object on its way":
            await held.wait()

    things = [] if step == "before the first object" else [encoded(1)]
    async with receiver.listen("127.0.0.1", 0) as receiving:
        server = Scp(*things, destinations={"R": Destination("127.0.0.1", receiving.port)})
        async with serving(server) as (_, port), raw_scu(port, MOVE) as scu:
            await scu.ask(C_MOVE_RQ, destination="R")
            await until(lambda: server.begun == 1 and len(received) == len(things))
            await die(scu.peer)
            await until(lambda: not server.associations)
            held.set()
            await until(lambda: bool(server.ends))
            await until(lambda: not receiver.associations)
    assert received == ["1.2.1"] * len(things)


# --- who answers dies -------------------------------------------------------------------------------------------------

Death = Callable[[Connection], None]


def reset(peer: Connection) -> None:
    peer.reset()


def close(peer: Connection) -> None:
    peer.socket.close()


def abort(peer: Connection) -> None:
    peer.send(ABORT)


scp_deaths = pytest.mark.parametrize("die", [reset, close, abort])


def pending(request: Message, data: bytes = b"", **numbers: int) -> bytes:
    """A pending response."""
    command = {
        0x0002: request.command[0x0002],
        0x0100: us(request.number(0x0100) | 0x8000),
        0x0120: request.command[0x0110],
        0x0800: us(1 if data else 0x0101),
        0x0900: us(0xFF00),
    }
    command |= {{"remaining": REMAINING, "completed": COMPLETED}[name]: us(value) for name, value in numbers.items()}
    return p_data(request.context_id, command, data)


def part_of(sent: bytes) -> bytes:
    """Without the end of its last PDU."""
    return sent[:-3]


def dying(steps: Callable[[Message], list[bytes]], die: Death) -> RawPeer:
    """An acceptor that answers with these bytes, then dies."""

    def script(peer: Connection) -> None:
        peer.accept()
        request = peer.message()
        assert request is not None
        for sent in steps(request):
            peer.send(sent)
        die(peer)

    return RawPeer(script)


async def take(things: AsyncIterator[Any], taken: list[Any]) -> None:
    """Takes what comes until the end."""
    async for thing in things:
        taken.append(thing)  # noqa: PERF401 (so that it is there when the end is an error)


FOUND = MATCH.to_bytes(IMPLICIT)


@scp_deaths
@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (lambda request: [], 0),
        (lambda request: [pending(request, FOUND)] * 3, 3),
        (lambda request: [pending(request, FOUND), pending(request, FOUND)[: -12 - len(FOUND)]], 1),
    ],
    ids=["before the first match", "between matches", "before the identifier of a match"],
)
async def test_the_scp_of_a_query(die: Death, steps: Any, expected: int) -> None:
    found: list[Any] = []
    with dying(steps, die) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port, contexts=[FIND])
        matches = association.c_find(QUERY)
        with pytest.raises(RemoteError):
            await soon(take(matches, found))
        assert matches.response is None
        await soon(association.wait_closed())
        with pytest.raises(AssociationClosed):
            association.c_find(QUERY)
    # What had come may be gone with a connection that was reset: it is the end that is never mistaken.
    assert found == [MATCH] * expected or (len(found) < expected and die is reset)


@pytest.mark.parametrize("die", [reset, close])  # there is no A-ABORT within a PDU
async def test_the_scp_of_a_query_within_a_match(die: Death) -> None:
    await test_the_scp_of_a_query(die, lambda request: [part_of(pending(request, FOUND))], 0)


def objects(*, count: int, last: Callable[[bytes], bytes] = lambda sent: sent) -> Callable[[Message], list[bytes]]:
    """C-STORE requests on context 3, all sent without waiting for an answer."""

    def steps(request: Message) -> list[bytes]:
        sent = [
            p_data(
                3,
                {
                    0x0002: ui(CT),
                    0x0100: us(C_STORE_RQ),
                    0x0110: us(n),
                    0x0700: us(0),
                    0x0800: us(1),
                    0x1000: ui(f"1.2.{n}"),
                },
                DATA,
            )
            for n in range(1, count + 1)
        ]
        return [*sent[:-1], last(sent[-1])] if sent else []

    return steps


@scp_deaths
@pytest.mark.parametrize(
    ("steps", "most"),
    [
        (objects(count=0), 0),
        (objects(count=1), 1),
        (objects(count=1, last=part_of), 0),
        (lambda request: [pending(request, remaining=2, completed=0)], 0),
    ],
    ids=["before the first object", "before the final response", "within an object", "after a pending response"],
)
async def test_the_scp_of_a_get(die: Death, steps: Any, most: int) -> None:
    got: list[Any] = []
    with dying(steps, die) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port, contexts=[GET], receives=[(CT, [IMPLICIT])])
        retrieved = association.c_get(QUERY)
        with pytest.raises((RemoteError, AssociationClosed)):
            await soon(take(retrieved, got))
        assert retrieved.result is None or retrieved.result.status == 0xFF00
        await soon(association.wait_closed())
    assert len(got) in (0, most)
    assert all(each.data == DATA for each in got)


@scp_deaths
@pytest.mark.parametrize(
    "steps",
    [
        lambda request: [],
        lambda request: [pending(request, remaining=2, completed=1)],
        lambda request: [part_of(pending(request, remaining=2, completed=1))],
    ],
    ids=["before the first response", "before the final response", "within a response"],
)
async def test_the_scp_of_a_move(die: Death, steps: Any) -> None:
    told = []
    with dying(steps, die) as peer:
        association = await aiodicom.connect("127.0.0.1", peer.port, contexts=[MOVE])
        with pytest.raises(RemoteError):
            await soon(association.c_move(QUERY, "R", on_progress=told.append))
        await soon(association.wait_closed())
    assert [(each.remaining, each.completed) for each in told] in ([], [(2, 1)])


# --- the destination dies ---------------------------------------------------------------------------------------------


def at_once(peer: Connection) -> None:
    """Before it answers the A-ASSOCIATE-RQ."""


def accepted(peer: Connection) -> None:
    peer.accept()


def within_an_object(peer: Connection) -> None:
    peer.accept()
    peer.expect(P_DATA_TF)
    peer.receive(100)


def before_its_answer(peer: Connection) -> None:
    peer.accept()
    peer.message()


def within_its_answer(peer: Connection) -> None:
    peer.accept()
    request = peer.message()
    assert request is not None
    peer.send(store_response(request)[:20])


@scp_deaths
@pytest.mark.parametrize("step", [at_once, accepted, within_an_object, before_its_answer, within_its_answer])
async def test_the_destination_of_a_move(die: Death, step: Callable[[Connection], None]) -> None:
    """Every time: nothing is counted that it has not acknowledged, and who asked is told."""

    def script(peer: Connection) -> None:
        step(peer)
        die(peer)

    with RawPeer(script) as destination:
        server = Scp(
            encoded(1, LARGE),
            encoded(2, LARGE),
            is_ending=True,
            destinations={"R": Destination("127.0.0.1", destination.port, associations=2)},
        )
        async with serving(server) as (_, port), aiodicom.connect("127.0.0.1", port, contexts=[MOVE]) as association:
            with pytest.raises(aiodicom.errors.StatusError) as caught:
                await soon(association.c_move(QUERY, "R"))
    assert caught.value.status == 0xA702
    result: Any = caught.value.response
    assert (result.completed, result.failed, result.warning) == (0, 2, 0)
    assert sorted(result.failed_sop_instance_uids) == ["1.2.1", "1.2.2"]
