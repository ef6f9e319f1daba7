"""Every operation on a pool, and who has a turn for how long."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset, FindRequest, ModalityWorklist, Status
from aiodicom.errors import (
    AssociationClosed,
    AssociationRejected,
    ContextNotAccepted,
    DeadlineExceeded,
    LocalError,
    StatusError,
)
from aiodicom.net.operations import Operations
from aiodicom.net.retry import Retry
from tests.net.sides import CT, DATA, IMPLICIT, part10, soon, until

QUERY = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
MPPS = "1.2.840.10008.3.1.2.3.3"


class Scp:
    """A server that finds studies without end, or so many."""

    def __init__(self, **options: Any) -> None:
        self.server = aiodicom.Server(**options)
        self.count: int | None = 10
        self.associations: list[aiodicom.Association] = []
        self.queries = 0
        self.cancelled = 0
        #: what becomes of the next queries
        self.failures: list[Any] = []
        self.server.on_association(self.associations.append)
        self.server.on_c_find(self._find)
        self.server.on_c_cancel(self._cancel)
        self.port = 0

    def _cancel(self, _request: object) -> None:
        self.cancelled += 1

    async def _find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        self.queries += 1
        failure = self.failures.pop(0) if self.failures else None
        number = 0
        while self.count is None or number < self.count:
            if failure is not None and failure(request, number):
                return
            await asyncio.sleep(0)
            number += 1
            yield Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=f"1.2.{number}")


@asynccontextmanager
async def scp(**options: Any) -> AsyncIterator[Scp]:
    it = Scp(**options)
    async with it.server.listen("127.0.0.1", 0) as listening:
        it.port = listening.port
        yield it


def pool(port: int, **options: Any) -> aiodicom.Pool:
    return aiodicom.Pool("127.0.0.1", port, **options)


def test_every_operation_of_an_association_is_there() -> None:
    names = [name for name in vars(Operations) if name.startswith(("c_", "n_"))]
    assert len(names) == 11
    for name in names:
        ours, theirs = getattr(aiodicom.Pool, name), getattr(Operations, name)
        assert list(inspect.signature(ours).parameters.values()) == list(inspect.signature(theirs).parameters.values())
        assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)
        assert "associations" in ours.__doc__


def test_every_argument_of_connect_is_there() -> None:
    ours, theirs = inspect.signature(aiodicom.Pool).parameters, inspect.signature(aiodicom.connect).parameters
    # A window that is to be found is a pool's affair.
    assert {name for name, _ in theirs.items() - ours.items()} == {"window"}


# --- queries ---------------------------------------------------------------------------------------------------------


async def test_a_query_and_what_it_needs() -> None:
    async with scp() as peer, pool(peer.port) as it:
        matches = it.c_find(QUERY)
        assert matches.response is None
        assert [match.StudyInstanceUID async for match in matches] == [f"1.2.{number}" for number in range(1, 11)]
        assert matches.response is not None
        assert matches.response.status is Status.SUCCESS
        assert [match async for match in matches] == []
        assert len([match async for match in it.c_find(QUERY, ModalityWorklist)]) == 10
        with pytest.raises(LocalError, match="has no C-GET"):
            it.c_get(QUERY, ModalityWorklist)


async def test_it_has_its_turn_until_its_end() -> None:
    async with scp() as peer, pool(peer.port, size=1) as it:
        matches = it.c_find(QUERY)
        await anext(matches)
        other = asyncio.create_task(it.c_echo())
        for _ in range(9):
            await anext(matches)
        assert not other.done()
        with pytest.raises(StopAsyncIteration):
            await anext(matches)
        await soon(other)
        assert len(peer.associations) == 1


@pytest.mark.parametrize("how", ["break", "block", "error", "cancelled", "cancel"])
async def test_left_early_it_is_cancelled_and_its_association_used_again(how: str) -> None:
    async with scp() as peer, pool(peer.port, size=1) as it:
        peer.count = None

        async def some() -> None:
            if how == "break":
                async for match in it.c_find(QUERY):
                    if match.StudyInstanceUID == "1.2.3":
                        break
                return
            async with it.c_find(QUERY) as matches:
                await anext(matches)
                if how == "error":
                    raise ValueError
                if how == "cancelled":
                    await asyncio.Event().wait()
                if how == "cancel":
                    assert (await matches.cancel()).status is Status.CANCEL
                    with pytest.raises(LocalError, match="over"):
                        await matches.cancel()

        running = asyncio.create_task(some())
        if how == "cancelled":
            await until(lambda: peer.queries)
            running.cancel()
        await asyncio.wait((running,))
        assert running.cancelled() == (how == "cancelled")
        if not running.cancelled():
            assert isinstance(running.exception(), ValueError) == (how == "error")
        gc.collect()
        await soon(it.c_echo())
        assert peer.cancelled == 1
        assert len(peer.associations) == 1


async def test_cancelled_while_it_waits_for_its_turn() -> None:
    async with scp() as peer, pool(peer.port, size=1) as it:
        async with it.acquire():
            running = asyncio.create_task(anext(it.c_find(QUERY)))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait((running,))
        await soon(it.c_echo())
        assert peer.queries == 0


@pytest.mark.parametrize("how", ["close", "terminate"])
async def test_the_end_of_the_pool_in_the_middle(how: str) -> None:
    async with scp() as peer:
        peer.count = None
        it = await pool(peer.port)
        left, held = it.c_find(QUERY), it.c_find(QUERY)
        await anext(left)
        await anext(held)
        await left.__aexit__(None, None, None)
        if how == "close":
            closing = asyncio.create_task(it.close())
            await asyncio.sleep(0)
            for _ in range(20):
                await anext(held)
            assert not closing.done()
            await held.cancel()
            await soon(closing)
        else:
            await soon(it.terminate())
            with pytest.raises(AssociationClosed):
                async for _ in held:
                    pass
        assert not any(association.is_open for association in it._members)


async def test_a_failure_and_what_cannot_be_encoded() -> None:
    def fail(request: FindRequest, number: int) -> bool:
        raise aiodicom.errors.OperationRefused(0xA700)

    async with scp() as peer, pool(peer.port, size=1) as it:
        peer.failures = [fail]
        with pytest.raises(StatusError):
            await anext(it.c_find(QUERY))
        with pytest.raises(TypeError):
            await anext(it.c_find(object()))  # type: ignore[arg-type]
        assert len([match async for match in it.c_find(QUERY)]) == 10
        assert len(peer.associations) == 1


@pytest.mark.parametrize(("after", "queries"), [(0, 2), (1, 1)])
async def test_a_loss_before_the_first_match_and_after(after: int, queries: int) -> None:
    def lose(request: FindRequest, number: int) -> bool:
        if number == after:
            request.association.abort()
        return number == after

    async with scp() as peer, pool(peer.port, retry=Retry(first=0.001)) as it:
        peer.failures = [lose]
        found = []
        try:
            async for match in it.c_find(QUERY):
                found.append(match.StudyInstanceUID)  # noqa: PERF401
        except aiodicom.errors.AssociationAborted:
            assert after
        assert len(found) == (1 if after else 10)
        assert peer.queries == queries


# --- retrievals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_left", [False, True])
async def test_a_retrieval(is_left: bool) -> None:
    async with scp() as peer, pool(peer.port, size=1, receives=[(CT, [IMPLICIT])]) as it:

        @peer.server.on_c_get
        async def get(request: aiodicom.GetRequest) -> AsyncIterator[bytes]:
            for number in range(5):
                yield part10(instance=f"1.2.{number}")

        objects = it.c_get(QUERY)
        async with objects:
            async for each in objects:
                assert each.data == DATA
                if is_left:
                    break
        assert is_left or (objects.result is not None and objects.result.completed == 5)
        with pytest.raises(LocalError, match="over"):
            await objects.cancel()
        await soon(it.c_echo())
        assert len(peer.associations) == 1
        async with it.c_get(QUERY) as objects:
            assert (await objects.cancel()).status in (Status.CANCEL, Status.SUCCESS)
        await soon(it.c_echo())
        assert len(peer.associations) == 1


async def test_what_a_retrieval_comes_to() -> None:
    async with scp() as peer, pool(peer.port) as it:

        @peer.server.on_c_move
        async def move(request: aiodicom.MoveRequest) -> AsyncIterator[bytes]:
            yield part10()

        with pytest.raises(StatusError) as caught:
            await it.c_move(QUERY, "NOWHERE")
        assert caught.value.status == Status.MOVE_DESTINATION_UNKNOWN


# --- the N services --------------------------------------------------------------------------------------------------


async def test_the_n_services() -> None:
    async with scp() as peer, pool(peer.port) as it:
        seen: list[str] = []

        def note(request: Any) -> None:
            seen.append(type(request).__name__)

        for service in ("n_get", "n_set", "n_action", "n_create", "n_delete"):
            getattr(peer.server, f"on_{service}")(note)
        await it.n_create(MPPS, Dataset(PatientID="A"), "1.2.3")
        await it.n_set(MPPS, "1.2.3", Dataset(PatientID="B"))
        await it.n_get(MPPS, "1.2.3", ["PatientID"])
        await it.n_action(MPPS, "1.2.3", 1, abstract_syntax=MPPS)
        await it.n_delete(sop_class_uid=MPPS, sop_instance_uid="1.2.3")
        assert seen == ["NCreateRequest", "NSetRequest", "NGetRequest", "NActionRequest", "NDeleteRequest"]


async def test_what_the_peer_may_have_done_is_not_done_again() -> None:
    async with scp() as peer, pool(peer.port, retry=Retry(first=0.001)) as it:
        seen: list[str] = []

        @peer.server.on_n_create
        def create(request: aiodicom.NCreateRequest) -> None:
            seen.append("create")
            request.association.abort()

        @peer.server.on_n_get
        def get(request: aiodicom.NGetRequest) -> None:
            seen.append("get")
            if seen.count("get") == 1:
                request.association.abort()

        with pytest.raises(aiodicom.errors.AssociationAborted):
            await it.n_create(MPPS, Dataset(PatientID="A"), "1.2.3")
        await it.n_get(MPPS, "1.2.3")
        assert seen == ["create", "get", "get"]


# --- acquired by await -----------------------------------------------------------------------------------------------


async def test_acquired_by_await() -> None:
    async with scp() as peer, pool(peer.port, size=1, wait=0.02) as it, pool(peer.port) as another:
        mine = await it.acquire()
        await mine.c_echo()
        with pytest.raises(DeadlineExceeded):
            await it.c_echo()
        with pytest.raises(LocalError, match="not lent by this pool"):
            another.release(mine)
        it.release(mine)
        with pytest.raises(LocalError, match="returned to its pool"):
            await mine.c_echo()
        for wrong in (mine, next(iter(it._members)).association):
            with pytest.raises(LocalError, match="not lent by this pool"):
                it.release(wrong)
        async with it.acquire() as mine:
            it.release(mine)
        await it.c_echo()
        assert len(peer.associations) == 1


async def test_one_that_was_released_by_its_user_is_not_used_again() -> None:
    async with scp() as peer, pool(peer.port, size=1) as it:
        mine = await it.acquire()
        await mine.release()
        it.release(mine)
        await it.c_echo()
        assert len(peer.associations) == 2


# --- its end ---------------------------------------------------------------------------------------------------------


async def test_closed_before_what_it_has_begun_runs() -> None:
    async with scp() as peer:
        it = await pool(peer.port)
        running = asyncio.create_task(it.c_echo())
        await asyncio.sleep(0)  # the opening has been begun, and not more
        await soon(it.close())
        with pytest.raises(AssociationClosed):
            await running
        assert peer.associations == []


async def test_without_any_context_that_is_known() -> None:
    async with scp() as peer, pool(peer.port, contexts=()) as it:
        async with it.acquire() as mine:
            assert [context.abstract_syntax for context in mine.contexts.values()] == [aiodicom.VERIFICATION]
        assert len([match async for match in it.c_find(QUERY)]) == 10


async def test_refusals_of_a_real_peer() -> None:
    async with scp(max_associations=1) as peer, pool(peer.port, size=2) as it:
        with pytest.raises(ContextNotAccepted, match="the peer accepted no presentation context"):
            await it.n_get("1.2.3.4.5", "1.2.3")
        async with it.acquire():
            with pytest.raises(AssociationRejected):
                async with aiodicom.connect("127.0.0.1", peer.port):
                    pass
