"""findscu, getscu, movescu, commitscu, worklist and mpps with DCMTK, Orthanc and pynetdicom."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from aiodicom import Dataset, dcmread
from tests.interop import objects, ours, peers
from tests.interop.processes import Running, running
from tests.interop.test_services_dcmtk import wlmscpfs
from tests.ports import free_port

Starter = Callable[[AbstractContextManager[Any]], Any]


def found(*arguments: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """What a command says in JSON: keywords and first values of a match, or an object as it is."""
    done = ours.command(*arguments, "--json")
    return [_plain(json.loads(line)) for line in done.stdout.splitlines()]


def _plain(match: dict[str, Any]) -> dict[str, Any]:
    if "event" in match:
        return match
    data_set = Dataset.from_json(match)
    return {element.keyword: str(element.value) for element in data_set if not element.is_empty}


@pytest.fixture(scope="module")
def cts(tmp_path_factory: pytest.TempPathFactory) -> list[objects.Part10]:
    """A series."""
    return list(objects.write_cts(tmp_path_factory.mktemp("cts"), 5, objects.SMALL))


@pytest.fixture(scope="module")
def moved_to() -> int:
    """The port that archives send to what is moved to us, and report commitments to."""
    return free_port()


@pytest.fixture(scope="module")
def dcmqrscp(
    cts: list[objects.Part10], moved_to: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, str, str]]:
    """DCMTK's archive with the series: the arguments that name it."""
    folder = tmp_path_factory.mktemp("dcmqrscp")
    with peers.dcmqrscp(folder / "qr", None, destinations={"AIODICOM": moved_to}) as server:
        where = ("127.0.0.1", str(server.port), "-aec", "ARCHIVE")
        ours.command("storescu", *where, cts[0].path.parent)
        yield where


@pytest.fixture(scope="module")
def orthanc_with_cts(cts: list[objects.Part10], moved_to: int, orthanc: peers.Orthanc) -> tuple[str, str, str, str]:
    """Orthanc with the series: the arguments that name it."""
    orthanc.clear()
    for each in cts:
        orthanc.request("POST", "/instances", each.path.read_bytes())
    modality = {"AET": "AIODICOM", "Host": "127.0.0.1", "Port": moved_to}
    orthanc.request("PUT", "/modalities/commands", modality)
    return ("127.0.0.1", str(orthanc.port), "-aec", "ORTHANC")


@pytest.fixture(scope="module", params=["dcmqrscp", "orthanc_with_cts"])
def archive(request: pytest.FixtureRequest) -> tuple[str, str, str, str]:
    """Each archive with the series."""
    where: tuple[str, str, str, str] = request.getfixturevalue(request.param)
    return where


def test_findscu(archive: tuple[str, ...], cts: list[objects.Part10]) -> None:
    head = dcmread(cts[0].path)
    study, series = str(head.StudyInstanceUID), str(head.SeriesInstanceUID)
    (match,) = found("findscu", *archive, "-k", f"PatientID={head.PatientID}")
    assert (match["StudyInstanceUID"], match["PatientName"]) == (study, str(head.PatientName))
    (match,) = found("findscu", *archive, "-P", "--level", "PATIENT", "-k", "PatientName=*")
    assert match["PatientID"] == str(head.PatientID)
    (match,) = found("findscu", *archive, "--level", "SERIES", "-k", f"StudyInstanceUID={study}")
    assert (match["SeriesInstanceUID"], match["Modality"]) == (series, "CT")
    keys = ("-k", f"StudyInstanceUID={study}", "-k", f"SeriesInstanceUID={series}")
    matches = found("findscu", *archive, "--level", "IMAGE", *keys)
    assert {match["SOPInstanceUID"] for match in matches} == {each.sop_instance_uid for each in cts}
    assert found("findscu", *archive, "-k", "PatientID=NOBODY") == []
    table = ours.command("findscu", *archive, "-k", "StudyInstanceUID", "-k", "PatientID").stdout.splitlines()
    assert table[0].split() == ["StudyInstanceUID", "PatientID"]
    assert table[1].split() == [study, str(head.PatientID)]


def test_getscu(archive: tuple[str, ...], cts: list[objects.Part10], tmp_path: Path) -> None:
    study = str(dcmread(cts[0].path).StudyInstanceUID)
    *_, summary = found("getscu", *archive, "-k", f"StudyInstanceUID={study}", "-od", tmp_path / "got")
    assert (summary["received"], summary["failed"], summary["statuses"]) == (5, 0, ["0000"])
    _check_files(tmp_path / "got", cts)
    (tmp_path / "query.json").write_text(ours.command("findscu", *archive, "--json").stdout)
    *_, summary = found("getscu", *archive, "--query", tmp_path / "query.json", "-od", tmp_path / "again")
    assert summary["received"] == 5
    _check_files(tmp_path / "again", cts)


def _check_files(folder: Path, expected: list[objects.Part10]) -> None:
    assert {path.name for path in folder.iterdir()} == {f"{each.sop_instance_uid}.dcm" for each in expected}
    for each in expected:
        got = dcmread(folder / f"{each.sop_instance_uid}.dcm")
        assert got == dcmread(each.path)


