"""A pool of associations with an imagined peer and an imagined clock: how many round trips, what hinders nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from aiodicom.errors import (
    AssociationClosed,
    DeadlineExceeded,
    StatusError,
)
from aiodicom.net.pooling import AssociationPool
from aiodicom.net.proposing import Proposals
from aiodicom.net.tuning import FIRST_ASSOCIATIONS
from aiodicom.net.upkeep import Upkeep
from tests.net.virtual import run_virtually


class Far:
    """An association to a peer that is a round trip away."""

    is_blocked = False

    ROUND_TRIP = 0.05

    def __init__(self, peer: FarPeer) -> None:
        self.peer = peer
        self.is_open = True
        self.window = peer.window
        peer.associations.append(self)

    async def c_echo(self) -> str:
        while self.is_open and self not in self.peer.associations[: self.peer.served]:
            await self.peer.something_ended.wait()
        if self.is_open:
            await asyncio.sleep(self.ROUND_TRIP)
        if not self.is_open:
            raise AssociationClosed("over")
        self.peer.answered += 1
        return "done"

    def abort(self) -> None:
        self.peer.aborted += 1
        self._end()

    async def release(self) -> None:
        if self.is_open:
            self._end()
            await asyncio.sleep(self.ROUND_TRIP)

    def _end(self) -> None:
        self.is_open = False
        self.peer.associations.remove(self)
        self.peer.something_ended.set()
        self.peer.something_ended = asyncio.Event()


class FarPeer:
    """Takes so many associations, in all, and lets others hang; of those that are open it serves the first `served`."""

    def __init__(self, takes: int = 1000, served: int = 1000, window: int = 1) -> None:
        self.takes, self.served, self.window = takes, served, window
        self.asked = self.answered = self.aborted = 0
        self.associations: list[Far] = []
        self.something_ended = asyncio.Event()

    async def open(self, _contexts: object) -> Any:
        self.asked += 1
        if self.asked > self.takes:
            await asyncio.sleep(30)
            raise DeadlineExceeded("A-ASSOCIATE-AC", 30)
        await asyncio.sleep(Far.ROUND_TRIP)
        return Far(self)

    def pool(self, **options: Any) -> AssociationPool:
        defaults = {"size": "auto", "window": "auto", "max_waiting": 10_000, "wait": None, "upkeep": Upkeep(None)}
        return AssociationPool(self.open, Proposals(), **(defaults | options))


def send(peer: FarPeer, count: int, **options: Any) -> float:
    """So many operations at once; how many seconds they take with the opening and the end."""

    async def main() -> float:
        begun = asyncio.get_running_loop().time()
        async with peer.pool(**options) as it:
            results = await asyncio.gather(
                *(it.perform(lambda association: association.c_echo(), size=9000) for _ in range(count))
            )
            assert results == ["done"] * count
        return asyncio.get_running_loop().time() - begun

    return run_virtually(main())


def test_round_trips_to_a_peer_without_a_window() -> None:
    peer = FarPeer()
    # One association alone: one to open it, 400, one to release it. 32, then 64:
    assert send(peer, 400) <= 10.5 * Far.ROUND_TRIP
    assert peer.asked == 64
    assert peer.answered == 400


def test_round_trips_with_a_window_of_32_on_one_association() -> None:
    peer = FarPeer(window=32)
    assert send(peer, 400, size=1, window=32) <= 15.5 * Far.ROUND_TRIP
    assert peer.asked == 1


def test_a_window_that_is_found_opens_no_more() -> None:
    peer = FarPeer(window=16)
    send(peer, 400)
    assert peer.asked == FIRST_ASSOCIATIONS


@pytest.mark.parametrize("takes", [1, 5])
def test_associations_that_hang_in_opening_hinder_nothing(takes: int) -> None:
    peer = FarPeer(takes=takes)
    assert send(peer, 100) <= (100 / takes + 2.5) * Far.ROUND_TRIP
    assert peer.asked == FIRST_ASSOCIATIONS
    # Nor when there is so much to do that they are given up meanwhile, and tried again.
    peer = FarPeer(takes=takes)
    assert send(peer, 2000) <= (2000 / takes + 2.5) * Far.ROUND_TRIP
    assert peer.asked < FIRST_ASSOCIATIONS + 16


@pytest.mark.parametrize(("size", "opened"), [(8, 8), ("auto", FIRST_ASSOCIATIONS)])
def test_associations_that_are_accepted_and_not_served(size: Any, opened: int) -> None:
    """Orthanc accepts more than it has threads for, and turns to them when others end."""
    peer = FarPeer(served=4)
    seconds = send(peer, 400, size=size)
    assert seconds <= (400 / 4 + 40) * Far.ROUND_TRIP
    assert peer.aborted >= opened - 4
    assert peer.answered == 400


def test_one_that_only_takes_long_is_waited_for() -> None:
    async def main() -> None:
        peer = FarPeer()
        async with peer.pool(size=2, window=1) as it:

            async def slow(_association: object) -> str:
                await asyncio.sleep(40)
                return "slow"

            long = asyncio.create_task(it.perform(slow, size=10**8))
            for _ in range(500):
                await it.perform(lambda association: association.c_echo(), size=10**5)
            assert await long == "slow"
        assert (peer.aborted, peer.asked) == (0, 2)

    run_virtually(main())


@pytest.mark.parametrize("error", [StatusError(0xA700, "out of resources"), OSError(2, "No such file")])
def test_one_whose_operations_have_failed_is_not_stalled(error: Exception) -> None:
    async def main() -> None:
        peer = FarPeer()

        async def fail(_association: object) -> str:
            await asyncio.sleep(Far.ROUND_TRIP)
            raise error

        async def slow(_association: object) -> str:
            await asyncio.sleep(2.5)
            return "slow"

        async with peer.pool(size=2, window=1, upkeep=Upkeep(1.0)) as it:
            one = await it.take(is_whole=True)
            for _ in range(100):  # all on the other one
                with suppress(type(error)):
                    await it.perform(fail, size=0)
            it.give(one)
            for _ in range(10):
                await it.perform(lambda association: association.c_echo(), size=0)
            assert one.is_proven
            assert await asyncio.gather(it.perform(slow, size=0), it.perform(slow, size=0)) == ["slow", "slow"]
        assert (peer.asked, peer.aborted) == (2, 0)

    run_virtually(main())


def test_who_hears_of_failures() -> None:
    heard: list[BaseException] = []

    async def main() -> None:
        peer = FarPeer(takes=2)
        async with peer.pool(size=3, on_failure=heard.append) as it:
            for _ in range(800):  # some 40 seconds
                await asyncio.gather(*(it.perform(lambda association: association.c_echo(), size=0) for _ in range(3)))

    run_virtually(main())
    assert {type(error) for error in heard} == {DeadlineExceeded}


def test_what_is_open_when_it_comes_is_over() -> None:
    async def main() -> None:
        async def open_one(_contexts: object) -> Any:
            association = Far(FarPeer())
            await association.release()
            return association

        options: dict[str, Any] = {"size": 2, "window": 1, "max_waiting": 9, "wait": None, "upkeep": Upkeep(None)}
        async with AssociationPool(open_one, Proposals(), **options) as it:
            with pytest.raises(AssociationClosed, match="the peer released"):
                await it.perform(lambda association: association.c_echo(), size=0)

    run_virtually(main())
