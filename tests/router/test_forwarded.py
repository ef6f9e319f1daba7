"""Senders that wait until all destinations have an object."""

from __future__ import annotations

import asyncio
from typing import Any

from aiodicom.router.forwarded import Forwarding
from aiodicom.router.outcomes import Fault, Outcome
from aiodicom.router.queue.objects import Lease, State, Way
from aiodicom.standard.status import Status
from aiodicom.store.segments import Place
from tests.router.test_whereabouts import way


class Queue:
    """Tells the ways that it was given."""

    def __init__(self, *ways: Way) -> None:
        self.ways = list(ways)

    async def find(self, **wanted: Any) -> list[Way]:
        return self.ways


def lease(object: int) -> Lease:
    place = Place(1, 0, 100, 7)
    return Lease(object, 0, "a", "r", 0, 0, None, "1", "1.2.3", "1", 1, "1.2", "P", "CT1", "ROUTER", "", 0.0, place)


def waiting(forwarding: Forwarding, object: int, deliveries: int) -> asyncio.Future[Status]:
    answer: asyncio.Future[Status] = asyncio.get_running_loop().create_future()
    forwarding.wait(object, "1.2.3", deliveries, answer)
    return answer


async def test_success_when_all_have_it_or_are_not_to_have_it() -> None:
    forwarding = Forwarding(Queue())
    answer = waiting(forwarding, 1, 3)
    forwarding.delivered(lease(1), 100, 0.0, "")
    forwarding.failed(lease(1), Outcome(Fault.OBJECT), False)
    forwarding.delivered(lease(2), 100, 0.0, "")
    forwarding.dropped(lease(1))
    assert not answer.done()
    forwarding.delivered(lease(1), 100, 0.0, "")
    assert await answer is Status.SUCCESS
    await forwarding.close()


async def test_failure_when_one_never_will() -> None:
    forwarding = Forwarding(Queue())
    answer = waiting(forwarding, 1, 2)
    forwarding.failed(lease(1), Outcome(Fault.OBJECT), True)
    forwarding.delivered(lease(1), 100, 0.0, "")
    assert await answer is Status.PROCESSING_FAILURE
    await forwarding.close()


async def test_a_duplicate_waits_for_the_one_before_it() -> None:
    queue = Queue(way(2, State.DUPLICATE), way(1, State.WAITING))
    forwarding = Forwarding(queue)
    answer = waiting(forwarding, 2, 1)
    await forwarding.look()
    assert not answer.done()
    queue.ways[1] = way(1, State.DELIVERED)
    await forwarding.look()
    assert await answer is Status.SUCCESS
    await forwarding.close()


async def test_what_people_have_dropped_or_nobody_knows_any_more_is_a_failure() -> None:
    queue = Queue(way(1, (State.DROPPED, "dropped by an operator")))
    forwarding = Forwarding(queue)
    answer = waiting(forwarding, 1, 1)
    await forwarding.look()
    assert await answer is Status.PROCESSING_FAILURE
    queue.ways.clear()
    answer = waiting(forwarding, 2, 1)
    await forwarding.look()
    assert await answer is Status.PROCESSING_FAILURE
    await forwarding.close()


async def test_who_does_not_wait_any_longer_changes_nothing() -> None:
    forwarding = Forwarding(Queue())
    answer = waiting(forwarding, 1, 1)
    answer.cancel()
    await asyncio.sleep(0)
    forwarding.delivered(lease(1), 100, 0.0, "")
    await forwarding.look()
    await forwarding.close()
