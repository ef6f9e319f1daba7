"""Whose turn it is to accept a connection: by numbers that all workers see, without processes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aiodicom.net import turns
from aiodicom.net.turns import Turns
from tests.net.hostile import until

MS = 1_000_000


class Clock:
    """Nanoseconds that pass when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000 * MS
        monkeypatch.setattr(turns, "monotonic_ns", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Workers:
    """The turns of several workers in one process."""

    def __init__(self, count: int) -> None:
        self.connections, self.looked, self.away = [0] * count, [0] * count, [0] * count
        self.bells = [socket.socketpair() for _ in range(count)]
        self.turns = [Turns(self.connections, self.looked, self.away, each, self.bells) for each in range(count)]


@contextmanager
def workers(count: int) -> Iterator[Workers]:
    made = Workers(count)
    try:
        yield made
    finally:
        for each in made.turns:
            each.end()
        for bell in made.bells:
            for end in bell:
                end.close()


@pytest.mark.parametrize("count", [2, 4, 8])
async def test_none_gets_far_ahead_whoever_is_first(count: int, clock: Clock) -> None:
    with workers(count) as all_of_them:
        for _ in range(100):
            # Always the first that may: the greediest order there is.
            clock.now += MS
            chosen = next(number for number, each in enumerate(all_of_them.turns) if not each.delay())
            all_of_them.turns[chosen].look()
            all_of_them.connections[chosen] += 1
        assert max(all_of_them.connections) <= 1.3 * 100 / count


async def test_who_has_the_fewest_never_waits(clock: Clock) -> None:
    with workers(3) as three:
        three.connections[:] = [500, 7, 400]
        assert three.turns[1].delay() == 0
        assert three.turns[0].delay() > 0
        assert three.turns[2].delay() > 0


async def test_who_has_few_waits_for_nobody(clock: Clock) -> None:
    with workers(2) as two:
        two.connections[:] = [7, 0]
        assert two.turns[0].delay() == 0
        two.connections[:] = [8, 0]
        assert two.turns[0].delay() > 0


async def test_one_that_does_not_look_is_not_waited_for_until_it_does(clock: Clock) -> None:
    with workers(2) as two:
        first, second = two.turns
        two.connections[:] = [50, 10]
        waited = 0
        while first.delay():
            clock.now += MS
            waited += 1
        assert 90 < waited < 110
        for _ in range(1000):  # no more waiting, as long as it is stuck
            assert first.delay() == 0
        clock.now += MS
        second.look()
        assert first.delay() > 0


async def test_one_that_looks_again_and_again_is_waited_for(clock: Clock) -> None:
    with workers(2) as two:
        two.connections[:] = [50, 10]
        for _ in range(1000):
            assert two.turns[0].delay() > 0
            clock.now += 50 * MS
            two.turns[1].look()


async def test_the_patience_is_for_one_occasion(clock: Clock) -> None:
    with workers(2) as two:
        two.connections[:] = [50, 10]
        for _ in range(100):  # connections that the other one took, long after each other
            clock.now += 1000 * MS
            assert two.turns[0].delay() > 0


async def test_workers_that_do_not_accept_are_not_waited_for(clock: Clock) -> None:
    with workers(2) as two:
        two.connections[:] = [50, 0]
        two.turns[1].end()
        assert two.turns[0].delay() == 0


async def test_who_waits_for_one_that_looks_away_rings_for_it(clock: Clock) -> None:
    with workers(2) as two:
        first, second = two.turns
        called: list[str] = []

        def resume() -> None:
            called.append("first")
            first.come_back(resume)

        two.connections[:] = [10, 4]
        assert first.delay() > 0
        first.leave(resume)
        assert two.away == [1, 0]
        # The other one has caught up, and overtaken it by so much that it waits in turn.
        two.connections[:] = [10, 15]
        assert second.delay() > 0
        await until(lambda: bool(called))
        assert two.away == [0, 0]
        assert first.delay() == 0


async def test_an_end_of_a_connection_ends_the_looking_away(clock: Clock) -> None:
    with workers(2) as two:
        first = two.turns[0]
        called: list[str] = []

        def resume() -> None:
            called.append("first")
            first.come_back(resume)

        two.connections[:] = [10, 4]
        first.leave(resume)
        first.check()
        assert not called
        two.connections[0] = 6
        first.check()
        assert called == ["first"]
        first.check()
        assert called == ["first"]


async def test_a_bell_that_nobody_answers_blocks_nobody(clock: Clock) -> None:
    with workers(2) as two:
        two.connections[:] = [10, 4]
        two.away[1] = 1
        for _ in range(100_000):
            assert two.turns[0].delay() > 0
