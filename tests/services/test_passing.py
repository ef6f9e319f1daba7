"""Requests that are passed on to another SCP, and its answers that come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

import aiodicom
from aiodicom import Dataset
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
    MODALITY_PERFORMED_PROCEDURE_STEP,
    MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE,
    VERIFICATION,
)
from tests.services.sides import served

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
    peer: aiodicom.Server, *contexts: str, **options: Any
) -> AsyncIterator[tuple[Passing, aiodicom.Association]]:
    """An association with a server that passes on to another."""
    async with (
        peer.listen("127.0.0.1", 0) as listening,
        aiodicom.Pool("127.0.0.1", listening.port, size=2) as pool,
    ):
        passing = Passing(pool, **options)
        async with served(passing, contexts=contexts) as (_, association):
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


async def test_a_peer_that_is_not_there(port: int) -> None:
    async with (
        aiodicom.Pool("127.0.0.1", port) as pool,
        served(Passing(pool, queries=True), contexts=[StudyRoot.find or ""]) as (_, association),
    ):
        with pytest.raises(StatusError) as failed:
            [match async for match in association.c_find(QUERY)]
    assert failed.value.status == 0xA700


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
