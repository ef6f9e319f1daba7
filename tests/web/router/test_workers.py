"""A router in several processes."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from pathlib import Path

import aiohttp
import pytest

from aiodicom.net.run import run
from aiodicom.router.config.reading import load
from aiodicom.router.control import Meant
from aiodicom.web.router.client import ControlClient
from aiodicom.web.router.process import ProcessSettings
from aiodicom.web.router.serving import serving_pages
from aiodicom.web.router.workers import supervised
from tests.router.running import HEAD, Archive, destination, image, store, uid_of, write

RECEIVED = 'aiodicom_router_received_objects_total{calling_aet="CT1"}'
ROUTE = '---\n[[routes]]\nto = ["pacs"]\n'


def prepare() -> None:
    """As a command sets up the log of a worker."""
    logging.getLogger("aiodicom").setLevel(logging.INFO)
    logging.getLogger("aiodicom").addHandler(logging.StreamHandler())


async def metric(session: aiohttp.ClientSession, name: str) -> float:
    """What /metrics says."""
    async with session.get("/metrics") as response:
        (value,) = re.findall(f"^{re.escape(name)} (.*)$", await response.text(), re.MULTILINE)
        return float(value)


async def received_by(port: int, session: aiohttp.ClientSession, client: ControlClient) -> int:
    """Sends objects, an association each, until every worker has had one: the metrics have all of them. Returns how
    many that were.
    """
    sent = 0
    while {each.received for each in await client.status()} & {0}:
        sent += 1
        assert await store(port, [image(100 + sent)]) == [0]
        assert await metric(session, RECEIVED) == sent
    return sent


async def killed_and_replaced(tmp_path: Path) -> None:
    async with Archive() as pacs:
        path = write(tmp_path, destination("pacs", pacs.port) + ROUTE, HEAD + "[metrics]\nport = 0\n")
        client = ControlClient(tmp_path / "queue")
        config = load(path)
        async with (
            supervised(ProcessSettings(config, str(path), prepare), 2) as workers,
            serving_pages(config, None) as pages,
            aiohttp.ClientSession(pages[0].removeprefix("metrics at ").removesuffix("metrics")) as session,
        ):
            port = workers.addresses[0][1]
            before = {each.shard: each.pid for each in await client.status()}
            assert sorted(before) == ["shard-000", "shard-001"]
            received = await received_by(port, session, client)
            await client.change("hold", Meant(destination="pacs"))
            assert await store(port, [image(1)]) == [0]
            assert await metric(session, RECEIVED) == received + 1
            (way,) = await client.search(uid_of(1))
            shard = way.object.partition("/")[0]
            os.kill(before[shard], signal.SIGKILL)
            async with asyncio.timeout(20):
                while True:
                    after = {each.shard: each.pid for each in await client.status()}
                    if len(after) == 2 and after[shard] != before[shard]:
                        break
            await client.change("release", Meant(destination="pacs"))
            await pacs.got(uid_of(1))
            # Where is listened changes with a restart alone; a worker that comes later begins all the same.
            path.write_text(path.read_text().replace('ae_title = "ROUTER"', 'host = "127.0.0.2"'))
            assert "restart alone" in str(workers.reload().problems)
            assert workers.config.listeners[0].host == "127.0.0.1"
            async with asyncio.timeout(20):
                while not all(each.problems for each in await client.status()):
                    pass


def test_a_worker_that_was_killed_is_replaced_and_what_it_had_is_delivered(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(killed_and_replaced(tmp_path))
    said = capfd.readouterr().err
    assert "CT1>ROUTER] association established" in said
    # What is wrong with a configuration is for the supervisor to say, once.
    assert "stays as it was" not in said
