"""A recording, replayed: what was done is done again, at its times, by associations of their own."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.load.recording.recording import Files, Recording
from aiodicom.load.recording.trace import (
    AssociationRecord,
    Context,
    EndRecord,
    OperationRecord,
    Record,
    TraceWriter,
    read_trace,
)
from aiodicom.load.results import Result
from aiodicom.load.run import Run
from aiodicom.load.scenario import ScenarioError, read_scenario, scenario_from
from aiodicom.load.target.bad_pacs import BadPACS
from aiodicom.load.target.scenario import convert_scenario
from aiodicom.services.storage_commitment import CommitmentListener, ReferencedInstance, request_commitment
from aiodicom.standard.models import ModalityWorklist
from aiodicom.standard.uids import MODALITY_PERFORMED_PROCEDURE_STEP, STORAGE_COMMITMENT_PUSH_MODEL

CT, IMPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"
PATIENCE = 20.0


async def replayed(port: int, records: list[Record], folder: Path, **keys: Any) -> Result:
    """The result of a replay of these records."""
    writer = TraceWriter(folder / "trace.jsonl", "2026-01-01T00:00:00Z")
    for record in records:
        writer.write(record)
    writer.close()
    targets = [{"host": "127.0.0.1", "port": port}]
    scenario = scenario_from({"targets": targets, "trace": str(folder / "trace.jsonl"), "seed": 1, **keys}, "")
    async with asyncio.timeout(PATIENCE):
        return await Run(scenario).run(asyncio.Event())


def summary(records: list[Record]) -> Counter[Any]:
    """What was done, without when; what the PACS did left out."""
    found: Counter[Any] = Counter()
    for record in records:
        if isinstance(record, AssociationRecord):
            found["association", record.contexts, record.window, record.result] += 1
        elif isinstance(record, OperationRecord) and not record.by_acceptor:
            size = record.request_bytes if record.service == "C-STORE" else 0
            found[record.service, record.sop_class, record.transfer_syntax, size, record.level, record.status] += 1
        elif isinstance(record, EndRecord):
            found["end", record.how] += 1
    return found


async def modality(port: int, title: str) -> None:
    """A study of a modality with everything that there is."""
    contexts: list[Any] = [aiodicom.VERIFICATION, (CT, [IMPLICIT]), aiodicom.StudyRoot.find, ModalityWorklist.find]
    contexts += [MODALITY_PERFORMED_PROCEDURE_STEP, aiodicom.StudyRoot.move]
    async with aiodicom.connect("127.0.0.1", port, calling_aet=title, contexts=contexts) as association:
        await association.c_echo()
        step = aiodicom.Dataset(PerformedProcedureStepStatus="IN PROGRESS")
        await association.n_create(MODALITY_PERFORMED_PROCEDURE_STEP, step, "1.2.3")
        async for _ in association.c_find(aiodicom.Dataset(PatientName="DOE*"), ModalityWorklist):
            pass
        for number, size in enumerate((600, 100_000, 3000)):
            await association.c_store(
                bytes(size), sop_class_uid=CT, sop_instance_uid=f"1.2.{number}", transfer_syntax=IMPLICIT
            )
        query = aiodicom.Dataset(QueryRetrieveLevel="SERIES", StudyInstanceUID="1.2")
        async for _ in association.c_find(query):
            pass
        done = aiodicom.Dataset(PerformedProcedureStepStatus="COMPLETED")
        await association.n_set(MODALITY_PERFORMED_PROCEDURE_STEP, "1.2.3", done)
    listener = CommitmentListener()
    async with aiodicom.connect(
        "127.0.0.1", port, contexts=[STORAGE_COMMITMENT_PUSH_MODEL], handlers=listener.handlers
    ) as association:
        await request_commitment(association, [ReferencedInstance(CT, "1.2.3")], listener, timeout=PATIENCE)
    async with aiodicom.connect(
        "127.0.0.1", port, contexts=[aiodicom.StudyRoot.get], receives=[CT], window=2
    ) as association:
        async for _ in association.c_get(aiodicom.Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")):
            pass


async def test_what_was_recorded_is_done_again(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE):
        pacs = BadPACS(convert_scenario({"matches": 2}))
        listening = await pacs.listen("127.0.0.1", 0)
        try:
            found = []
            for name in ("first", "again"):
                recording = Recording("127.0.0.1", listening.port, Files.of(tmp_path / name))
                ((_, port),) = await recording.listen("127.0.0.1", 0)
                if name == "first":
                    await asyncio.gather(modality(port, "CT1"), modality(port, "MR1"))
                else:
                    said: dict[str, object] = {"targets": [{"host": "127.0.0.1", "port": port}], "speed": "4x"}
                    result = await Run(read_scenario(tmp_path / "first.toml", said)).run(asyncio.Event())
                await recording.drain(PATIENCE)
                await recording.close()
                found.append(list(read_trace(tmp_path / f"{name}.jsonl")))
        finally:
            await pacs.close()
    assert summary(found[1]) == summary(found[0])
    counts = {name: (operation.count, operation.errors) for name, operation in result.operations.items()}
    assert counts == {
        "associate": (6, 0),
        "release": (6, 0),
        "echo": (2, 0),
        "store": (6, 0),
        "find": (2, 0),
        "worklist": (2, 0),
        "mpps": (4, 0),
        "commitment": (2, 0),
        "get": (2, 0),
    }
    assert result.dropped == 0
    assert not result.interrupted
    assert result.operations["store"].bytes_sent == 2 * (600 + 100_000 + 3000)


def echoes(association: int, times: list[float], **values: Any) -> list[Record]:
    """An association with C-ECHO at these times."""
    contexts = (Context(aiodicom.VERIFICATION, (IMPLICIT,), IMPLICIT),)
    return [
        AssociationRecord(association=association, at_s=times[0], contexts=contexts, **values),
        *(OperationRecord(association=association, service="C-ECHO", at_s=time) for time in times[1:-1]),
        EndRecord(association=association, at_s=times[-1], how="released"),
    ]


async def test_times_and_speed(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    heard: list[float] = []
    server = aiodicom.Server()
    server.on_c_echo(lambda request: heard.append(loop.time()))
    async with server.listen("127.0.0.1", 0) as listening:
        records = echoes(1, [0.0, 0.05, 0.3, 0.3])
        await replayed(listening.port, records, tmp_path)
        await replayed(listening.port, records, tmp_path, speed=4)
    assert heard[1] - heard[0] >= 0.2
    assert 0.05 <= heard[3] - heard[2] < heard[1] - heard[0]


async def test_what_has_to_wait_for_its_association_is_late_from_its_plan(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    server = aiodicom.Server()

    @server.on_c_echo
    async def slowly(_request: aiodicom.EchoRequest) -> None:
        done = loop.create_future()
        loop.call_later(0.05, done.set_result, None)
        await done

    async with server.listen("127.0.0.1", 0) as listening:
        result = await replayed(listening.port, echoes(1, [0.0, *[0.01] * 5, 0.02]), tmp_path)
    echo = result.operations["echo"]
    assert (echo.count, echo.errors) == (5, 0)
    assert echo.planned_latency_ms.max >= 240
    assert echo.planned_latency_ms.max > echo.actual_latency_ms.max
    assert result.associations.released == 1


async def test_a_pacs_that_misbehaves(tmp_path: Path) -> None:
    tables = {"associations": {"abort_after": 2}, "operations": {"echo": {"latency": "1ms"}}}
    async with asyncio.timeout(PATIENCE):
        pacs = BadPACS(convert_scenario(tables))
        listening = await pacs.listen("127.0.0.1", 0)
        try:
            result = await replayed(listening.port, echoes(1, [0.0, 0.01, 0.03, 0.05, 0.06]), tmp_path)
        finally:
            await pacs.close()
    echo = result.operations["echo"]
    assert (echo.count, echo.errors) == (3, 1)
    # It comes back, as whoever has something to send does.
    assert (result.associations.opened, result.associations.aborted, result.associations.released) == (2, 1, 1)


async def test_nobody_there(tmp_path: Path, port: int) -> None:
    result = await replayed(port, echoes(1, [0.0, 0.01, 0.02]), tmp_path)
    assert result.operations["echo"].errors == 1
    assert result.associations.opened == 0


async def test_an_end_before_the_end(tmp_path: Path) -> None:
    server = aiodicom.Server()
    stop = asyncio.Event()
    server.on_c_echo(lambda request: stop.set())
    async with server.listen("127.0.0.1", 0) as listening:
        writer = TraceWriter(tmp_path / "trace.jsonl", "")
        for record in echoes(1, [0.0, 0.01, 3600.0, 3601.0]):
            writer.write(record)
        writer.close()
        targets = [{"host": "127.0.0.1", "port": listening.port}]
        scenario = scenario_from({"targets": targets, "trace": str(tmp_path / "trace.jsonl")}, "")
        async with asyncio.timeout(PATIENCE):
            result = await Run(scenario).run(stop)
    assert result.interrupted
    assert result.operations["echo"].count == 1
    assert result.associations.released == 1


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ({"rate": "5/s"}, "key `trace`: not with a rate"),
        ({"duration": "5s"}, "key `trace`: not with a rate"),
        ({"speed": 0}, 'key `speed`: wanted a factor such as "2x" or 0.5, got 0'),
        ({"speed": "fast"}, "key `speed`: wanted a factor"),
    ],
)
def test_what_contradicts_a_trace(keys: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ScenarioError) as error:
        scenario_from({"targets": [{"host": "localhost"}], "trace": "trace.jsonl", **keys}, "file")
    assert wrong in str(error.value)


def test_a_speed_of_nothing() -> None:
    with pytest.raises(ScenarioError, match="key `speed`: wanted with a trace alone"):
        scenario_from({"targets": [{"host": "localhost"}], "duration": "5s", "speed": "2x"}, "file")
