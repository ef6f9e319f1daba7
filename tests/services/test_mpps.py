"""Modality performed procedure steps (PS3.4 annex F), both sides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.errors import OperationRefused, StatusError
from aiodicom.net.handlers import Handlers
from aiodicom.services.instances import MemoryInstances
from aiodicom.services.mpps import PerformedProcedureSteps, created, ended, mpps
from aiodicom.standard.status import Status
from aiodicom.standard.uids import (
    MODALITY_PERFORMED_PROCEDURE_STEP,
    MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION,
    MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE,
)
from tests.net.sides import until
from tests.services.sides import hearing, served

MPPS = MODALITY_PERFORMED_PROCEDURE_STEP
RETRIEVE = MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE
NOTIFICATION = MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION
CONTEXTS = [MPPS, RETRIEVE, NOTIFICATION]


def begun(**values: Any) -> Dataset:
    return Dataset(PerformedProcedureStepStatus="IN PROGRESS", PatientName="Doe^Jane", **values)


class TestSCP:
    async def test_a_step_from_its_beginning_to_its_end(self) -> None:
        instances = MemoryInstances()
        async with served(PerformedProcedureSteps(instances), contexts=CONTEXTS) as (_, association):
            created = await association.n_create(MPPS, begun(Modality="CT"), "1.2.3")
            assert created.sop_instance_uid == "1.2.3"
            await association.n_set(MPPS, "1.2.3", Dataset(PerformedProcedureStepDescription="Skull"))
            result = await association.n_get(RETRIEVE, "1.2.3", ["PatientName", "PerformedProcedureStepStatus"])
            assert result.dataset == Dataset(PerformedProcedureStepStatus="IN PROGRESS", PatientName="Doe^Jane")
            await association.n_set(MPPS, "1.2.3", Dataset(PerformedProcedureStepStatus="COMPLETED"))
            with pytest.raises(StatusError) as refusal:
                await association.n_set(MPPS, "1.2.3", Dataset(PerformedProcedureStepStatus="DISCONTINUED"))
            assert refusal.value.status == Status.PROCESSING_FAILURE
            assert refusal.value.response.error_id == 0xA710
            assert refusal.value.error_comment == "Performed Procedure Step Object may no longer be updated"
            everything = (await association.n_get(RETRIEVE, "1.2.3")).dataset
        step = await instances.get("1.2.3")
        assert step == everything
        assert step is not None
        assert (step.PerformedProcedureStepStatus, step.Modality) == ("COMPLETED", "CT")

    async def test_the_scp_may_choose_the_uid(self) -> None:
        instances = MemoryInstances()
        async with served(PerformedProcedureSteps(instances), contexts=CONTEXTS) as (_, association):
            created = await association.n_create(MPPS, begun())
            assert created.sop_instance_uid is not None
            assert await instances.get(created.sop_instance_uid) is not None

    @pytest.mark.parametrize(
        ("dataset", "status", "offending"),
        [
            (Dataset(PerformedProcedureStepStatus="COMPLETED"), 0x0106, (0x00400252,)),
            (Dataset(PatientName="Doe"), 0x0120, (0x00400252,)),
            (None, 0x0120, ()),
        ],
    )
    async def test_what_cannot_be_created(self, dataset: Any, status: int, offending: tuple[int, ...]) -> None:
        async with served(PerformedProcedureSteps(MemoryInstances()), contexts=CONTEXTS) as (_, association):
            with pytest.raises(StatusError) as refusal:
                await association.n_create(MPPS, dataset, "1.2.3")
            assert (refusal.value.status, refusal.value.response.offending_elements) == (status, offending)

    async def test_what_cannot_be_done(self) -> None:
        async with served(PerformedProcedureSteps(MemoryInstances(most=1)), contexts=CONTEXTS) as (_, association):
            await association.n_create(MPPS, begun(), "1.2.3")
            for status, operation in (
                (0x0111, association.n_create(MPPS, begun(), "1.2.3")),
                (0x0213, association.n_create(MPPS, begun(), "1.2.4")),
                (0x0112, association.n_set(MPPS, "1.2.4", Dataset(PatientID="1"))),
                (0x0112, association.n_get(RETRIEVE, "1.2.4")),
                (0x0106, association.n_set(MPPS, "1.2.3", Dataset(PerformedProcedureStepStatus="LOST"))),
                (0x0211, association.n_delete(MPPS, "1.2.3")),
            ):
                with pytest.raises(StatusError) as refusal:
                    await operation
                assert refusal.value.status == status

    async def test_changes_in_another_character_set(self) -> None:
        instances = MemoryInstances()
        async with served(PerformedProcedureSteps(instances), contexts=CONTEXTS) as (_, association):
            latin = begun(SpecificCharacterSet="ISO_IR 100", PerformedStationName="Gerät")
            await association.n_create(MPPS, latin, "1.2.3")
            greek = Dataset(SpecificCharacterSet="ISO_IR 126", PerformedProcedureStepDescription="Κρανίο")
            await association.n_set(MPPS, "1.2.3", greek)
            step = (await association.n_get(RETRIEVE, "1.2.3")).dataset
        assert step is not None
        assert (step.PerformedStationName, step.PerformedProcedureStepDescription) == ("Gerät", "Κρανίο")

    @pytest.mark.parametrize("kind", ["plain", "async"])
    async def test_the_embedder_hears_first_and_may_refuse(self, kind: str) -> None:
        heard = []

        def changed(uid: str, step: Dataset) -> None:
            heard.append((uid, step.PerformedProcedureStepStatus))
            if step.PerformedProcedureStepStatus == "COMPLETED" and not step.get("PerformedSeriesSequence"):
                raise OperationRefused(Status.MISSING_ATTRIBUTE_VALUE)

        instances = MemoryInstances()
        service = PerformedProcedureSteps(instances, changed=hearing(changed, kind))
        async with served(service, contexts=CONTEXTS) as (_, association):
            await association.n_create(MPPS, begun(), "1.2.3")
            with pytest.raises(StatusError, match="0121"):
                await association.n_set(MPPS, "1.2.3", Dataset(PerformedProcedureStepStatus="COMPLETED"))
        assert heard == [("1.2.3", "IN PROGRESS"), ("1.2.3", "COMPLETED")]
        step = await instances.get("1.2.3")
        assert step is not None
        assert step.PerformedProcedureStepStatus == "IN PROGRESS"

    async def test_events_are_reported_in_their_order(self) -> None:
        events = []
        handlers = Handlers()
        handlers.on_n_event_report(
            lambda request: events.append((request.sop_class_uid, request.sop_instance_uid, request.event_type_id))
        )
        service = PerformedProcedureSteps(MemoryInstances())
        async with served(service, contexts=CONTEXTS, handlers=handlers) as (_, association):
            async with mpps(association, Dataset(Modality="CT"), sop_instance_uid="1.2.3") as step:
                await step.update(Dataset(PatientID="1"))
            await until(lambda: len(events) == 3)
        assert events == [(MPPS, "1.2.3", event) for event in (1, 4, 2)]

    async def test_operations_on_one_step_come_one_after_the_other(self) -> None:
        class Slow(MemoryInstances):
            async def put(self, sop_instance_uid: str, instance: Dataset) -> None:
                await asyncio.sleep(0)
                await super().put(sop_instance_uid, instance)

        instances = Slow()
        async with served(PerformedProcedureSteps(instances), contexts=CONTEXTS, window=8) as (_, association):
            await association.n_create(MPPS, begun(), "1.2.3")
            changes = [Dataset(PatientID="1"), Dataset(Modality="CT"), Dataset(StudyID="2"), Dataset(Rows=4)]
            await asyncio.gather(*(association.n_set(MPPS, "1.2.3", change) for change in changes))
        step = await instances.get("1.2.3")
        assert step is not None
        assert all(step[element.tag] == element for change in changes for element in change)


class TestSCU:
    async def steps(self) -> tuple[MemoryInstances, PerformedProcedureSteps]:
        instances = MemoryInstances()
        return instances, PerformedProcedureSteps(instances)

    async def test_completed(self) -> None:
        instances, service = await self.steps()
        async with served(service, contexts=CONTEXTS) as (_, association):
            async with mpps(association, Dataset(Modality="CT", PatientID="1")) as step:
                created = await instances.get(step.sop_instance_uid)
                assert created is not None
                assert created.PerformedProcedureStepStatus == "IN PROGRESS"
                assert created.PerformedProcedureStepStartDate
                assert created.PerformedProcedureStepID
                assert created.PatientName == ""
                step.add_series(Dataset(SeriesInstanceUID="1.2"))
                await step.update()
                step.add_series(Dataset(SeriesInstanceUID="1.3"))
            ended = await instances.get(step.sop_instance_uid)
        assert ended is not None
        assert ended.PerformedProcedureStepStatus == "COMPLETED"
        assert [series.SeriesInstanceUID for series in ended.PerformedSeriesSequence] == ["1.2", "1.3"]
        assert ended.PerformedProcedureStepEndDate
        assert ended.PerformedProcedureStepEndTime

    async def test_discontinued_by_an_exception(self) -> None:
        instances, service = await self.steps()

        async def work(association: aiodicom.Association) -> None:
            async with mpps(association, Dataset(Modality="CT"), sop_instance_uid="1.2.3") as step:
                step.add_series(Dataset(SeriesInstanceUID="1.2"))
                step.final.PerformedProcedureStepDiscontinuationReasonCodeSequence = [Dataset(CodeValue="110514")]
                raise ZeroDivisionError

        async with served(service, contexts=CONTEXTS) as (_, association):
            with pytest.raises(ZeroDivisionError):
                await work(association)
            ended = await instances.get("1.2.3")
            assert ended is not None
            assert ended.PerformedProcedureStepStatus == "DISCONTINUED"
            assert len(ended.PerformedSeriesSequence) == 1
            assert ended.PerformedProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110514"

    async def test_discontinued_by_cancellation(self) -> None:
        instances, service = await self.steps()
        begun = asyncio.Event()

        async def work(association: aiodicom.Association) -> None:
            async with mpps(association, Dataset(Modality="CT"), sop_instance_uid="1.2.3"):
                begun.set()
                await asyncio.Event().wait()

        async with served(service, contexts=CONTEXTS) as (_, association):
            task = asyncio.create_task(work(association))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            ended = await instances.get("1.2.3")
            assert ended is not None
            assert ended.PerformedProcedureStepStatus == "DISCONTINUED"

    async def test_the_exception_of_the_block_goes_on_when_the_association_is_gone(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        _, service = await self.steps()

        async def work(association: aiodicom.Association) -> None:
            async with mpps(association, Dataset(Modality="CT")):
                association.abort()
                raise ZeroDivisionError

        async with served(service, contexts=CONTEXTS) as (_, association):
            with pytest.raises(ZeroDivisionError):
                await work(association)
        assert "was not reported" in caplog.text

    async def test_what_cannot_be_created_is_not_begun(self) -> None:
        _, service = await self.steps()
        async with served(service, contexts=CONTEXTS) as (_, association):
            await association.n_create(MPPS, begun(), "1.2.3")
            with pytest.raises(StatusError, match="0111"):
                async with mpps(association, Dataset(Modality="CT"), sop_instance_uid="1.2.3"):
                    raise AssertionError("the step has begun")


@pytest.mark.parametrize("kind", ["Date", "Time"])
@pytest.mark.parametrize("when", ["Start", "End"])
def test_a_date_or_a_time_that_is_given_is_kept(when: str, kind: str) -> None:
    given, other = (f"PerformedProcedureStep{when}{each}" for each in (kind, "Time" if kind == "Date" else "Date"))
    value = {"Date": "20010203", "Time": "040506"}[kind]
    attributes = Dataset(**{given: value})
    step = created(attributes) if when == "Start" else ended(attributes, "COMPLETED")
    assert step.get(given) == value
    assert step.get(other)
