"""Unified Procedure Steps (PS3.4 annex CC)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.errors import OperationRefused, StatusError
from aiodicom.net.handlers import Handlers
from aiodicom.net.suboperations import Destination
from aiodicom.services.instances import MemoryInstances
from aiodicom.services.ups import UnifiedProcedureSteps
from aiodicom.standard.models import UPSPull, UPSQuery, UPSWatch
from aiodicom.standard.status import Status
from aiodicom.standard.uids import (
    UNIFIED_PROCEDURE_STEP_EVENT,
    UNIFIED_PROCEDURE_STEP_PUSH,
    UPS_FILTERED_GLOBAL_SUBSCRIPTION,
    UPS_GLOBAL_SUBSCRIPTION,
)
from tests.net.sides import until
from tests.services.sides import hearing, served

PUSH = UNIFIED_PROCEDURE_STEP_PUSH
PULL, WATCH, QUERY = UPSPull.find or "", UPSWatch.find or "", UPSQuery.find or ""
CONTEXTS = [PUSH, PULL, WATCH, QUERY, UNIFIED_PROCEDURE_STEP_EVENT]
STEP, OTHER = "1.2.3", "1.2.4"
TRANSACTION = "1.2.100"


def scheduled(**values: Any) -> Dataset:
    """The attribute list of an N-CREATE."""
    made = Dataset(
        ScheduledProcedureStepPriority="MEDIUM",
        ProcedureStepLabel="Contour",
        WorklistLabel="RT",
        ScheduledProcedureStepStartDateTime="20240101120000",
        InputReadinessState="READY",
        ProcedureStepState="SCHEDULED",
        ProcedureStepProgressInformationSequence=[],
        UnifiedProcedureStepPerformedProcedureSequence=[],
    )
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


PERFORMED = Dataset(
    PerformedStationNameCodeSequence=[Dataset(CodeValue="1")],
    PerformedProcedureStepStartDateTime="20240101120000",
    PerformedWorkitemCodeSequence=[Dataset(CodeValue="2")],
    PerformedProcedureStepEndDateTime="20240101130000",
    OutputInformationSequence=[],
)
REASON = Dataset(CodeValue="110514", CodingSchemeDesignator="DCM", CodeMeaning="Incorrect worklist entry selected")
#: What the final states want.
FINAL = Dataset(
    UnifiedProcedureStepPerformedProcedureSequence=[PERFORMED],
    ProcedureStepProgressInformationSequence=[Dataset(ProcedureStepDiscontinuationReasonCodeSequence=[REASON])],
)


class Scu:
    """An association with an SCP of UPS, and the events that come on it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int, Dataset | None]] = []
        self.handlers = Handlers()
        self.handlers.on_n_event_report(self._hear)
        self.association: aiodicom.Association

    def _hear(self, request: Any) -> None:
        assert request.sop_class_uid == PUSH
        self.events.append((request.sop_instance_uid, request.event_type_id, request.dataset))

    async def status(self, operation: Any) -> int:
        try:
            return int((await operation).status)
        except StatusError as error:
            return int(error.status)

    async def create(self, uid: str = STEP, **values: Any) -> int:
        return await self.status(self.association.n_create(PUSH, scheduled(**values), uid))

    async def change(self, state: str, uid: str = STEP, transaction: str = TRANSACTION) -> int:
        information = Dataset(ProcedureStepState=state, TransactionUID=transaction)
        return await self.status(self.association.n_action(PUSH, uid, 1, information, abstract_syntax=PULL))

    async def cancel(self, uid: str = STEP, **values: Any) -> int:
        return await self.status(self.association.n_action(PUSH, uid, 2, Dataset(**values), abstract_syntax=PUSH))

    async def set(self, uid: str = STEP, transaction: str = TRANSACTION, **values: Any) -> int:
        changes = Dataset(TransactionUID=transaction, **values)
        return await self.status(self.association.n_set(PUSH, uid, changes, abstract_syntax=PULL))

    async def finish(self, uid: str = STEP) -> int:
        changes = FINAL.copy()
        changes.TransactionUID = TRANSACTION
        return await self.status(self.association.n_set(PUSH, uid, changes, abstract_syntax=PULL))

    async def get(self, uid: str = STEP, *attributes: str) -> Dataset:
        result = await self.association.n_get(PUSH, uid, attributes, abstract_syntax=WATCH)
        assert result.dataset is not None
        return result.dataset

    async def subscribe(
        self, uid: str, action: int = 3, ae_title: str = "SCU", lock: str = "FALSE", **keys: Any
    ) -> int:
        information = Dataset(ReceivingAE=ae_title, **keys)
        if action == 3:
            information.DeletionLock = lock
        return await self.status(self.association.n_action(PUSH, uid, action, information, abstract_syntax=WATCH))

    async def reach(self, state: str | None) -> None:
        """Has STEP in a state."""
        if state is None:
            return
        await self.create()
        if state != "SCHEDULED":
            assert await self.change("IN PROGRESS") == 0
        if state in ("COMPLETED", "CANCELED"):
            assert await self.finish() == 0
            assert await self.change(state) == 0

    async def hear(self, count: int) -> list[tuple[str, int, str | None]]:
        """The events, with the state that each says, once there are so many."""
        await until(lambda: len(self.events) >= count)
        return [(uid, kind, each.get("ProcedureStepState") if each else None) for uid, kind, each in self.events]


