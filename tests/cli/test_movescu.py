"""`aiodicom movescu`, with an SCP of ours."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from ssl import SSLContext
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset, Destination, MoveRequest, SubOperation
from aiodicom.services import storage
from aiodicom.standard.models import StudyRoot
from tests.certificates import Authority
from tests.cli.conftest import PATIENCE, Invoke, Start
from tests.cli.objects import EXPLICIT, put_many
from tests.cli.serving import Asked, serving
from tests.rawpeer import Connection, RawPeer, response


class Archive(Asked):
    """A server that sends what it is given where a C-MOVE says."""

    def __init__(
        self, *sources: Any, is_endless: bool = False, ssl: SSLContext | None = None, **destinations: int
    ) -> None:
        super().__init__()
        self.sources = sources
        self.is_endless = is_endless
        self.cancelled = threading.Event()
        self.destinations = {title: Destination("127.0.0.1", port, ssl=ssl) for title, port in destinations.items()}

    def __call__(self) -> aiodicom.Server:
        server = aiodicom.Server(pending_interval=0, destinations=self.destinations)
        server.on_association(self.note_association)
        server.on_c_move(self.move)
        server.on_c_cancel(lambda _: self.cancelled.set())
        return server

    async def move(self, request: MoveRequest) -> AsyncIterator[Any]:
        self.identifiers.append(request.identifier)
        request.total = len(self.sources)
        for source in self.sources:
            yield source
        if self.is_endless:
            await asyncio.Event().wait()


def test_to_another(invoke: Invoke, start: Start, tmp_path: Path, port: int) -> None:
    sent = put_many(tmp_path / "sent", 5)
    other = start("storescp", port, "-od", tmp_path / "other")
    other.wait_for_line("listening on ")
    archive = Archive(*sorted((tmp_path / "sent").iterdir()), WS1=port)
    with serving(archive) as served:
        outcome = invoke("movescu", "127.0.0.1", served.port, "--dest", "WS1", "-k", "StudyInstanceUID=1.2")
    other.terminate()
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("5 objects sent to WS1, 0 failed: ")
    assert {path.stem for path in (tmp_path / "other").iterdir()} == set(sent)
    assert archive.identifiers[0].to_json_dict() == (
        Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2").to_json_dict()
    )
    assert archive.proposals[0] == [(StudyRoot.move, ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2"))]


def test_to_here(invoke: Invoke, tmp_path: Path, port: int) -> None:
    sent = put_many(tmp_path / "sent", 5)
    with serving(Archive(*sorted((tmp_path / "sent").iterdir()), ME=port)) as served:
        arguments = ("-aet", "ME", "--port", port, "-k", "SOPInstanceUID=1.2.3.1", "-od", tmp_path / "got")
        outcome = invoke("movescu", "127.0.0.1", served.port, *arguments)
    assert outcome.code == 0
    assert outcome.errors == [f"listening on 127.0.0.1:{port}"]
    assert outcome.out.startswith("5 objects received, 0 failed: ")
    got = {path.stem: path.read_bytes() for path in (tmp_path / "got").iterdir()}
    assert all(got[uid].endswith(data) for uid, data in sent.items())
    assert len(got) == 5


def test_objects_that_arrive_are_signs_of_the_peer(
    invoke: Invoke, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_many(tmp_path / "sent", 5)
    signs: list[aiodicom.Association] = []
    monkeypatch.setattr(aiodicom.Association, "note_progress", lambda association: signs.append(association))
    with serving(Archive(*sorted((tmp_path / "sent").iterdir()), ME=port)) as served:
        arguments = ("-aet", "ME", "--port", port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got")
        assert invoke("movescu", "127.0.0.1", served.port, *arguments).code == 0
    assert len(signs) == 5


def test_json_is_all_there_is_on_stdout(start: Start, tmp_path: Path, port: int) -> None:
    put_many(tmp_path / "sent", 2)
    with serving(Archive(*sorted((tmp_path / "sent").iterdir()), HERE=port)) as served:
        arguments = ("--dest", "HERE", "--port", port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got", "--json")
        outcome = start("movescu", "127.0.0.1", served.port, *arguments).wait()
    assert outcome.code == 0
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert sorted(line["sop_instance_uid"] for line in lines if line["event"] == "object") == ["1.2.3.0", "1.2.3.1"]
    progress = [line for line in lines if line["event"] == "progress"]
    assert progress[-1] == {"event": "progress", "remaining": 0, "completed": 2, "failed": 0, "warning": 0}
    summary = lines[-1]
    assert (summary["event"], summary["completed"], summary["received"], summary["statuses"]) == (
        "summary",
        2,
        2,
        ["0000"],
    )


def test_both_ways_with_tls(invoke: Invoke, tmp_path: Path, port: int) -> None:
    put_many(tmp_path / "sent", 2)
    authority = Authority(tmp_path / "authority")
    theirs, ours = authority.issue("pacs", "127.0.0.1"), authority.issue("ours", "127.0.0.1")
    client = aiodicom.tls_client_context(ca=authority.path, cert=theirs.cert, key=theirs.key)
    server = aiodicom.tls_server_context(ca=authority.path, cert=theirs.cert, key=theirs.key)
    options = ("--tls", "--ca", authority.path, "--cert", ours.cert, "--key", ours.key)
    with serving(Archive(*(tmp_path / "sent").iterdir(), ssl=client, AIODICOM=port), ssl=server) as served:
        arguments = ("--port", port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got", *options)
        outcome = invoke("movescu", "127.0.0.1", served.port, *arguments, "--tls-listener")
    assert (outcome.code, outcome.errors) == (0, [f"listening on 127.0.0.1:{port}"])
    assert outcome.out.startswith("2 objects received")


def test_an_unknown_destination(invoke: Invoke, tmp_path: Path) -> None:
    with serving(Archive()) as served:
        outcome = invoke("movescu", "127.0.0.1", served.port, "--dest", "NOBODY", "-k", "StudyInstanceUID=1.2")
    assert (outcome.code, outcome.out) == (1, "")
    (line,) = outcome.errors
    assert "status A801H (move destination unknown) (the peer's log says why)" in line
    assert line.endswith("; check that the peer knows the AE title NOBODY, and reaches the address that it has for it")


def test_some_fail(invoke: Invoke, tmp_path: Path, port: int) -> None:
    put_many(tmp_path / "sent", 1)
    missing = SubOperation(b"", "1.2.3", "1.2.9", EXPLICIT)
    with serving(Archive(*(tmp_path / "sent").iterdir(), missing, AIODICOM=port)) as served:
        arguments = ("--port", port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got")
        outcome = invoke("movescu", "127.0.0.1", served.port, *arguments)
    assert outcome.code == 1
    assert outcome.errors[1:] == ["aiodicom movescu: 1.2.9: the peer could not send it"]
    assert outcome.out.startswith("1 object received, 1 failed: ")


def test_a_disk_that_is_full(invoke: Invoke, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    put_many(tmp_path / "sent", 2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.PartialFile, "commit", full)
    with serving(Archive(*(tmp_path / "sent").iterdir(), AIODICOM=port)) as served:
        arguments = ("--port", port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got")
        outcome = invoke("movescu", "127.0.0.1", served.port, *arguments)
    assert outcome.code == 1
    _, *lines = outcome.errors
    assert lines[:2] == [
        f"aiodicom movescu: {tmp_path / 'got'}: No space left on device (make room there, or give another folder with "
        "-od)",
        "aiodicom movescu: status A702H (unable to perform sub operations): nothing that came was stored here",
    ]
    assert sorted(lines[2:]) == [
        f"aiodicom movescu: 1.2.3.{number}: not stored here: No space left on device" for number in range(2)
    ]


@pytest.mark.parametrize("status", [0xA702, 0xC000, 0x1234])
def test_advice_on_the_destination_is_for_one_that_is_unknown(invoke: Invoke, status: int) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        request = peer.message()
        assert request is not None
        peer.send(response(request, status=status))
        peer.serve()

    with RawPeer(script) as peer:
        outcome = invoke("movescu", "127.0.0.1", peer.port, "--dest", "DEST", "-k", "StudyInstanceUID=1.2")
    (line,) = outcome.errors
    assert f"status {status:04X}H" in line
    assert "DEST" not in line


def test_what_the_peer_says_it_has_sent_and_does_not_arrive(
    invoke: Invoke, start: Start, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """Who gives the peer another's address for our title should hear of it."""
    put_many(tmp_path / "sent", 2)
    elsewhere = free_port()
    other = start("storescp", elsewhere, "--discard")
    other.wait_for_line("listening on ")
    with serving(Archive(*(tmp_path / "sent").iterdir(), AIODICOM=elsewhere)) as served:
        arguments = ("--port", free_port(), "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got")
        outcome = invoke("movescu", "127.0.0.1", served.port, *arguments)
    other.terminate()
    assert outcome.code == 1
    assert outcome.errors[1:] == ["aiodicom movescu: the peer says that 2 were sent, but 0 have arrived here"]


