"""The load under Locust: a master and two workers, and the page of the master in a real browser."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from tests import chromium
from tests.cli.serving import serving
from tests.ports import free_port

#: Seconds for all of it, on a machine that has other things to do.
PATIENCE = 60.0
EACH = 300

LOCUSTFILE = f"""
from aiodicom.load.locust import DicomUser

class GoLive(DicomUser):
    scenario = {{
        "operations": {EACH},
        "associations": 3,
        "mix": {{"echo": 2, "store": 1}},
        "calling_aets": ["CT1", "CT2", "CT3"],
        "data": {{"rows": 16, "columns": 16, "distinct": 1}},
        "seed": "s",
    }}
"""


class Scp:
    """Counts what it gets."""

    def __init__(self) -> None:
        self.echoes = 0
        self.stored: list[str] = []

    def server(self) -> aiodicom.Server:
        server = aiodicom.Server()

        @server.on_c_echo
        def _echo(_request: aiodicom.EchoRequest) -> None:
            self.echoes += 1

        @server.on_c_store
        def _store(request: aiodicom.StoreRequest) -> aiodicom.Status:
            self.stored.append(request.affected_sop_instance_uid)
            return aiodicom.Status.SUCCESS if len(self.stored) % 10 else aiodicom.Status(0xA700)

        return server


@contextmanager
def locust(folder: Path, name: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Locust with the locustfile of `folder`; ended by its id."""
    with (folder / f"{name}.log").open("wb") as log:
        command = [sys.executable, "-m", "locust", "-f", "locustfile.py", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield process
            process.terminate()
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()


def figures(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/stats/requests", timeout=PATIENCE) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def rows_of(page: str) -> dict[str, list[str]]:
    """The cells of the page's table of statistics, by the name of the operation."""
    found = re.findall(r"<tr\b.*?</tr>", page, re.DOTALL)
    rows = (re.findall(r"<td\b[^>]*>(.*?)</td>", row, re.DOTALL) for row in found)
    cells = ([html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in rows)
    return {row[1]: row[2:] for row in cells if len(row) > 2}


@pytest.mark.skipif(find_spec("locust") is None, reason="Locust is not installed")
def test_a_master_and_two_workers_and_the_page_in_a_browser(tmp_path: Path) -> None:
    (tmp_path / "locustfile.py").write_text(LOCUSTFILE)
    scp = Scp()
    web, bind = free_port(), free_port()
    url = f"http://127.0.0.1:{web}"
    master = (
        "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", bind, "--expect-workers", 2, "--autostart",
        "-u", 2, "-r", 2, "--web-host", "127.0.0.1", "--web-port", web,
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE
    with serving(scp.server) as listening, ExitStack() as stack:
        host = ("--host", f"dicom://127.0.0.1:{listening.port}")
        for name in ("one", "other"):
            stack.enter_context(locust(tmp_path, name, "--worker", "--master-host", "127.0.0.1", "--master-port", bind))
        # The last that begins is the first that ends: a master gives the users of a worker that has gone to another.
        stack.enter_context(locust(tmp_path, "master", *master, *host))
        while time.monotonic() < deadline:
            try:
                shown = {each["name"]: each["num_requests"] for each in figures(url)["stats"]}
            except OSError:
                shown = {}
            if shown.get("echo", 0) + shown.get("store", 0) == 2 * EACH and shown.get("release") == 6:
                break
            time.sleep(0.1)
        else:
            pytest.fail("\n".join(path.read_text() for path in tmp_path.glob("*.log")))
        page = rows_of(chromium.dumped(url, tmp_path / "browser"))
        errors = {(each["name"], each["error"]): each["occurrences"] for each in figures(url)["errors"]}
    assert (int(page["echo"][0]), int(page["echo"][1])) == (scp.echoes, 0)
    assert (int(page["store"][0]), int(page["store"][1])) == (len(scp.stored), len(scp.stored) // 10)
    assert int(page["associate"][0]) == int(page["release"][0]) == 6
    assert scp.echoes + len(scp.stored) == 2 * EACH
    assert len(set(scp.stored)) == len(scp.stored)  # no user sends what another does
    assert float(page["echo"][7]) > 0  # the longest, in milliseconds
    assert errors == {("store", "status A700H"): len(scp.stored) // 10}
