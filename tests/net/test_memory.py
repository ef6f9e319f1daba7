"""One budget of memory for what arrives: nothing goes over it, nothing is dropped, nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

import aiodicom
from aiodicom.net.memory import default_budget
from aiodicom.services.storage import FolderStorage, StorageServer
from aiodicom.store.files import Durability
from tests.net.sides import CT_UIDS, LARGE, PATIENCE, connect, soon, until

MIB = 1 << 20
#: As much as one of the objects takes at last.
BUDGET = 16 * MIB
#: Of 10 MB.
OBJECT = (LARGE * 4)[:10_000_000]


async def store_at_once(port: int, count: int, data: bytes) -> None:
    """So many associations store an object at the same time; all of them have to succeed."""
    async with contextlib.AsyncExitStack() as stack:
        associations = [await stack.enter_async_context(connect(port)) for _ in range(count)]
        stored = [
            association.c_store(data, **(CT_UIDS | {"sop_instance_uid": f"1.2.{number}"}))
            for number, association in enumerate(associations)
        ]
        async with asyncio.timeout(60):
            assert {response.status for response in await asyncio.gather(*stored)} == {0}


def test_the_default_is_a_quarter_of_the_memory_and_at_most_1_gib() -> None:
    assert 0 < default_budget().limit <= 1 << 30
    assert default_budget().limit <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    assert aiodicom.Server().budget is aiodicom.Server().budget is default_budget()


@pytest.mark.parametrize("budget", [BUDGET, BUDGET - 1])
def test_200_large_objects_at_once_stay_in_16_mib(tmp_path: Path, budget: int) -> None:
    # On one loop: 2 GB take their time, and memory is no affair of the loop's.
    aiodicom.run(_store_200(tmp_path, budget))


async def _store_200(directory: Path, budget: int) -> None:
    server = aiodicom.Server(max_memory=budget)
    spooled = 0

    @server.on_c_store(body=aiodicom.Spooled(directory=directory))
    async def compare(request: aiodicom.StoreRequest) -> None:
        nonlocal spooled
        spooled += request.file is not None
        await asyncio.sleep(0)
        assert request.data == OBJECT

    async with server.listen("127.0.0.1", 0) as listening:
        await store_at_once(listening.port, 200, OBJECT)
    assert spooled == 200 if budget < BUDGET else spooled > 100
    assert 0 < server.budget.peak <= budget
    assert server.budget.used == 0


async def test_what_handlers_keep_counts(tmp_path: Path) -> None:
    server = aiodicom.Server(max_memory=2 * MIB)
    kept: list[memoryview] = []
    in_file: list[bool] = []

    @server.on_c_store(body=aiodicom.Spooled(directory=tmp_path))
    def keep(request: aiodicom.StoreRequest) -> None:
        kept.append(request.data)
        in_file.append(request.file is not None)

    data = LARGE[: 700 * 1024]  # in memory it takes a block of 1 MiB
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        for _ in range(3):
            await association.c_store(data, **CT_UIDS)
        assert server.budget.used == 2 * MIB
        assert kept == [data, data, data]
        kept.clear()
        await association.c_store(data, **CT_UIDS)
    assert in_file == [False, False, True, False]
    assert kept == [data]
    kept.clear()
    assert server.budget.used == 0


async def test_streams_go_on_one_read_at_a_time_when_nothing_is_left() -> None:
    server = aiodicom.Server(max_memory=0)
    received: dict[str, int] = {}

    @server.on_c_store(body=aiodicom.Streamed())
    async def count(request: aiodicom.StoreRequest) -> None:
        async for fragment in request:
            received[request.affected_sop_instance_uid] = received.get(request.affected_sop_instance_uid, 0) + len(
                fragment
            )

    data = LARGE[: 2 * MIB]
    async with server.listen("127.0.0.1", 0) as listening:
        await store_at_once(listening.port, 10, data)
        assert list(received.values()) == [len(data)] * 10
        # What a read brought is held by each stream at most: nothing is read before it has been taken.
        assert server.budget.peak <= 10 * (1 << 18)
    assert server.budget.used == 0


async def test_a_stream_that_its_handler_leaves_gives_its_memory_back() -> None:
    server = aiodicom.Server(max_memory=MIB)

    @server.on_c_store(body=aiodicom.Streamed())
    async def leave(request: aiodicom.StoreRequest) -> None:
        async for _ in request:
            break

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        await association.c_store(LARGE, **CT_UIDS)
        assert server.budget.used == 0


async def test_a_stream_that_is_cut_short_gives_its_memory_back() -> None:
    server = aiodicom.Server(max_memory=MIB)
    begun = asyncio.Event()

    @server.on_c_store(body=aiodicom.Streamed())
    async def wait(request: aiodicom.StoreRequest) -> None:
        begun.set()
        await asyncio.sleep(PATIENCE)

    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        storing = asyncio.create_task(association.c_store(LARGE, **CT_UIDS))
        await soon(begun.wait())
        await until(lambda: server.budget.used > 0)
        association.abort()
        with pytest.raises(aiodicom.errors.AssociationClosed):
            await storing
        await association.wait_closed()
        await server.close()
        assert server.budget.used == 0


@pytest.mark.parametrize("durability", [Durability.RECEIVED, Durability.WRITTEN])
async def test_files_that_get_no_memory_are_written_at_once(durability: Durability, tmp_path: Path) -> None:
    server = StorageServer(FolderStorage(tmp_path, durability=durability), max_memory=100_000)
    async with server.listen("127.0.0.1", 0) as listening:
        await store_at_once(listening.port, 40, LARGE[:60_000])
        await store_at_once(listening.port, 5, LARGE[:300_000])
    assert 0 < server.budget.peak <= 100_000
    assert server.budget.used == 0
    sizes = sorted(entry.stat().st_size for entry in os.scandir(tmp_path))
    assert len(sizes) == 40
    assert [size > 300_000 for size in sizes] == [False] * 35 + [True] * 5
