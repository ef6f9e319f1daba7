"""What takes hours, and clocks that jump, in no time."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from aiodicom.router.attempts import Attempts
from aiodicom.router.breaker import State as BreakerState
from aiodicom.router.config.destinations import Breaker, RetryPolicy
from aiodicom.router.outcomes import outcome_of_status
from aiodicom.router.queue.local import LocalQueue, QueueSettings
from aiodicom.router.queue.objects import Delivery, State
from aiodicom.router.queue.shard import Shard
from tests.router.queue.objects import incoming

YEAR = 365 * 86400.0


@pytest.mark.parametrize("hours", [1, 24])
def test_a_destination_that_is_full_for_hours(hours: int) -> None:
    """Nothing is given up, it is hardly bothered, and gets everything soon after it takes objects again."""
    attempts, chance = Attempts(RetryPolicy(), Breaker()), Random(1)
    now, end, tried = 0.0, hours * 3600.0, 0
    while now < end:
        if attempts.breaker.allowance(now) < 1:
            reopens = attempts.breaker.reopens_at
            assert reopens is not None
            now = reopens
            continue
        tried += 1
        verdict = attempts.failed((1, 0), 0, outcome_of_status(0xA700), now, chance.random())
        assert verdict.pause is not None
        assert not verdict.counts
    assert tried < 20 + 12 * hours
    reopens = attempts.breaker.reopens_at
    assert reopens is not None
    assert reopens - end <= RetryPolicy().most
    assert attempts.breaker.allowance(reopens) == 1
    attempts.succeeded()
    assert attempts.breaker.state is BreakerState.CLOSED


class Clocks:
    """A time of day that jumps, beside a clock that does not."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1.7e9, 100.0

    def __call__(self) -> tuple[float, float]:
        return self.wall, self.monotonic

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.mark.parametrize("jump", [10 * YEAR, -10 * YEAR, 3600.0, -3600.0])
async def test_a_clock_that_jumps(tmp_path: Path, jump: float) -> None:
    """Nothing expires by that, and what is delayed comes when it should."""
    clocks = Clocks()
    settings = QueueSettings(interval=0)
    queue = LocalQueue(Shard(tmp_path / "shard"), settings, clocks=clocks)
    try:
        expires = queue.now() + 600
        for number in range(2):
            await queue.enqueue(incoming(number, Delivery("pacs", "all", 0, expires)), b"data")
        later, first = await queue.claim("pacs", 2)
        queue.failed(later, "busy", queue.now() + 60)
        queue.give_back(first)
        clocks.wall += jump
        await queue.maintain()
        assert await queue.counts() == {"pacs": {State.WAITING: 1, State.DELAYED: 1}}
        clocks.pass_(30)
        clocks.wall += jump
        await queue.maintain()
        assert len(await queue.claim("pacs", 2)) == 1
        clocks.pass_(31)
        await queue.maintain()
        assert [lease.object for lease in await queue.claim("pacs", 2)] == [later.object]
        # And in time, it does expire.
        clocks.pass_(600)
        await queue.maintain()
        assert await queue.counts() == {"pacs": {State.EXPIRED: 2}}
    finally:
        await queue.close()