def test_a_port_that_is_in_use(invoke: Invoke, tmp_path: Path) -> None:
    with serving(Archive()) as served:
        arguments = ("--port", served.port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path)
        outcome = invoke("movescu", "127.0.0.1", served.port, *arguments)
    assert (outcome.code, outcome.out) == (1, "")
    (line,) = outcome.errors
    assert line.endswith("(choose another port, or end what listens there)")


def test_a_signal_cancels(start: Start, tmp_path: Path, port: int) -> None:
    put_many(tmp_path / "sent", 2)
    archive = Archive(*(tmp_path / "sent").iterdir(), is_endless=True, AIODICOM=port)
    with serving(archive) as served:
        arguments = ("--port", port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got", "--json", "-v")
        command = start("movescu", "127.0.0.1", served.port, *arguments)
        command.wait_for_result('{"event": "progress", "remaining": 0, "completed": 2')
        command.send_signal(signal.SIGINT)
        outcome = command.wait()
        assert archive.cancelled.wait(PATIENCE)
    assert outcome.code == 1
    assert "interrupted: the rest was cancelled" in outcome.err
    summary = json.loads(outcome.out.splitlines()[-1])
    assert (summary["received"], summary["completed"], summary["failed"]) == (2, 2, 0)
    assert summary["statuses"] == ["FE00"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "'--dest': where to? With --port, to here"),
        (["--dest", "WS1", "-od", "x"], "'-od': this is of no use without --port"),
        (["--dest", "WS1", "--bind", "::"], "'--bind': this is of no use without --port"),
        (["--dest", "WS1", "--tls-listener"], "'--tls-listener': this is of no use without --port"),
        (["--dest", "A\\B"], "'--dest'"),
        (["--port", "0", "-od", ""], "'-od': a folder has a name; this one is ."),
        (["--dest", "WS1"], "what is to be retrieved at level STUDY is said by StudyInstanceUID=..."),
    ],
)
def test_arguments_that_cannot_be(invoke: Invoke, arguments: list[str], said: str) -> None:
    outcome = invoke("movescu", "127.0.0.1", "104", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.errors
    assert said in line


def test_nothing_is_there(invoke: Invoke) -> None:
    with serving(Archive(WS1=1)) as served:
        outcome = invoke("movescu", "127.0.0.1", served.port, "--dest", "WS1", "-k", "StudyInstanceUID=1.2")
    assert outcome.code == 1
    assert outcome.errors[0].startswith("aiodicom movescu: nothing was sent")
