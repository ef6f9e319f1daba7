"""`aiodicom load target`: options over a scenario file, and what it says at the end."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke, Start
from tests.cli.objects import put


def test_options_go_over_the_file(start: Start, invoke: Invoke, tmp_path: Path) -> None:
    scenario = tmp_path / "bad.toml"
    scenario.write_text('seed = 3\n[operations.echo]\nlatency = "1ms"\n[operations.store.statuses]\nA700 = "100%"\n')
    command = start("load", "target", 0, "--scenario", scenario, "--fault", "echo=abort", "--json")
    port = command.wait_for_line("listening on").rpartition(":")[2]
    aborted = invoke("echoscu", "127.0.0.1", port)
    assert (aborted.code, "abort" in aborted.err) == (1, True)
    put(tmp_path / "slice.dcm", "1.2.3")
    refused = invoke("storescu", "127.0.0.1", port, tmp_path / "slice.dcm")
    assert (refused.code, "A700H" in refused.err) == (1, True)
    command.send_signal(signal.SIGINT)
    outcome = command.wait()
    assert outcome.code == 0
    counts = json.loads(outcome.out)
    assert counts["operations"] == {"echo": 1, "store": 1}
    assert counts["faults"] == {"abort": 1}
    assert counts["statuses"] == {"A700H": 1}
    assert (counts["asked"], counts["accepted"]) == (2, 2)


def test_what_it_says(start: Start, invoke: Invoke) -> None:
    command = start("load", "target", 0, "--matches", 2, "--stall", "1ms/1h")
    port = command.wait_for_line("listening on").rpartition(":")[2]
    assert invoke("echoscu", "127.0.0.1", port, "--repeat", 3).code == 0
    assert invoke("findscu", "127.0.0.1", port, "-k", "PatientName").code == 0
    assert command.terminate().out.splitlines() == [
        "associations: 2 asked, 2 accepted, 0 rejected, 0 aborted, 0 closed, 0 ignored",
        "operations: 3 echo, 1 find",
        "statuses: 4 0000H",
        "2 matches",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--latency", "quick"], "'--latency': 'quick' is no distribution"),
        (["--latency", "store=normal,5ms"], "wanted MEAN DEVIATION after the name"),
        (["--status", "A7"], "'--status': 'A7' is no status"),
        (["--status", "A700:200%"], "'--status': wanted a share"),
        (["--status", "FF00"], "ends no operation"),
        (["--status", "A700:60%", "--status", "C000:60%"], "more than 100% of the operations together"),
        (["--fault", "sulk"], "'--fault': 'sulk' is no fault: wanted one of never, abort"),
        (["--fault", "stores=never"], "'stores' is no kind of operations: wanted one of all, echo"),
        (["--stall", "5s"], "'--stall': '5s' is no stall: wanted such as 5s@10s"),
        (["--stall", "5s/1s"], "has no end"),
        (["--reject", "many"], "'--reject': wanted a share"),
        (["--rejection", "1,2"], "'--rejection': '1,2': wanted result, source and reason"),
        (["--contexts", "some"], "contexts 'some': wanted one of proposed"),
        (["--read-rate", "slow"], "'--read-rate': wanted a rate"),
        (["--matches", "all"], "'--matches': 'all' is neither a number nor endless"),
        (["--destination", "WS1"], "'--destination': 'WS1': wanted TITLE=HOST:PORT"),
        (["--destination", "WS1=here"], "wanted HOST:PORT"),
        (["--commitment-delay", "later"], "'--commitment-delay': 'later' is no distribution"),
        (["--scenario", "nowhere.toml"], "'--scenario'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_line(invoke: Invoke, arguments: list[str], says: str) -> None:
    outcome = invoke("load", "target", 0, *arguments)
    assert outcome.code == 2
    (line,) = outcome.errors
    assert line.startswith("aiodicom load target: ")
    assert says in line


def test_a_wrong_file_is_one_line_with_the_key(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[operations.store]\nlatency = 'quick'\n")
    (line,) = invoke("load", "target", 0, "--scenario", path).errors
    assert f"{path}: key `operations.store.latency`: 'quick' is no distribution" in line


def test_packages_that_are_missing(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named 'msgspec', which {name} imports", name="msgspec")

    monkeypatch.setattr("aiodicom.cli.import_module", missing)
    outcome = invoke("load", "target", 0)
    assert (outcome.code, outcome.errors) == (
        1,
        ["aiodicom load target: this command needs more packages: pip install 'aiodicom[load]'"],
    )
