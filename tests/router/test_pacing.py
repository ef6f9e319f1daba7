"""A destination that is sent to at a limited rate: nothing waits longer than the rate has it wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from aiodicom.router.config.destinations import FolderDestination
from aiodicom.router.config.values import FolderTemplate
from aiodicom.router.delivery import Deliverer
from aiodicom.router.observing import Observer
from aiodicom.router.outcomes import Fault, Outcome
from aiodicom.router.outgoing import Outgoing
from aiodicom.router.queue.objects import Lease
from aiodicom.store.segments import Place

COUNT = 200


class Ticking:
    """A clock that goes on a little each time that it is looked at, as clocks do."""

    def __init__(self, start: float, step: float) -> None:
        self._step = step
        self._now = start

    def __call__(self) -> float:
        self._now += self._step
        return self._now


class Queue:
    """Has some deliveries at once, and nothing after them."""

    on_hold: Sequence[str] = ()

    def __init__(self, leases: list[Lease]) -> None:
        self._leases = leases

    async def claim(self, destination: str, limit: int, *, newest: bool = False) -> list[Lease]:
        claimed, self._leases = self._leases[:limit], self._leases[limit:]
        return claimed

    def listen(self, destination: str, told: Callable[[], object]) -> None:
        pass

    def source(self, lease: Lease) -> Any:
        return _Source()

    def delivered(self, *leases: Lease, warning: str = "") -> None:
        pass

    def give_back(self, *leases: Lease) -> None:
        pass

    def now(self) -> float:
        return 0.0


class _Source:
    size = 1

    def close(self) -> None:
        pass


class Sender:
    """Sends one at a time, and tells when all have been."""

    batch, concurrency, open = 1, 1, 0

    def __init__(self, done: Callable[[], object]) -> None:
        self._done = done
        self._sent = 0

    async def start(self) -> None:
        pass

    async def send(self, objects: Sequence[Outgoing]) -> Sequence[Outcome]:
        self._sent += len(objects)
        if self._sent == COUNT:
            self._done()
        return [Outcome(Fault.NONE)] * len(objects)

    async def close(self) -> None:
        pass


async def test_room_that_comes_while_it_is_looked_for_is_not_waited_for() -> None:
    done = asyncio.Event()
    leases = [_lease(number) for number in range(COUNT)]
    settings = FolderDestination(path=FolderTemplate("{SOPInstanceUID}"), rate=10_000.0)
    deliverer = Deliverer("there", settings, cast(Any, Queue(leases)), Sender(done.set), lambda _: None, Observer())
    deliverer._time = Ticking(asyncio.get_running_loop().time(), 0.00009)
    deliverer._pace.sent(10_000, 0)  # no burst
    running = asyncio.ensure_future(deliverer.run())
    async with asyncio.timeout(5):
        await done.wait()
    deliverer.stop()
    await running


def _lease(number: int) -> Lease:
    place = Place(0, 0, 1, 0)
    return Lease(
        number, 0, "there", "r", 0, 0, None, "1", f"1.{number}", "1", 1, "1.2", "P", "CT1", "R", "", 0.0, place
    )
