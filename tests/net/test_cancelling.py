"""What is cancelled at an awkward time: before its turn, before a handler has yielded, after it has yielded all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset, Destination, FindRequest, Server, Status, StudyRoot, SubOperation
from aiodicom.errors import AssociationClosed, ConnectionLost, LocalError
from tests.net.sides import CT, DATA, IMPLICIT, LARGE, soon, until

assert StudyRoot.find is not None
assert StudyRoot.get is not None
assert StudyRoot.move is not None
QUERY = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")


def connect(port: int, **options: Any) -> Any:
    contexts = [StudyRoot.find, StudyRoot.get, StudyRoot.move, aiodicom.VERIFICATION]
    return aiodicom.connect(
        "127.0.0.1", port, **({"contexts": contexts, "receives": [(CT, [IMPLICIT])], "calling_aet": "ME"} | options)
    )


class Archive(Server):
    """Has two objects, and two matches; C-ECHO is answered when it is allowed to be."""

    def __init__(self, data: bytes = DATA, **options: Any) -> None:
        super().__init__(**options)
        self.data = data
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.on_c_echo(self.echo)
        self.on_c_find(self.find)
        self.on_c_get(self.retrieve)
        self.on_c_move(self.retrieve)

    async def echo(self, request: aiodicom.EchoRequest) -> None:
        self.asked.set()
        await self.may_answer.wait()

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        yield QUERY
        yield QUERY

    async def retrieve(self, request: Any) -> AsyncIterator[SubOperation]:
        yield SubOperation(self.data, CT, "1.2.1", IMPLICIT)


async def consume(responses: Any) -> int:
    return len([each async for each in responses])


@pytest.mark.parametrize("service", ["c_find", "c_get"])
async def test_cancelled_before_its_turn_nothing_is_asked(service: str) -> None:
    archive = Archive()
    async with archive.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        echo = asyncio.create_task(association.c_echo())
        await soon(archive.asked.wait())
        responses = getattr(association, service)(QUERY)
        waiting = asyncio.create_task(anext(responses))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        archive.may_answer.set()
        await soon(echo)
        with pytest.raises(LocalError, match="not sent"):
            await soon(anext(responses))
        assert await soon(consume(getattr(association, service)(QUERY))) >= 1


class Halting(Server):
    """Has one object and one match, and more when it may go on; notes what was cancelled. C-ECHO is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = 0
        self.cancelled = 0
        self.may_go_on = asyncio.Event()
        self.on_c_find(self.find)
        self.on_c_get(self.retrieve)

        @self.on_c_cancel
        def note(request: Any) -> None:
            self.cancelled += 1

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        self.queries += 1
        yield QUERY
        await self.may_go_on.wait()
        yield QUERY

    async def retrieve(self, request: Any) -> AsyncIterator[SubOperation]:
        self.queries += 1
        yield SubOperation(DATA, CT, "1.2.1", IMPLICIT)
        await self.may_go_on.wait()
        yield SubOperation(DATA, CT, "1.2.2", IMPLICIT)


@asynccontextmanager
async def either(kind: str, server: Server) -> AsyncIterator[Any]:
    """An association with a server, or a pool with one."""
    async with server.listen("127.0.0.1", 0) as listening:
        if kind == "association":
            async with connect(listening.port) as it:
                yield it
        else:
            async with aiodicom.Pool("127.0.0.1", listening.port, receives=[(CT, [IMPLICIT])], size=1) as it:
                yield it


of_both = pytest.mark.parametrize("kind", ["association", "pool"])
of_each = pytest.mark.parametrize("service", ["c_find", "c_get"])


@of_both
@of_each
async def test_a_loop_that_is_cancelled_has_left_while_what_it_raised_is_handled(kind: str, service: str) -> None:
    server, begun = Halting(), asyncio.Event()
    async with either(kind, server) as it:

        async def look() -> None:
            try:
                async for _ in getattr(it, service)(QUERY):
                    begun.set()
            except asyncio.CancelledError:
                await it.c_echo()

        looking = asyncio.create_task(look())
        await soon(begun.wait())
        looking.cancel()
        await soon(looking)
        assert server.cancelled == 1


@of_both
@of_each
async def test_a_loop_that_is_cancelled_has_left_while_its_task_and_its_name_are_kept(kind: str, service: str) -> None:
    """A comprehension too, whose frame has what it iterates over: the cancellation's traceback has that frame."""
    server, begun = Halting(), asyncio.Event()
    async with either(kind, server) as it:
        responses = getattr(it, service)(QUERY)

        async def look() -> list[None]:
            return [begun.set() async for _ in responses]

        looking = asyncio.create_task(look())
        await soon(begun.wait())
        looking.cancel()
        await asyncio.wait([looking])
        assert looking.cancelled()
        await soon(it.c_echo())
        assert server.cancelled == 1
        for _ in range(2):
            with pytest.raises(LocalError, match="given up"):  # nobody is to take what came for all there is
                await soon(consume(responses))
        with suppress(LocalError):  # it may be over
            assert (await soon(responses.cancel())).status is Status.CANCEL
        assert await soon(it.c_echo())


