"""`aiodicom getscu`, with an SCP of ours."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset, FindRequest, GetRequest, Status, SubOperation
from aiodicom.errors import OperationRefused
from aiodicom.net._data_sets import encode_data_set
from aiodicom.part10.meta import encode_file_meta
from aiodicom.services import storage
from aiodicom.standard.models import PatientRoot, StudyRoot
from tests.cli.conftest import PATIENCE, Invoke, Start
from tests.cli.objects import CT, EXPLICIT, IMPLICIT, put, put_many
from tests.cli.serving import Asked, serving
from tests.rawpeer import A_ABORT, Connection, Message, RawPeer, item, p_data, pdu, ui, us

MR = "1.2.840.10008.5.1.4.1.1.4"


class Archive(Asked):
    """A server that sends what it is given to every C-GET, and says which SOP classes are in a study."""

    def __init__(
        self,
        *sources: Any,
        sop_classes: list[str] | None = None,
        refusal: OperationRefused | None = None,
    ) -> None:
        super().__init__()
        self.sources = sources
        self.sop_classes = sop_classes
        self.refusal = refusal
        self.queries: list[Dataset] = []

    def __call__(self) -> aiodicom.Server:
        server = aiodicom.Server(pending_interval=0)
        server.on_association(self.note_association)
        server.on_c_get(self.get)
        if self.sop_classes is not None:
            server.on_c_find(self.find)
        return server

    def find(self, request: FindRequest) -> list[Dataset]:
        self.queries.append(request.identifier)
        return [Dataset(QueryRetrieveLevel="STUDY", SOPClassesInStudy=self.sop_classes)]

    async def get(self, request: GetRequest) -> AsyncIterator[Any]:
        self.identifiers.append(request.identifier)
        request.total = len(self.sources)
        for source in self.sources:
            yield source
        if self.refusal is not None:
            raise self.refusal


def sources_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_objects_become_files(invoke: Invoke, tmp_path: Path) -> None:
    sent = put_many(tmp_path / "sent", 5)
    archive = Archive(*sources_in(tmp_path / "sent"))
    with serving(archive) as served:
        outcome = invoke(
            "getscu", "127.0.0.1", served.port, "-aec", "PACS", "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got"
        )
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("5 objects received, 0 failed: ")
    assert outcome.out.count("\n") == 1
    got = {path.name: path.read_bytes() for path in (tmp_path / "got").iterdir()}
    head = {uid: encode_file_meta(CT, uid, EXPLICIT, source_aet="PACS") for uid in sent}
    assert got == {f"{uid}.dcm": head[uid] + data for uid, data in sent.items()}
    (identifier,) = archive.identifiers
    assert identifier.to_json_dict() == Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2").to_json_dict()
    # Without a C-FIND, the most common SOP classes: all the contexts that there are.
    (proposed,) = archive.proposals[1:]
    assert len(proposed) == 128
    assert proposed[0][0] == StudyRoot.get


@pytest.mark.parametrize("durability", ["received", "synced"])
def test_durability(invoke: Invoke, tmp_path: Path, durability: str) -> None:
    put_many(tmp_path / "sent", 3)
    with serving(Archive(*sources_in(tmp_path / "sent"))) as served:
        arguments = ("-k", "SeriesInstanceUID=1.2", "-od", tmp_path / "got", "--durability", durability)
        outcome = invoke("getscu", "127.0.0.1", served.port, *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    assert len(list((tmp_path / "got").iterdir())) == 3


def test_json_is_all_there_is_on_stdout(start: Start, tmp_path: Path) -> None:
    put_many(tmp_path / "sent", 2)
    with serving(Archive(*sources_in(tmp_path / "sent"))) as served:
        arguments = ("-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got", "--json")
        outcome = start("getscu", "127.0.0.1", served.port, *arguments).wait()
    assert (outcome.code, outcome.err) == (0, "")
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    objects = [line for line in lines if line["event"] == "object"]
    assert [(line["sop_class_uid"], line["sop_instance_uid"], line["transfer_syntax"]) for line in objects] == [
        (CT, "1.2.3.0", EXPLICIT),
        (CT, "1.2.3.1", EXPLICIT),
    ]
    assert [Path(line["path"]).stat().st_size for line in objects] == [line["bytes"] for line in objects]
    progress = [line for line in lines if line["event"] == "progress"]
    assert all(line.keys() == {"event", "remaining", "completed", "failed", "warning"} for line in progress)
    summary = lines[-1]
    assert summary.pop("seconds") > 0
    assert summary == {
        "event": "summary",
        "statuses": ["0000"],
        "completed": 2,
        "failed": 0,
        "warning": 0,
        "failed_sop_instance_uids": [],
        "refused": 0,
        "received": 2,
        "bytes": sum(line["bytes"] for line in objects),
    }


def test_the_sop_classes_of_the_study_are_asked_for(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path / "sent", 1)
    archive = Archive(*sources_in(tmp_path / "sent"), sop_classes=[CT, MR])
    with serving(archive) as served:
        outcome = invoke("getscu", "127.0.0.1", served.port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got")
    assert outcome.code == 0
    (query,) = archive.queries
    assert (query.QueryRetrieveLevel, query.StudyInstanceUID) == ("STUDY", "1.2")
    find, get = archive.proposals
    assert [uid for uid, _ in find] == [StudyRoot.find]
    assert {uid for uid, _ in get} == {StudyRoot.get, CT, MR}
    assert (CT, (EXPLICIT, IMPLICIT)) in get
    # Each compressed transfer syntax alone: what the peer keeps in it, it need not transcode.
    assert (MR, ("1.2.840.10008.1.2.4.90",)) in get


def test_sop_classes_that_are_given(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path / "sent", 1)
    archive = Archive(*sources_in(tmp_path / "sent"), sop_classes=[MR])
    with serving(archive) as served:
        arguments = ("-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got", "--sop-class", "CTImageStorage")
        outcome = invoke(
            "getscu", "127.0.0.1", served.port, "-P", "-k", "PatientID=1", *arguments, "--sop-class", "1.2.3"
        )
    assert outcome.code == 0
    (proposed,) = archive.proposals
    assert {uid for uid, _ in proposed} == {PatientRoot.get, CT, "1.2.3"}
    assert archive.identifiers[0].PatientID == "1"


def test_what_a_query_has_found(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_many(tmp_path / "sent", 2)
    archive = Archive(*sources_in(tmp_path / "sent"))
    found = [Dataset(QueryRetrieveLevel="STUDY", PatientName="x", StudyInstanceUID=f"1.2.{n}") for n in range(3)]
    text = "\n".join(match.to_json() for match in found)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with serving(archive) as served:
        outcome = invoke("getscu", "127.0.0.1", served.port, "--query", "-", "-od", tmp_path / "got")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("6 objects received")
    assert [each.StudyInstanceUID for each in archive.identifiers] == ["1.2.0", "1.2.1", "1.2.2"]
    assert all("PatientName" not in each for each in archive.identifiers)


# ------------------------------------------------------------------------------------------------------- what fails


def test_some_fail(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path / "sent", 2)
    missing = SubOperation(b"", CT, "1.2.9", "1.2.840.10008.1.2.4.999")
    with serving(Archive(*sources_in(tmp_path / "sent"), missing)) as served:
        outcome = invoke("getscu", "127.0.0.1", served.port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got")
    assert outcome.code == 1
    assert outcome.errors == [
        "aiodicom getscu: 1.2.9: the peer could not send it",
        "aiodicom getscu: name the SOP classes that come with --sop-class: the common ones were proposed",
    ]
    assert outcome.out.startswith("2 objects received, 1 failed: ")


def test_all_fail(invoke: Invoke, tmp_path: Path) -> None:
    missing = [SubOperation(b"", CT, f"1.2.{number}", "1.2.840.10008.1.2.4.999") for number in range(25)]
    with serving(Archive(*missing)) as served:
        outcome = invoke("getscu", "127.0.0.1", served.port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path, "--json")
    assert outcome.code == 1
    assert "status A702H" in outcome.errors[0]
    assert outcome.errors[1:22] == [
        *(f"aiodicom getscu: 1.2.{number}: the peer could not send it" for number in range(20)),
        "aiodicom getscu: 5 more objects could not be sent",
    ]
    summary = json.loads(outcome.out.splitlines()[-1])
    assert (summary["statuses"], summary["failed"], summary["received"]) == (["A702"], 25, 0)
    assert len(summary["failed_sop_instance_uids"]) == 25


def test_nothing_is_there(invoke: Invoke, tmp_path: Path) -> None:
    with serving(Archive()) as served:
        outcome = invoke("getscu", "127.0.0.1", served.port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path)
    assert outcome.code == 1
    assert outcome.errors == [
        "aiodicom getscu: nothing was sent: the peer has nothing of that (findscu tells what it has)"
    ]


def test_a_refusal(invoke: Invoke, tmp_path: Path) -> None:
    refusal = OperationRefused(Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS)
    with serving(Archive(refusal=refusal)) as served:
        outcome = invoke("getscu", "127.0.0.1", served.port, "-k", "SeriesInstanceUID=1.2", "-od", tmp_path)
    assert (outcome.code, outcome.out) == (1, "")
    (line,) = outcome.errors
    assert "status A900H" in line
    assert line.endswith("-k StudyInstanceUID=...")


@pytest.mark.parametrize("where", ["got", None])
def test_a_disk_that_is_full(
    where: str | None, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_many(tmp_path / "sent", 3)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", where)

    monkeypatch.setattr(storage.PartialFile, "commit", full)
    with serving(Archive(*sources_in(tmp_path / "sent"))) as served:
        outcome = invoke("getscu", "127.0.0.1", served.port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got")
    assert outcome.code == 1
    folder = where or tmp_path / "got"
    assert outcome.errors == [
        f"aiodicom getscu: {folder}: No space left on device (make room there, or give another folder with -od)",
        "aiodicom getscu: status A702H (unable to perform sub operations): nothing that came was stored here",
        *(f"aiodicom getscu: 1.2.3.{number}: not stored here: No space left on device" for number in range(3)),
    ]
    assert outcome.out.startswith("0 objects received, 3 failed: ")


def test_a_disk_that_is_full_while_an_object_arrives(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_many(tmp_path / "sent", 1, size=3 << 20)
    put(tmp_path / "sent" / "small", "1.2.4")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.PartialFile, "write", full)
    with serving(Archive(*sources_in(tmp_path / "sent"))) as served:
        outcome = invoke("getscu", "127.0.0.1", served.port, "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got")
    assert outcome.code == 1
    assert outcome.errors == [
        f"aiodicom getscu: {tmp_path / 'got'}: No space left on device (make room there, or give another folder with "
        "-od)",
        "aiodicom getscu: 1.2.3.0: not stored here: No space left on device",
    ]
    assert outcome.out.startswith("1 object received, 1 failed: ")


def test_an_object_whose_uid_is_none(invoke: Invoke, tmp_path: Path) -> None:
    put_many(tmp_path / "sent", 1)
    wrong = SubOperation(b"", CT, "1.2.3.00", EXPLICIT)
    missing = SubOperation(b"", CT, "1.2.9", "1.2.840.10008.1.2.4.999")
    with serving(Archive(*sources_in(tmp_path / "sent"), wrong, missing)) as served:
        arguments = ("-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got", "--sop-class", CT)
        outcome = invoke("getscu", "127.0.0.1", served.port, *arguments)
    assert outcome.code == 1
    assert sorted(outcome.errors) == [
        "aiodicom getscu: 1.2.3.00: not stored here: status 0117H (invalid sop instance)",
        "aiodicom getscu: 1.2.9: the peer could not send it",
    ]
    assert outcome.out.startswith("1 object received, 2 failed: ")


def test_a_peer_that_aborts_leaves_whole_files_alone(invoke: Invoke, tmp_path: Path) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        peer.message()
        peer.send(pdu(A_ABORT, bytes((0, 0, 0, 0))))

    with RawPeer(script) as peer:
        arguments = ("-k", "StudyInstanceUID=1.2", "-od", tmp_path, "--sop-class", CT)
        outcome = invoke("getscu", "127.0.0.1", peer.port, *arguments)
    assert (outcome.code, outcome.out) == (1, "")
    (line,) = outcome.errors
    assert "aborted the association" in line
    assert list(tmp_path.iterdir()) == []


class Endless(Archive):
    """A server that has sent what it has, and goes on."""

    def __init__(self, *sources: Any) -> None:
        super().__init__(*sources)
        self.cancelled = threading.Event()

    def __call__(self) -> aiodicom.Server:
        server = super().__call__()
        server.on_c_cancel(lambda _: self.cancelled.set())
        return server

    async def get(self, request: GetRequest) -> AsyncIterator[Any]:
        for source in self.sources:
            yield source
        await asyncio.Event().wait()


def test_a_signal_cancels(start: Start, tmp_path: Path) -> None:
    put_many(tmp_path / "sent", 2)
    endless = Endless(*sources_in(tmp_path / "sent"))
    with serving(endless) as served:
        arguments = ("-k", "StudyInstanceUID=1.2", "-od", tmp_path / "got", "--json", "-v")
        command = start("getscu", "127.0.0.1", served.port, *arguments)
        command.wait_for_result(f'{{"event": "object", "sop_class_uid": "{CT}", "sop_instance_uid": "1.2.3.1"')
        command.send_signal(signal.SIGINT)
        outcome = command.wait()
        assert endless.cancelled.wait(PATIENCE)
    assert outcome.code == 1
    assert "interrupted: the rest was cancelled" in outcome.err
    assert "association released" in outcome.err
    summary = json.loads(outcome.out.splitlines()[-1])
    assert (summary["statuses"], summary["received"]) == (["FE00"], 2)
    assert len(list((tmp_path / "got").iterdir())) == 2


def still_sending(status: int, *, says_which: bool) -> Callable[[Connection], None]:
    """A peer that sends one object, and another one after the C-CANCEL; it ends with that status, and counts what was
    refused.
    """

    def script(peer: Connection) -> None:
        role = item(0x54, len(CT).to_bytes(2, "big") + CT.encode() + bytes((0, 1)))  # it is SCP of storage
        proposals = {each.abstract_syntax: each for each in peer.accept(sub_items=role).contexts}
        get, ct = proposals[StudyRoot.get], proposals[CT]

        def store(number: int) -> Message:
            command = {
                0x0002: ui(CT),
                0x0100: us(0x0001),
                0x0110: us(number),
                0x0700: us(0),
                0x0800: us(0),
                0x1000: ui(f"1.2.3.{number}"),
            }
            peer.send(
                p_data(ct.context_id, command, encode_data_set(Dataset(PatientName="A"), ct.transfer_syntaxes[0]))
            )
            answered = peer.message()
            assert answered is not None
            return answered

        asked = peer.message()
        assert asked is not None
        assert store(1).number(0x0900) == 0
        cancel = peer.message()
        assert cancel is not None
        assert cancel.number(0x0100) == 0x0FFF
        assert store(2).number(0x0900) == 0xA700
        data = encode_data_set(Dataset(FailedSOPInstanceUIDList=["1.2.3.2"]), get.transfer_syntaxes[0])
        command = {
            0x0002: ui(str(StudyRoot.get)),
            0x0100: us(0x8010),
            0x0120: asked.command[0x0110],
            0x0800: us(0 if says_which else 0x0101),
            0x0900: us(status),
            0x1021: us(1),
            0x1022: us(1),
            0x1023: us(0),
        }
        peer.send(p_data(get.context_id, command, data if says_which else b""))
        peer.serve()

    return script


@pytest.mark.parametrize(
    ("status", "says_which"), [(0xFE00, True), (0xFE00, False), (0xB000, True), (0xA702, True), (0xA702, False)]
)
def test_what_comes_after_a_signal_is_no_failure_of_the_peer(
    status: int, says_which: bool, start: Start, tmp_path: Path
) -> None:
    with RawPeer(still_sending(status, says_which=says_which)) as peer:
        arguments = ("-k", "StudyInstanceUID=1.2", "-od", tmp_path, "--sop-class", CT, "--json")
        command = start("getscu", "127.0.0.1", peer.port, *arguments)
        command.wait_for_result('{"event": "object"')
        command.send_signal(signal.SIGINT)
        outcome = command.wait()
    assert outcome.code == 1
    _stopping, *lines = outcome.errors
    assert lines == ["aiodicom getscu: interrupted: the rest was cancelled, and 1 object refused that still came"]
    summary = json.loads(outcome.out.splitlines()[-1])
    del summary["seconds"], summary["bytes"]
    assert summary == {
        "event": "summary",
        "statuses": [f"{status:04X}"],
        "completed": 1,
        "failed": 0,
        "warning": 0,
        "failed_sop_instance_uids": [],
        "refused": 1,
        "received": 1,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "what is to be retrieved at level STUDY is said by StudyInstanceUID=... (findscu tells it)"),
        (["-k", "StudyInstanceUID"], "is said by StudyInstanceUID=..."),
        (["-k", "PatientName=x"], "PatientName names nothing to retrieve at level STUDY, but StudyInstanceUID does"),
        (["-k", "PatientID=1"], "but StudyInstanceUID does (findscu tells it); -P retrieves whole patients"),
        (["-P", "-k", "PatientID=1*"], "PatientID has wild cards: those are for queries"),
        (["-k", "StudyInstanceUID=1.2", "--sop-class", "CT"], "'CT' is neither a UID nor a keyword"),
        (["-k", "StudyInstanceUID=1.2", "--level", "FRAME"], "FRAME is no level of Study Root"),
        (["--model", "worklist"], "no information model with C-GET"),
        (["-od", ""], "'-od': a folder has a name; this one is ."),
    ],
)
def test_arguments_that_cannot_be(invoke: Invoke, tmp_path: Path, arguments: list[str], said: str) -> None:
    outcome = invoke("getscu", "127.0.0.1", "104", "-od", tmp_path, *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.errors
    assert said in line


def test_a_folder_that_is_none(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = invoke("getscu", "127.0.0.1", "104", "-k", "StudyInstanceUID=1.2", "-od", tmp_path / "file")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.errors == [
        f"aiodicom getscu: {tmp_path / 'file'}: Not a directory (give -od a folder, or the name of a new one)"
    ]