@asynccontextmanager
async def ups(service: UnifiedProcedureSteps | None = None, **options: Any) -> AsyncIterator[Scu]:
    service = service or UnifiedProcedureSteps(MemoryInstances())
    scu = Scu()
    async with served(service, contexts=CONTEXTS, handlers=scu.handlers, **options) as (_, scu.association):
        yield scu


STATES = [None, "SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"]


@pytest.mark.parametrize(
    ("event", "statuses"),
    [
        (lambda scu: scu.create(), [0, 0x0111, 0x0111, 0x0111, 0x0111]),
        (lambda scu: scu.change("IN PROGRESS"), [0xC307, 0, 0xC302, 0xC300, 0xC300]),
        (lambda scu: scu.change("IN PROGRESS", transaction=""), [0xC307, 0xC301, 0xC301, 0xC301, 0xC301]),
        (lambda scu: scu.change("SCHEDULED"), [0xC307, 0xC303, 0xC303, 0xC303, 0xC303]),
        (lambda scu: scu.change("COMPLETED"), [0xC307, 0xC310, 0xC304, 0xB306, 0xC300]),
        (lambda scu: scu.change("COMPLETED", transaction=""), [0xC307, 0xC301, 0xC301, 0xC301, 0xC301]),
        (lambda scu: scu.cancel(), [0xC307, 0, 0xC312, 0xC311, 0xB304]),
        (lambda scu: scu.change("CANCELED"), [0xC307, 0xC310, 0xC304, 0xC300, 0xB304]),
        (lambda scu: scu.change("CANCELED", transaction=""), [0xC307, 0xC301, 0xC301, 0xC301, 0xC301]),
    ],
)
async def test_every_cell_of_the_state_table(event: Any, statuses: list[int]) -> None:
    """PS3.4 table CC.1.1-2, with what is wanted of final states missing where a step is IN PROGRESS."""
    for state, status in zip(STATES, statuses, strict=True):
        async with ups() as scu:
            await scu.reach(state)
            assert await event(scu) == status, state


async def test_a_transaction_uid_of_somebody_else() -> None:
    async with ups() as scu:
        await scu.reach("IN PROGRESS")
        for state in ("IN PROGRESS", "COMPLETED", "CANCELED"):
            assert await scu.change(state, transaction="1.2.101") == 0xC301
        assert await scu.change("ELSEWHERE") == 0x0115


