"""Several operations outstanding at once (PS3.7 D.3.3.3), as SCU and as SCP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import aiodicom
from aiodicom.dimse.messages import CEchoRSP
from aiodicom.errors import AssociationClosed, LocalError
from aiodicom.net.window import Window
from aiodicom.ul.pdu import AssociateAC, ReleaseRP
from tests.net.recording import Recording
from tests.net.sides import CT_UIDS, DATA, LARGE, RELEASE, Requestor, connect, echo, soon, store, until
from tests.rawpeer import Connection, Message, RawPeer, response


class Held:
    """A handler of C-ECHO that answers when it is told to."""

    def __init__(self, server: aiodicom.Server) -> None:
        self.running: dict[int, asyncio.Future[None]] = {}
        self.most = 0
        self.order: list[int] = []
        server.on_c_echo(self)

    async def __call__(self, request: aiodicom.EchoRequest) -> None:
        self.order.append(request.message_id)
        self.running[request.message_id] = waiting = asyncio.get_running_loop().create_future()
        self.most = max(self.most, len(self.running))
        try:
            await waiting
        finally:
            del self.running[request.message_id]


async def test_requests_of_one_turn_of_the_loop_leave_together() -> None:
    """The first at once, so that the peer can begin; a large one takes along those that were before it."""
    server = aiodicom.Server()
    server.on_c_store(lambda _request: None)
    held = Held(server)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, window=8) as association:
        writes = Recording(association).writes
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(soon(association.c_echo()))
            tasks.create_task(soon(association.c_store(LARGE[:100_000], **CT_UIDS)))
            tasks.create_task(soon(association.c_echo()))
            tasks.create_task(soon(association.c_store(DATA, **CT_UIDS)))
            await until(lambda: len(held.running) == 4)
            # Commands alone, then with data sets: a large one in pieces of its own, a short one in that of its command.
            assert [len(buffers) for buffers in writes] == [1, 3 + 2 * len(range(0, 100_000, 131_066)), 1 + 1]
            for waiting in held.running.values():
                waiting.set_result(None)


async def test_requests_wait_in_order_while_the_peer_takes_nothing() -> None:
    server = aiodicom.Server()
    stored: list[str] = []
    server.on_c_store(lambda request: stored.append(request.affected_sop_instance_uid))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, window=8) as association:
        writes = Recording(association).writes
        association.transport.pause_writing()
        operations = [
            asyncio.ensure_future(association.c_store(DATA, **CT_UIDS | {"sop_instance_uid": f"1.2.{number}"}))
            for number in range(1, 7)
        ]
        await asyncio.sleep(0)
        # The one that waits for the peer, and one that waits for that one.
        operations[0].cancel()
        operations[2].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not writes
        association.transport.resume_writing()
        outcomes = await soon(asyncio.gather(*operations, return_exceptions=True))
        assert [type(outcome) for outcome in outcomes].count(asyncio.CancelledError) == 2
        assert (await soon(association.c_echo())).status == 0
    assert stored == ["1.2.2", "1.2.4", "1.2.5", "1.2.6"]


async def test_those_that_wait_for_the_peer_hear_of_the_end() -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, window=8) as association:
        association.transport.pause_writing()
        operations = [asyncio.ensure_future(association.c_echo()) for _ in range(3)]
        await asyncio.sleep(0)
        association.abort()
        for operation in operations:
            with pytest.raises(AssociationClosed):
                await soon(operation)


async def test_a_request_without_others_leaves_at_once() -> None:
    server = aiodicom.Server()
    server.on_c_store(lambda _request: None)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, window=8) as association:
        writes = Recording(association).writes
        for number in range(3):
            await soon(association.c_store(DATA, **CT_UIDS))
            assert len(writes) == number + 1


async def test_what_was_to_leave_when_the_association_was_aborted() -> None:
    server = aiodicom.Server()
    Held(server)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, window=8) as association:
        operations = [asyncio.ensure_future(association.c_echo()) for _ in range(3)]
        asyncio.get_running_loop().call_soon(association.abort)  # after they have begun, before the gathered is written
        for operation in operations:
            with pytest.raises(AssociationClosed):
                await soon(operation)


@pytest.mark.parametrize(
    ("wanted", "limit", "agreed"), [(1, 16, 1), (4, 16, 4), (40, 16, 16), (0, 16, 16), (0, 0, 0), (3, 0, 3), (5, 1, 1)]
)
async def test_the_window_is_the_smaller_wish(wanted: int, limit: int, agreed: int) -> None:
    server = aiodicom.Server(window=limit)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, window=wanted) as association:
        assert association.window == agreed
        await association.c_echo()
    for wrong in (-1, 65536):
        with pytest.raises(LocalError):
            aiodicom.connect("127.0.0.1", window=wrong)


async def test_who_proposes_no_window_is_answered_none() -> None:
    async with aiodicom.Server().listen("127.0.0.1", 0) as listening:
        for proposed, answered in ((None, None), ((0, 0), (32, 32)), ((3, 70), (3, 32)), ((3, 7), (3, 7))):
            async with await Requestor.connect(listening.port, window=proposed) as requestor:
                answer = await requestor.pdu()
                assert isinstance(answer, AssociateAC)
                window = answer.user_information.asynchronous_operations_window
                assert (window and (window.invoked, window.performed)) == answered


def test_without_a_window_none_is_proposed(run: Any) -> None:
    def script(peer: Connection) -> None:
        # An answer to what was not proposed changes nothing.
        request = peer.accept(window=(8, 8))
        assert request.window is None
        peer.serve()

    async def main(port: int) -> None:
        async with connect(port) as association:
            assert association.window == 1

    with RawPeer(script) as peer:
        run(main(peer.port))


def test_responses_come_in_any_order(run: Any) -> None:
    most = 0

    def script(peer: Connection) -> None:
        nonlocal most
        assert peer.accept(window=(5, 1)).window == (5, 1)
        for _ in range(2):
            requests: list[Message] = []
            while len(requests) < 5:
                received = peer.message()
                assert received is not None
                requests.append(received)
            most = len(requests)
            for number, request in enumerate(reversed(requests)):
                peer.send(response(request, status=0xB000 + request.number(0x0110), comment=str(number)))
        assert peer.message() is None

    async def main(port: int) -> None:
        async with connect(port, window=5) as association:
            done: list[int] = []

            async def one(number: int) -> int:
                answer = await association.c_echo()
                done.append(number)
                assert answer.status == 0xB000 + answer.message_id_being_responded_to
                return answer.message_id_being_responded_to

            answered = await soon(asyncio.gather(*(one(number) for number in range(10))))
            # Each caller has the response to its own request; those of one window in the order of the answers.
            assert answered == list(range(1, 11))
            assert done == [4, 3, 2, 1, 0, 9, 8, 7, 6, 5]

    with RawPeer(script) as peer:
        run(main(peer.port))
    assert most == 5


@pytest.mark.parametrize("window", [1, 3])
async def test_callers_beyond_the_window_wait_in_their_order(window: int) -> None:
    server = aiodicom.Server()
    held = Held(server)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, window=window) as association:
        done: list[int] = []

        async def one(number: int) -> None:
            await association.c_echo()
            done.append(number)

        callers = [asyncio.create_task(one(number)) for number in range(8)]
        for answered in range(8):
            expected = min(window, 8 - answered)
            await until(lambda expected=expected: len(held.running) == expected)
            held.running[min(held.running)].set_result(None)
            await until(lambda answered=answered: len(done) == answered + 1)
        await asyncio.gather(*callers)
    assert done == list(range(8))
    assert held.order == list(range(1, 9))
    assert held.most == window


async def test_a_cancelled_waiter_costs_nobody_a_turn() -> None:
    server = aiodicom.Server()
    held = Held(server)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        first, second, third, fourth = (asyncio.create_task(association.c_echo()) for _ in range(4))
        await until(lambda: held.running)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        # The third is cancelled at the very moment at which its turn comes.
        first.add_done_callback(lambda _: third.cancel())
        held.running[1].set_result(None)
        await soon(first)
        with pytest.raises(asyncio.CancelledError):
            await third
        while not fourth.done():
            await until(lambda: held.running or fourth.done())
            for waiting in held.running.values():
                waiting.set_result(None)
            await until(lambda: not held.running)
        assert (await fourth).status == 0
        # The window is whole: one, and not more than one, at a time.
        last = [asyncio.create_task(association.c_echo()) for _ in range(2)]
        for _ in last:
            await until(lambda: held.running)
            next(iter(held.running.values())).set_result(None)
            await until(lambda: not held.running)
        await soon(asyncio.gather(*last))
    assert held.most == 1


async def test_as_many_handlers_run_as_were_agreed_on() -> None:
    server = aiodicom.Server(window=4)
    held = Held(server)
    async with (
        server.listen("127.0.0.1", 0) as listening,
        await Requestor.connect(listening.port, window=(0, 1)) as requestor,
    ):
        await requestor.pdu()
        requestor.send(*(echo(number) for number in range(1, 8)))
        await until(lambda: len(held.running) == 4)
        assert sorted(held.running) == [1, 2, 3, 4]
        for number in (3, 1, 5, 2, 4, 7, 6):
            await until(lambda number=number: number in held.running)
            held.running[number].set_result(None)
            answer = await requestor.message()
            assert isinstance(answer, CEchoRSP)
            assert answer.message_id_being_responded_to == number
        requestor.send(RELEASE)
        await requestor.pdu()
    assert held.most == 4


async def test_handlers_that_stream_wait_for_their_turn_too() -> None:
    server = aiodicom.Server()
    may_go_on = asyncio.Event()
    seen: list[tuple[str, bytes]] = []
    running: list[int] = []

    @server.on_c_store(body=aiodicom.Streamed())
    async def keep(request: aiodicom.StoreRequest) -> None:
        running.append(request.message_id)
        assert len(running) == 1
        data = b"".join([fragment async for fragment in request])
        await may_go_on.wait()
        seen.append((request.affected_sop_instance_uid, data))
        running.remove(request.message_id)

    sent = [(f"1.2.{number}", bytes((number,)) * 3002) for number in range(1, 9)]
    async with server.listen("127.0.0.1", 0) as listening, await Requestor.connect(listening.port) as requestor:
        await requestor.pdu()
        requestor.send(*(store(number, *each) for number, each in enumerate(sent, 1)), RELEASE)
        await until(lambda: running == [1])
        may_go_on.set()
        answers = [await requestor.message() for _ in sent]
        assert [answer.message_id_being_responded_to for answer in answers] == list(range(1, 9))  # type: ignore[attr-defined]
        assert isinstance(await requestor.pdu(), ReleaseRP)
    assert seen == sent


async def test_an_unlimited_window_has_all_handlers_run() -> None:
    server = aiodicom.Server(window=0)
    held = Held(server)
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port, window=0) as association:
        callers = [asyncio.create_task(association.c_echo()) for _ in range(200)]
        await until(lambda: len(held.running) == 200)
        for waiting in held.running.values():
            waiting.set_result(None)
        assert {answer.status for answer in await asyncio.gather(*callers)} == {0}


async def test_callers_that_wait_learn_how_the_association_ended() -> None:
    server = aiodicom.Server()
    held = Held(server)
    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        callers = [asyncio.create_task(association.c_echo()) for _ in range(3)]
        await until(lambda: held.running)
        (accepted,) = server.associations
        accepted.abort()
        for caller in callers:
            with pytest.raises(aiodicom.errors.AssociationAborted):
                await soon(caller)
        await association.wait_closed()


async def test_who_is_cancelled_while_the_window_fails_has_had_no_turn() -> None:
    window = Window(1)
    await window.take()
    waiting = asyncio.create_task(window.take())
    await asyncio.sleep(0)
    window.fail(LocalError("the association has ended"))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert window.taken == 1
    window.give()
    assert window.taken == 0


async def test_a_caller_cancelled_while_it_learns_of_the_end_leaves_nothing() -> None:
    server = aiodicom.Server()
    held = Held(server)
    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        callers = [asyncio.create_task(association.c_echo()) for _ in range(3)]
        await until(lambda: held.running)
        association.abort()
        for caller in callers:
            caller.cancel()
        for caller in callers:
            with pytest.raises(asyncio.CancelledError):
                await caller
        await association.wait_closed()
