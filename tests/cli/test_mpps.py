"""`aiodicom mpps`, with an SCP of ours."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.services.instances import MemoryInstances
from aiodicom.services.mpps import PerformedProcedureSteps
from aiodicom.standard.uids import is_valid_uid
from tests.cli.conftest import Invoke
from tests.cli.serving import serving
from tests.cli.test_worklist import ITEMS
from tests.rawpeer import A_ABORT, A_RELEASE_RQ, Connection, RawPeer, pdu, response


class Steps:
    """A server that keeps performed procedure steps."""

    def __init__(self) -> None:
        self.instances = MemoryInstances()
        self.port = 0

    def __call__(self) -> aiodicom.Server:
        server = aiodicom.Server()
        PerformedProcedureSteps(self.instances).attach(server)
        return server

    def __getitem__(self, uid: str) -> Dataset:
        return self.instances._instances[uid]


@pytest.fixture
def steps() -> Iterator[Steps]:
    """What a server has been told."""
    steps = Steps()
    with serving(steps) as served:
        steps.port = served.port
        yield steps


def test_a_scheduled_step(invoke: Invoke, steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ITEMS[0].to_json().encode())))
    arguments = ("--item", "-", "-k", "PerformedLocation=Room 1", "-aet", "OURS")
    outcome = invoke("mpps", "127.0.0.1", steps.port, "start", *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    uid = outcome.out.strip()
    assert is_valid_uid(uid)
    step = steps[uid]
    assert step.PerformedProcedureStepStatus == "IN PROGRESS"
    assert (str(step.PatientName), step.PatientID, step.Modality) == ("Müller^Jane 1", "ID1", "CT")
    assert (step.PerformedStationAETitle, step.PerformedLocation) == ("CT1", "Room 1")
    (scheduled,) = step.ScheduledStepAttributesSequence
    assert (scheduled.StudyInstanceUID, scheduled.AccessionNumber) == ("1.2.1", "A1")
    assert (scheduled.RequestedProcedureID, scheduled.ScheduledProcedureStepID) == ("R1", "S1")
    assert len(step.PerformedProcedureStepStartDate) == 8
    assert step["PerformedProcedureStepEndDate"].is_empty


def test_an_unscheduled_step(invoke: Invoke, steps: Steps) -> None:
    arguments = (
        "1.2.3",
        "-k",
        "Modality=CT",
        "-k",
        "ScheduledStepAttributesSequence[0].StudyInstanceUID=1.9",
        "--json",
    )
    outcome = invoke("mpps", "127.0.0.1", steps.port, "start", *arguments, "-aet", "OURS", "-k", "PatientName=Doe")
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out) == {
        "sop_instance_uid": "1.2.3",
        "step_status": "IN PROGRESS",
        "series": 0,
        "status": "0000",
    }
    step = steps["1.2.3"]
    assert (step.PerformedStationAETitle, str(step.PatientName)) == ("OURS", "Doe")
    assert step.ScheduledStepAttributesSequence[0].StudyInstanceUID == "1.9"


def put_series(folder: Path) -> None:
    """Two objects of one series, and one of another."""
    ct, sr = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.11"
    for number, series, sop_class in ((1, "1.2.1", ct), (2, "1.2.1", ct), (3, "1.2.2", sr)):
        data_set = Dataset(SOPClassUID=sop_class, SOPInstanceUID=f"1.2.3.{number}", SeriesInstanceUID=series)
        if sop_class == ct:
            data_set.update(Dataset(ProtocolName="Kopf", SeriesDescription="axial", OperatorsName=["A", "B"]))
        folder.mkdir(exist_ok=True)
        aiodicom.dcmwrite(folder / f"{number}.dcm", data_set)


def test_a_step_that_is_completed(invoke: Invoke, steps: Steps, tmp_path: Path) -> None:
    put_series(tmp_path / "images")
    invoke("mpps", "127.0.0.1", steps.port, "start", "1.2.3", "-k", "Modality=CT")
    outcome = invoke("mpps", "127.0.0.1", steps.port, "complete", "1.2.3", tmp_path / "images")
    assert (outcome.code, outcome.out, outcome.err) == (0, "1.2.3\n", "")
    step = steps["1.2.3"]
    assert step.PerformedProcedureStepStatus == "COMPLETED"
    assert len(step.PerformedProcedureStepEndDate) == 8
    images, report = step.PerformedSeriesSequence
    assert (images.SeriesInstanceUID, images.ProtocolName, images.SeriesDescription) == ("1.2.1", "Kopf", "axial")
    assert list(images.OperatorsName) == ["A", "B"]
    assert [each.ReferencedSOPInstanceUID for each in images.ReferencedImageSequence] == ["1.2.3.1", "1.2.3.2"]
    assert report.ProtocolName == "UNKNOWN"
    assert len(report.ReferencedImageSequence) == 0
    (reference,) = report.ReferencedNonImageCompositeSOPInstanceSequence
    assert reference.ReferencedSOPInstanceUID == "1.2.3.3"


def test_a_step_that_is_discontinued(invoke: Invoke, steps: Steps) -> None:
    invoke("mpps", "127.0.0.1", steps.port, "start", "1.2.3", "-k", "Modality=CT")
    outcome = invoke("mpps", "127.0.0.1", steps.port, "discontinue", "1.2.3", "--reason", "110514")
    assert (outcome.code, outcome.err) == (0, "")
    step = steps["1.2.3"]
    assert step.PerformedProcedureStepStatus == "DISCONTINUED"
    (reason,) = step.PerformedProcedureStepDiscontinuationReasonCodeSequence
    assert (reason.CodeValue, reason.CodingSchemeDesignator, reason.CodeMeaning) == (
        "110514",
        "DCM",
        "Incorrect worklist entry selected",
    )
    outcome = invoke("mpps", "127.0.0.1", steps.port, "set", "1.2.3", "-k", "PerformedLocation=x")
    assert (outcome.code, outcome.out) == (1, "")
    (line,) = outcome.errors
    assert "status 0110H" in line
    assert "may no longer be updated" in line


def test_a_step_that_goes_on(invoke: Invoke, steps: Steps, tmp_path: Path) -> None:
    put_series(tmp_path)
    invoke("mpps", "127.0.0.1", steps.port, "start", "1.2.3", "-k", "Modality=CT")
    arguments = (tmp_path / "1.dcm", "-k", "PerformedLocation=Zimmer für CT", "--json")
    outcome = invoke("mpps", "127.0.0.1", steps.port, "set", "1.2.3", *arguments)
    assert json.loads(outcome.out) == {"sop_instance_uid": "1.2.3", "step_status": None, "series": 1, "status": "0000"}
    step = steps["1.2.3"]
    assert step.PerformedProcedureStepStatus == "IN PROGRESS"
    assert step.PerformedLocation == "Zimmer für CT"[:16]
    assert len(step.PerformedSeriesSequence) == 1


def test_a_step_that_is_not_there(invoke: Invoke, steps: Steps) -> None:
    outcome = invoke("mpps", "127.0.0.1", steps.port, "discontinue", "1.2.3")
    assert (outcome.code, outcome.out) == (1, "")
    assert "status 0112H (no such sop instance)" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["begin"], "'begin' is not one of"),
        (["start"], "'-k': the modality is missing: -k Modality=CT"),
        (["start", "1.2.3", "."], "'PATH...': what the step makes is told with set or complete"),
        (["start", "x"], "'UID': 'x' is no UID"),
        (["start", "-k", "Modality=CT", "--reason", "110513"], "'--reason': this is for discontinue"),
        (["start", "-k", "StudyDate=20240101-"], "'20240101-' is no date, such as 20240131"),
        (["complete"], "'UID': of which step? start has printed it"),
        (["complete", "1.2.3"], "'PATH...': a step that is complete has made something: name its files"),
        (["set", "1.2.3"], "'-k': set what?"),
        (["set", "1.2.3", "-k", "PerformedProcedureStepStatus=COMPLETED"], "'-k': the status is said by"),
        (["start", "-k", "Modality=CT", "-k", "0040,0252=COMPLETED"], "'-k': the status is said by"),
        (["set", "1.2.3", "-k", "PerformedSeriesSequence[1].Modality=CT"], "item [1] without an item [0]"),
        (["discontinue", "1.2.3", "--item", "x"], "'--item': this is for start"),
        (["discontinue", "1.2.3", "--reason", "1"], "'1' is none of 110500 doctor canceled procedure, "),
    ],
)
def test_arguments_that_cannot_be(invoke: Invoke, arguments: list[str], said: str) -> None:
    outcome = invoke("mpps", "127.0.0.1", "104", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.errors
    assert said in line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (
            "\n".join(each.to_json() for each in ITEMS),
            "3 worklist items, and a step is one (--max-results 1 gives one)",
        ),
        ("x", "neither a DICOM file nor DICOM JSON"),
    ],
)
def test_items_that_are_none(invoke: Invoke, tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "item").write_text(content)
    outcome = invoke("mpps", "127.0.0.1", "104", "start", "--item", tmp_path / "item")
    assert (outcome.code, outcome.out) == (1, "")
    (line,) = outcome.errors
    assert said in line


@pytest.mark.parametrize(
    ("content", "said"), [(b"no DICOM", "no DICOM file was found"), (bytes(128) + b"DICM", "file: "), (None, "decoded")]
)
def test_files_that_are_none(invoke: Invoke, tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is None:
        put_series(tmp_path)
        content = (tmp_path / "1.dcm").read_bytes()[:-20]
        for path in tmp_path.iterdir():
            path.unlink()
    (tmp_path / "file").write_bytes(content)
    outcome = invoke("mpps", "127.0.0.1", "104", "complete", "1.2.3", tmp_path)
    assert (outcome.code, outcome.out) == (1, "")
    assert said in outcome.errors[-1]


def test_a_peer_that_aborts_instead_of_releasing(invoke: Invoke) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        request = peer.message()
        assert request is not None
        peer.send(response(request))
        peer.expect(A_RELEASE_RQ)
        peer.send(pdu(A_ABORT, bytes(4)))

    with RawPeer(script) as peer:
        outcome = invoke("mpps", "127.0.0.1", peer.port, "start", "-k", "Modality=CT")
    assert outcome.code == 1
    (line,) = outcome.errors
    assert "aborted" in line
    assert is_valid_uid(outcome.out.strip())  # without which nobody could end the step
