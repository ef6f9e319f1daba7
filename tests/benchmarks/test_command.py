"""The command line of the benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def benchmarks(*arguments: str, module: str = "benchmarks") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "AIODICOM_BENCH_TOOLS"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_rows_without_their_tools_are_left_out_by_name(tmp_path: Path) -> None:
    done = benchmarks("--tools", str(tmp_path), "--only", "C-ECHO, 1 association")
    assert done.returncode == 0
    assert "left out for want of dimseblast and dimsesink (--tools DIR): C-ECHO, 1 association" in done.stdout
    assert "0 of 0 targets reached" in done.stdout


def test_a_row_that_is_not_there() -> None:
    done = benchmarks("--only", "no such row")
    assert done.returncode == 2
    assert "--list" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--only", "(", "'(' is no regular expression: missing ), unterminated subpattern at position 0"),
        ("--runs", "0", "'0' is no number from 1 on"),
        ("--runs", "many", "'many' is no number from 1 on"),
        ("--json", "no/such/folder/result.json", "no/such/folder/result.json can't be written"),
        ("--html", "tests", "tests can't be written"),
        ("--folder", "no/such/folder", "no/such/folder is no folder"),
    ],
)
def test_what_an_option_can_not_be_is_said_before_anything_runs(option: str, value: str, message: str) -> None:
    done = benchmarks(option, value)
    assert done.returncode == 2
    assert done.stderr.endswith(f"error: argument {option}: {message}\n")
    assert not done.stdout


def test_list() -> None:
    done = benchmarks("--list", "--only", "^C-ECHO, 100 associations")
    assert done.returncode == 0
    assert done.stdout == "C-ECHO, 100 associations x 1,500\n"


def test_a_row_that_needs_nothing(tmp_path: Path) -> None:
    page = tmp_path / "result.html"
    arguments = ["--quick", "--runs", "1", "--only", "^import", "--html", str(page)]
    done = benchmarks(*arguments, module="benchmarks.engine")
    assert done.returncode == 0, done.stdout
    assert "reached  import aiodicom, numpy loaded" in done.stdout
    assert "import aiodicom" in page.read_text()


def test_pixel_data_has_figures_of_its_own() -> None:
    arguments = ["--quick", "--runs", "1", "--only", "^RLE encode, CT"]
    done = benchmarks(*arguments, module="benchmarks.pixels")
    assert done.returncode == 0, done.stdout
    assert "aiodicom, compressed bytes: 1." in done.stdout


def test_the_load_generator_has_figures_of_its_own() -> None:
    done = benchmarks("--list", module="benchmarks.load")
    assert done.returncode == 0
    assert [title.partition(":")[0] for title in done.stdout.splitlines()] == ["load"] * 5
