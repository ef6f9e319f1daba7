"""The services with pynetdicom on the other side."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.errors import StatusError
from aiodicom.services.finding import find_studies
from aiodicom.services.index import MemoryIndex
from aiodicom.services.instance_availability import InstanceAvailability
from aiodicom.services.instances import MemoryInstances
from aiodicom.services.mpps import PerformedProcedureSteps, mpps
from aiodicom.services.query_retrieve import QueryRetrieve
from aiodicom.services.storage_commitment import (
    CommitmentListener,
    FailedInstance,
    FailureReason,
    ReferencedInstance,
    StorageCommitment,
    Transaction,
    request_commitment,
)
from aiodicom.services.ups import UnifiedProcedureSteps
from aiodicom.services.worklist import Worklist
from aiodicom.standard.models import ModalityWorklist, StudyRoot
from aiodicom.standard.uids import MODALITY_PERFORMED_PROCEDURE_STEP, STORAGE_COMMITMENT_PUSH_MODEL
from tests.interop import peers
from tests.interop.processes import run_command
from tests.ports import free_port

CT = "1.2.840.10008.5.1.4.1.1.2"


async def scu(service: Any, name: str, **options: Any) -> dict[str, Any]:
    """What pynetdicom's SCU finds at a server with a service."""
    server = aiodicom.Server(**options)
    service.attach(server)
    async with server.listen("127.0.0.1", 0) as listening:
        script = [*peers.pynetdicom_script("pynetdicom_service_scu.py"), str(listening.port), name]
        done = await asyncio.to_thread(run_command, script)
    if hasattr(service, "close"):
        await service.close()
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


async def test_performed_procedure_steps() -> None:
    outcome = await scu(PerformedProcedureSteps(MemoryInstances()), "mpps")
    assert outcome["statuses"] == [0, 0x0111, 0, 0x0110, 0]
    step = Dataset.from_json(json.dumps(outcome["step"]))
    assert step == Dataset(PatientName="Doe^Jane", PerformedProcedureStepStatus="COMPLETED")


class Shelf:
    """An archive with one instance."""

    async def begin(self, transaction: Transaction) -> None:
        assert transaction.ae_title == "PYNETDICOM"

    async def verify(self, transaction: Transaction) -> Mapping[str, int]:
        return {"1.2.2": FailureReason.NO_SUCH_OBJECT_INSTANCE}

    async def end(self, transaction: Transaction) -> None:
        pass


async def test_storage_commitment() -> None:
    outcome = await scu(StorageCommitment(Shelf()), "commitment")
    assert outcome["statuses"] == [0]
    ((event_type, information),) = outcome["reported"]
    report = Dataset.from_json(json.dumps(information))
    assert (event_type, report.TransactionUID) == (2, "1.2.3")
    assert report.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.1"
    assert report.FailedSOPSequence[0].FailureReason == 0x0112


async def test_worklist() -> None:
    items = [
        Dataset(
            SpecificCharacterSet="ISO_IR 100",
            PatientName=f"Müller^{day}",
            ScheduledProcedureStepSequence=[
                Dataset(
                    Modality="CT", ScheduledProcedureStepStartDate=f"2024010{day}", ScheduledStationAETitle=f"CT{day}"
                )
            ],
        )
        for day in (1, 2, 3)
    ]
    outcome = await scu(Worklist(items), "worklist")
    assert outcome["statuses"] == [0xFF00, 0xFF00, 0]
    matches = [Dataset.from_json(json.dumps(match)) for match in outcome["matches"]]
    assert [match.PatientName for match in matches] == ["Müller^1", "Müller^2"]
    steps = [match.ScheduledProcedureStepSequence[0] for match in matches]
    assert [step.ScheduledStationAETitle for step in steps] == ["CT1", "CT2"]


def index() -> MemoryIndex:
    made = MemoryIndex()
    for number in (1, 2):
        made.add(
            Dataset(
                PatientID="A",
                PatientName="Doe",
                StudyInstanceUID="1.2.1",
                StudyDate="20240101",
                SeriesInstanceUID="1.2.1.1",
                SOPClassUID=CT,
                SOPInstanceUID=f"1.2.1.1.{number}",
            )
        )
    return made


async def test_query() -> None:
    outcome = await scu(QueryRetrieve(index()), "studies")
    assert outcome["statuses"] == [0xFF00, 0]
    assert Dataset.from_json(json.dumps(outcome["matches"][0])) == Dataset(
        QueryRetrieveLevel="STUDY",
        RetrieveAETitle="ANY-SCP",
        InstanceAvailability="ONLINE",
        PatientID="A",
        PatientName="Doe",
        StudyInstanceUID="1.2.1",
        StudyDate="20240101",
        NumberOfStudyRelatedInstances=2,
    )


async def test_retrieve() -> None:
    outcome = await scu(QueryRetrieve(index()), "retrieve")
    assert outcome == {"statuses": [0], "received": ["1.2.1.1.1", "1.2.1.1.2"]}


