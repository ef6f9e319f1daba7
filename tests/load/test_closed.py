"""The closed loop against a server of this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AiodicomError
from aiodicom.load.closed import ClosedLoop
from aiodicom.load.renewing import Renewed, read_objects
from aiodicom.load.supply import Supply
from aiodicom.load.synthesis import Shape, synthetic
from tests.cli.objects import put_many

VERIFICATION = "1.2.840.10008.1.1"


def small() -> Renewed:
    """CT images of one pixel."""
    return synthetic(Shape(rows=1, columns=1, images=1))


class Scp:
    """Counts what it gets, and answers `status`."""

    def __init__(self, status: int = 0, **options: Any) -> None:
        self.uids: list[str] = []
        self.bytes = 0
        self.echoes = 0
        self.server = aiodicom.Server(**options)
        self.status = status
        self.server.on_c_store(self._store)
        self.server.on_c_echo(self._echo)
        self.port = 0

    def _store(self, request: aiodicom.StoreRequest) -> aiodicom.Status:
        self.uids.append(request.affected_sop_instance_uid)
        self.bytes += len(request.data)
        return aiodicom.Status(self.status)

    def _echo(self, _request: aiodicom.EchoRequest) -> None:
        self.echoes += 1

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Scp]:
        """Listens meanwhile."""
        async with self.server.listen("127.0.0.1", 0) as listening:
            self.port = listening.port
            yield self

    def loop(self, supply: Supply, associations: int) -> ClosedLoop:
        """A closed loop at this SCP."""
        contexts = [VERIFICATION, *supply.contexts]
        return ClosedLoop(
            lambda: aiodicom.connect("127.0.0.1", self.port, contexts=contexts), supply, associations=associations
        )


async def test_echo_and_store_in_turn() -> None:
    async with Scp().listening() as scp:
        supply = small()
        loop = scp.loop(supply, 7)
        await loop.run(0.2, asyncio.Event())
    assert (loop.open, loop.peak, loop.opened, loop.failures) == (7, 7, 7, 0)
    assert loop.objects == len(scp.uids) == len(set(scp.uids)) > 7
    assert loop.echoes == scp.echoes > 7
    assert abs(loop.echoes - loop.objects) <= 7
    assert loop.bytes == scp.bytes == loop.objects * supply.study(0).series[0].instances[0].size
    assert loop.latencies.get_total_count() == loop.echoes + loop.objects
    assert 0 < loop.milliseconds(50) <= loop.milliseconds(99) <= loop.milliseconds(100) < 60_000
    assert 0.2 <= loop.seconds < 60


async def test_copies_of_files(tmp_path: Path) -> None:
    put_many(tmp_path, 3)
    supply = Renewed(read_objects([tmp_path]).templates)
    async with Scp().listening() as scp:
        loop = scp.loop(supply, 2)
        await loop.run(0.1, asyncio.Event())
    assert len(scp.uids) == len(set(scp.uids)) == loop.objects > 0
    assert loop.bytes == scp.bytes
    assert loop.failures == 0


async def test_failures_are_counted() -> None:
    async with Scp(0xA700).listening() as scp:
        loop = scp.loop(small(), 2)
        await loop.run(0.1, asyncio.Event())
    assert loop.failures == len(scp.uids) > 0
    assert loop.objects == 0
    assert loop.echoes > 0
    assert "A700H" in str(loop.first_failure)
    assert loop.latencies.get_total_count() == loop.echoes + loop.failures


async def test_associations_that_are_refused() -> None:
    async with Scp(max_associations=3).listening() as scp:
        loop = scp.loop(small(), 5)
        await loop.run(0.05, asyncio.Event())
    assert (loop.opened, loop.peak, loop.failures) == (3, 3, 2)
    assert loop.objects > 0


async def test_the_server_goes_away() -> None:
    async with Scp().listening() as scp:
        loop = scp.loop(small(), 4)
        running = asyncio.create_task(loop.run(1000, asyncio.Event()))
        while not scp.uids:  # noqa: ASYNC110 (the load itself is what passes the time)
            await asyncio.sleep(0)
        await scp.server.close()
        await running
    assert loop.open == 0
    assert loop.failures == 4
    assert isinstance(loop.first_failure, AiodicomError)


async def test_stop() -> None:
    stop = asyncio.Event()
    async with Scp().listening() as scp:
        loop = scp.loop(small(), 4)
        running = asyncio.create_task(loop.run(1000, stop))
        while not scp.uids:  # noqa: ASYNC110
            await asyncio.sleep(0)
        stop.set()
        await running
    assert loop.failures == 0
    assert loop.open == 4


async def test_stop_before_it_begins() -> None:
    stop = asyncio.Event()
    stop.set()
    async with Scp().listening() as scp:
        loop = scp.loop(small(), 4)
        await loop.run(1000, stop)
    assert loop.seconds == 0
    assert loop.milliseconds(99) == 0
    assert loop.failures == 0


async def test_cancelled_it_aborts() -> None:
    async with Scp().listening() as scp:
        loop = scp.loop(small(), 4)
        running = asyncio.create_task(loop.run(1000, asyncio.Event()))
        while not scp.uids:  # noqa: ASYNC110
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
