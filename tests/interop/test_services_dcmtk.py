"""The services with DCMTK on the other side: its query SCU against ours, and its worklist SCP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.services.index import MemoryIndex
from aiodicom.services.query_retrieve import QueryRetrieve
from aiodicom.services.worklist import Worklist
from aiodicom.standard.models import ModalityWorklist
from tests.interop import peers
from tests.interop.processes import Running, running
from tests.ports import free_port

CT = "1.2.840.10008.5.1.4.1.1.2"


def archive() -> QueryRetrieve:
    index = MemoryIndex()
    for study in range(1, 6):
        index.add(
            Dataset(
                SpecificCharacterSet="ISO_IR 100",
                PatientID=f"P{study}",
                PatientName=f"Müller^{study}",
                StudyInstanceUID=f"1.2.{study}",
                StudyDate=f"2024010{study}",
                StudyTime="120000",
                Modality="CT",
                SeriesInstanceUID=f"1.2.{study}.1",
                SOPClassUID=CT,
                SOPInstanceUID=f"1.2.{study}.1.1",
            )
        )
    return QueryRetrieve(index)


async def answers(service: Any, folder: Path, *arguments: str) -> list[Dataset]:
    """What DCMTK's findscu is answered."""
    server = aiodicom.Server()
    service.attach(server)
    async with server.listen("127.0.0.1", 0) as listening:
        return await asyncio.to_thread(_ask, listening.port, folder, *arguments)


def _ask(port: int, folder: Path, *arguments: str) -> list[Dataset]:
    folder.mkdir()
    peers.dcmtk_command("findscu", "-X", "-od", folder, *arguments, "127.0.0.1", str(port))
    return [aiodicom.dcmread(path) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["StudyDate=20240102-20240104"], {"1.2.2", "1.2.3", "1.2.4"}),
        (["PatientName=m*r^?"], {f"1.2.{study}" for study in range(1, 6)}),
        (["PatientID=P4"], {"1.2.4"}),
        (["ModalitiesInStudy=CT\\MR", "StudyTime=-1159"], set()),
        (["StudyInstanceUID=1.2.1\\1.2.5"], {"1.2.1", "1.2.5"}),
    ],
)
async def test_findscu(keys: list[str], expected: set[str], tmp_path: Path) -> None:
    options = [option for key in ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", *keys) for option in ("-k", key)]
    found = await answers(archive(), tmp_path / "answers", "-S", *options)
    assert {match.StudyInstanceUID for match in found} == expected


async def test_findscu_at_every_level(tmp_path: Path) -> None:
    levels = {
        "PATIENT": ["PatientID=P1"],
        "STUDY": ["PatientID=P1", "StudyInstanceUID"],
        "SERIES": ["PatientID=P1", "StudyInstanceUID=1.2.1", "SeriesInstanceUID"],
        "IMAGE": ["PatientID=P1", "StudyInstanceUID=1.2.1", "SeriesInstanceUID=1.2.1.1", "SOPInstanceUID"],
    }
    for level, keys in levels.items():
        options = [option for key in (f"QueryRetrieveLevel={level}", *keys) for option in ("-k", key)]
        (match,) = await answers(archive(), tmp_path / level, "-P", *options)
        assert match.QueryRetrieveLevel == level
        assert match[keys[-1].split("=")[0]].value


async def test_findscu_of_a_worklist(tmp_path: Path) -> None:
    items = [
        Dataset(
            PatientName=f"Doe^{number}",
            ScheduledProcedureStepSequence=[
                Dataset(Modality=modality, ScheduledProcedureStepStartDate="20240101", ScheduledStationAETitle="A")
            ],
        )
        for number, modality in enumerate(("CT", "MR"))
    ]
    keys = [
        "PatientName",
        "ScheduledProcedureStepSequence[0].Modality=MR",
        "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=20240101-",
    ]
    options = [option for key in keys for option in ("-k", key)]
    (match,) = await answers(Worklist(items), tmp_path / "answers", "-W", *options)
    assert match.PatientName == "Doe^1"
    (step,) = match.ScheduledProcedureStepSequence
    assert step == Dataset(Modality="MR", ScheduledProcedureStepStartDate="20240101")


@contextmanager
def wlmscpfs(folder: Path, items: list[Dataset]) -> Iterator[Running]:
    """DCMTK's worklist SCP, AE title WORKLIST."""
    area = folder / "WORKLIST"
    area.mkdir(parents=True)
    (area / "lockfile").touch()
    for number, item in enumerate(items):
        aiodicom.dcmwrite(area / f"{number}.wl", item)
    port = free_port()
    command = [peers.dcmtk("wlmscpfs"), "-s", "-dfr", "-dfp", os.fspath(folder), str(port)]
    environment = peers.environment(nodelay=True)
    with running(command, port, log=folder / "wlmscpfs.log", environment=environment, directory=folder) as server:
        yield server


async def test_wlmscpfs_and_our_matching_agree(tmp_path: Path, start: Any) -> None:
    items = [
        Dataset(
            PatientName=f"{name}^{number}",
            PatientID=str(number),
            AccessionNumber=f"A{number}",
            ScheduledProcedureStepSequence=[
                Dataset(
                    Modality=modality,
                    ScheduledStationAETitle="CT1",
                    ScheduledProcedureStepStartDate=f"2024010{number}",
                    ScheduledProcedureStepStartTime="120000",
                )
            ],
        )
        for number, (name, modality) in enumerate([("Doe", "CT"), ("Roe", "MR"), ("Doering", "CT")], 1)
    ]
    server = start(wlmscpfs(tmp_path / "worklists", items))
    queries = [
        Dataset(PatientName="Doe*", ScheduledProcedureStepSequence=[Dataset(Modality="")]),
        Dataset(PatientID="2", ScheduledProcedureStepSequence=[Dataset(Modality="", ScheduledStationAETitle="")]),
        Dataset(PatientName="", ScheduledProcedureStepSequence=[Dataset(Modality="CT")]),
        Dataset(
            PatientID="",
            ScheduledProcedureStepSequence=[
                Dataset(ScheduledProcedureStepStartDate="20240102-", ScheduledProcedureStepStartTime="")
            ],
        ),
        Dataset(PatientName="Nobody", ScheduledProcedureStepSequence=[Dataset(Modality="")]),
    ]
    ours = aiodicom.Server()
    Worklist(items).attach(ours)
    contexts = [ModalityWorklist.find]
    async with (
        ours.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", server.port, called_aet="WORKLIST", contexts=contexts) as theirs,
        aiodicom.connect("127.0.0.1", listening.port, contexts=contexts) as mine,
    ):
        for query in queries:
            found = [
                sorted([_values(match) async for match in association.c_find(query, ModalityWorklist)])
                for association in (theirs, mine)
            ]
            assert found[0] == found[1]


def _values(match: Dataset) -> list[Any]:
    """What is answered, without what wlmscpfs adds."""
    return [
        (element.tag, [_values(item) for item in element.value] if element.vr == "SQ" else element.value)
        for element in match
        if element.keyword != "SpecificCharacterSet"
    ]
