"""What operations leave to the garbage collector: nothing."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

import aiodicom
from aiodicom import Answer, BodySink, Dataset, Destination, Server, Spooled, Status, StudyRoot
from aiodicom.errors import AssociationAborted, ConnectFailed, OperationRefused, StatusError
from aiodicom.net.sources import SubOperation
from tests.leaks import no_garbage
from tests.net.sides import CONTEXTS, CT, CT_UIDS, DATA, IMPLICIT, connect
from tests.ports import free_port

MPPS = "1.2.840.10008.3.1.2.3.3"
QUERY = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
OBJECT = SubOperation(DATA, CT, "1.2.3", IMPLICIT)


def body(request: aiodicom.StoreRequest) -> BodySink:
    """Where a data set goes, unless its sender is to be refused."""
    if request.priority:
        raise OperationRefused(Status.OUT_OF_RESOURCES, "no room")
    return Spooled()(request)


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    """An SCP of everything, and its port. It is the destination of its own C-MOVE."""
    destinations: dict[str, Destination] = {}
    server = Server(destinations=destinations)

    @server.on_c_store(body=body)
    async def store(request: aiodicom.StoreRequest) -> Status:
        assert request.dataset.PatientName == "A^B"
        await asyncio.sleep(0)
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


async def be_refused(association: aiodicom.Association) -> None:
    with pytest.raises(StatusError):
        await association.c_store(DATA, **CT_UIDS, priority=2)


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


async def find_nobody(_association: aiodicom.Association) -> None:
    with pytest.raises(ConnectFailed):
        await connect(free_port())


@pytest.mark.parametrize(
    "operation", [echo, store, be_refused, find, find_the_first, get, move, n_get, associate, find_nobody]
)
async def test_an_operation_leaves_nothing(operation: Callable[[aiodicom.Association], Awaitable[None]]) -> None:
    contexts = [*CONTEXTS, StudyRoot.find, StudyRoot.get, StudyRoot.move, MPPS]
    async with listening() as port, connect(port, contexts=contexts, receives=[(CT, [IMPLICIT])]) as association:
        await operation(association)
        with no_garbage():
            await operation(association)
            for _ in range(20):  # what has been cancelled ends
                await asyncio.sleep(0)


@pytest.mark.parametrize("is_begun", [False, True])
async def test_what_a_handler_has_goes_with_its_association(is_begun: bool) -> None:
    class Held:
        """Something that the handler has."""

    begun = asyncio.Event()
    held: list[weakref.ref[Held]] = []
    server = Server()

    @server.on_c_store
    async def store(request: aiodicom.StoreRequest) -> Status:
        has = Held()
        held.append(weakref.ref(has))
        begun.set()
        await asyncio.sleep(0)
        await asyncio.sleep(10)
        return Status.SUCCESS

    async with server.listen("127.0.0.1", 0) as listener:
        association = await connect(listener.port)
        (peer,) = server.associations
        storing = asyncio.create_task(association.c_store(DATA, **CT_UIDS))
        await begun.wait()
        gc.disable()
        try:
            for _ in range(3 * is_begun):
                await asyncio.sleep(0)
            peer.abort()
            await peer.wait_closed()
            for _ in range(20):
                await asyncio.sleep(0)
            assert held[0]() is None
        finally:
            gc.enable()
        with pytest.raises(AssociationAborted):
            await storing
        await association.wait_closed()
