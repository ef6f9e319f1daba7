"""`aiodicom load`: from arguments and files to a summary and an exit code."""

from __future__ import annotations

import json
import re
import signal
import threading
from pathlib import Path

import pytest

import aiodicom
from aiodicom.cli.load import confirmation
from tests.cli.conftest import Invoke, Start
from tests.cli.serving import serving
from tests.ports import free_port

FAST = ("--rows", 16, "--columns", 16, "--images", 2, "--distinct", 1)


def storing() -> aiodicom.Server:
    """An SCP that keeps nothing."""
    server = aiodicom.Server()
    server.on_c_store(lambda _: aiodicom.Status.SUCCESS, body=aiodicom.Discarded())
    return server


def test_from_flags(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with serving(storing) as scp:
        outcome = invoke(
            "load", "127.0.0.1", scp.port, "--operations", 30, "--associations", 2, "--mix", "store=1,echo=2",
            "--json", path, "--threshold", "errors<1", *FAST, "-aet", "CT1", "-aec", "PACS", "--title", "T",
        )  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-2].split(maxsplit=1)[1] == "errors<1: holds, 0"
    result = json.loads(path.read_bytes())
    assert result["operations"]["store"]["count"] + result["operations"]["echo"]["count"] == 30
    assert result["associations"]["opened"] == 2
    assert result["scenario"]["targets"] == [{"host": "127.0.0.1", "port": scp.port, "called_aets": ["PACS"]}]
    assert result["scenario"]["calling_aets"] == ["CT1"]
    assert result["title"] == "T"
    assert {"p50", "p90", "p99", "p99_9", "max"} <= result["operations"]["store"]["planned_latency_ms"].keys()
    assert {"lag_p99_ms", "cpu_percent", "limited"} <= result["generator"].keys()