def test_movescu(archive: tuple[str, ...], cts: list[objects.Part10], moved_to: int, tmp_path: Path) -> None:
    uid = cts[2].sop_instance_uid
    head = dcmread(cts[2].path)
    keys = [f"StudyInstanceUID={head.StudyInstanceUID}", f"SeriesInstanceUID={head.SeriesInstanceUID}"]
    options = [option for key in (*keys, f"SOPInstanceUID={uid}") for option in ("-k", key)]
    done = ours.command("movescu", *archive, *options, "--port", str(moved_to), "-od", tmp_path / "got")
    assert done.stdout.startswith("1 object received, 0 failed: ")
    _check_files(tmp_path / "got", cts[2:3])
    failed = ours.command("movescu", *archive, *options, "--dest", "NOBODY", exit_code=1)
    (line,) = failed.stderr.splitlines()
    assert line.startswith("aiodicom movescu: the peer answered with status ")


def test_commitscu_with_orthanc(
    orthanc_with_cts: tuple[str, ...], cts: list[objects.Part10], moved_to: int, tmp_path: Path
) -> None:
    """Orthanc reports on an association that it opens, once ours is released."""
    where = (*orthanc_with_cts, "--port", str(moved_to))
    *instances, summary = found("commitscu", *where, cts[0].path.parent)
    assert all(each["committed"] for each in instances)
    assert (summary["committed"], summary["failed"]) == (5, 0)
    objects.write_ct(tmp_path / "unknown.dcm", 77, objects.SMALL)
    failed = ours.command("commitscu", *where, tmp_path / "unknown.dcm", exit_code=1)
    assert "failed: no such object instance (0112H)" in failed.stdout


def test_worklist_with_wlmscpfs(start: Starter, tmp_path: Path) -> None:
    items = [
        Dataset(
            SpecificCharacterSet="ISO_IR 100",
            PatientName=f"Müller^{number}",
            PatientID=str(number),
            AccessionNumber=f"A{number}",
            StudyInstanceUID=f"1.2.{number}",
            RequestedProcedureID=f"R{number}",
            ScheduledProcedureStepSequence=[
                Dataset(
                    Modality=modality,
                    ScheduledStationAETitle=f"{modality}1",
                    ScheduledProcedureStepStartDate="20240131",
                    ScheduledProcedureStepStartTime="120000",
                    ScheduledProcedureStepID=f"S{number}",
                )
            ],
        )
        for number, modality in enumerate(("CT", "MR", "CT"))
    ]
    server: Running = start(wlmscpfs(tmp_path / "worklists", items))
    where = ("127.0.0.1", str(server.port), "-aec", "WORKLIST")
    table = ours.command("worklist", *where, "--modality", "CT", "--date", "2024-01-31").stdout
    assert sorted(line.split()[:6] for line in table.splitlines()[1:3]) == [
        ["2024-01-31", "12:00:00", "CT", "CT1", "Müller,", str(number)] for number in (0, 2)
    ]
    matches = found("worklist", *where, "--station", "MR1")
    assert [match["RequestedProcedureID"] for match in matches] == ["R1"]
    matches = found("findscu", *where, "-W", "-k", "PatientName=M*")
    assert sorted(match["PatientID"] for match in matches) == ["0", "1", "2"]


def test_mpps_and_commitscu_with_pynetdicom(start: Starter, cts: list[objects.Part10], tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "steps"
    folder.mkdir()
    script = [*peers.pynetdicom_script("pynetdicom_service_scp.py"), str(port), os.fspath(folder)]
    start(running(script, port, log=tmp_path / "scp.log"))
    where = ("127.0.0.1", str(port))
    item = Dataset(
        PatientName="Doe^Jane",
        StudyInstanceUID="1.2.3",
        ScheduledProcedureStepSequence=[Dataset(Modality="CT", ScheduledProcedureStepID="S1")],
    )
    (tmp_path / "item.json").write_text(item.to_json())
    uid = ours.command("mpps", *where, "start", "--item", tmp_path / "item.json").stdout.strip()
    ours.command("mpps", *where, "complete", uid, cts[0].path.parent)
    step = Dataset.from_json((folder / f"{uid}.json").read_text())
    assert (step.PerformedProcedureStepStatus, str(step.PatientName)) == ("COMPLETED", "Doe^Jane")
    assert step.ScheduledStepAttributesSequence[0].ScheduledProcedureStepID == "S1"
    (series,) = step.PerformedSeriesSequence
    references = [str(each.ReferencedSOPInstanceUID) for each in series.ReferencedImageSequence]
    assert references == [each.sop_instance_uid for each in cts]
    failed = ours.command("mpps", *where, "discontinue", "1.2.3.4", exit_code=1)
    assert "status 0112H (no such sop instance)" in failed.stderr

    # It commits to the first one alone, and reports on the same association.
    failed = ours.command("commitscu", *where, cts[0].path.parent, exit_code=1)
    assert "1 object committed, 4 failed, 0 skipped: " in failed.stdout
