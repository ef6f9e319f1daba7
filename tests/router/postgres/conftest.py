"""A PostgreSQL server for all tests of the shared queue, and a place for objects for each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import obstore
import pytest
from obstore.store import MemoryStore

from aiodicom.router.queue.local import QueueSettings
from aiodicom.router.queue.ownership import first_free
from aiodicom.router.queue.postgres.queue import PostgresQueue
from aiodicom.router.queue.postgres.schema import SCHEMA
from aiodicom.router.queue.space import Space, Watermarks
from tests.conftest import LOOPS
from tests.router.postgres.server import PostgresServer, binaries

#: Without memory and maintenance: what is claimed is read from the store, and rounds are made by the test.
BARE = QueueSettings(memory=0, interval=0)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server; what one test leaves in it, the next one finds gone (`shared`)."""
    programs = binaries()
    if programs is None:
        assert "AIODICOM_REQUIRE_PEERS" not in os.environ, "PostgreSQL is missing (Debian package postgresql)"
        pytest.skip("PostgreSQL is missing")
    asyncio.run(_start_threads())
    server = PostgresServer(programs)
    server.start()
    yield server
    server.stop()


async def _start_threads() -> None:
    """The object store's threads are started at its first use, and stay."""
    await obstore.put_async(MemoryStore(), "first", b"")


@pytest.fixture(params=list(LOOPS.values())[-1:], ids=list(LOOPS)[-1:])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """One loop is enough here: nothing of this touches transports."""
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    return factory


class Shared:
    """What nodes share, and nodes that share it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    async def open(self, settings: QueueSettings = BARE, **options: Any) -> PostgresQueue:
        """One more, whoever closes it."""
        watermarks = options.pop("watermarks", None) or Watermarks(lambda: Space(1 << 40, 1 << 40))
        folder = first_free(self.folder.parent / "nodes")
        return await PostgresQueue.open(self.url, self.folder.as_uri(), folder, watermarks, settings, **options)

    @asynccontextmanager
    async def node(self, settings: QueueSettings = BARE, **options: Any) -> AsyncIterator[PostgresQueue]:
        """One more, until the context is left."""
        queue = await self.open(settings, **options)
        try:
            yield queue
        finally:
            await queue.close()

    def objects(self) -> list[Path]:
        """What there is in the store."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    async def query(self, statement: str) -> list[Any]:
        """Asks the database."""
        connection = await asyncpg.connect(self.url, server_settings={"search_path": SCHEMA})
        try:
            return await connection.fetch(statement)
        finally:
            await connection.close()


@pytest.fixture
def shared(postgres: PostgresServer, tmp_path: Path) -> Shared:
    """An empty database and an empty store."""
    shared = Shared(postgres.url, tmp_path / "objects")
    shared.folder.mkdir()
    asyncio.run(shared.query(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
    return shared
