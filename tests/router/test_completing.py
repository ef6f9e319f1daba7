"""Objects of a study go together, by what the router hears of it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from aiodicom.dataset import Dataset, Sequence
from aiodicom.router.completing import Completions
from aiodicom.router.config.routes import Completion
from aiodicom.router.config.values import Seconds
from aiodicom.router.queue.objects import Delivery
from tests.router.queue.objects import incoming
from tests.router.running import Changes

HEADER = Dataset(NumberOfStudyRelatedInstances=2)


class Queue(Changes):
    """Notes what is complete."""

    def __init__(self, *waiting: tuple[int, str, str, str]) -> None:
        super().__init__()
        self.waiting = list(waiting)
        self.done: list[tuple[str, str]] = []
        self.failures = 0

    async def complete(self, route: str, group: str) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("no disk")
        self.done.append((route, group))
        self.tell()

    async def gathering(self, after: int = 0) -> list[tuple[int, str, str, str]]:
        return [each for each in self.waiting if each[0] > after][:2]


def watching(**settings: Any) -> Completion:
    return Completion(**{"quiet": Seconds(3600), **settings})


def received(completions: Completions, number: int, group: str = "1.2.1", header: Dataset = HEADER) -> None:
    one = incoming(number, Delivery("pacs", "r", group=group))
    completions.received(one, 100, header, cast(Any, None))


async def test_what_waited_when_the_process_ended_goes_after_its_quiet_time_or_at_once() -> None:
    queue = Queue((1, "r", "1.2", "1.2.1"), (2, "gone", "1.2", "1.2.1"), (3, "r", "1.3", "1.3.1"))
    completions = Completions(queue)
    await completions.start({"r": watching(quiet=Seconds(0.01))})
    await queue.until(lambda: len(queue.done) == 3)
    await completions.close()
    assert sorted(queue.done) == [("gone", "1.2"), ("r", "1.2"), ("r", "1.3")]


async def test_as_many_as_the_header_says() -> None:
    queue = Queue()
    completions = Completions(queue)
    await completions.start({"r": watching(counts=True)})
    received(completions, 1)
    received(completions, 1)
    received(completions, 2)
    await queue.until(lambda: queue.done)
    await completions.close()
    assert queue.done == [("r", "1.2.1")]


def step(status: str, *uids: str) -> Dataset:
    images = Sequence([Dataset(ReferencedSOPInstanceUID=uid) for uid in uids])
    series = Sequence([Dataset(SeriesInstanceUID="1.2.1.0", ReferencedImageSequence=images)])
    return Dataset(PerformedProcedureStepStatus=status, PerformedSeriesSequence=series)


@pytest.mark.parametrize(("level", "group"), [("study", "1.2.1"), ("series", "1.2.1.0")])
async def test_by_mpps_which_names_its_study_at_its_beginning_alone(level: Any, group: str) -> None:
    queue = Queue()
    completions = Completions(queue)
    await completions.start({"r": watching(mpps=True, level=level), "other": watching()})
    begun = Dataset(PerformedProcedureStepStatus="IN PROGRESS")
    begun.ScheduledStepAttributesSequence = Sequence([Dataset(StudyInstanceUID="1.2.1")])
    completions.performed("1.9", begun)
    received(completions, 1, group)
    completions.performed("1.9", step("COMPLETED", "1.2.1.1", "1.2.1.2"))
    received(completions, 2, group)
    await queue.until(lambda: queue.done)
    await completions.close()
    assert queue.done == [("r", group)]


async def test_what_could_not_be_noted_is_noted_later(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue()
    queue.failures = 1
    completions = Completions(queue)
    await completions.start({"r": watching(quiet=Seconds(0.01))})
    received(completions, 1)
    await queue.until(lambda: queue.done)
    await completions.close()
    assert "could not be noted" in caplog.text


async def test_other_settings_hold_at_once() -> None:
    queue = Queue()
    completions = Completions(queue)
    await completions.start({"r": watching()})
    received(completions, 1)
    await asyncio.sleep(0)
    completions.apply({})
    await queue.until(lambda: queue.done)
    await completions.close()
    assert queue.done == [("r", "1.2.1")]
