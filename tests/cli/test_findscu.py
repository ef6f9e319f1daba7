"""`aiodicom findscu`, with an SCP of ours and with peers that don't behave."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import aiodicom
from aiodicom import Dataset, FindRequest, Status
from aiodicom.cli import finding
from aiodicom.cli.keys import parse_path
from aiodicom.cli.models import FindModels, ModelOptions, RetrieveModels
from aiodicom.cli.query import Query
from aiodicom.errors import OperationRefused
from aiodicom.standard.models import ModalityWorklist, PatientRoot, StudyRoot, UPSPull
from tests.cli.conftest import PATIENCE, Invoke, Start
from tests.cli.serving import Asked, Served, serving
from tests.net.sides import until
from tests.rawpeer import (
    A_ABORT,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RQ,
    Connection,
    Message,
    RawPeer,
    p_data,
    pdu,
    response,
    us,
)

STUDIES = [
    Dataset(
        QueryRetrieveLevel="STUDY",
        SpecificCharacterSet="ISO_IR 192",
        StudyDate=f"2024010{number}",
        ModalitiesInStudy=["CT", "SR"],
        PatientName=f"Müller^Jane {number}",
        PatientID=f"ID{number}",
        NumberOfStudyRelatedInstances=number * 100,
        StudyInstanceUID=f"1.2.3.{number}",
    )
    for number in range(1, 4)
]


class Finder(Asked):
    """A server that answers every C-FIND with the same."""

    def __init__(self, *matches: Dataset | tuple[Status, Dataset], refusal: OperationRefused | None = None) -> None:
        super().__init__()
        self.matches = matches
        self.refusal = refusal
        self.models: list[str] = []

    def __call__(self) -> aiodicom.Server:
        server = aiodicom.Server()
        server.on_association(self.note_association)
        server.on_c_find(self.find)
        return server

    async def find(self, request: FindRequest) -> AsyncIterator[Any]:
        self.identifiers.append(request.identifier)
        self.models.append(request.sop_class_uid)
        for match in self.matches:
            yield match
        if self.refusal is not None:
            raise self.refusal


@pytest.fixture
def finder() -> Iterator[tuple[Finder, Served]]:
    """A server with some studies."""
    asked = Finder(*STUDIES)
    with serving(asked) as served:
        yield asked, served


def test_a_table(invoke: Invoke, finder: tuple[Finder, Served]) -> None:
    asked, served = finder
    outcome = invoke("findscu", "127.0.0.1", served.port, "-aet", "ME", "-aec", "PACS")
    assert (outcome.code, outcome.err) == (0, "")
    *rows, last = outcome.out.splitlines()
    assert rows == [
        "PatientName     PatientID  StudyDate   Accession  Modality  StudyDescription  Instances  StudyInstanceUID",
        "Müller, Jane 1  ID1        2024-01-01             CT\\SR                             100  1.2.3.1",
        "Müller, Jane 2  ID2        2024-01-02             CT\\SR                             200  1.2.3.2",
        "Müller, Jane 3  ID3        2024-01-03             CT\\SR                             300  1.2.3.3",
    ]
    assert last.startswith("3 matches in ")
    (identifier,) = asked.identifiers
    assert identifier.QueryRetrieveLevel == "STUDY"
    assert {element.keyword for element in identifier if element.is_empty} == {
        "PatientName",
        "PatientID",
        "StudyDate",
        "AccessionNumber",
        "ModalitiesInStudy",
        "StudyDescription",
        "NumberOfStudyRelatedInstances",
        "StudyInstanceUID",
    }
    assert asked.models == [StudyRoot.find]
    assert asked.titles == [("ME", "PACS")]


def test_at_80_columns(invoke: Invoke, finder: tuple[Finder, Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = invoke("findscu", "127.0.0.1", finder[1].port)
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "Müller, Jane 1  ID1      2024-01-01           CT\\SR                 100  1.2.3.1\n" in outcome.out
    monkeypatch.setenv("COLUMNS", "40")
    outcome = invoke("findscu", "127.0.0.1", finder[1].port)
    assert "StudyInstanceUID               1.2.3.1\n\n" in outcome.out


def test_a_list(invoke: Invoke, finder: tuple[Finder, Served]) -> None:
    outcome = invoke("findscu", "127.0.0.1", finder[1].port, "--list", "-k", "PatientName", "-k", "PatientID")
    assert outcome.out.startswith(
        "PatientName  Müller, Jane 1\nPatientID    ID1\n\nPatientName  Müller, Jane 2\nPatientID    ID2\n\n"
    )


def test_json_is_all_there_is_on_stdout(start: Start, finder: tuple[Finder, Served]) -> None:
    outcome = start("findscu", "127.0.0.1", finder[1].port, "--json").wait()
    assert (outcome.code, outcome.err) == (0, "")
    assert [json.loads(line) for line in outcome.out.splitlines()] == [study.to_json_dict() for study in STUDIES]


def test_nothing_matches(invoke: Invoke) -> None:
    with serving(Finder()) as served:
        outcome = invoke("findscu", "127.0.0.1", served.port)
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.startswith("0 matches in ")
        outcome = invoke("findscu", "127.0.0.1", served.port, "--json")
        assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


# ------------------------------------------------------------------------------------------------ what is asked for


@pytest.mark.parametrize(
    ("arguments", "model", "expected"),
    [
        (
            ["-k", "PatientName=Doe*"],
            StudyRoot,
            {"QueryRetrieveLevel": "STUDY", "PatientName": "Doe*", "StudyDate": None},
        ),
        (["-k", "PatientName=Doe*", "-k", "StudyID"], StudyRoot, {"PatientName": "Doe*", "StudyID": None}),
        (["-k", "PatientName=Müller"], StudyRoot, {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Müller"}),
        (
            ["-k", "PatientName=Müller", "-k", "SpecificCharacterSet=ISO_IR 100"],
            StudyRoot,
            {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller"},
        ),
        (["-k", "StudyDate=20240101-"], StudyRoot, {"StudyDate": "20240101-"}),
        (["-k", "StudyDate=-20240101"], StudyRoot, {"StudyDate": "-20240101"}),
        (["-k", "StudyDate=20240101-20240101"], StudyRoot, {"StudyDate": "20240101-20240101"}),
        (
            ["-k", "StudyInstanceUID=1.2", "--level", "series"],
            StudyRoot,
            {"QueryRetrieveLevel": "SERIES", "Modality": None},
        ),
        (["-k", "SeriesInstanceUID", "-k", "StudyInstanceUID=1.2"], StudyRoot, {"QueryRetrieveLevel": "SERIES"}),
        (["-k", "0008,0052=IMAGE", "-k", "SOPInstanceUID"], StudyRoot, {"QueryRetrieveLevel": "IMAGE"}),
        (["-P", "-k", "PatientID=1"], PatientRoot, {"QueryRetrieveLevel": "PATIENT", "PatientSex": None}),
        (["-P"], PatientRoot, {"QueryRetrieveLevel": "STUDY"}),
        (["--model", "patient root", "--level", "PATIENT"], PatientRoot, {"QueryRetrieveLevel": "PATIENT"}),
        (["--model", str(PatientRoot.find)], PatientRoot, {"QueryRetrieveLevel": "STUDY"}),
        (["--model", "StudyRootQueryRetrieveInformationModelFind"], StudyRoot, {"QueryRetrieveLevel": "STUDY"}),
        (["--model", "ups-pull"], UPSPull, {"ProcedureStepState": None}),
        (["-W"], ModalityWorklist, {"PatientName": None, "StudyInstanceUID": None}),
    ],
)
def test_the_identifier(invoke: Invoke, arguments: list[str], model: Any, expected: dict[str, str | None]) -> None:
    asked = Finder()
    with serving(asked) as served:
        outcome = invoke("findscu", "127.0.0.1", served.port, *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    (identifier,) = asked.identifiers
    for keyword, value in expected.items():
        element = identifier.data_element(keyword)
        assert element is not None
        assert (None if element.is_empty else element.value) == value
    assert asked.models == [model.find]


def test_keys_without_a_value_say_what_is_returned(invoke: Invoke, finder: tuple[Finder, Served]) -> None:
    asked, served = finder
    outcome = invoke("findscu", "127.0.0.1", served.port, "-k", "PatientName=M*", "-k", "PatientID")
    assert outcome.out.splitlines()[:2] == ["PatientName     PatientID", "Müller, Jane 1  ID1"]
    assert [element.keyword for element in asked.identifiers[0]] == ["QueryRetrieveLevel", "PatientName", "PatientID"]


@pytest.mark.parametrize("form", ["json", "dicom", "stdin"])
def test_a_query_file(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    query = Dataset(QueryRetrieveLevel="SERIES", StudyInstanceUID="1.2.3", Modality="CT", SeriesNumber=None)
    path = tmp_path / "query"
    if form == "dicom":
        aiodicom.dcmwrite(path, query)
    else:
        path.write_text(query.to_json())
    if form == "stdin":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    asked = Finder(Dataset(SeriesNumber="7", Modality="MR", StudyInstanceUID="1.2.3"))
    with serving(asked) as served:
        name = "-" if form == "stdin" else path
        outcome = invoke("findscu", "127.0.0.1", served.port, "--query", name, "-k", "Modality=MR")
    assert (outcome.code, outcome.err) == (0, "")
    query.Modality = "MR"
    assert asked.identifiers[0].to_json_dict() == query.to_json_dict()
    assert outcome.out.splitlines()[:2] == ["Modality  StudyInstanceUID  Number", "MR        1.2.3                  7"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-k", "PatientNam=x"], "'-k': PatientNam is no keyword of PS3.6 (PatientName is)"),
        (["-k", "PatientID=1", "-k", "0010,0020=2"], "PatientID is there twice"),
        (["-k", "ScheduledProcedureStepSequence[1].Modality=CT"], "item [1] without an item [0]"),
        (["--level", "PATIENT"], "PATIENT is no level of Study Root: STUDY, SERIES, IMAGE"),
        (["-W", "--level", "STUDY"], "a worklist has no levels"),
        (["-P", "-W"], "'-P' and '-W': one information model at a time"),
        (["--model", "composite"], "no information model with C-FIND: patient-root, study-root"),
        (["--model", "HangingProtocolInformationModelFind"], "nothing is known but what keys ask for"),
        (["-k", "StudyDate=20240229-20240101"], "StudyDate: '20240229-20240101' ends before it begins"),
        (["-k", "SpecificCharacterSet=LATIN"], "'LATIN' is no term of PS3.3 C.12.1.1.2"),
        (
            ["-k", "PatientName=王*", "-k", "SpecificCharacterSet=ISO_IR 100"],
            "PatientName: '王*' has characters that 'ISO_IR 100' has not",
        ),
        (
            ["-k", "PatientName=Müller", "-k", "SpecificCharacterSet=ISO_IR 6"],
            "PatientName: 'Müller' has characters that 'ISO_IR 6' has not",
        ),
        (["--max-results", "0"], "0 is not in the range x>=1"),
        (["--max-results", "many"], "'many' is no whole number"),
    ],
)
def test_arguments_that_cannot_be(invoke: Invoke, arguments: list[str], said: str) -> None:
    outcome = invoke("findscu", "127.0.0.1", "104", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.errors
    assert said in line
    assert line.endswith("See: aiodicom findscu --help")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (b"{", "neither a DICOM file nor DICOM JSON: no JSON"),
        (b"", "there is no data set"),
        (b"[]", "there is no data set"),
        (b"{}\n{}", "2 data sets, and a query is one"),
        (b'{"x": 1}', "neither a DICOM file nor DICOM JSON"),
        (b"\xff" * 200, "neither a DICOM file nor DICOM JSON"),
    ],
)
def test_query_files_that_are_none(invoke: Invoke, tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "query"
    if content is not None:
        path.write_bytes(content)
    outcome = invoke("findscu", "127.0.0.1", "104", "--query", path)
    assert (outcome.code, outcome.out) == (1, "")
    (line,) = outcome.errors
    assert line.startswith(f"aiodicom findscu: {path}: ")
    assert said in line


def test_nothing_on_stdin(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    outcome = invoke("findscu", "127.0.0.1", "104", "--query", "-")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.errors == [
        "aiodicom findscu: nothing came on stdin: what was to find it has found nothing, or failed"
    ]


# ------------------------------------------------------------------------------------------- warnings and failures


def test_keys_that_the_peer_does_not_support(invoke: Invoke) -> None:
    with serving(Finder((Status.PENDING_WARNING, STUDIES[0]))) as served:
        outcome = invoke("findscu", "127.0.0.1", served.port)
    assert outcome.code == 0
    assert outcome.errors == [
        "aiodicom findscu: the peer does not support all of the keys: it may have ignored some (FF01H)"
    ]
    assert "1 match in " in outcome.out


def test_a_failure(invoke: Invoke) -> None:
    refusal = OperationRefused(Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, "no relational queries")
    with serving(Finder(STUDIES[0], refusal=refusal)) as served:
        outcome = invoke("findscu", "127.0.0.1", served.port, "--level", "IMAGE", "-k", "StudyInstanceUID=1.2")
    assert outcome.code == 1
    (line,) = outcome.errors
    assert "status A900H" in line
    assert "no relational queries" in line
    assert line.endswith("at level IMAGE, most peers need the levels above as well: -k SeriesInstanceUID=...")
    assert "1 match in " in outcome.out
    assert ", failed\n" in outcome.out


def test_no_context(invoke: Invoke) -> None:
    with serving(aiodicom.Server) as served:
        outcome = invoke("findscu", "127.0.0.1", served.port)
    assert (outcome.code, outcome.out) == (1, "")
    (line,) = outcome.errors
    assert "accepted no presentation context for Study Root" in line


def reject(peer: Connection) -> None:
    peer.expect(A_ASSOCIATE_RQ)
    peer.send(pdu(A_ASSOCIATE_RJ, bytes((0, 1, 1, 7))))
    peer.stay_silent()


def abort(peer: Connection) -> None:
    peer.accept()
    peer.message()
    peer.send(pdu(A_ABORT, bytes((0, 0, 0, 0))))


def silent(peer: Connection) -> None:
    peer.accept()
    peer.stay_silent()


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize(
    ("script", "said", "todo"),
    [
        (reject, "called AE title not recognized", "-aec"),
        (abort, "aborted", "log"),
        (silent, "no C-FIND response within 0.2 s", "--dimse-"),
    ],
)
def test_peers_that_do_not_behave(invoke: Invoke, script: Callable[[Connection], None], said: str, todo: str) -> None:
    with RawPeer(script) as peer:
        outcome = invoke("findscu", "127.0.0.1", peer.port, "--dimse-timeout", 0.2)
    assert (outcome.code, outcome.out) == (1, "")
    (line,) = outcome.errors
    assert said in line
    assert todo in line


def one_match(peer: Connection) -> Message:
    """Answers a C-FIND with one match, and returns the request."""
    peer.accept()
    request = peer.message()
    assert request is not None
    assert peer.request is not None
    syntax = peer.request.contexts[0].transfer_syntaxes[0]
    command = {
        0x0100: us(0x8020),
        0x0120: request.command[0x0110],
        0x0800: us(0x0001),
        0x0900: us(Status.PENDING),
    }
    peer.send(p_data(request.context_id, command, Dataset(PatientName="Doe^Jane").to_bytes(syntax)))
    return request


def abort_after_a_match(peer: Connection) -> None:
    one_match(peer)
    peer.send(pdu(A_ABORT, bytes((0, 0, 0, 0))))


def no_end_of_matches(peer: Connection) -> None:
    one_match(peer)
    peer.stay_silent()


def abort_instead_of_releasing(peer: Connection) -> None:
    peer.send(response(one_match(peer)))
    peer.expect(A_RELEASE_RQ)
    peer.send(pdu(A_ABORT, bytes((0, 0, 0, 0))))


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize(
    ("script", "said", "how"),
    [
        (abort_after_a_match, "aborted", ", failed"),
        (no_end_of_matches, "no C-FIND response within 0.2 s", ", failed"),
        (abort_instead_of_releasing, "aborted", ""),
    ],
)
def test_what_came_before_the_association_ended(
    invoke: Invoke, script: Callable[[Connection], None], said: str, how: str
) -> None:
    with RawPeer(script) as peer:
        outcome = invoke("findscu", "127.0.0.1", peer.port, "--dimse-timeout", 0.2, "-k", "PatientName")
    assert outcome.code == 1
    (line,) = outcome.errors
    assert said in line
    title, match, last = outcome.out.splitlines()
    assert (title, match) == ("PatientName", "Doe, Jane")
    assert last.startswith("1 match in ")
    assert last.endswith(f" s{how}")


# ------------------------------------------------------------------------------------------------------ ended early


class Endless(Finder):
    """A server that has no end of matches, `first` of them at once."""

    def __init__(self, first: int = 1 << 60) -> None:
        super().__init__()
        self.first = first
        self.asked = threading.Event()
        self.cancelled = threading.Event()

    def __call__(self) -> aiodicom.Server:
        server = super().__call__()
        server.on_c_cancel(lambda _: self.cancelled.set())
        return server

    async def find(self, request: FindRequest) -> AsyncIterator[Any]:
        self.asked.set()
        for _ in range(self.first):
            yield STUDIES[0]
        await asyncio.Event().wait()


@pytest.mark.parametrize("option", ["--max-results", "--cancel-after"])
def test_enough_matches(invoke: Invoke, option: str) -> None:
    endless = Endless()
    with serving(endless) as served:
        outcome = invoke("findscu", "127.0.0.1", served.port, option, "3")
        assert endless.cancelled.wait(PATIENCE)
    assert (outcome.code, outcome.err) == (0, "")
    *rows, last = outcome.out.splitlines()
    assert len(rows) == 4
    assert last.startswith("3 matches in ")
    assert last.endswith(", cancelled")


def test_as_many_matches_as_there_may_be(invoke: Invoke, finder: tuple[Finder, Served]) -> None:
    outcome = invoke("findscu", "127.0.0.1", finder[1].port, "--max-results", "4")
    assert outcome.code == 0
    assert ", cancelled" not in outcome.out


def test_a_signal_cancels(start: Start) -> None:
    endless = Endless(first=100)
    with serving(endless) as served:
        command = start("findscu", "127.0.0.1", served.port, "-v")
        command.wait_for_result("Müller, Jane 1")
        command.send_signal(signal.SIGINT)
        outcome = command.wait()
        assert endless.cancelled.wait(PATIENCE)
    assert outcome.code == 1
    last = outcome.out.splitlines()[-1]
    assert last.startswith("100 matches in ")
    assert last.endswith(", interrupted")
    assert "association released" in outcome.err


def test_a_signal_before_the_first_match(start: Start) -> None:
    endless = Endless(first=0)
    with serving(endless) as served:
        command = start("findscu", "127.0.0.1", served.port)
        assert endless.asked.wait(PATIENCE)
        command.send_signal(signal.SIGINT)
        outcome = command.wait()
    assert outcome.code == 1
    assert outcome.out.startswith("0 matches in ")
    assert outcome.out.endswith(", interrupted\n")


def test_a_reader_that_has_seen_enough() -> None:
    endless = Endless()
    with serving(endless) as served:
        command = subprocess.Popen(
            [sys.executable, "-m", "aiodicom", "findscu", "127.0.0.1", str(served.port), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(Path(aiodicom.__file__).parent.parent)},
        )
        assert command.stdout is not None
        assert command.stderr is not None
        with command.stdout, command.stderr:
            assert command.stdout.readline().startswith(b'{"')
            command.stdout.close()
            assert endless.cancelled.wait(PATIENCE)
            assert command.stderr.read() == b""
        assert command.wait(PATIENCE) == 0


class ClosedPipe(io.StringIO):
    """A stdout that nobody reads."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


async def test_nobody_reads_the_table_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first rows are shown by a timer, of which the search hears with the next match, or at the end."""
    monkeypatch.setattr(finding, "_PATIENCE", 0)
    monkeypatch.setattr(sys, "stdout", ClosedPipe())
    shown = finding._Text(Query(StudyRoot, "STUDY", Dataset(), (parse_path("PatientID"),)), as_list=False)
    shown.add(STUDIES[0])
    await until(lambda: shown._trouble is not None)
    with pytest.raises(BrokenPipeError):
        shown.add(STUDIES[1])
    with pytest.raises(BrokenPipeError):
        shown.close()


@pytest.mark.parametrize(
    ("models", "operation"), [(FindModels, "find"), (RetrieveModels, "get"), (RetrieveModels, "move")]
)
def test_the_models_that_help_names_can_be_asked(models: type[ModelOptions], operation: str) -> None:
    _, option = get_args(get_type_hints(models, include_extras=True)["model"])
    found = re.search(r"its name, such as (\S+) or (\S+),", option.help)
    assert found
    for name in found.groups():
        assert getattr(models(model=name).chosen(operation=operation), operation)
