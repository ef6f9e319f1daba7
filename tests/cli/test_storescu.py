"""`aiodicom storescu`, with peers that behave and peers that don't."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import aiodicom
from aiodicom.net.transcoding import Transcoding, alternatives
from tests.cli.conftest import PATIENCE, Invoke, Start
from tests.cli.objects import BIG, CT, DEFLATED, EXPLICIT, IMPLICIT, put, put_many
from tests.rawpeer import A_ABORT, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, Connection, Message, RawPeer, pdu, response


class Archive:
    """A peer that keeps what it is sent."""

    def __init__(
        self,
        status: Callable[[Message], int] = lambda _: 0,
        *,
        max_pdu: int = 16384,
        window: tuple[int, int] | None = None,
    ) -> None:
        self.messages: list[list[Message]] = []
        self.requests: list[object] = []
        self._status = status
        self._options = {"max_pdu": max_pdu, "window": window}

    def __call__(self, peer: Connection) -> None:
        self.requests.append(peer.accept(**self._options))  # type: ignore[arg-type]
        self.messages.append(peer.serve(self._status))

    @property
    def data(self) -> dict[str, bytes]:
        """The data sets by SOP Instance UID."""
        return {message.text(0x1000): message.data for messages in self.messages for message in messages}


def test_a_folder(invoke: Invoke, tmp_path: Path) -> None:
    sent = put_many(tmp_path / "b", 5) | {"1.9": put(tmp_path / "a" / "x", "1.9", size=200_002)}
    archive = Archive()
    with RawPeer(archive) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path)
    assert outcome.code == 0
    assert outcome.err == ""
    assert outcome.out.startswith("6 objects sent, 0 failed, 0 skipped: ")
    assert archive.data == sent
    (messages,) = archive.messages
    assert [message.text(0x1000) for message in messages] == ["1.9", *(f"1.2.3.{number}" for number in range(5))]
    assert {message.text(0x0002) for message in messages} == {CT}


def test_json_is_all_there_is_on_stdout(start: Start, tmp_path: Path) -> None:
    sent = put_many(tmp_path, 10)
    (tmp_path / "note.txt").write_text("no DICOM")
    with RawPeer(Archive()) as peer:
        outcome = start("storescu", "127.0.0.1", peer.port, tmp_path, "--json").wait()
    values = json.loads(outcome.out)
    assert outcome.out.count("\n") == 1
    assert outcome.code == 0
    assert list(values) == ["sent", "failed", "skipped", "bytes", "seconds", "objects_per_s", "megabytes_per_s"]
    assert (values["sent"], values["failed"], values["skipped"]) == (10, 0, 1)
    assert values["bytes"] == sum(map(len, sent.values()))
    assert values["objects_per_s"] == pytest.approx(10 / values["seconds"], rel=0.01)
    (line,) = outcome.errors
    assert "note.txt: skipped: not a DICOM file" in line


def test_contexts_are_what_the_files_hold(invoke: Invoke, tmp_path: Path) -> None:
    put(tmp_path / "a", "1.1")
    put(tmp_path / "b", "1.2", syntax=IMPLICIT)
    put(tmp_path / "c", "1.3", sop_class="1.2.840.10008.5.1.4.1.1.4")
    put(tmp_path / "d", "1.4")
    archive = Archive()
    with RawPeer(archive) as peer:
        assert invoke("storescu", "127.0.0.1", peer.port, tmp_path, "-aec", "PACS", "--max-pdu", 65536).code == 0
    (request,) = archive.requests
    assert [(abstract, syntaxes) for _, abstract, syntaxes in request.contexts] == [  # type: ignore[attr-defined]
        (CT, [EXPLICIT]),
        (CT, [IMPLICIT]),
        ("1.2.840.10008.5.1.4.1.1.4", [EXPLICIT]),
        # What a peer may accept in their place.
        (CT, [DEFLATED, BIG]),
        ("1.2.840.10008.5.1.4.1.1.4", [IMPLICIT, DEFLATED, BIG]),
        (CT, list(alternatives(EXPLICIT, Transcoding.LOSSLESS)[1])),
        ("1.2.840.10008.5.1.4.1.1.4", list(alternatives(EXPLICIT, Transcoding.LOSSLESS)[1])),
    ]
    assert request.called_aet == "PACS"  # type: ignore[attr-defined]
    assert request.max_pdu == 65536  # type: ignore[attr-defined]
    assert [message.context_id for message in archive.messages[0]] == [1, 3, 5, 1]


def test_more_contexts_than_an_association_takes(invoke: Invoke, tmp_path: Path) -> None:
    for number in range(130):
        put(tmp_path / f"{number:03}", f"1.1.{number}", sop_class=f"1.2.3.{number}")
    archive = Archive()
    with RawPeer(archive) as peer:
        assert invoke("storescu", "127.0.0.1", peer.port, tmp_path).code == 0
    assert sorted(map(len, archive.messages)) == [2, 128]


def test_associations(invoke: Invoke, tmp_path: Path) -> None:
    sent = put_many(tmp_path, 40)
    archive = Archive()
    all_are_there = threading.Barrier(4)

    def script(peer: Connection) -> None:
        all_are_there.wait(10)  # otherwise the first may have sent everything before the last is there
        archive(peer)

    with RawPeer(script) as peer:
        assert invoke("storescu", "127.0.0.1", peer.port, tmp_path, "--associations", 4).code == 0
        assert peer.connections == 4
    assert archive.data == sent


def test_window(invoke: Invoke, tmp_path: Path) -> None:
    """Three requests are outstanding before the first is answered, and they are answered in any order."""
    sent = put_many(tmp_path, 9)
    received: dict[str, bytes] = {}

    def script(peer: Connection) -> None:
        assert peer.accept(window=(3, 1)).window == (8, 1)
        for _ in range(3):
            requests = [peer.message() for _ in range(3)]
            for request in reversed(requests):
                assert request is not None
                received[request.text(0x1000)] = request.data
                peer.send(response(request))
        assert peer.message() is None

    with RawPeer(script) as peer:
        assert invoke("storescu", "127.0.0.1", peer.port, tmp_path, "--window", 8).code == 0
    assert received == sent


def test_as_many_associations_as_bring_gain(invoke: Invoke, tmp_path: Path) -> None:
    sent = put_many(tmp_path, 200)
    archive = Archive(window=(4, 1))
    with RawPeer(archive) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path, "--associations", "auto")
        assert 2 <= peer.connections <= 64
    assert (outcome.code, outcome.err) == (0, "")
    assert archive.data == sent
    assert {request.window for request in archive.requests} == {(32, 1)}  # type: ignore[attr-defined]


def test_refusals_are_no_failures_where_the_number_is_to_be_found(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 100)
    is_taken = threading.Lock()

    def script(peer: Connection) -> None:
        if is_taken.acquire(blocking=False):
            peer.accept()
            # Nothing is answered before the others have been refused.
            assert refused.wait(30)
            peer.serve()
        else:
            peer.expect(A_ASSOCIATE_RQ)
            peer.send(pdu(A_ASSOCIATE_RJ, bytes((0, 2, 3, 2))))
            refused.set()

    refused = threading.Event()
    with RawPeer(script) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path, "--associations", "auto", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out)["sent"] == 100


@pytest.mark.parametrize(
    ("options", "window"),
    [
        (["--associations", "auto", "--window", "3"], (3, 1)),
        (["--associations", "2", "--window", "auto"], (32, 1)),
        (["--associations", "auto", "--window", "1"], None),
        (["--associations", "2", "--window", "1"], None),
        ([], (32, 1)),
    ],
)
def test_which_window_is_proposed(
    invoke: Invoke, tmp_path: Path, options: list[str], window: tuple[int, int] | None
) -> None:
    put_many(tmp_path, 5)
    archive = Archive()
    with RawPeer(archive) as peer:
        assert invoke("storescu", "127.0.0.1", peer.port, tmp_path, *options).code == 0
    assert {request.window for request in archive.requests} == {window}  # type: ignore[attr-defined]


@pytest.mark.parametrize("option", ["--associations", "--window"])
@pytest.mark.parametrize("value", ["0", "many", "65536", "-1", "", "1.5"])
def test_what_is_neither_a_number_nor_auto(invoke: Invoke, tmp_path: Path, option: str, value: str) -> None:
    outcome = invoke("storescu", "127.0.0.1", 104, tmp_path, option, value)
    assert outcome.code == 2
    assert f"{value!r} is neither a number from 1 to 65535 nor auto" in outcome.err


@pytest.mark.parametrize("max_pdu", [0, 128, 1000, 131072])
def test_a_peer_with_small_pdus(invoke: Invoke, tmp_path: Path, max_pdu: int) -> None:
    sent = put_many(tmp_path, 3, size=10_002)
    archive = Archive(max_pdu=max_pdu)
    with RawPeer(archive) as peer:
        assert invoke("storescu", "127.0.0.1", peer.port, tmp_path).code == 0
    assert archive.data == sent


def test_failed_objects_are_named(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 4)
    statuses = {"1.2.3.1": 0xA700, "1.2.3.2": 0xB000, "1.2.3.3": 0xC123}
    with RawPeer(Archive(lambda message: statuses.get(message.text(0x1000), 0))) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path, "--json")
    assert outcome.code == 1
    assert outcome.errors == [
        f"aiodicom storescu: {tmp_path}/00001.dcm: status A700H (out of resources)",
        f"aiodicom storescu: {tmp_path}/00002.dcm: stored with warning status B000H (coercion of data elements)",
        f"aiodicom storescu: {tmp_path}/00003.dcm: status C123H (cannot understand)",
    ]
    values = json.loads(outcome.out)
    assert (values["sent"], values["failed"]) == (2, 2)


def test_a_warning_alone_is_success(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 1)
    with RawPeer(Archive(lambda _: 0xB007)) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path)
    assert outcome.code == 0
    assert "warning status B007H" in outcome.err


def test_a_context_that_is_not_accepted(invoke: Invoke, tmp_path: Path) -> None:
    put(tmp_path / "a", "1.1")
    put(tmp_path / "b", "1.2", syntax="1.2.840.10008.1.2.4.90")

    def script(peer: Connection) -> None:
        peer.accept(results=lambda context: 0 if context.transfer_syntaxes == [EXPLICIT] else 4)
        assert len(peer.serve()) == 1

    with RawPeer(script) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path, "--transcode", "never")
    assert outcome.code == 1
    (line,) = outcome.errors
    assert line.startswith(f"aiodicom storescu: {tmp_path}/b: the peer accepted no presentation context for CT Image")
    assert "JPEG 2000" in line


@pytest.mark.parametrize("end", ["close", "reset", "abort"])
def test_the_peer_dies(invoke: Invoke, tmp_path: Path, end: str) -> None:
    put_many(tmp_path, 10)

    def script(peer: Connection) -> None:
        peer.accept()
        for _ in range(3):
            request = peer.message()
            assert request is not None
            peer.send(response(request))
        peer.message()
        if end == "reset":
            peer.reset()
        elif end == "abort":
            peer.send(pdu(A_ABORT, bytes(4)))

    with RawPeer(script) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path, "--json")
        assert peer.connections == 1
    values = json.loads(outcome.out)
    assert outcome.code == 1
    assert (values["sent"], values["failed"]) == (3, 7)
    assert "00003.dcm: " in outcome.errors[0]
    assert "6 files not sent: " in outcome.errors[1]
    assert len(outcome.errors) == 2


def test_rejected(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 10)

    def script(peer: Connection) -> None:
        peer.expect(A_ASSOCIATE_RQ)
        peer.send(pdu(A_ASSOCIATE_RJ, bytes((0, 1, 1, 7))))

    with RawPeer(script) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path, "--json")
    assert outcome.code == 1
    assert json.loads(outcome.out)["failed"] == 10
    assert outcome.errors == [
        "aiodicom storescu: 10 files not sent: the peer rejected the association permanently: called AE title not "
        "recognized (give the peer's AE title with -aec)"
    ]


def test_an_association_is_rejected_and_another_goes_on(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 10)
    turns = iter((True, False))

    def script(peer: Connection) -> None:
        if next(turns):
            peer.expect(A_ASSOCIATE_RQ)
            peer.send(pdu(A_ASSOCIATE_RJ, bytes((0, 2, 3, 2))))
        else:
            peer.accept()
            peer.serve()

    with RawPeer(script) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path, "--associations", 2)
    assert outcome.code == 0
    (line,) = outcome.errors
    assert line.startswith("aiodicom storescu: 1 association failed, others went on: ")


@pytest.mark.usefixtures("short_grace")
def test_silence(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 2)

    def script(peer: Connection) -> None:
        peer.accept()
        peer.stay_silent()

    with RawPeer(script) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path, "--dimse-timeout", "0.2")
    assert outcome.code == 1
    assert "no C-STORE response within 0.2 s" in outcome.err


def test_nobody_listens(invoke: Invoke, tmp_path: Path, port: int) -> None:
    put_many(tmp_path, 2)
    outcome = invoke("storescu", "127.0.0.1", port, tmp_path)
    assert outcome.code == 1
    (line,) = outcome.errors
    assert "2 files not sent: " in line


def test_nothing_to_send(invoke: Invoke, tmp_path: Path, port: int) -> None:
    (tmp_path / "a.txt").write_text("no DICOM")
    outcome = invoke("storescu", "127.0.0.1", port, tmp_path)
    assert outcome.code == 1
    assert outcome.errors[-1] == "aiodicom storescu: nothing to send: no DICOM file was found (check the paths)"


def test_a_broken_file_has_failed(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path, 1)
    (tmp_path / "broken").write_bytes(bytes(128) + b"DICM" + b"\2\0\2\0UI\xff\xff")
    with RawPeer(Archive()) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path, "--json")
    assert outcome.code == 1
    assert json.loads(outcome.out)["failed"] == 1
    assert "broken: " in outcome.err


def test_a_path_that_is_not_there(invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("storescu", "127.0.0.1", 104, tmp_path / "nothing")
    assert outcome.code == 2
    (line,) = outcome.errors
    assert "does not exist" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains(start: Start, tmp_path: Path, number: int) -> None:
    put_many(tmp_path, 10)
    storing, answer = threading.Event(), threading.Event()

    def script(peer: Connection) -> None:
        peer.accept()
        request = peer.message()
        assert request is not None
        storing.set()
        assert answer.wait(30)
        peer.send(response(request))
        assert peer.message() is None

    with RawPeer(script) as peer:
        command = start("storescu", "127.0.0.1", peer.port, tmp_path, "--json")
        assert storing.wait(30)
        command.send_signal(number)
        command.wait_for_line("aiodicom storescu: stopping")
        answer.set()
        outcome = command.wait()
    values = json.loads(outcome.out)
    assert outcome.code == 1
    assert (values["sent"], values["failed"]) == (1, 9)
    assert outcome.errors[-1] == "aiodicom storescu: 9 files not sent: interrupted"


def test_debug_masks_patient_data(invoke: Invoke, tmp_path: Path) -> None:
    put(tmp_path / "a", "1.1", size=100)
    data = (tmp_path / "a").read_bytes() + b"\x10\0\x10\0PN\x0c\0Doe^Jonathan"
    (tmp_path / "a").write_bytes(data)
    with RawPeer(Archive()) as peer:
        outcome = invoke("storescu", "127.0.0.1", peer.port, tmp_path, "-d")
    assert outcome.code == 0
    assert "C-STORE-RQ" in outcome.err
    assert "Doe" not in outcome.err


def test_a_progress_bar_on_a_terminal_only(tmp_path: Path) -> None:
    put_many(tmp_path / "files", 3)
    ours, theirs = pty.openpty()
    try:
        with RawPeer(Archive()) as peer:
            command = [
                sys.executable,
                "-m",
                "aiodicom",
                "storescu",
                "127.0.0.1",
                str(peer.port),
                str(tmp_path / "files"),
            ]
            environment = os.environ | {"PYTHONPATH": str(Path(aiodicom.__file__).parent.parent), "TERM": "xterm"}
            finished = subprocess.run(
                [*command, "--json"],
                stdout=subprocess.PIPE,
                stderr=theirs,
                env=environment,
                timeout=PATIENCE,
                check=True,
            )
        assert json.loads(finished.stdout)["sent"] == 3
        assert b"MB" in os.read(ours, 65536)
    finally:
        os.close(ours)
        os.close(theirs)
