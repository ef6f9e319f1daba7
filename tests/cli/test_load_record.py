"""`aiodicom load record`, and the replay of what it has written."""

from __future__ import annotations

import json
from pathlib import Path

import aiodicom
from tests.cli.conftest import Invoke, Start
from tests.cli.objects import put
from tests.cli.serving import serving
from tests.ports import free_port


def test_record_and_replay(start: Start, invoke: Invoke, tmp_path: Path) -> None:
    stored: list[int] = []

    def make() -> aiodicom.Server:
        server = aiodicom.Server()
        server.on_c_store(lambda request: stored.append(len(request.data)))
        return server

    with serving(make) as served:
        command = start("load", "record", "--listen", 0, "127.0.0.1", served.port, "-o", tmp_path / "day")
        port = command.wait_for_line("listening on").rpartition(":")[2]
        assert invoke("echoscu", "127.0.0.1", port).code == 0
        put(tmp_path / "slice.dcm", "1.2.3", size=5000)
        assert invoke("storescu", "127.0.0.1", port, tmp_path / "slice.dcm").code == 0
        outcome = command.terminate()
        assert outcome.code == 0
        said, written = outcome.out.splitlines()
        assert said.startswith("2 connections, 2 associations, 2 operations, 0.0 MB")
        assert written == f"written: {tmp_path / 'day.jsonl'}, {tmp_path / 'day.toml'}"
        replay = invoke("load", tmp_path / "day.toml", "--speed", "20x", "--json", tmp_path / "result.json")
    assert (replay.code, replay.err) == (0, "")
    operations = json.loads((tmp_path / "result.json").read_text())["operations"]
    counts = {name: (operation["count"], operation["errors"]) for name, operation in operations.items()}
    assert counts == {"associate": (2, 0), "release": (2, 0), "echo": (1, 0), "store": (1, 0)}
    assert len(stored) == 2
    assert stored[0] == stored[1] > 5000


def test_tls_and_no_pacs_are_said(start: Start, invoke: Invoke, tmp_path: Path) -> None:
    command = start("load", "record", "--listen", 0, "127.0.0.1", free_port(), "-o", tmp_path / "day.toml", "--json")
    port = command.wait_for_line("listening on").rpartition(":")[2]
    assert invoke("echoscu", "127.0.0.1", port).code == 1
    outcome = command.terminate()
    assert "1 connection found no PACS (check host and port, and that it is running)" in outcome.err
    values = json.loads(outcome.out)
    assert (values["connections"], values["unreachable"], values["associations"]) == (1, 1, 0)


def test_what_cannot_be_written_or_replayed_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("load", "record", "--listen", 0, "127.0.0.1", 104, "-o", tmp_path / "none" / "day")
    assert (outcome.code, len(outcome.errors)) == (1, 1)
    assert "No such file or directory" in outcome.err
    scenario = tmp_path / "day.toml"
    scenario.write_text('trace = "day.jsonl"\n[[targets]]\nhost = "127.0.0.1"\n')
    outcome = invoke("load", scenario)
    assert (outcome.code, len(outcome.errors)) == (2, 1)
    assert f"{tmp_path / 'day.jsonl'}: No such file or directory. See: aiodicom load --help" in outcome.err
    (tmp_path / "day.jsonl").write_text("{}\n")
    outcome = invoke("load", scenario)
    assert (outcome.code, len(outcome.errors)) == (2, 1)
    assert "day.jsonl, line 1: not of a trace" in outcome.err
