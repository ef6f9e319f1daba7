"""Series and studies of which several nodes take objects: complete once, by whichever node."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any, cast

import pytest

from aiodicom.dataset import Dataset, Sequence
from aiodicom.router.config.routes import Completion
from aiodicom.router.config.values import Seconds
from aiodicom.router.queue.objects import Delivery, QueueUnavailable, State
from aiodicom.router.queue.postgres.groups import Waiting
from aiodicom.router.queue.postgres.queue import PostgresQueue
from aiodicom.router.shared_completing import SharedCompletions
from tests.router.postgres.conftest import Shared
from tests.router.postgres.test_queue import numbers
from tests.router.queue.objects import incoming

if TYPE_CHECKING:
    from aiodicom.net.association import Association

LONG = Completion(level="study", quiet=Seconds(1000), most=Seconds(9000))
LATEST = Completion(level="study", quiet=Seconds(1000), most=Seconds(1000))


@dataclasses.dataclass
class Node:
    """A queue with what completes its groups."""

    queue: PostgresQueue
    completions: SharedCompletions

    async def take(self, number: int, route: str = "whole", header: Dataset | None = None) -> None:
        """An object of study 1.2.1 comes."""
        one = incoming(number, Delivery("pacs", route, group="1.2.1"))
        await self.queue.enqueue(one, b"x")
        self.completions.received(one, 1, header or Dataset(), cast("Association", None))


def nodes(settings: dict[str, Completion], *queues: PostgresQueue) -> list[Node]:
    made = [Node(queue, SharedCompletions(queue)) for queue in queues]
    for node in made:
        node.completions.apply(settings)
    return made


async def age(shared: Shared, seconds: float) -> None:
    """Time passes."""
    await shared.query(f"UPDATE groups SET first = first - {seconds}, last = last - {seconds}")


@pytest.mark.parametrize(("settings", "seconds"), [(LONG, 1001), (LATEST, 20)])
async def test_after_its_quiet_time_or_at_the_latest(shared: Shared, settings: Completion, seconds: float) -> None:
    async with shared.node() as one, shared.node() as two:
        first, second = nodes({"whole": settings}, one, two)
        await first.take(1)
        await age(shared, 990)
        await second.take(2)
        await first.completions.look()
        assert await numbers(one) == []
        await age(shared, seconds)
        await asyncio.gather(first.completions.look(), second.completions.look())
        assert await numbers(one) == [1, 2]
        # What comes late is one more completion.
        await first.take(3)
        await second.completions.look()
        assert await numbers(one) == []


async def test_one_that_comes_meanwhile_is_waited_for(shared: Shared) -> None:
    async with shared.node() as one:
        (node,) = nodes({"whole": LONG}, one)
        await node.take(1)
        (due,) = await one.due([Waiting("whole", 0.0, 9000.0)])
        await node.take(2)
        assert not await one.complete_due(due)
        assert await numbers(one) == []
        (due,) = await one.due([Waiting("whole", 0.0, 9000.0)])
        assert await one.complete_due(due)
        assert not await one.complete_due(due)


async def test_when_all_are_there(shared: Shared) -> None:
    settings = Completion(level="study", quiet=Seconds(1000), counts=True)
    async with shared.node() as one, shared.node() as two:
        first, second = nodes({"whole": settings}, one, two)
        header = Dataset(NumberOfStudyRelatedInstances=3)
        await first.take(1, header=header)
        await second.take(2, header=header)
        await second.take(2, header=header)
        await asyncio.gather(first.completions.look(), second.completions.look())
        assert await numbers(one) == []
        await second.take(3, header=header)
        await first.completions.look()
        assert len(await numbers(one)) == 3


async def test_when_the_performed_procedure_step_says_so(shared: Shared) -> None:
    settings = Completion(level="study", quiet=Seconds(1000), mpps=True)
    async with shared.node() as one, shared.node() as two:
        first, second = nodes({"whole": settings}, one, two)
        await first.take(1)
        step = Dataset(PerformedProcedureStepStatus="COMPLETED")
        made = [Dataset(ReferencedSOPInstanceUID=f"1.2.1.{number}") for number in (1, 2)]
        step.PerformedSeriesSequence = Sequence(
            [Dataset(SeriesInstanceUID="1.2.1.0", ReferencedImageSequence=Sequence(made))]
        )
        step.ScheduledStepAttributesSequence = Sequence([Dataset(StudyInstanceUID="1.2.1")])
        second.completions.performed(step)
        await second.completions.look()
        assert await numbers(one) == []
        await second.take(2)
        await first.completions.look()
        assert await numbers(one) == [1, 2]


async def test_what_waits_for_no_completion(shared: Shared) -> None:
    """But for its forward, which began while it came: whose node says what has become of it, or is dead."""
    async with shared.node() as one:
        (node,) = nodes({}, one)
        await node.take(1, "cut")
        await node.completions.look()
        assert await one.gathering() == [(1, "cut", "1.2.1", "1.2.1.1")]
        await one.complete("cut", "1.2.1")
        assert await numbers(one) == [1]
        await node.take(2, "cut")
        await one.forwarded(2, 0)
        assert (await one.counts())["pacs"] == {State.WAITING: 1, State.DELIVERED: 1}
        await node.take(3, "cut")
        await age(shared, 61)
        await node.completions.look()
        assert await numbers(one) == [3]


async def test_it_goes_on_by_itself(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shared.node() as one:
        completions = SharedCompletions(one, interval=0.001)
        looks = 0
        done = asyncio.Event()

        async def look() -> None:
            nonlocal looks
            looks += 1
            if looks == 3:
                done.set()
            raise OSError("one look that fails ends nothing")

        monkeypatch.setattr(completions, "look", look)
        await completions.start({})
        await done.wait()
        await completions.close()


async def test_what_a_node_knows_is_told_when_the_database_is_back() -> None:
    told: list[Any] = []

    class Away:
        is_away = True

        async def expect(self, expected: Any) -> None:
            if self.is_away:
                raise QueueUnavailable("away")
            told.append(expected)

        async def due(self, routes: Any) -> list[Any]:
            return []

    queue = Away()
    completions = SharedCompletions(cast(Any, queue))
    completions.apply({"whole": Completion(counts=True)})
    one = incoming(1, Delivery("pacs", "whole", group="1.2.1"))
    for count in (7, 5):
        header = Dataset(NumberOfStudyRelatedInstances=count)
        completions.received(one, 1, header, cast("Association", None))
    with pytest.raises(QueueUnavailable):
        await completions.look()
    queue.is_away = False
    await completions.look()
    assert told == [[("whole", "1.2.1", 7)]]
