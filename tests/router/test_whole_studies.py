"""Routes that wait for whole studies, through a router that runs: nothing goes before all of it may."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiodicom
from aiodicom.dataset import Dataset, Sequence
from aiodicom.services.instances import MemoryInstances
from aiodicom.services.mpps import PerformedProcedureSteps
from aiodicom.standard.uids import MODALITY_PERFORMED_PROCEDURE_STEP
from tests.router.running import HEAD, Archive, Running, destination, image, routing, store, uid_of, write
from tests.simulation.clock import SimulatedLoop
from tests.simulation.test_destinations import simulated, until

#: Objects of a study, without the last one.
FIRST = range(1, 5)
LAST = 5
ALL = sorted(uid_of(number) for number in (*FIRST, LAST))


def routed(folder: Path, pacs: Archive, completion: str, head: str = HEAD) -> Path:
    """The configuration: everything goes to one destination, as whole studies."""
    text = f'---\n[[routes]]\nto = ["pacs"]\ncompletion = {{ {completion} }}\n'
    return write(folder, destination("pacs", pacs.port) + text, head)


async def gathering(running: Running) -> int:
    """How many wait for the rest of their study."""
    await running.router.queue.flush()
    (status,) = (await running.control.status()).destinations
    return status.gathering


async def test_by_counts(tmp_path: Path) -> None:
    async with Archive() as pacs, routing(routed(tmp_path, pacs, "counts = true")) as running:
        await store(running.port, [image(number, NumberOfStudyRelatedInstances=5) for number in FIRST])
        assert await gathering(running) == len(FIRST)
        assert pacs.uids == []
        await store(running.port, [image(LAST, NumberOfStudyRelatedInstances=5)])
        await pacs.got(*ALL)


async def test_by_mpps_that_is_passed_through(tmp_path: Path) -> None:
    async with Archive() as pacs:
        PerformedProcedureSteps(MemoryInstances()).attach(pacs.server)
        path = routed(tmp_path, pacs, "mpps = true", HEAD + '[pass_through]\nmpps = "pacs"\n')
        async with (
            routing(path) as running,
            aiodicom.connect(
                "127.0.0.1", running.port, called_aet="ROUTER", contexts=[MODALITY_PERFORMED_PROCEDURE_STEP]
            ) as modality,
        ):
            begun = Dataset(
                PerformedProcedureStepStatus="IN PROGRESS",
                ScheduledStepAttributesSequence=Sequence([Dataset(StudyInstanceUID="1.2.3.1")]),
            )
            await modality.n_create(MODALITY_PERFORMED_PROCEDURE_STEP, begun, "1.9")
            await store(running.port, map(image, FIRST))
            images = Sequence([Dataset(ReferencedSOPInstanceUID=uid) for uid in ALL])
            ended = Dataset(
                PerformedProcedureStepStatus="COMPLETED",
                PerformedSeriesSequence=Sequence(
                    [Dataset(SeriesInstanceUID="1.2.3.1.1", ReferencedImageSequence=images)]
                ),
            )
            await modality.n_set(MODALITY_PERFORMED_PROCEDURE_STEP, "1.9", ended)
            # One that it has named has not come.
            assert await gathering(running) == len(FIRST)
            assert pacs.uids == []
            await store(running.port, [image(LAST)])
            await pacs.got(*ALL)


def test_by_quiet_time(tmp_path: Path) -> None:
    async def test(loop: SimulatedLoop) -> None:
        async with Archive() as pacs, routing(routed(tmp_path, pacs, 'quiet = "5m"'), clocks=loop.clocks) as running:
            began = loop.time()
            for number in FIRST:  # four minutes between them: it is never quiet for long enough
                with loop.without_jumps():
                    await store(running.port, [image(number)])
                    assert await gathering(running) == number
                await asyncio.sleep(began + 240 * number - loop.time())
            assert pacs.uids == []
            with loop.without_jumps():
                await store(running.port, [image(LAST)])
            last = loop.time()
            await until(lambda: len(pacs.uids) == len(ALL), 10, 60)
            assert 300 <= loop.time() - last < 330
        assert sorted(pacs.uids) == ALL

    simulated(test, 5.0)
