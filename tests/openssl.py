"""OpenSSL's own client and server, for what others would negotiate."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.certificates import Files

PATIENCE = 20.0


class Negotiated(NamedTuple):
    """What two sides have agreed on."""

    version: str
    suite: str


def program() -> str:
    """The path of `openssl`."""
    path = shutil.which("openssl")
    if path is None:
        pytest.skip("openssl is not installed")
    return path


def s_client(port: int, *options: str) -> Negotiated | None:
    """What a server of this machine negotiates with such a client; None if it refuses."""
    done = subprocess.run(
        [program(), "s_client", "-brief", "-connect", f"127.0.0.1:{port}", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    told = dict(re.findall(r"^(Protocol version|Ciphersuite): (\S+)$", done.stderr, re.MULTILINE))
    return Negotiated(told["Protocol version"], told["Ciphersuite"]) if told else None


@contextlib.contextmanager
def s_server(files: Files, *options: str) -> Iterator[int]:
    """Runs a server and gives its port."""
    with subprocess.Popen(
        [
            program(),
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-cert",
            files.cert,
            "-key",
            files.key,
            "-naccept",
            "1",
            *options,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("ACCEPT"):
                    yield int(line.rpartition(":")[2])
                    return
        finally:
            process.kill()