class TestSteps:
    async def test_from_scheduled_to_completed(self) -> None:
        instances = MemoryInstances()
        async with ups(UnifiedProcedureSteps(instances)) as scu:
            assert await scu.create() == 0
            step = await scu.get()
            assert (step.ProcedureStepState, step.SOPClassUID, step.SOPInstanceUID) == ("SCHEDULED", PUSH, STEP)
            assert step.ScheduledProcedureStepModificationDateTime
            assert await scu.set(transaction="", ProcedureStepLabel="Plan") == 0
            assert await scu.change("IN PROGRESS") == 0
            assert "TransactionUID" not in await scu.get()
            assert "TransactionUID" not in await scu.get(STEP, "TransactionUID", "ProcedureStepState")
            assert await scu.finish() == 0
            assert await scu.change("COMPLETED") == 0
            step = await scu.get(STEP, "ProcedureStepState", "ProcedureStepLabel")
            assert step == Dataset(ProcedureStepState="COMPLETED", ProcedureStepLabel="Plan")
        kept = await instances.get(STEP)
        assert kept is not None
        assert kept.TransactionUID == TRANSACTION

    async def test_canceled_by_its_performer(self) -> None:
        async with ups() as scu:
            await scu.reach("CANCELED")
            (progress,) = (await scu.get()).ProcedureStepProgressInformationSequence
            assert progress.ProcedureStepCancellationDateTime
            assert progress.ProcedureStepDiscontinuationReasonCodeSequence == [REASON]

    @pytest.mark.parametrize(
        ("values", "status"),
        [
            ({"ProcedureStepState": "IN PROGRESS"}, 0xC309),
            ({"ProcedureStepLabel": ""}, 0x0121),
            ({"InputReadinessState": "SOON"}, 0x0106),
            ({"ScheduledProcedureStepPriority": "STAT"}, 0x0106),
            ({"WorklistLabel": ""}, 0xB300),
        ],
    )
    async def test_creating(self, values: dict[str, Any], status: int) -> None:
        async with ups() as scu:
            assert await scu.create(**values) == status
            if status == 0xB300:
                assert (await scu.get()).WorklistLabel == "WORKLIST"

    @pytest.mark.parametrize(
        ("state", "transaction", "values", "status"),
        [
            (None, "", {"ProcedureStepLabel": "A"}, 0xC307),
            ("SCHEDULED", TRANSACTION, {"ProcedureStepLabel": "A"}, 0xC310),
            ("IN PROGRESS", "", {"ProcedureStepLabel": "A"}, 0xC301),
            ("IN PROGRESS", "1.2.9", {"ProcedureStepLabel": "A"}, 0xC301),
            ("COMPLETED", TRANSACTION, {"ProcedureStepLabel": "A"}, 0xC300),
            ("CANCELED", TRANSACTION, {"ProcedureStepLabel": "A"}, 0xC300),
            ("IN PROGRESS", TRANSACTION, {"PatientName": "Doe"}, 0x0106),
            ("SCHEDULED", "", {"InputReadinessState": "SOON"}, 0x0106),
            ("SCHEDULED", "", {"InputReadinessState": "UNAVAILABLE", "ScheduledProcedureStepPriority": "HIGH"}, 0),
            ("SCHEDULED", "", {"ProcedureStepLabel": ""}, 0x0121),
            ("IN PROGRESS", TRANSACTION, {"ProcedureStepState": "COMPLETED"}, 0x0106),
        ],
    )
    async def test_setting(self, state: str | None, transaction: str, values: dict[str, Any], status: int) -> None:
        async with ups() as scu:
            await scu.reach(state)
            assert await scu.set(STEP, transaction, **values) == status

    async def test_final_states_want_all_that_is_done(self) -> None:
        async with ups() as scu:
            await scu.reach("IN PROGRESS")
            for keyword in [element.keyword for element in PERFORMED]:
                part = PERFORMED.copy()
                del part[keyword]
                assert await scu.set(UnifiedProcedureStepPerformedProcedureSequence=[part]) == 0
                with pytest.raises(StatusError) as refusal:
                    await scu.association.n_action(
                        PUSH,
                        STEP,
                        1,
                        Dataset(ProcedureStepState="COMPLETED", TransactionUID=TRANSACTION),
                        abstract_syntax=PULL,
                    )
                assert refusal.value.status == 0xC304
                assert keyword in (refusal.value.error_comment or "")

    @pytest.mark.parametrize("model", [UPSPull, UPSWatch, UPSQuery])
    async def test_querying(self, model: Any) -> None:
        async with ups() as scu:
            await scu.create(STEP, ScheduledProcedureStepStartDateTime="20240101")
            await scu.create(OTHER, ScheduledProcedureStepStartDateTime="20250101")
            await scu.change("IN PROGRESS", OTHER)
            query = Dataset(SOPInstanceUID="", ProcedureStepState="", TransactionUID=TRANSACTION)
            query.ScheduledProcedureStepStartDateTime = "2024-2025"
            matches = [match async for match in scu.association.c_find(query, model)]
            assert [(match.SOPInstanceUID, match.ProcedureStepState) for match in matches] == [
                (STEP, "SCHEDULED"),
                (OTHER, "IN PROGRESS"),
            ]
            assert all("TransactionUID" not in match for match in matches)
            query.ProcedureStepState = "SCHEDULED"
            assert len([match async for match in scu.association.c_find(query, model)]) == 1

    async def test_operations_have_their_contexts(self) -> None:
        async with ups() as scu:
            await scu.create()
            association = scu.association
            for operation in (
                association.n_action(PUSH, STEP, 1, Dataset(), abstract_syntax=PUSH),
                association.n_action(PUSH, STEP, 3, Dataset(), abstract_syntax=PULL),
                association.n_action(PUSH, STEP, 9, Dataset(), abstract_syntax=WATCH),
            ):
                assert await scu.status(operation) == 0x0123
            assert await scu.status(association.n_create(PUSH, scheduled(), OTHER, abstract_syntax=PULL)) == 0x0122

    @pytest.mark.parametrize("kind", ["plain", "async"])
    async def test_the_embedder_hears_first_and_may_refuse(self, kind: str) -> None:
        def changed(uid: str, step: Dataset) -> None:
            if step.ProcedureStepState == "IN PROGRESS":
                raise OperationRefused(Status.NOT_AUTHORIZED)

        async with ups(UnifiedProcedureSteps(MemoryInstances(), changed=hearing(changed, kind))) as scu:
            await scu.create()
            assert await scu.change("IN PROGRESS") == 0x0124
            assert (await scu.get()).ProcedureStepState == "SCHEDULED"


