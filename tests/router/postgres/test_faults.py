"""Routers that share a queue, as processes, under load, while one of them or their database is killed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AiodicomError
from tests.ports import free_port
from tests.router.postgres.conftest import Shared
from tests.router.postgres.server import PostgresServer

ROOT = Path(__file__).parent.parent.parent.parent
CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
CONTEXTS = [(CT, [EXPLICIT])]
#: Seconds for everything that was acknowledged to arrive.
PATIENCE = 60.0

CONFIGURATION = """
[listen]
port = {port}

[queue]
directory = "{directory}"
postgres = "{postgres}"
objects = "{objects}"
lease = "1s"

[destinations.pacs]
type = "dimse"
host = "127.0.0.1"
port = {pacs}
called_aet = "PACS"
retry = {{ first = "100ms", most = "1s" }}

[[routes]]
to = ["pacs"]
"""


def data_set(number: int) -> bytes:
    """Two UIDs, and pixels of a size and content that the number says."""
    chosen = random.Random(number)
    pixels = chosen.randbytes(chosen.choice([40, 3_000, 30_000]) & ~1)
    study = b"1.2.3.%d" % (number % 7)
    study += b"\0" * (len(study) & 1)
    head = b"\x20\x00\x0d\x00UI" + len(study).to_bytes(2, "little") + study
    return head + b"\xe0\x7f\x10\x00OW\0\0" + len(pixels).to_bytes(4, "little") + pixels


class Destination:
    """Takes objects, and counts them by what they are."""

    def __init__(self) -> None:
        self.server = aiodicom.Server(ae_title="PACS")
        self.server.on_c_store(self._keep)
        self.received: Counter[tuple[str, str]] = Counter()
        self._arrived = asyncio.Event()

    def _keep(self, request: aiodicom.StoreRequest) -> aiodicom.Status:
        self.received[request.affected_sop_instance_uid, hashlib.sha256(request.data).hexdigest()] += 1
        self._arrived.set()
        return aiodicom.Status.SUCCESS

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not wanted():
                self._arrived.clear()
                await self._arrived.wait()


class Load:
    """Sends objects from several senders, each to the routers in turns, and again until one has acknowledged it."""

    def __init__(self, ports: list[int], count: int) -> None:
        self.ports = ports
        self.acknowledged: set[int] = set()
        self.failures = 0
        self._numbers = iter(range(count))
        self._progress = asyncio.Event()

    async def send(self, turn: int) -> None:
        """One sender, until there are no more objects."""
        number = next(self._numbers, None)
        while number is not None:
            turn += 1
            port = self.ports[turn % len(self.ports)]
            try:
                async with aiodicom.connect("127.0.0.1", port, contexts=CONTEXTS) as association:
                    while number is not None:
                        response = await association.c_store(
                            data_set(number),
                            sop_class_uid=CT,
                            sop_instance_uid=f"1.2.3.4.{number}",
                            transfer_syntax=EXPLICIT,
                        )
                        assert response.status == 0, response.status
                        self.acknowledged.add(number)
                        self._progress.set()
                        number = next(self._numbers, None)
            except (AiodicomError, OSError):
                self.failures += 1
                self._progress.set()
                await asyncio.sleep(0.05)  # as senders do before they try again

    async def until(self, wanted: Callable[[], bool]) -> None:
        """Returns when something holds of what has been acknowledged, or has failed."""
        async with asyncio.timeout(PATIENCE):
            while not wanted():
                self._progress.clear()
                await self._progress.wait()


@asynccontextmanager
async def routers(shared: Shared, folder: Path, pacs: int, count: int) -> AsyncIterator[dict[int, Any]]:
    """So many of them, by their ports; those that were not killed end as they should."""
    started: dict[int, Any] = {}
    for number in range(count):
        port = free_port()
        text = CONFIGURATION.format(
            port=port,
            directory=folder / f"node-{number}",
            postgres=shared.url,
            objects=shared.folder.as_uri(),
            pacs=pacs,
        )
        (folder / f"{number}.toml").write_text(text)
        with (folder / f"{number}.log").open("wb") as log:
            started[port] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "aiodicom", "route", f"{number}.toml"),
                cwd=folder,
                stderr=log,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
    try:
        for number in range(count):
            async with asyncio.timeout(PATIENCE):
                while "listening" not in (said := (folder / f"{number}.log").read_text()):
                    assert started[list(started)[number]].returncode is None, said
                    await asyncio.sleep(0.05)
        yield started
        for process in started.values():
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            ended = [await process.wait() for process in started.values()]
        assert set(ended) <= {0, -signal.SIGKILL}, [(folder / f"{number}.log").read_text() for number in range(count)]
    finally:
        for process in started.values():
            if process.returncode is None:
                process.kill()
                await process.wait()


async def run(
    shared: Shared, folder: Path, nodes: int, objects: int, fault: Callable[..., Awaitable[None]], left: int
) -> Load:
    """Sends objects through routers while there is a fault, and holds what arrives against what was acknowledged;
    ends when so many nodes are known to be left.
    """
    pacs = Destination()
    async with (
        pacs.server.listen("127.0.0.1", 0) as listening,
        routers(shared, folder, listening.port, nodes) as running,
    ):
        load = Load(list(running), objects)
        senders = [asyncio.create_task(load.send(turn)) for turn in range(6)]
        await load.until(lambda: len(load.acknowledged) > objects // 4)
        await fault(running, load, pacs)
        await asyncio.gather(*senders)
        assert len(load.acknowledged) == objects
        wanted = {(f"1.2.3.4.{n}", hashlib.sha256(data_set(n)).hexdigest()) for n in load.acknowledged}
        await pacs.until(lambda: wanted <= pacs.received.keys())
        assert pacs.received.keys() == wanted  # none that is corrupt
        while len(await shared.query("SELECT * FROM nodes")) != left:  # noqa: ASYNC110 (nobody here is told)
            await asyncio.sleep(0.02)
    return load


@pytest.mark.leaves_open
async def test_one_of_three_is_killed(shared: Shared, tmp_path: Path) -> None:
    async def fault(running: dict[int, Any], load: Load, pacs: Destination) -> None:
        port = load.ports[0]
        running[port].kill()
        await running[port].wait()

    await run(shared, tmp_path, 3, 300, fault, 2)
    assert await shared.query("SELECT * FROM nodes") == []


@pytest.mark.leaves_open
async def test_the_database_is_killed(shared: Shared, tmp_path: Path, postgres: PostgresServer) -> None:
    async def fault(running: dict[int, Any], load: Load, pacs: Destination) -> None:
        postgres.kill()
        # Senders hear of it meanwhile.
        failures = load.failures
        await load.until(lambda: load.failures > failures + 6)
        await asyncio.to_thread(postgres.start)

    await run(shared, tmp_path, 2, 300, fault, 2)
