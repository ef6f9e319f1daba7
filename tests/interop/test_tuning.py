"""`storescu --associations auto` to peers that take many associations, some, or one: nothing fails or waits long."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.interop import objects, ours, peers
from tests.interop.processes import Running

COUNT = 150

Peer = Callable[[Path], AbstractContextManager[Running]]

PEERS: dict[str, Peer] = {
    # One association at a time: the others are connected, and wait.
    "DCMTK": lambda folder: peers.storescp(folder, "+B"),
    "DCMTK, forking": lambda folder: peers.storescp(folder, "+B", "--fork"),
    "pynetdicom": peers.pynetdicom_scp,
    "ours": ours.storescp,
    "ours, 4": lambda folder: ours.storescp(folder, "--max-associations", "4"),
    "ours, 1": lambda folder: ours.storescp(folder, "--max-associations", "1"),
}


def send(port: int, files: Path) -> None:
    done = ours.command("storescu", "127.0.0.1", str(port), files, "--associations", "auto", "--json")
    assert done.stderr == ""
    values = json.loads(done.stdout)
    assert (values["sent"], values["failed"]) == (COUNT, 0)
    assert values["seconds"] < 20  # of the 30 after which a proposal without an answer is given up


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS.keys())
def test_auto(peer: Peer, tmp_path: Path, start: Any) -> None:
    sent = list(objects.write_cts(tmp_path / "files", COUNT, objects.SMALL))
    server = start(peer(tmp_path / "received"))
    send(server.port, tmp_path / "files")
    received = [path for path in (tmp_path / "received").rglob("*") if path.is_file()]
    assert {objects.part10(path).sop_instance_uid for path in received} == {each.sop_instance_uid for each in sent}


def test_auto_to_orthanc(empty_orthanc: peers.Orthanc, tmp_path: Path) -> None:
    """It accepts more associations than it serves at once."""
    list(objects.write_cts(tmp_path / "files", COUNT, objects.SMALL))
    send(empty_orthanc.port, tmp_path / "files")
    assert len(empty_orthanc.json("GET", "/instances")) == COUNT
