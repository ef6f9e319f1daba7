"""`aiodicom demo`, small."""

from __future__ import annotations

import json
import os
import pty
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import aiodicom
from tests.cli.conftest import PATIENCE, Invoke, Start
from tests.cli.objects import put_many

KEYS = [
    "associations",
    "peak",
    "associations_per_s",
    "echoes_per_s",
    "objects_per_s",
    "megabytes_per_s",
    "p50_ms",
    "p99_ms",
    "max_ms",
    "failures",
]


@pytest.mark.parametrize("workers", [1, 2])
def test_json(start: Start, workers: int) -> None:
    outcome = start("demo", "--associations", 20, "--seconds", "0.3", "--workers", workers, "--json").wait()
    assert outcome.code == 0
    assert outcome.err == ""
    assert outcome.out.count("\n") == 1
    values = json.loads(outcome.out)
    assert list(values) == KEYS
    assert (values["associations"], values["peak"], values["failures"]) == (20, 20, 0)
    assert values["megabytes_per_s"] == pytest.approx(values["objects_per_s"] * 0.525, rel=0.05)
    assert 0 < values["p50_ms"] <= values["p99_ms"] <= values["max_ms"]
    assert min(values["associations_per_s"], values["echoes_per_s"]) > 0


def test_the_summary(start: Start) -> None:
    outcome = start("demo", "--associations", 3, "--seconds", "0.1").wait()
    assert outcome.code == 0
    rows = [line.rsplit("  ", 1) for line in outcome.out.splitlines()]
    names = [name.strip() for name, _ in rows]
    assert names[:6] == ["associations open", "peak", "associations/s", "C-ECHO/s", "objects/s", "MB/s"]
    assert names[6:] == ["latency p50", "latency p99", "latency max", "failures"]
    assert [rows[0][1].strip(), rows[-1][1].strip()] == ["3", "0"]


def test_real_files(start: Start, tmp_path: Path) -> None:
    put_many(tmp_path, 3, size=1000)
    (tmp_path / "note.txt").write_text("no DICOM")
    outcome = start("demo", "--associations", 3, "--seconds", "0.2", "--input", tmp_path, "--json").wait()
    values = json.loads(outcome.out)
    assert outcome.code == 0
    assert values["failures"] == 0
    assert 0 < values["megabytes_per_s"] < values["objects_per_s"] * 0.0017


def test_no_files(invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("demo", "--input", tmp_path)
    assert outcome.code == 1
    assert outcome.errors == [f"aiodicom demo: {tmp_path}: no DICOM files to send"]


def test_too_few_descriptors(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    outcome = invoke("demo")
    assert outcome.code == 1
    (line,) = outcome.errors
    assert "1,000 associations need 1,064 open files" in line


def test_a_live_table_on_a_terminal_then_the_summary() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(Path(aiodicom.__file__).parent.parent), "TERM": "xterm"}
    command = [sys.executable, "-m", "aiodicom", "demo", "--associations", "3", "--seconds", "0.2"]
    try:
        subprocess.run(command, stdout=theirs, stderr=theirs, env=environment, timeout=PATIENCE, check=True)
        shown = os.read(ours, 1 << 20).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "╭" in shown
    assert shown.rstrip().splitlines()[-1].split() == ["failures", "0"]


def test_a_signal_ends_it_early(start: Start) -> None:
    command = start("demo", "--associations", 3, "--seconds", 1000, "--json", "-v")
    for _ in range(3):
        command.wait_for_line("")
    command.send_signal(signal.SIGINT)
    outcome = command.wait()
    assert outcome.code == 1
    assert json.loads(outcome.out)["failures"] == 0
    assert outcome.errors[-1] == "aiodicom demo: interrupted"
