"""Requests that are passed on to another SCP, and its answers that come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.dimse.events import Timeouts
from aiodicom.dimse.messages import CMoveRSP
from aiodicom.dimse.responses import response_to
from aiodicom.errors import OperationRefused, StatusError
from aiodicom.net.requests import FindRequest, MoveRequest
from aiodicom.net.results import RetrieveResult
from aiodicom.services.instances import MemoryInstances
from aiodicom.services.mpps import PerformedProcedureSteps
from aiodicom.services.passing import Passing
from aiodicom.services.worklist import Worklist
from aiodicom.standard.models import ModalityWorklist, StudyRoot
from aiodicom.standard.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MODALITY_PERFORMED_PROCEDURE_STEP,
    MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE,
    VERIFICATION,
)
from tests.services.sides import served

CT = "1.2.840.10008.5.1.4.1.1.2"
QUERY = Dataset(QueryRetrieveLevel="STUDY", PatientID="", PatientName="")
RETRIEVED = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")
#: Of sub-operations.
NUMBERS = [f"number_of_{state}_suboperations" for state in ("remaining", "completed", "failed", "warning")]
MATCHES = [
    Dataset(QueryRetrieveLevel="STUDY", PatientID=str(number), SpecificCharacterSet="ISO_IR 100", PatientName="Müller")
    for number in range(5)
]


@asynccontextmanager
async def passed(
    peer: aiodicom.Server, *contexts: str, receives: Sequence[Any] = (), **options: Any
) -> AsyncIterator[tuple[Passing, aiodicom.Association]]:
    """An association with a server that passes on to another."""
    async with (
        peer.listen("127.0.0.1", 0) as listening,
        aiodicom.Pool("127.0.0.1", listening.port, size=2) as pool,
    ):

        def retrieving(receives: Any) -> aiodicom.Pool:
            return aiodicom.Pool(
                "127.0.0.1", listening.port, size=1, contexts=(), receives=receives, timeouts=Timeouts(dimse=5)
            )

        passing = Passing(pool, retrievals=retrieving, **options)
        async with served(passing, contexts=contexts, receives=receives) as (_, association):
            yield passing, association


async def test_a_query_and_its_matches() -> None:
    peer = aiodicom.Server()
    asked: list[FindRequest] = []

    @peer.on_c_find
    async def find(request: FindRequest) -> AsyncIterator[Any]:
        assert request.identifier == QUERY
        assert request.sop_class_uid == StudyRoot.find
        yield MATCHES[0]
        for match in MATCHES[1:]:
            yield aiodicom.Status.PENDING_WARNING, match

    async with passed(peer, StudyRoot.find or "", queries=True, on_query=asked.append) as (_, association):
        async with association.c_find(QUERY) as matches:
            assert [match async for match in matches] == MATCHES
        assert matches.keys_unsupported
    assert len(asked) == 1


async def test_a_cancellation_goes_on_to_the_peer() -> None:
    peer = aiodicom.Server()
    ended: list[bool] = []

    @peer.on_c_find
    async def find(_request: FindRequest) -> AsyncIterator[Any]:
        try:
            while True:
                yield MATCHES[0]
        finally:
            ended.append(True)

    async with passed(peer, StudyRoot.find or "", queries=True) as (_, association):
        async with association.c_find(QUERY) as matches:
            async for _ in matches:
                break
            await matches.cancel()
        await association.release()
    assert ended == [True]


async def test_a_failure_is_that_of_the_peer() -> None:
    peer = aiodicom.Server()

    @peer.on_c_find
    async def find(_request: FindRequest) -> AsyncIterator[Any]:
        raise OperationRefused(0xA900, "no such key")
        yield

    async with passed(peer, StudyRoot.find or "", queries=True) as (_, association):
        with pytest.raises(StatusError) as failed:
            [match async for match in association.c_find(QUERY)]
    assert (failed.value.status, failed.value.error_comment) == (0xA900, "no such key")


async def test_what_the_peer_does_not_do() -> None:
    async with passed(aiodicom.Server(), StudyRoot.find or "", queries=True) as (_, association):
        with pytest.raises(StatusError) as failed:
            [match async for match in association.c_find(QUERY)]
    assert failed.value.status == 0x0122


async def test_a_peer_that_is_not_there(port: int, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        aiodicom.Pool("127.0.0.1", port) as pool,
        served(Passing(pool, queries=True), contexts=[StudyRoot.find or ""]) as (_, association),
    ):
        with pytest.raises(StatusError) as failed:
            [match async for match in association.c_find(QUERY)]
    assert failed.value.status == 0xA700
    # Who asks is not told where the peer is; whoever looks into the log is.
    assert f"C-FIND could not be passed on: no connection to 127.0.0.1 port {port}" in caplog.text


async def test_a_worklist() -> None:
    item = Dataset(PatientID="1", ScheduledProcedureStepSequence=[Dataset(Modality="CT")])
    peer = aiodicom.Server()
    Worklist([item]).attach(peer)
    query = Dataset(PatientID="", ScheduledProcedureStepSequence=[Dataset(Modality="CT")])
    async with passed(peer, ModalityWorklist.find or "", worklist=True) as (_, association):
        assert [match.PatientID async for match in association.c_find(query, ModalityWorklist)] == ["1"]


async def test_a_performed_procedure_step() -> None:
    steps = PerformedProcedureSteps(MemoryInstances())
    peer = aiodicom.Server()
    steps.attach(peer)
    heard: list[tuple[str, Dataset]] = []
    contexts = (MODALITY_PERFORMED_PROCEDURE_STEP, MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE)
    async with passed(peer, *contexts, mpps=True, on_step=lambda *step: heard.append(step)) as (_, association):
        begun = Dataset(PerformedProcedureStepStatus="IN PROGRESS", PerformedStationAETitle="CT1")
        created = await association.n_create(MODALITY_PERFORMED_PROCEDURE_STEP, begun)
        uid = created.sop_instance_uid or ""
        ended = Dataset(PerformedProcedureStepStatus="COMPLETED")
        await association.n_set(MODALITY_PERFORMED_PROCEDURE_STEP, uid, ended)
        got = await association.n_get(MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE, uid)
        assert got.dataset is not None
        assert got.dataset.PerformedProcedureStepStatus == "COMPLETED"
        with pytest.raises(StatusError) as failed:
            await association.n_set(MODALITY_PERFORMED_PROCEDURE_STEP, uid, ended)
    assert failed.value.status == 0x0110
    assert heard == [(uid, begun), (uid, ended)]
    assert await steps.instances.get(uid) is not None


def moving(peer: aiodicom.Server, answer: Any) -> list[str]:
    """Has a peer answer C-MOVE as it is told, and returns where to it was asked to send."""
    asked: list[str] = []

    @peer.on_c_move_relayed
    async def move(request: MoveRequest) -> AsyncIterator[RetrieveResult]:
        asked.append(request.move_destination)
        assert request.identifier == RETRIEVED
        async for status, numbers, *failed in answer():
            counters = dict(zip(NUMBERS, numbers, strict=True))
            response = response_to(request.message, aiodicom.Status(status), **counters)
            yield RetrieveResult(cast(CMoveRSP, response), *failed)

    return asked


async def test_a_move_with_its_progress_and_its_end() -> None:
    peer = aiodicom.Server()
    told, seen = asyncio.Event(), []

    async def answer() -> AsyncIterator[Any]:
        yield 0xFF00, (3, 1, 0, 0)
        await told.wait()
        yield 0xB000, (None, 2, 1, 1), ("1.2.3",)

    def progress(result: RetrieveResult) -> None:
        seen.append((result.remaining, result.completed))
        told.set()

    queried: list[Any] = []
    asked = moving(peer, answer)
    async with passed(peer, StudyRoot.move or "", queries=True, on_query=queried.append) as (_, association):
        result = await association.c_move(RETRIEVED, "WORKSTATION", on_progress=progress)
    assert (result.status, result.completed, result.failed, result.warning) == (0xB000, 2, 1, 1)
    assert result.failed_sop_instance_uids == ("1.2.3",)
    assert seen == [(3, 1)]
    assert (asked, len(queried)) == (["WORKSTATION"], 1)


async def test_a_move_that_the_peer_refuses() -> None:
    peer = aiodicom.Server()
    asked: list[str] = []

    @peer.on_c_move
    async def move(request: MoveRequest) -> AsyncIterator[Any]:
        asked.append("never, as the destination is unknown")
        yield b""

    async with passed(peer, StudyRoot.move or "", queries=True) as (_, association):
        with pytest.raises(StatusError) as failed:
            await association.c_move(RETRIEVED, "NOBODY")
    assert (failed.value.status, failed.value.error_comment) == (0xA801, "move destination unknown")
    assert asked == []


async def test_a_move_that_is_cancelled_is_cancelled_at_the_peer() -> None:
    peer = aiodicom.Server()
    begun, ended = asyncio.Event(), asyncio.Event()

    async def answer() -> AsyncIterator[Any]:
        try:
            yield 0xFF00, (3, 1, 0, 0)
            await asyncio.Event().wait()
        finally:
            ended.set()

    moving(peer, answer)
    async with passed(peer, StudyRoot.move or "", VERIFICATION, queries=True) as (_, association):
        retrieval = asyncio.ensure_future(
            association.c_move(RETRIEVED, "WORKSTATION", on_progress=lambda _: begun.set())
        )
        await begun.wait()
        retrieval.cancel()
        await ended.wait()
        with pytest.raises(asyncio.CancelledError):
            await retrieval
        await association.c_echo()


async def test_a_move_to_be_passed_to_a_peer_that_is_not_there(port: int) -> None:
    async with (
        aiodicom.Pool("127.0.0.1", port) as pool,
        served(Passing(pool, queries=True), contexts=[StudyRoot.move or ""]) as (_, association),
    ):
        with pytest.raises(StatusError) as failed:
            await association.c_move(RETRIEVED, "WORKSTATION")
    assert failed.value.status == 0xA702


# --- C-GET -----------------------------------------------------------------------------------------------------------

GET = StudyRoot.get or ""
TAKES = [(CT, (IMPLICIT_VR_LITTLE_ENDIAN,)), (CT, (DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,))]


def images(count: int) -> list[Dataset]:
    return [
        Dataset(SOPClassUID=CT, SOPInstanceUID=f"1.2.3.{number}", PatientComments="x" * 20_000)
        for number in range(count)
    ]


def sending(peer: aiodicom.Server, things: Sequence[Any]) -> list[aiodicom.GetRequest]:
    """Has a peer send these to who asks by C-GET; returns what it was asked. A future among them is waited for."""
    asked: list[aiodicom.GetRequest] = []
    peer.pending_interval = 0

    @peer.on_c_get
    async def get(request: aiodicom.GetRequest) -> AsyncIterator[Any]:
        asked.append(request)
        assert request.identifier == RETRIEVED
        request.total = sum(not isinstance(thing, asyncio.Future) for thing in things)
        for thing in things:
            if isinstance(thing, asyncio.Future):
                await thing
            else:
                yield thing

    return asked


async def test_objects_come_by_as_the_requestor_takes_them() -> None:
    peer = aiodicom.Server()
    sent = images(3)
    asked = sending(peer, sent)
    told: list[RetrieveResult] = []
    queried: list[Any] = []
    async with passed(peer, GET, receives=TAKES, queries=True, on_query=queried.append) as (_, association):
        retrieved = association.c_get(RETRIEVED, on_progress=told.append)
        taken = [(instance.dataset, instance.context.transfer_syntax) async for instance in retrieved]
    assert taken == [(image, IMPLICIT_VR_LITTLE_ENDIAN) for image in sent]
    assert retrieved.result is not None
    assert (retrieved.result.status, retrieved.result.completed, retrieved.result.failed) == (0, 3, 0)
    assert [(result.remaining, result.completed) for result in told][-1] == (0, 3)
    assert len(queried) == 1
    # What the peer was offered is what the requestor takes.
    contexts = [(each.abstract_syntax, each.transfer_syntax) for each in asked[0].association.contexts.values()]
    assert contexts == [
        (GET, EXPLICIT_VR_LITTLE_ENDIAN),
        (CT, IMPLICIT_VR_LITTLE_ENDIAN),
        (CT, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN),
    ]


async def test_the_peer_hears_what_the_requestor_has_answered() -> None:
    peer = aiodicom.Server()
    sending(peer, images(3))
    async with passed(peer, GET, receives=TAKES, queries=True) as (_, association):
        retrieved = association.c_get(RETRIEVED)
        statuses = iter([0x0000, 0xB006, 0xA700])
        async for instance in retrieved:
            instance.status = aiodicom.Status(next(statuses))
    result = retrieved.result
    assert result is not None
    assert (result.status, result.completed, result.failed, result.warning) == (0xB000, 1, 1, 1)
    assert result.failed_sop_instance_uids == ("1.2.3.2",)


async def test_what_the_requestor_takes_nothing_of_fails_at_the_peer() -> None:
    peer = aiodicom.Server()
    sending(peer, images(2))
    async with passed(peer, GET, queries=True) as (_, association):
        with pytest.raises(StatusError) as failed:
            [instance async for instance in association.c_get(RETRIEVED)]
    result = cast(RetrieveResult, failed.value.response)
    assert (failed.value.status, result.failed, len(result.failed_sop_instance_uids)) == (0xA702, 2, 2)


@pytest.mark.parametrize("is_in_hand", [True, False], ids=["in the middle of an object", "between objects"])
async def test_a_get_that_is_cancelled_is_cancelled_at_the_peer(is_in_hand: bool) -> None:
    peer = aiodicom.Server()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    one, two = images(2)
    asked = sending(peer, [one, two, never] if is_in_hand else [one, never])
    async with passed(peer, GET, VERIFICATION, receives=TAKES, queries=True) as (_, association):
        began = asyncio.Event()
        retrieved = association.c_get(RETRIEVED, on_progress=lambda _: began.set())
        async with retrieved:
            await anext(retrieved)
            if is_in_hand:
                await anext(retrieved)
            else:
                waiting = asyncio.ensure_future(anext(retrieved))
                await began.wait()
                waiting.cancel()
                await asyncio.wait([waiting])
            result = await retrieved.cancel()
        assert result.status == 0xFE00
        assert (result.completed, result.failed) == (2 if is_in_hand else 1, 0)
        assert asked[0].is_cancelled
        await association.c_echo()


async def test_a_peer_that_goes_in_the_middle_of_a_get() -> None:
    peer = aiodicom.Server()
    going: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asked = sending(peer, [*images(2), going])
    async with passed(peer, GET, VERIFICATION, receives=TAKES, queries=True) as (_, association):

        def leave(result: RetrieveResult) -> None:
            if result.completed == 2:
                asked[0].association.abort()

        with pytest.raises(StatusError, match="its association has ended") as failed:
            [instance async for instance in association.c_get(RETRIEVED, on_progress=leave)]
        result = cast(RetrieveResult, failed.value.response)
        assert (failed.value.status, result.completed, result.failed) == (0xA702, 2, 0)
        await association.c_echo()


async def test_a_requestor_that_goes_in_the_middle_of_a_get() -> None:
    peer = aiodicom.Server()
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @peer.on_c_get
    async def get(request: aiodicom.GetRequest) -> AsyncIterator[Any]:
        try:
            yield images(1)[0]
            await asyncio.Event().wait()
        finally:
            gone.set_result(None)

    async with passed(peer, GET, receives=TAKES, queries=True) as (_, association):
        await anext(association.c_get(RETRIEVED))
        association.abort()
        await gone


async def test_a_get_that_the_peer_does_not_do_or_that_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    async with passed(aiodicom.Server(), GET, receives=TAKES, queries=True) as (passing, association):
        with pytest.raises(StatusError) as failed:
            [instance async for instance in association.c_get(RETRIEVED)]
        assert failed.value.status == 0x0122
        monkeypatch.setattr("aiodicom.services.passing._PATIENCE", 0)
        passing._turns = asyncio.Semaphore(0)
        with pytest.raises(StatusError, match="too many C-GETs are passed on") as failed:
            [instance async for instance in association.c_get(RETRIEVED)]
        assert failed.value.status == 0xA702