class TestSubscriptions:
    async def test_one_step(self) -> None:
        service = UnifiedProcedureSteps(MemoryInstances())
        async with ups(service) as scu:
            await scu.create()
            await scu.create(OTHER)
            assert await scu.subscribe(STEP, lock="TRUE") == 0
            assert service.is_locked(STEP)
            await scu.reach("IN PROGRESS")
            await scu.change("IN PROGRESS", OTHER)
            progress = Dataset(ProcedureStepProgress="50")
            await scu.set(ProcedureStepProgressInformationSequence=[progress], InputReadinessState="INCOMPLETE")
            await scu.set(ScheduledStationNameCodeSequence=[Dataset(CodeValue="1")])
            assert await scu.hear(5) == [
                (STEP, 1, "SCHEDULED"),
                (STEP, 1, "IN PROGRESS"),
                (STEP, 1, "IN PROGRESS"),
                (STEP, 3, None),
                (STEP, 5, None),
            ]
            assert scu.events[2][2].InputReadinessState == "INCOMPLETE"  # type: ignore[union-attr]
            assert scu.events[3][2].ProcedureStepProgressInformationSequence == [progress]  # type: ignore[union-attr]
            assert await scu.subscribe(STEP, action=4) == 0
            assert not service.is_locked(STEP)
            await scu.finish()
            await scu.change("COMPLETED")
        assert len(scu.events) == 5

    async def test_all_steps(self) -> None:
        async with ups() as scu:
            await scu.create()
            assert await scu.subscribe(UPS_GLOBAL_SUBSCRIPTION, lock="TRUE") == 0
            await scu.create(OTHER, ScheduledStationNameCodeSequence=[Dataset(CodeValue="1")])
            assert await scu.hear(3) == [(STEP, 1, "SCHEDULED"), (OTHER, 1, "SCHEDULED"), (OTHER, 5, None)]
            assert await scu.subscribe(UPS_GLOBAL_SUBSCRIPTION, action=5) == 0
            await scu.create("1.2.5")
            await scu.change("IN PROGRESS", "1.2.5")
            await scu.change("IN PROGRESS", OTHER)
            assert (await scu.hear(4))[3:] == [(OTHER, 1, "IN PROGRESS")]
            assert await scu.subscribe(UPS_GLOBAL_SUBSCRIPTION, action=4) == 0
            await scu.change("IN PROGRESS", STEP)
        assert len(scu.events) == 4

    async def test_a_global_subscription_without_lock_begins_silently(self) -> None:
        async with ups() as scu:
            await scu.create()
            assert await scu.subscribe(UPS_GLOBAL_SUBSCRIPTION) == 0
            await scu.change("IN PROGRESS")
            assert await scu.hear(1) == [(STEP, 1, "IN PROGRESS")]

    async def test_steps_that_match(self) -> None:
        async with ups() as scu:
            await scu.create(STEP, WorklistLabel="RT")
            await scu.create(OTHER, WorklistLabel="CAD")
            keys = {"WorklistLabel": "R*"}
            assert await scu.subscribe(UPS_FILTERED_GLOBAL_SUBSCRIPTION, lock="TRUE", **keys) == 0
            await scu.create("1.2.5", WorklistLabel="CAD")
            await scu.create("1.2.6", WorklistLabel="RT2")
            assert await scu.hear(2) == [(STEP, 1, "SCHEDULED"), ("1.2.6", 1, "SCHEDULED")]

    async def test_a_request_to_cancel(self) -> None:
        async with ups() as scu:
            await scu.reach("IN PROGRESS")
            await scu.subscribe(STEP)
            await scu.create(OTHER)
            await scu.subscribe(OTHER)
            assert await scu.cancel(STEP, ReasonForCancellation="wrong side", ContactDisplayName="Doe") == 0
            assert await scu.cancel(OTHER, ReasonForCancellation="not needed") == 0
            assert (await scu.hear(6))[2:] == [
                (STEP, 2, None),
                (OTHER, 2, None),
                (OTHER, 1, "IN PROGRESS"),
                (OTHER, 1, "CANCELED"),
            ]
            told = Dataset(RequestingAE="SCU", ReasonForCancellation="wrong side", ContactDisplayName="Doe")
            assert scu.events[2][2] == told
            assert (await scu.get(STEP)).ProcedureStepState == "IN PROGRESS"
            (progress,) = (await scu.get(OTHER)).ProcedureStepProgressInformationSequence
            assert progress.ReasonForCancellation == "not needed"
            assert progress.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110513"

    @pytest.mark.parametrize("kind", ["plain", "async"])
    async def test_the_performer_may_decide(self, kind: str) -> None:
        asked = []

        def decide(uid: str, told: Dataset) -> None:
            asked.append((uid, told.ReasonForCancellation))
            raise OperationRefused(Status.UPS_PERFORMER_DOES_NOT_CANCEL)

        async with ups(UnifiedProcedureSteps(MemoryInstances(), cancel_requested=hearing(decide, kind))) as scu:
            await scu.reach("IN PROGRESS")
            assert await scu.cancel(ReasonForCancellation="late") == 0xC313
        assert asked == [(STEP, "late")]

    @pytest.mark.parametrize(
        ("uid", "action", "ae_title", "status"),
        [
            (STEP, 3, "NOBODY", 0xC308),
            ("9.9", 3, "SCU", 0xC307),
            ("9.9", 4, "SCU", 0xC307),
            (STEP, 5, "SCU", 0xC314),
            (STEP, 3, "", 0x0115),
        ],
    )
    async def test_what_is_no_subscription(self, uid: str, action: int, ae_title: str, status: int) -> None:
        async with ups() as scu:
            await scu.create()
            assert await scu.subscribe(uid, action, ae_title) == status

    async def test_a_deletion_lock_is_had_or_not(self) -> None:
        async with ups() as scu:
            await scu.create()
            information = Dataset(ReceivingAE="SCU", DeletionLock="PERHAPS")
            with pytest.raises(StatusError) as refusal:
                await scu.association.n_action(PUSH, STEP, 3, information, abstract_syntax=WATCH)
            assert refusal.value.status == 0x0115

    async def test_events_on_an_association_that_the_scp_opens(self) -> None:
        heard = []
        watcher = aiodicom.Server(ae_title="WATCHER")
        watcher.on_n_event_report(lambda request: heard.append((request.sop_instance_uid, request.event_type_id)))
        async with watcher.listen("127.0.0.1", 0) as listening:
            service = UnifiedProcedureSteps(MemoryInstances())
            destinations = {"WATCHER": Destination("127.0.0.1", listening.port)}
            async with ups(service, destinations=destinations) as scu:
                await scu.create()
                assert await scu.subscribe(STEP, ae_title="WATCHER") == 0
                await scu.change("IN PROGRESS")
                await until(lambda: len(heard) == 2)
                service.report_restart(["WATCHER", "NOBODY"], has_steps=True)
                await until(lambda: len(heard) == 3)
        assert heard == [(STEP, 1), (STEP, 1), (UPS_GLOBAL_SUBSCRIPTION, 4)]
        assert scu.events == []
