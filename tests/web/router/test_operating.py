"""The page of a router and its API, its control, its health and metrics; and the page in a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from aiodicom.router.config.reading import load
from aiodicom.router.control import Meant
from aiodicom.web.router.client import ControlClient, NotRunning
from aiodicom.web.router.metrics import added
from aiodicom.web.router.operations import Attempts
from aiodicom.web.router.process import Process, ProcessSettings, running
from aiodicom.web.router.serving import serving_pages
from tests.chromium import browser
from tests.router.running import HEAD, Archive, Watch, destination, image, store, uid_of, write

ROUTE = '---\n[[routes]]\nto = ["pacs"]\n'
PAGES = '[operations]\nport = 0\ntoken_file = "token"\n[metrics]\nport = 0\n'


class Site:
    """A router with its page."""

    def __init__(self, process: Process, url: str, watch: Watch, folder: Path) -> None:
        self.process = process
        self.url = url
        self.watch = watch
        self.client = ControlClient(folder / "queue")

    @property
    def port(self) -> int:
        """Where the router listens."""
        return self.process.router.listeners.addresses[0][1]


@asynccontextmanager
async def site(folder: Path, port: int) -> AsyncIterator[Site]:
    """Runs one with a destination, and the token `secret`."""
    (folder / "token").write_text("secret\n")
    path = write(folder, destination("pacs", port) + ROUTE, HEAD + PAGES)
    async with AsyncExitStack() as stack:
        config = load(path)
        process = await stack.enter_async_context(running(ProcessSettings(config, str(path))))
        watch = Watch()
        process.router.observers.add(watch)
        lines = await stack.enter_async_context(serving_pages(config, None))
        yield Site(process, lines[0].removeprefix("page at "), watch, folder)


async def test_the_api_is_behind_the_token(tmp_path: Path) -> None:
    async with Archive() as pacs, site(tmp_path, pacs.port) as page, aiohttp.ClientSession(page.url) as session:
        right = {"Authorization": "Bearer secret"}
        for method, path in (
            ("GET", "/api/status"),
            ("POST", "/api/hold"),
            ("GET", "/api/search?text=1"),
            ("POST", "/api/login"),
        ):
            async with session.request(method, path, headers={"Authorization": "Bearer wrong"}) as response:
                assert response.status == 401
        async with session.post("/api/login", headers=right) as response:
            assert response.status == 200
        async with session.get("/api/status", headers=right) as response:
            (status,) = await response.json()
            assert status["shard"] == "shard-000"
        for body in ("{", '{"state": "x"}', '{"wrong": 1}', '{"object": "5"}'):
            async with session.post("/api/drop", headers=right, data=body) as response:
                assert response.status == 400, body
                assert (await response.json())["error"]
        for _ in range(10):
            await session.get("/api/status")
        async with session.get("/api/status", headers=right) as response:
            assert response.status == 429


def test_who_shows_wrong_tokens_waits() -> None:
    attempts = Attempts(most=2, seconds=60, addresses=2)
    for address in ("a", "a", "b", "c"):
        assert attempts.may_try(address, 0)
        attempts.failed(address, 0)
    assert attempts.may_try("a", 0)  # forgotten, as there are many others
    attempts.failed("c", 1)
    assert not attempts.may_try("c", 59)
    assert attempts.may_try("c", 60)


async def test_health_and_metrics(tmp_path: Path) -> None:
    async with Archive() as pacs, site(tmp_path, pacs.port) as page, aiohttp.ClientSession(page.url) as session:
        assert await store(page.port, [image(1), image(2)]) == [0, 0]
        await page.watch.until(lambda: page.watch.count("delivered") == 2)
        await page.process.router.queue.flush()
        for path in ("/livez", "/readyz"):
            async with session.get(path) as response:
                assert (response.status, await response.text()) == (200, "ok\n")
        async with session.get("/metrics") as response:
            text = await response.text()
        assert 'aiodicom_router_received_objects_total{calling_aet="CT1"} 2.0' in text
        assert 'aiodicom_router_delivered_objects_total{destination="pacs"} 2.0' in text
        assert 'aiodicom_router_queued_deliveries{destination="pacs",state="waiting"} 0.0' in text
        assert 'aiodicom_router_delivery_seconds_count{destination="pacs"} 2.0' in text


def test_metrics_of_several_processes_are_those_of_one() -> None:
    one = b"""# HELP a_total A.
# TYPE a_total counter
a_total{d="x"} 2.0
# TYPE aiodicom_router_disk_free_bytes gauge
aiodicom_router_disk_free_bytes 5.0
# TYPE aiodicom_router_disk_full gauge
aiodicom_router_disk_full 0.0
"""
    other = one.replace(b"2.0", b"3.0").replace(b"5.0", b"4.0").replace(b"full 0.0", b"full 1.0")
    together = added([one, other]).decode()
    assert 'a_total{d="x"} 5.0' in together
    assert "aiodicom_router_disk_free_bytes 4.0" in together
    assert "aiodicom_router_disk_full 1.0" in together


async def test_commands_ask_what_runs(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="no router runs"):
        await ControlClient(tmp_path / "queue").status()
    async with Archive(lambda _: 0xA900) as pacs, site(tmp_path, pacs.port) as page:
        await store(page.port, [image(1)])
        await page.watch.saw("dead")
        (way,) = await page.client.listed(Meant(state="dead"))
        assert way.steps[0].state == "dead"
        assert await page.client.change("drop", Meant(object=way.object)) == 1
        assert (await page.client.search(uid_of(1)))[0].steps[0].state == "dropped"


async def test_the_page_in_a_browser(tmp_path: Path) -> None:
    """Logs in with a wrong token and the right one, holds and releases, retries a failure, finds an object's way."""
    async with Archive(lambda _: 0xA900) as pacs, site(tmp_path, pacs.port) as page:
        await store(page.port, [image(1)])
        await page.watch.saw("dead")
        async with browser(page.url, tmp_path / "browser") as tab:

            async def log_in(token: str) -> None:
                await tab.run(f"at('token').value = '{token}'; document.querySelector('#login button').click()")

            await tab.until("!at('login').hidden")
            await log_in("wrong")
            await tab.until("at('refused').textContent === 'this is not the token'")
            await log_in("secret")
            await tab.until("!at('main').hidden && at('failures').rows.length === 1")
            assert "A900H" in await tab.run("at('failures').textContent")
            click = "[...document.querySelectorAll('#{} button')].find((each) => each.textContent === '{}').click()"
            await tab.run(click.format("destinations", "Hold"))
            await tab.until("at('destinations').rows[0].cells[1].textContent.startsWith('held')")
            await tab.run(click.format("destinations", "Release"))
            await tab.until("at('destinations').rows[0].cells[1].textContent === 'open'")
            pacs.answer = None
            await tab.run(click.format("failures", "Retry"))
            await pacs.got(uid_of(1))
            await tab.until("at('failures').rows.length === 0")
            await tab.run(f"at('text').value = '{uid_of(1)}'; document.querySelector('#search button').click()")
            await tab.until("at('found').textContent.includes('delivered')")
            (tmp_path / "page.png").write_bytes(await tab.screenshot())
            await tab.resize(360, 700)
            assert await tab.run("document.documentElement.scrollWidth") == 360