@of_each
async def test_of_two_loops_over_one_stream_one_is_cancelled(service: str) -> None:
    for kind in ("association", "pool"):
        async with either(kind, Halting()) as it:
            responses = getattr(it, service)(QUERY)
            await soon(anext(responses))
            loops = [asyncio.create_task(consume(responses)) for _ in range(2)]
            for _ in range(10):
                await asyncio.sleep(0)
            loops[0].cancel()
            with pytest.raises(LocalError, match="given up"):
                await soon(loops[1])
            await soon(it.c_echo())


async def test_a_pools_operation_that_is_cancelled_before_it_is_tried_again_is_not_lost() -> None:
    server, queries = Server(), 0

    @server.on_c_find
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        nonlocal queries
        queries += 1
        if queries == 1:
            request.association.abort()
        yield QUERY

    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.Pool("127.0.0.1", listening.port, size=1, retry=aiodicom.Retry(first=0.05)) as pool,
    ):
        matches = pool.c_find(QUERY)
        waiting = asyncio.create_task(anext(matches))
        await until(lambda: queries == 1)
        for _ in range(5):
            await asyncio.sleep(0)  # so that it has heard of that
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert await soon(consume(matches)) == 1


@of_each
async def test_a_pools_operation_that_is_left_before_its_turn_is_not_sent(service: str) -> None:
    server = Halting()
    async with either("pool", server) as pool:
        responses = getattr(pool, service)(QUERY)
        async with pool.acquire():
            waiting = asyncio.create_task(anext(responses))
            for _ in range(10):
                await asyncio.sleep(0)  # so that it waits
            await responses.__aexit__(None, None, None)
        with pytest.raises(StopAsyncIteration):
            await soon(waiting)
        await soon(pool.c_echo())
    assert server.queries == 0


@of_both
@of_each
async def test_a_loop_that_is_cancelled_may_be_followed_by_cancel(kind: str, service: str) -> None:
    server, begun = Halting(), asyncio.Event()
    async with either(kind, server) as it:

        async def look() -> Any:
            async with getattr(it, service)(QUERY) as responses:
                try:
                    async for _ in responses:
                        begun.set()
                except asyncio.CancelledError:
                    return await responses.cancel()

        looking = asyncio.create_task(look())
        await soon(begun.wait())
        looking.cancel()
        assert (await soon(looking)).status is Status.CANCEL
        await soon(it.c_echo())
        assert server.cancelled == 1


@of_both
@pytest.mark.parametrize("error", [ZeroDivisionError, ConnectionLost("of another association")])
async def test_a_loop_that_gets_an_error_has_left_while_that_is_handled(kind: str, error: Any) -> None:
    server = Halting()

    def fail(result: aiodicom.RetrieveResult) -> None:
        raise error

    async with either(kind, server) as it:
        try:
            async for _ in it.c_get(QUERY, on_progress=fail):
                pass
        except (ZeroDivisionError, ConnectionLost):
            await soon(it.c_echo())
        assert server.cancelled == 1


@of_both
@of_each
async def test_anext_that_is_cancelled_loses_nothing(kind: str, service: str) -> None:
    server = Halting()
    async with either(kind, server) as it, getattr(it, service)(QUERY) as responses:
        await soon(anext(responses))
        waiting = asyncio.create_task(anext(responses))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        server.may_go_on.set()
        assert await soon(consume(responses)) == 1
        assert server.cancelled == 0


@of_both
@of_each
async def test_cancelled_by_another_task_an_iteration_ends(kind: str, service: str) -> None:
    server, begun = Halting(), asyncio.Event()
    async with either(kind, server) as it:
        responses = getattr(it, service)(QUERY)

        async def look() -> int:
            return len([begun.set() async for _ in responses])

        looking = asyncio.create_task(look())
        await soon(begun.wait())
        cancelling = asyncio.create_task(responses.cancel())
        assert await soon(looking) == 1
        assert (await soon(cancelling)).status is Status.CANCEL
        await soon(it.c_echo())
        assert server.cancelled == 1


@of_each
async def test_cancelled_by_another_task_while_it_waits_for_its_turn(service: str) -> None:
    archive, server = Archive(), Halting()
    archive.on_c_find(server.find)
    archive.on_c_get(server.retrieve)
    async with archive.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        echo = asyncio.create_task(association.c_echo())
        await soon(archive.asked.wait())
        responses = getattr(association, service)(QUERY)
        looking = asyncio.create_task(consume(responses))
        await asyncio.sleep(0)
        cancelling = asyncio.create_task(responses.cancel())
        await asyncio.sleep(0)
        archive.may_answer.set()
        assert (await soon(cancelling)).status is Status.CANCEL
        assert await soon(looking) == 0
        await soon(echo)
        assert archive.counters.failures == 0


