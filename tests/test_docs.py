"""The Python examples in README.md and docs/ run, with another port in place of the one that they name."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aiodicom
from tests.certificates import Authority
from tests.cli.conftest import PATIENCE
from tests.cli.objects import put

ROOT = Path(__file__).parent.parent
PORT = "11112"


def blocks() -> list[tuple[str, str]]:
    """Every Python block, with a name that says where it is."""
    found = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = path.read_text()
        for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 2
            found.append((f"{path.relative_to(ROOT)}:{line}", match[1]))
    return found


BLOCKS = blocks()
# An example with both ends stands alone, like one with neither, and one whose other end is a load balancer.
SERVERS = [
    block
    for block in BLOCKS
    if ".listen(" in block[1] and not re.search(r"\.(connect|Pool)\(|proxy_protocol=", block[1])
]
CLIENTS = [block for block in BLOCKS if re.search(r"\.(connect|Pool)\(", block[1]) and ".listen(" not in block[1]]
OTHERS = [block for block in BLOCKS if block not in SERVERS and block not in CLIENTS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an example runs: it has a file to send, and certificates."""
    put(tmp_path / "slice.dcm", "1.2.3")
    authority = Authority(tmp_path)
    authority.issue("server", "localhost")
    authority.issue("ct1", "CT1")
    for name in ("pacs", "clinic"):
        authority.issue(name, f"{name}.example.org")
    return tmp_path


def start(code: str, port: int, folder: Path) -> subprocess.Popen[str]:
    """Runs an example as a program of its own, with warnings as errors."""
    (folder / "example.py").write_text(code.replace(PORT, str(port)))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "example.py"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        # What a server prints is read while it runs.
        env=os.environ | {"PYTHONPATH": str(Path(aiodicom.__file__).parent.parent), "PYTHONUNBUFFERED": "1"},
    )


@pytest.fixture
def server(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """The first server example, listening on `port`."""
    (folder / "server").mkdir()
    yield from running(SERVERS[0][1], port, folder / "server")


def running(code: str, port: int, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A server example from its first line of output, which says that it listens, to Ctrl-C."""
    process = start(code, port, folder)
    try:
        assert process.stdout is not None
        assert str(port) in process.stdout.readline()
        yield process
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()


def test_there_are_examples() -> None:
    assert SERVERS
    assert CLIENTS


@pytest.mark.parametrize("code", [code for _, code in CLIENTS], ids=[name for name, _ in CLIENTS])
def test_client(code: str, server: subprocess.Popen[str], port: int, folder: Path) -> None:
    process = start(code, port, folder)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert out
    if "c_store" in code:
        assert server.stdout is not None
        assert "1.2.3" in server.stdout.readline()


@pytest.mark.parametrize("code", [code for _, code in SERVERS], ids=[name for name, _ in SERVERS])
async def test_server(code: str, port: int, folder: Path) -> None:
    for _ in running(code, port, folder):
        ct, explicit = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
        contexts = ["1.2.840.10008.1.1", (ct, [explicit])]
        async with aiodicom.connect("127.0.0.1", port, called_aet="STORE", contexts=contexts) as association:
            await association.c_echo()
            await association.c_store(folder / "slice.dcm")


@pytest.mark.parametrize("code", [code for _, code in OTHERS], ids=[name for name, _ in OTHERS])
def test_other(code: str, port: int, folder: Path) -> None:
    process = start(code, port, folder)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in ("pip install -e '.[all]' && aiodicom demo", "pip install -e '.[dev]' && pytest"):
        assert f"```console\n{command}\n```" in readme
