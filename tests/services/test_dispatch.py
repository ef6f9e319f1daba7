"""Several services on one server."""

from __future__ import annotations

from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.errors import LocalError, StatusError
from aiodicom.services.index import MemoryIndex
from aiodicom.services.instance_availability import InstanceAvailability
from aiodicom.services.instances import MemoryInstances
from aiodicom.services.mpps import PerformedProcedureSteps
from aiodicom.services.query_retrieve import QueryRetrieve
from aiodicom.services.ups import UnifiedProcedureSteps
from aiodicom.services.worklist import Worklist
from aiodicom.standard.models import ModalityWorklist, PatientRoot, StudyRoot
from aiodicom.standard.uids import (
    INSTANCE_AVAILABILITY_NOTIFICATION,
    MODALITY_PERFORMED_PROCEDURE_STEP,
    UNIFIED_PROCEDURE_STEP_EVENT,
    UNIFIED_PROCEDURE_STEP_PUSH,
    VERIFICATION,
)
from tests.services.sides import hearing, served

FILM_SESSION = "1.2.840.10008.5.1.1.1"
WORKLIST = ModalityWorklist.find or ""
MPPS = MODALITY_PERFORMED_PROCEDURE_STEP


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_requests_go_to_the_service_of_their_context(kind: str) -> None:
    notified = []

    def remember(uid: str, notification: Dataset) -> None:
        notified.append((uid, notification.StudyInstanceUID))

    index = MemoryIndex()
    index.add(Dataset(StudyInstanceUID="1.2", SeriesInstanceUID="1.3", SOPInstanceUID="1.4"))
    services = (
        QueryRetrieve(index),
        Worklist([Dataset(PatientID="1")]),
        InstanceAvailability(hearing(remember, kind)),
        PerformedProcedureSteps(MemoryInstances()),
    )
    contexts = [StudyRoot.find or "", WORKLIST, INSTANCE_AVAILABILITY_NOTIFICATION, MPPS]
    async with served(*services, contexts=contexts) as (_, association):
        query = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        assert [each.StudyInstanceUID async for each in association.c_find(query)] == ["1.2"]
        found = association.c_find(Dataset(PatientID=""), ModalityWorklist)
        assert [each.PatientID async for each in found] == ["1"]
        notification = Dataset(StudyInstanceUID="1.2", ReferencedSeriesSequence=[Dataset(SeriesInstanceUID="1.3")])
        result = await association.n_create(INSTANCE_AVAILABILITY_NOTIFICATION, notification, "1.9")
        assert result.sop_instance_uid == "1.9"
        with pytest.raises(StatusError, match="0120"):
            await association.n_create(INSTANCE_AVAILABILITY_NOTIFICATION, Dataset(StudyInstanceUID="1.2"), "1.10")
        notification.StudyInstanceUID = ""
        with pytest.raises(StatusError, match="0121"):
            await association.n_create(INSTANCE_AVAILABILITY_NOTIFICATION, notification, "1.10")
        step = Dataset(PerformedProcedureStepStatus="IN PROGRESS")
        assert (await association.n_create(MPPS, step, "1.10")).sop_instance_uid == "1.10"
    assert notified == [("1.9", "1.2")]


def test_a_server_accepts_what_its_services_serve() -> None:
    server = aiodicom.Server()
    Worklist([]).attach(server)
    assert server.sop_classes() == {VERIFICATION, WORKLIST}
    PerformedProcedureSteps(MemoryInstances()).attach(server)
    assert MPPS in server.sop_classes()
    assert FILM_SESSION not in server.sop_classes()
    QueryRetrieve(MemoryIndex()).attach(server)
    assert {StudyRoot.find, PatientRoot.get, "1.2.840.10008.5.1.4.1.1.2"} <= server.sop_classes()
    UnifiedProcedureSteps(MemoryInstances()).attach(server)
    assert {UNIFIED_PROCEDURE_STEP_PUSH, UNIFIED_PROCEDURE_STEP_EVENT} <= server.sop_classes()
    server.on_n_create(lambda request: None)
    assert FILM_SESSION in server.sop_classes()


async def test_what_no_service_has_goes_to_the_handler_of_before() -> None:
    class Before:
        def attach(self, handlers: Any) -> None:
            handlers.on_n_create(lambda request: aiodicom.Status(0xB605))

    services = (Before(), PerformedProcedureSteps(MemoryInstances()))
    async with served(*services, contexts=[FILM_SESSION, MPPS]) as (_, association):
        assert (await association.n_create(FILM_SESSION)).status == 0xB605
        step = Dataset(PerformedProcedureStepStatus="IN PROGRESS")
        assert (await association.n_create(MPPS, step)).status == 0
        with pytest.raises(StatusError, match="0211"):
            await association.n_delete(FILM_SESSION, "1.2.3")


async def test_what_nobody_has_is_refused() -> None:
    server = aiodicom.Server(contexts=aiodicom.Support(dict.fromkeys([FILM_SESSION, MPPS], aiodicom.ANY)))
    PerformedProcedureSteps(MemoryInstances()).attach(server)
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[FILM_SESSION]) as association,
    ):
        with pytest.raises(StatusError, match="0122"):
            await association.n_create(FILM_SESSION)


def test_a_context_has_one_service() -> None:
    server = aiodicom.Server()
    Worklist([]).attach(server)
    with pytest.raises(LocalError, match="already"):
        Worklist([]).attach(server)