def test_from_a_file(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "go-live.toml"
    path.write_text('rate = "100/s"\nduration = "0.1s"\n[[targets]]\nhost = "127.0.0.1"\nport = 1\n')
    with serving(storing) as scp:
        outcome = invoke("load", path, "--target", f"127.0.0.1:{scp.port}", "--json", "-")
    assert outcome.code == 0
    assert json.loads(outcome.out)["operations"]["echo"]["count"] == 10


def test_options_replace_keys_of_a_file_one_by_one(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(
        'operations = 2\nmix = { store = 1 }\n[[targets]]\nhost = "127.0.0.1"\n[timeouts]\nacse = "7s"\n'
        '[data]\nrows = 16\ncolumns = 16\nimages = 2\nseries = 3\ntransfer_syntax = "jpeg-ls"\n'
    )
    with serving(storing) as scp:
        outcome = invoke(
            "load", path, "--target", f"127.0.0.1:{scp.port}", "--series", 1, "--seed", "x", "--mix", "echo=2",
            "--dimse-timeout", "8s", "--json", "-",
        )  # fmt: skip
    scenario = json.loads(outcome.out)["scenario"]
    assert scenario["data"]["transfer_syntax"] == "jpeg-ls"
    assert (scenario["data"]["rows"], scenario["data"]["series"]) == (16, 1)
    assert (scenario["mix"], scenario["seed"]) == ({"echo": 2}, "x")
    assert (scenario["timeouts"]["acse"], scenario["timeouts"]["dimse"]) == (7, 8)


def test_from_python(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "scan_of_ours.py"
    path.write_text(
        "from aiodicom.load import User, task\n"
        "class Scan(User):\n"
        "    scenario = {'operations': 3}\n"
        "    @task\n"
        "    async def look(self):\n"
        "        await self.echo()\n"
    )
    with serving(storing) as scp:
        outcome = invoke("load", f"{path}:Scan", "--target", f"127.0.0.1:{scp.port}", "--json", "-")
    assert outcome.code == 0
    assert json.loads(outcome.out)["operations"]["look"]["count"] == 3


def test_thresholds(invoke: Invoke) -> None:
    with serving(storing) as scp:
        outcome = invoke("load", "127.0.0.1", scp.port, "--operations", 3, "--threshold", "echo.count>5")
    assert outcome.code == 99


def test_nothing_succeeds(invoke: Invoke) -> None:
    outcome = invoke("load", "127.0.0.1", free_port(), "--operations", 1)
    assert outcome.code == 1
    assert "1 x echo: refused" in outcome.out
    assert re.search(r"^example {7}(echo|associate): refused: .*Connection refused", outcome.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["127.0.0.1"], "'127.0.0.1' is no scenario file (.toml, .py): a host needs a PORT after it."),
        (["127.0.0.1", 1, "--rate", "5/x"], '--rate: wanted a rate such as "500/s", "30/m" or "2000/h", got \'5/x\'.'),
        (["127.0.0.1", 1, "--warm-up", "1m"], "--warm-up: wanted less than the run lasts."),
        (["127.0.0.1", 1, "--associations", 0], "--associations: wanted 1 to 1,000,000, got 0."),
        (["127.0.0.1", 1, "--operations", 0], "--operations: wanted 1 or more, got 0."),
        (["127.0.0.1", 1, "--duration", "0"], "--duration: wanted more than 0 s."),
        (["127.0.0.1", 1, "--receiver-port", 0], "--receiver-port: wanted 1 to 65535, got 0."),
        (
            ["127.0.0.1", 1, "--association-per", "x"],
            '--association-per: wanted "run", "operation", "series", "study", a ',
        ),
        (["127.0.0.1", 1, "--level", "SLICE"], '--level: wanted "PATIENT", "STUDY", "SERIES", "IMAGE", got \'SLICE\'.'),
        (
            ["127.0.0.1", 1, "--study-with", "tea"],
            "'--study-with': 'tea': wanted one of worklist, query, mpps, commitment.",
        ),
        (
            ["127.0.0.1", 1, "--mix", "move=1"],
            "--destination: wanted for move, or a receiver of our own, since the peer",
        ),
        (
            ["127.0.0.1", 1, "--modality", "XX"],
            "--modality: wanted some of CT, MR, US, MG, CR, DX, SC, SR, enhanced-CT, got",
        ),
        (["127.0.0.1", 1, "-k", "PatientIdd=1"], "-k: PatientIdd: no keyword of PS3.6."),
        (["127.0.0.1", 1, "--mix", "ecko=1"], "--mix: no such operation: wanted one of echo, store, find, "),
        (["127.0.0.1", 1, "--mix", "echo=x"], "'--mix': 'echo=x': wanted operations with weights, such as "),
        (["127.0.0.1", 1, "--stage", "5"], "'--stage': '5': wanted a rate or a number of associations, and a time"),
        (["127.0.0.1", 1, "--target", "x"], "'--target': 'x': wanted a host and a port, such as pacs:11112."),
        (["127.0.0.1", 1, "-k", "x"], "'-k': 'x': wanted such as PatientID=4711."),
        (["127.0.0.1", 1, "--cert", "x.pem"], "'--cert': this is of no use without --tls."),
        (["none.toml"], "none.toml: No such file or directory."),
        (["none.py"], "none.py: No such file or directory."),
    ],
)
def test_what_cannot_be(invoke: Invoke, arguments: list[object], line: str) -> None:
    outcome = invoke("load", *arguments)
    assert outcome.code == 2
    assert len(outcome.errors) == 1
    assert line in outcome.err.replace("Invalid value for ", "").replace("Invalid value: ", "")


def test_a_wrong_file(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[[targets]]\nhost = "x"\n[[stages]]\nduration = "1s"\nrate = "fast"\n')
    outcome = invoke("load", path)
    assert outcome.code == 2
    assert f"{path}: key `stages[0].rate`: wanted a rate such as" in outcome.err


class TestConfirmation:
    def test_without_a_terminal(self, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: False)
        outcome = invoke("load", "192.0.2.1", 104)
        assert outcome.code == 2
        assert outcome.err == "aiodicom load: 192.0.2.1 is not this machine: give --yes if it is to be loaded\n"

    @pytest.mark.parametrize("typed", ["192.0.2.1", "no"])
    def test_typing_the_host(self, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr(confirmation.typer, "prompt", lambda *_, **__: typed)
        outcome = invoke("load", "192.0.2.1", 104, "--operations", 1, "--connect-timeout", "10ms")
        if typed == "no":
            assert (outcome.code, outcome.out) == (2, "")
            assert outcome.err == "aiodicom load: that was not 192.0.2.1: nothing has been done\n"
        else:
            assert outcome.code == 1
            assert "echo" in outcome.out

    def test_yes(self, invoke: Invoke) -> None:
        outcome = invoke("load", "192.0.2.1", 104, "--operations", 1, "--connect-timeout", "10ms", "--yes")
        assert outcome.code == 1
        assert "echo" in outcome.out


def test_too_few_descriptors(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (100, 100))
    outcome = invoke("load", "127.0.0.1", 1, "--associations", 1000)
    assert outcome.code == 1
    assert "raise it as root (ulimit -Hn 1064)" in outcome.err
    assert outcome.out == ""


def test_interrupted_it_reports(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with serving(storing) as scp:
        command = start("load", "127.0.0.1", scp.port, "--duration", "1h", "--json", path, "-v")
        command.wait_for_words("association established")
        command.send_signal(signal.SIGINT)
        outcome = command.wait()
    assert outcome.code == 1
    result = json.loads(path.read_bytes())
    assert result["interrupted"]
    assert "the run ended before its time" in outcome.out


def test_workers_and_a_signal(start: Start) -> None:
    reached = threading.Event()

    def echoing() -> aiodicom.Server:
        server = aiodicom.Server()
        server.on_c_echo(lambda _: reached.set())
        return server

    with serving(echoing) as scp:
        command = start(
            "load", "127.0.0.1", scp.port, "--workers", 2, "--associations", 2, "--think-time", "10ms",
            "--duration", "1h", "--json", "-",
        )  # fmt: skip
        assert reached.wait(60)
        command.send_signal(signal.SIGINT)
        outcome = command.wait()
    result = json.loads(outcome.out)
    assert outcome.code == 1
    assert (result["interrupted"], result["generator"]["workers"], result["generator"]["workers_lost"]) == (True, 2, 0)
    assert result["operations"]["echo"]["count"] > 0