@of_each
async def test_cancelled_by_another_task_while_it_waits_for_an_association(service: str) -> None:
    server = Halting()
    async with either("pool", server) as it:
        responses = getattr(it, service)(QUERY)
        async with it.acquire():
            looking = asyncio.create_task(consume(responses))
            await asyncio.sleep(0)
            cancelling = asyncio.create_task(responses.cancel())
            await asyncio.sleep(0)
        assert (await soon(cancelling)).status is Status.CANCEL
        assert await soon(looking) <= 1
        await soon(it.c_echo())
        assert server.queries <= 1


@pytest.mark.parametrize("service", ["c_find", "c_get"])
async def test_begun_after_the_end_it_says_why(service: str) -> None:
    archive = Archive()
    async with archive.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        responses = getattr(association, service)(QUERY)
        echo = asyncio.create_task(association.c_echo())
        await soon(archive.asked.wait())
        association.abort()
        with pytest.raises(AssociationClosed):
            await soon(echo)
        with pytest.raises(AssociationClosed, match="aborted on this side"):
            await soon(anext(responses))


@pytest.mark.parametrize("data", [DATA, LARGE], ids=["small", "large"])
async def test_c_cancel_while_the_last_object_is_on_its_way(data: bytes) -> None:
    archive = Archive(data)
    async with archive.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        retrieved = association.c_get(QUERY)
        await soon(anext(retrieved))
        result = await soon(retrieved.cancel())
        assert (result.status, result.completed, result.failed, result.remaining) == (Status.CANCEL, 1, 0, 0)
        archive.may_answer.set()
        await soon(association.c_echo())


async def test_c_cancel_within_the_last_object() -> None:
    archive = Archive(LARGE * 4)
    async with archive.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        begun = asyncio.Event()

        def choose(request: aiodicom.StoreRequest) -> Any:
            begun.set()
            return aiodicom.Discarded()(request)

        retrieved = association.c_get(QUERY, body=choose)
        async with retrieved:
            await soon(begun.wait())
            assert not retrieved.refused
        archive.may_answer.set()
        await soon(association.c_echo())
        assert retrieved.refused == {"1.2.1"}


async def test_c_cancel_while_a_destination_is_looked_for() -> None:
    looked, ended = asyncio.Event(), []

    async def look(title: str, association: Any) -> Destination | None:
        looked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(title)
            raise
        return None

    archive = Archive(destinations=look)
    async with archive.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        moving = asyncio.create_task(association.c_move(QUERY, "WS1"))
        await soon(looked.wait())
        moving.cancel()
        await asyncio.wait([moving])
        archive.may_answer.set()
        await soon(association.c_echo())  # whose turn comes with the final response
        assert ended == ["WS1"]
        assert archive.counters.failures == 0


@pytest.mark.parametrize("is_early", [True, False])
async def test_a_c_move_that_is_stopped_returns_the_final_numbers(is_early: bool) -> None:
    receiver, stop, has_sent = Server(), asyncio.Event(), asyncio.Event()
    receiver.on_c_store(lambda request: None)
    async with receiver.listen("127.0.0.1", 0) as receiving:
        archive = Archive(destinations={"WS1": Destination("127.0.0.1", receiving.port)}, pending_interval=0)

        @archive.on_c_move
        async def retrieve(request: Any) -> AsyncIterator[SubOperation]:
            yield SubOperation(DATA, CT, "1.2.1", IMPLICIT)
            await asyncio.Event().wait()

        async with archive.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
            if is_early:
                stop.set()
            moving = asyncio.create_task(
                association.c_move(QUERY, "WS1", on_progress=lambda _: has_sent.set(), stop=stop)
            )
            if not is_early:
                await soon(has_sent.wait())
                stop.set()
            result = await soon(moving)
            assert result.status == 0xFE00
            assert is_early or result.completed == 1
            archive.may_answer.set()
            await soon(association.c_echo())


async def test_the_end_of_the_association_ends_its_sub_operations() -> None:
    receiver, arrived, ended = Server(), asyncio.Event(), asyncio.Event()

    @receiver.on_c_store
    async def store(request: aiodicom.StoreRequest) -> None:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with receiver.listen("127.0.0.1", 0) as receiving:
        archive = Archive(destinations={"WS1": Destination("127.0.0.1", receiving.port)})

        @archive.on_c_move
        async def retrieve(request: Any) -> AsyncIterator[SubOperation]:
            yield SubOperation(DATA, CT, "1.2.1", IMPLICIT)
            await asyncio.Event().wait()

        async with archive.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
            moving = asyncio.create_task(association.c_move(QUERY, "WS1"))
            await soon(arrived.wait())
            association.abort()
            with pytest.raises(AssociationClosed):
                await soon(moving)
            await soon(ended.wait())
            await until(lambda: not receiver.associations)
