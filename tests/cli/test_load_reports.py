"""`aiodicom load compare` and `merge`, and what a run shows and writes."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO
from pathlib import Path

import aiohttp
import pytest
from rich.console import Console

import aiodicom
from aiodicom.cli.load.observing import Address, observed
from aiodicom.cli.load.watch import picture, watch
from aiodicom.load import driver, thresholds
from aiodicom.load.results import Result, read_result, write_result
from aiodicom.load.scenario import Scenario
from tests.cli.conftest import Invoke
from tests.cli.serving import serving
from tests.load.made import run


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Results of two runs, the second of which is slower."""
    paths = (tmp_path / "one.json", tmp_path / "two.json")
    write_result(run(20, seed=1), paths[0])
    write_result(run(20, seed=2, slow=1.5, scenario={"rate": 200}), paths[1])
    return paths


def test_compare(invoke: Invoke, two: tuple[Path, Path]) -> None:
    outcome = invoke("load", "compare", *two)
    assert (outcome.code, outcome.err) == (0, "")
    rows = [re.split(r" {2,}", line) for line in outcome.out.splitlines()]
    assert rows[0] == ["operation", "figure", "before", "after", "change"]
    p50 = next(row for row in rows if row[:2] == ["store", "p50"])
    assert p50[-1] == "worse"
    assert "scenario: rate: not there -> 200" in outcome.out.splitlines()
    assert re.fullmatch(r"0 figures better, \d+ worse", outcome.out.splitlines()[-1])


def test_compare_within(invoke: Invoke, two: tuple[Path, Path]) -> None:
    outcome = invoke("load", "compare", *two, "--within", 100)
    assert outcome.out.splitlines()[-1] == "0 figures better, 0 worse"


def test_compare_as_json_and_as_a_page(invoke: Invoke, two: tuple[Path, Path], tmp_path: Path) -> None:
    outcome = invoke("load", "compare", *two, "--json", "-", "--html", tmp_path / "changes.html")
    values = json.loads(outcome.out)
    assert outcome.out.count("\n") == 1
    assert values["worse"] > 0
    assert {"operation", "name", "unit", "before", "after", "change_percent", "verdict"} == values["rows"][0].keys()
    assert f"<h1>{two[0]} → {two[1]}</h1>" in (tmp_path / "changes.html").read_text()


def test_merge(invoke: Invoke, two: tuple[Path, Path], tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("sum.json", "sum.csv", "sum.html")]
    outcome = invoke("load", "merge", *two, "-o", files[0], "--csv", files[1], "--html", files[2])
    assert (outcome.code, outcome.err) == (0, "")
    merged = read_result(files[0])
    assert merged.operations["store"].count == 2 * read_result(two[0]).operations["store"].count
    assert outcome.out.splitlines()[2].split()[:2] == ["store", f"{merged.operations['store'].count:,}"]
    assert outcome.out.splitlines()[-1] == "done: no thresholds were given"
    with files[1].open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == 25 * 3
    assert "</html>" in files[2].read_text()


def test_merge_judges_again(invoke: Invoke, two: tuple[Path, Path], tmp_path: Path) -> None:
    outcome = invoke("load", "merge", *two, "--threshold", "rate>150/s", "--threshold", "store.p99<1ms")
    assert outcome.code == 99
    lines = outcome.out.splitlines()
    assert lines[-3].split(maxsplit=1)[1].startswith("rate>150/s: holds, 20")
    assert lines[-2].split(maxsplit=1)[1].startswith("store.p99<1ms: crossed, ")
    assert lines[-1] == "failed: 1 of 2 thresholds crossed"


