"""A real browser, headless: pages as people's browsers make them."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

#: Seconds that it may take.
_PATIENCE = 60.0


def dumped(url: str, folder: Path) -> str:
    """The document at `url` as it is once its scripts have run; `folder` is where the browser keeps its things.

    Where there is none the test is skipped, or fails with AIODICOM_REQUIRE_PEERS=1.
    """
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder}"]
    done = subprocess.run(
        [_program(), *options, "--virtual-time-budget=10000", "--dump-dom", url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=True,
    )
    return done.stdout


def _program() -> str:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("AIODICOM_REQUIRE_PEERS") == "1":
            pytest.fail("chromium is not installed, and AIODICOM_REQUIRE_PEERS is set", pytrace=False)
        pytest.skip("chromium is not installed")
    return program


class Tab:
    """A page that is open, driven by the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0

    async def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json(timeout=_PATIENCE)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    async def open(self, url: str) -> None:
        """Returns when the page at `url` is there and its scripts run."""
        await self._call("Page.enable")
        await self._call("Page.navigate", url=url)
        while (await self._socket.receive_json(timeout=_PATIENCE)).get("method") != "Page.loadEventFired":
            pass

    async def run(self, script: str) -> Any:
        """What a script comes to."""
        result = await self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, condition: str) -> None:
        """Returns when an expression holds, which is looked at again and again."""
        script = f"new Promise((done) => {{ const look = () => {condition} ? done() : setTimeout(look, 20); look(); }})"
        async with asyncio.timeout(_PATIENCE):
            await self.run(script)

    async def resize(self, width: int, height: int) -> None:
        """Has the page seen on a screen of so many pixels, as telephones have it where it is narrow."""
        await self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    async def screenshot(self) -> bytes:
        """What is to be seen, as PNG."""
        return base64.b64decode((await self._call("Page.captureScreenshot"))["data"])


@asynccontextmanager
async def browser(url: str, folder: Path) -> AsyncIterator[Tab]:
    """The page at `url` in a browser of its own; skips or fails as `dumped` does."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"]
    process = await asyncio.create_subprocess_exec(
        _program(), *options, "--window-size=1300,900", f"--user-data-dir={folder}", "about:blank",
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        async with asyncio.timeout(_PATIENCE):
            while b"DevTools listening on" not in (line := await process.stderr.readline()):
                assert line, "the browser has ended"
        place = line.decode().split("ws://")[1].split("/")[0]
        draining = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{place}/json") as response:
                (page,) = [each for each in await response.json() if each["type"] == "page"]
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                tab = Tab(socket)
                await tab.open(url)
                yield tab
    finally:
        process.kill()
        await process.wait()
    await draining
