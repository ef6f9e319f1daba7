"""What operations leave to the garbage collector: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

import aiodicom
from aiodicom import Answer, Dataset, Destination, Server, Status, StudyRoot
from aiodicom.net.suboperations import SubOperation
from tests.leaks import no_garbage
from tests.net.sides import CONTEXTS, CT, CT_UIDS, DATA, IMPLICIT, connect

MPPS = "1.2.840.10008.3.1.2.3.3"
QUERY = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
OBJECT = SubOperation(DATA, CT, "1.2.3", IMPLICIT)


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    """An SCP of everything, and its port. It is the destination of its own C-MOVE."""
    destinations: dict[str, Destination] = {}
    server = Server(destinations=destinations)

    @server.on_c_store
    async def store(request: aiodicom.StoreRequest) -> Status:
        await asyncio.sleep(0)
        assert request.dataset.PatientName == "A^B"
        return Status.SUCCESS

    @server.on_c_find
    async def find(request: aiodicom.FindRequest) -> AsyncIterator[Dataset]:
        yield Dataset(QueryRetrieveLevel="STUDY", PatientID="1")
        yield Dataset(QueryRetrieveLevel="STUDY", PatientID="2")

    @server.on_c_get
    async def get(request: aiodicom.GetRequest) -> AsyncIterator[SubOperation]:
        yield OBJECT

    @server.on_c_move
    async def move(request: aiodicom.MoveRequest) -> AsyncIterator[SubOperation]:
        yield OBJECT

    @server.on_n_get
    async def n_get(request: aiodicom.NGetRequest) -> Answer:
        return Answer(Status.SUCCESS, Dataset(PatientID="1"))

    async with server.listen("127.0.0.1", 0) as listener:
        destinations["HERE"] = Destination("127.0.0.1", listener.port)
        yield listener.port


async def echo(association: aiodicom.Association) -> None:
    await association.c_echo()


async def store(association: aiodicom.Association) -> None:
    await association.c_store(DATA, **CT_UIDS)


async def find(association: aiodicom.Association) -> None:
    async for match in association.c_find(QUERY):
        assert match.PatientID


async def find_the_first(association: aiodicom.Association) -> None:
    async with association.c_find(QUERY) as matches:
        async for _ in matches:
            break


async def get(association: aiodicom.Association) -> None:
    async for each in association.c_get(QUERY):
        assert each.dataset.PatientName == "A^B"


async def move(association: aiodicom.Association) -> None:
    assert (await association.c_move(QUERY, "HERE")).completed == 1


async def n_get(association: aiodicom.Association) -> None:
    assert (await association.n_get(MPPS, "1.2.3")).dataset is not None


async def associate(association: aiodicom.Association) -> None:
    async with connect(int(association.peer.rpartition(":")[2])) as other:
        await other.c_echo()


@pytest.mark.parametrize("operation", [echo, store, find, find_the_first, get, move, n_get, associate])
async def test_an_operation_leaves_nothing(operation: Callable[[aiodicom.Association], Awaitable[None]]) -> None:
    contexts = [*CONTEXTS, StudyRoot.find, StudyRoot.get, StudyRoot.move, MPPS]
    async with listening() as port, connect(port, contexts=contexts, receives=[(CT, [IMPLICIT])]) as association:
        await operation(association)
        with no_garbage():
            await operation(association)
            for _ in range(20):  # what has been cancelled ends
                await asyncio.sleep(0)
