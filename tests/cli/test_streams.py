"""Commands whose stdout or stderr cannot be written."""

from __future__ import annotations

import subprocess
import sys

import pytest

import aiodicom
from aiodicom.cli import streams
from tests.cli.conftest import PATIENCE, environment
from tests.cli.serving import serving


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
@pytest.mark.parametrize(
    ("stream", "options", "code"),
    [
        ("stderr", [], 0),
        ("stderr", ["-v"], 0),
        ("stderr", ["-d"], 0),
        ("stderr", ["--nix"], 2),
        ("stdout", [], 1),
    ],
)
def test_the_exit_code_is_that_of_the_result(stream: str, options: list[str], code: int) -> None:
    with serving(lambda: aiodicom.Server()) as served, open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "aiodicom", "echoscu", "127.0.0.1", str(served.port), *options]
        other = "stdout" if stream == "stderr" else "stderr"
        places = {stream: full, other: subprocess.PIPE}
        done = subprocess.run(command, env=environment(), timeout=PATIENCE, text=True, check=False, **places)
    assert done.returncode == code
    if stream == "stdout":
        assert done.stderr == "aiodicom echoscu: No space left on device\n"


def test_a_fault_that_passes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise OSError("no room now")

    with monkeypatch.context() as patches:
        patches.setattr(sys.stderr, "flush", refuse)
        streams.tell("one")
    streams.tell("two")
    assert capsys.readouterr().err.splitlines()[-1] == "two"


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_what_the_program_says_of_itself() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "aiodicom", "--version"]
        done = subprocess.run(
            command, env=environment(), timeout=PATIENCE, text=True, check=False, stdout=full, stderr=subprocess.PIPE
        )
    assert (done.returncode, done.stderr) == (1, "aiodicom: No space left on device\n")