def test_merge_to_stdout(invoke: Invoke, two: tuple[Path, Path]) -> None:
    outcome = invoke("load", "merge", two[0], "-o", "-")
    assert json.loads(outcome.out)["title"] == "the made-up PACS"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["merge", "one.json", "-o", "one.json"], 2, "one.json is one of the results that are added"),
        (["merge", "one.json", "-o", "nowhere/sum.json"], 2, "there is no folder nowhere"),
        (["merge", "one.json", "--html", "-"], 2, "only JSON goes to stdout: give a file"),
        (["merge", "one.json", "--html", "."], 2, ". is a folder: give a file"),
        (["merge", "one.json", "--threshold", "store.p99"], 2, "is no threshold: wanted such as"),
        (["merge", "none.json"], 1, "aiodicom load merge: none.json: No such file or directory"),
        (["compare", "one.json", "other.json"], 1, "other.json: not the JSON of aiodicom load"),
        (["merge", "one.json", "later.json"], 1, "only runs of the same time can be merged"),
        (["merge", "old.json"], 1, "old.json: written in format 0; this aiodicom reads 1"),
    ],
)
def test_failures_in_one_line(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_result(run(1), Path("one.json"))
    write_result(run(1, started="2026-01-01T13:00:00Z"), Path("later.json"))
    write_result(run(1, format=0), Path("old.json"))
    Path("other.json").write_text('{"operations": [1]}')
    outcome = invoke("load", *arguments)
    assert outcome.code == code
    (line,) = outcome.errors
    assert words in line
    assert outcome.out == ""


def shown(result: Result, *expressions: str, planned_s: float | None = 70.0) -> list[str]:
    """The lines of the live view."""
    console = Console(width=100, force_terminal=False, file=StringIO(), record=True)
    console.print(picture(result, [thresholds.parse(each) for each in expressions], planned_s))
    return [line.strip() for line in console.export_text().splitlines() if line.strip()]


def test_the_live_view() -> None:
    lines = shown(run(), "store.p99<200ms", "errors<1%", "move.p99<1s")
    assert lines[0].endswith("measuring, 65 s of 70 s")
    assert lines[3].split() == ["store", "80.0/s", "4,804", "4", "20.0", "ms", "968", "ms", "1.00", "s", "█" * 10]
    assert lines[7].startswith("20 associations · planned 100/s · dropped 7 · generator: lag p99")
    assert lines[8:] == [
        "3 x store: status A700H",
        "1 x association: aborted by peer",
        "1 x store: timeout: dimse",
        "store.p99<200ms: crossed, 968 ms",
        "errors<1%: holds, 0.0666 %",
        "move.p99<1s: nothing measured yet",
    ]


def test_the_live_view_before_there_is_anything() -> None:
    assert shown(Result(), "errors<1%") == ["opening associations: 0"]
    assert shown(run(0, 2), planned_s=None)[0] == "warm-up, 2 s"


async def test_the_live_view_is_drawn_until_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    with watch(lambda: run(1), [thresholds.parse("errors<9%")], 6.0):
        pass
    assert "errors<9%" in capsys.readouterr().err


async def test_prometheus_while_it_runs(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    result, scenario = run(1), Scenario()
    async with observed("load", scenario, lambda: result, Address("127.0.0.1", port), is_watched=True):
        assert capsys.readouterr().err == f"aiodicom load: metrics on http://127.0.0.1:{port}/metrics\n"
        url = f"http://127.0.0.1:{port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert 'aiodicom_load_operations_total{operation="store"}' in await response.text()
    assert capsys.readouterr().err == ""


# --- a run -----------------------------------------------------------------------------------------------------------


class Pacs:
    """Answers `status`."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def make(self) -> aiodicom.Server:
        """The server."""
        server = aiodicom.Server()
        server.on_c_echo(lambda _request: aiodicom.Status(self.status))
        return server


def test_the_files_of_a_run(invoke: Invoke, tmp_path: Path) -> None:
    files = {name: tmp_path / f"run.{name}" for name in ("json", "csv", "html")}
    with serving(Pacs().make) as pacs:
        options = [each for name, path in files.items() for each in (f"--{name}", path)]
        limits = ["--threshold", "errors<1%", "--threshold", "echo.p99<60s"]
        outcome = invoke("load", "127.0.0.1", pacs.port, "--operations", 20, *limits, *options)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == "Latencies are in milliseconds, from the planned start."
    assert lines[1].split()[-5:] == ["p50", "p90", "p99", "p99.9", "max"]
    assert lines[2].split()[:2] == ["echo", "20"]
    assert lines[-1] == "passed: all 2 thresholds hold"
    result = read_result(files["json"])
    assert result.operations["echo"].count == 20
    assert [threshold.crossed for threshold in result.thresholds] == [False, False]
    assert files["csv"].read_text().count("\n") == 1 + sum(len(each.operations) or 1 for each in result.series)
    assert "<strong>Passed</strong>" in files["html"].read_text()


def test_what_was_found(invoke: Invoke, two: tuple[Path, Path], tmp_path: Path) -> None:
    result = read_result(two[0])
    result.operations["find"].matches = 1234
    write_result(result, two[0])
    outcome = invoke("load", "merge", two[0], "--html", tmp_path / "page.html")
    assert "matches       find 1,234" in outcome.out.splitlines()
    assert ">1,234</td>" in (tmp_path / "page.html").read_text()


def test_metrics_on_a_port_in_use(invoke: Invoke) -> None:
    with serving(Pacs().make) as pacs:
        outcome = invoke("load", "127.0.0.1", pacs.port, "--operations", 1, "--prometheus", pacs.port)
    line = f"aiodicom load: cannot listen on 127.0.0.1 port {pacs.port}: Address already in use\n"
    assert (outcome.code, outcome.err) == (1, line)


def test_a_crossed_threshold_is_exit_code_99(invoke: Invoke) -> None:
    with serving(Pacs().make) as pacs:
        outcome = invoke("load", "127.0.0.1", pacs.port, "--operations", 5, "--threshold", "count>5", "--json", "-")
    assert outcome.code == 99
    assert json.loads(outcome.out)["thresholds"] == [{"expression": "count>5", "value": 5.0, "crossed": True}]


def test_abort_on_fail_ends_it_early(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_INTERVAL", 0.05)  # thresholds are judged as often
    with serving(Pacs(0xA700).make) as pacs:
        rate = ("--rate", "50/s", "--duration", "60s", "--threshold", "errors<5", "--abort-on-fail", "--json", "-")
        outcome = invoke("load", "127.0.0.1", pacs.port, *rate)
    result = json.loads(outcome.out)
    assert outcome.code == 99
    assert result["interrupted"] is True
    assert result["thresholds"][0]["crossed"] is True
    assert result["seconds"] < 30
    assert result["series"][0]["operations"]["echo"]["causes"].keys() == {"status A700H"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--threshold", "store.p99<1s"], 2, "the run has no operation 'store', but echo, associate, release"),
        (["--abort-on-fail"], 2, "wanted with thresholds: without, nothing can fail"),
        (["--json", "nowhere/run.json"], 2, "there is no folder nowhere"),
        (["--prometheus", "everywhere"], 2, "'everywhere' is neither a port, such as 9464, nor an address with one"),
    ],
)
def test_a_run_that_is_refused(invoke: Invoke, port: int, arguments: list[str], code: int, words: str) -> None:
    outcome = invoke("load", "127.0.0.1", port, *arguments)
    assert outcome.code == code
    (line,) = outcome.errors
    assert words in line
