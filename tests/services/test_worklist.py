"""The modality worklist (PS3.4 annex K)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiodicom import Dataset
from aiodicom.errors import StatusError
from aiodicom.net.requests import FindRequest
from aiodicom.services.worklist import Worklist
from aiodicom.standard.models import ModalityWorklist
from tests.services.sides import served


def item(number: int) -> Dataset:
    return Dataset(
        SpecificCharacterSet="ISO_IR 192",
        PatientName=f"Doe^{number}",
        PatientID=str(number),
        RequestedProcedureID=f"R{number}",
        ScheduledProcedureStepSequence=[
            Dataset(
                Modality="CT",
                ScheduledStationAETitle="CT1",
                ScheduledProcedureStepStartDate=f"202401{number:02}",
                ScheduledProcedureStepStartTime="120000",
                ScheduledProcedureStepID=f"S{number}",
            )
        ],
    )


ITEMS = [item(number) for number in range(1, 4)]


def query(**step: Any) -> Dataset:
    return Dataset(PatientName="", PatientID="", ScheduledProcedureStepSequence=[Dataset(**step)])


async def ask(worklist: Worklist, identifier: Dataset) -> list[Dataset]:
    async with served(worklist, contexts=[ModalityWorklist.find or ""]) as (_, association):
        return [match async for match in association.c_find(identifier, ModalityWorklist)]


async def some(request: FindRequest) -> list[Dataset]:
    assert request.identifier.PatientID == ""
    return ITEMS


async def one_by_one(request: FindRequest) -> AsyncIterator[Dataset]:
    for each in ITEMS:
        yield each


@pytest.mark.parametrize("source", [ITEMS, some, one_by_one, lambda request: ITEMS])
async def test_items_from_wherever(source: Any) -> None:
    matches = await ask(Worklist(source), query(ScheduledProcedureStepStartDate="20240102-", Modality="CT"))
    assert [match.PatientID for match in matches] == ["2", "3"]
    (step,) = matches[0].ScheduledProcedureStepSequence
    assert step == Dataset(ScheduledProcedureStepStartDate="20240102", Modality="CT")
    assert len(matches[0]) == 4


async def test_a_list_may_change_while_it_is_served() -> None:
    items = list(ITEMS)
    worklist = Worklist(items)
    assert len(await ask(worklist, query(Modality="CT"))) == 3
    items.pop()
    assert len(await ask(worklist, query(Modality="CT"))) == 2


async def test_date_and_time_are_one_range() -> None:
    """The remark of PS3.4 table K.6-1."""
    asked = query(ScheduledProcedureStepStartDate="20240101-20240103", ScheduledProcedureStepStartTime="13-11")
    assert [match.PatientID for match in await ask(Worklist(ITEMS), asked)] == ["2"]


async def test_a_key_that_means_nothing_is_refused() -> None:
    with pytest.raises(StatusError, match="A900"):
        await ask(Worklist(ITEMS), query(ScheduledProcedureStepStartDate="soon"))


async def test_an_identifier_that_cannot_be_decoded_is_refused() -> None:
    broken = Dataset.from_bytes(b"\x40\x00\x00\x01SQ\0\0\x08\0\0\0abcdefgh")
    with pytest.raises(StatusError, match="A900"):
        await ask(Worklist(ITEMS), broken)


async def test_a_source_that_fails() -> None:
    async def fail(request: FindRequest) -> list[Dataset]:
        raise RuntimeError("the database is away")

    with pytest.raises(StatusError, match="C000"):
        await ask(Worklist(fail), query(Modality="CT"))