async def test_move() -> None:
    received: list[str] = []
    store = aiodicom.Server()
    store.on_c_store(lambda request: received.append(request.affected_sop_instance_uid))
    async with store.listen("127.0.0.1", 0) as listening:
        destinations = {"STORE": aiodicom.Destination("127.0.0.1", listening.port)}
        outcome = await scu(QueryRetrieve(index()), "move", destinations=destinations)
    assert outcome == {"statuses": [0, 0xA801]}
    assert sorted(received) == ["1.2.1.1.1", "1.2.1.1.2"]


class Sessions:
    """Film sessions that are made and deleted."""

    def __init__(self) -> None:
        self.there: set[str] = set()

    def attach(self, server: aiodicom.Server) -> None:
        @server.on_n_create
        async def create(request: aiodicom.NCreateRequest) -> None:
            self.there.add(request.sop_instance_uid)

        @server.on_n_delete
        async def delete(request: aiodicom.NDeleteRequest) -> aiodicom.Status:
            if request.sop_instance_uid not in self.there:
                return aiodicom.Status.NO_SUCH_SOP_INSTANCE
            self.there.remove(request.sop_instance_uid)
            return aiodicom.Status.SUCCESS


async def test_instances_are_deleted() -> None:
    assert await scu(Sessions(), "session") == {"statuses": [0, 0, 0x0112]}


async def test_unified_procedure_steps() -> None:
    outcome = await scu(UnifiedProcedureSteps(MemoryInstances()), "ups")
    assert outcome["statuses"] == [0, 0, 0, 0xC304, 0, 0, 0xC311, 0]
    assert outcome["state"] == "COMPLETED"
    assert outcome["found"] == [True]
    assert outcome["events"] == [[1, "SCHEDULED"], [1, "IN PROGRESS"], [1, "COMPLETED"]]


async def test_instance_availability() -> None:
    notified = []

    async def remember(uid: str, notification: Dataset) -> None:
        notified.append((uid, notification.ReferencedSeriesSequence[0].SeriesInstanceUID))

    assert await scu(InstanceAvailability(remember), "availability") == {"statuses": [0]}
    assert notified == [("1.2.3", "1.3")]


def scp(folder: Path, *arguments: str) -> Any:
    folder.mkdir(exist_ok=True)
    port = free_port()
    script = [*peers.pynetdicom_script("pynetdicom_service_scp.py"), str(port), os.fspath(folder), *arguments]
    return peers.running(script, port, log=folder.with_name("scp.log"))


async def test_our_step(tmp_path: Path, start: Any) -> None:
    server = start(scp(tmp_path / "steps"))
    contexts = [MODALITY_PERFORMED_PROCEDURE_STEP]
    async with aiodicom.connect("127.0.0.1", server.port, contexts=contexts) as association:
        async with mpps(association, Dataset(PatientID="1", Modality="CT"), sop_instance_uid="1.2.3") as step:
            step.add_series(Dataset(SeriesInstanceUID="1.2"))
        kept = Dataset.from_json((tmp_path / "steps" / "1.2.3.json").read_text())
        assert (kept.PerformedProcedureStepStatus, kept.Modality) == ("COMPLETED", "CT")
        assert kept.PerformedSeriesSequence[0].SeriesInstanceUID == "1.2"
        with pytest.raises(StatusError, match="0112"):
            await association.n_set(MODALITY_PERFORMED_PROCEDURE_STEP, "1.2.4", Dataset(PatientID="2"))


@pytest.mark.parametrize("opens", [False, True], ids=["on the same association", "on a new association"])
async def test_our_request_for_commitment(tmp_path: Path, start: Any, opens: bool) -> None:
    listener = CommitmentListener()
    ours = aiodicom.Server()
    listener.attach(ours)
    async with ours.listen("127.0.0.1", 0) as listening:
        server = start(scp(tmp_path / "steps", *([str(listening.port)] if opens else [])))
        async with aiodicom.connect(
            "127.0.0.1", server.port, contexts=[STORAGE_COMMITMENT_PUSH_MODEL], handlers=listener.handlers
        ) as association:
            commitment = await request_commitment(association, [(CT, "1.2.1"), (CT, "1.2.2")], listener)
    assert commitment.committed == (ReferencedInstance(CT, "1.2.1"),)
    assert commitment.failed == (FailedInstance(CT, "1.2.2", FailureReason.NO_SUCH_OBJECT_INSTANCE),)


async def test_our_queries(tmp_path: Path, start: Any) -> None:
    server = start(scp(tmp_path / "steps"))
    contexts = [StudyRoot.find, ModalityWorklist.find]
    async with aiodicom.connect("127.0.0.1", server.port, contexts=contexts) as association:
        found = [study.PatientName async for study in find_studies(association, PatientName="Doe*")]
        assert found == ["Doe^0", "Doe^1", "Doe^2"]
        query = Dataset(PatientName="", ScheduledProcedureStepSequence=[Dataset(Modality="CT")])
        assert len([match async for match in association.c_find(query, ModalityWorklist)]) == 3
