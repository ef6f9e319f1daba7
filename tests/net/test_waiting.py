"""The queue of a pool: who is served when, and who holds up whom."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from aiodicom.net.proposing import Need
from aiodicom.net.waiting import Queue, Waiter, Wish

CT, MR = Wish(Need("1.2.1"), False), Wish(Need("1.2.2"), False)
ANY, WHOLE = Wish(None, False), Wish(None, True)


class Waiting:
    """A queue, and who was served, by the numbers in which they came."""

    def __init__(self, wishes: Sequence[Wish]) -> None:
        self.queue = Queue()
        loop = asyncio.get_running_loop()
        self.waiters: list[Waiter] = [self.queue.add(loop.create_future(), wish) for wish in wishes]

    def serve(self, turns: dict[Wish, int], holds_up: Callable[[Wish], bool] = lambda wish: wish.is_whole) -> Any:
        """Serves with so many turns for each wish; the number of the first who got none."""
        turns = dict(turns)

        def pick(wish: Wish) -> Any:
            turns[wish] = turns.get(wish, 0) - 1
            return cast(Any, wish) if turns[wish] >= 0 else None

        self.queue.serve(pick, holds_up)
        left = [number for number, waiter in enumerate(self.waiters) if not waiter.future.done()]
        assert self.queue.first == (self.waiters[left[0]].wish if left else None)
        return left[0] if left else None

    @property
    def served(self) -> list[int]:
        return [number for number, waiter in enumerate(self.waiters) if waiter.future.done()]


async def test_first_come_first_served() -> None:
    it = Waiting([ANY] * 5)
    assert it.serve({ANY: 2}) == 2
    assert it.served == [0, 1]
    assert it.queue.count == 3
    assert it.serve({ANY: 9}) is None
    assert not it.queue.count


@pytest.mark.parametrize(
    ("turns", "first", "served"),
    [({CT: 2}, 1, [0, 2]), ({MR: 3}, 0, [1, 3, 5]), ({CT: 1, MR: 1}, 2, [0, 1]), ({}, 0, [])],
)
async def test_who_cannot_use_a_turn_holds_up_nobody(turns: Any, first: int, served: list[int]) -> None:
    it = Waiting([CT, MR] * 3)
    assert it.serve(turns) == first
    assert it.served == served


async def test_who_waits_for_a_whole_one_holds_up_those_who_came_later() -> None:
    it = Waiting([ANY, WHOLE, ANY, CT])
    assert it.serve({ANY: 2, CT: 1}) == 1
    assert it.served == [0]
    assert it.serve({WHOLE: 1, ANY: 1, CT: 0}) == 3
    assert it.served == [0, 1, 2]


async def test_but_not_where_there_is_none_that_he_could_use() -> None:
    it = Waiting([Wish(Need("1.2.9"), True), ANY])
    assert it.serve({ANY: 1}, holds_up=lambda _: False) == 0
    assert it.served == [1]


async def test_turns_that_are_shared_go_round_in_order_of_arrival() -> None:
    it = Waiting([CT, MR, MR, CT, CT, MR])
    left = 4

    def pick(_wish: Wish) -> Any:
        nonlocal left
        left -= 1
        return object() if left >= 0 else None

    it.queue.serve(pick, lambda _: False)
    assert it.served == [0, 1, 2, 3]


async def test_who_leaves() -> None:
    it = Waiting([ANY, CT, ANY, ANY])
    assert it.queue.discard(it.waiters[2])
    assert not it.queue.discard(it.waiters[2])
    assert it.queue.count == 3
    # Somebody who was cancelled and has not left yet gets nothing.
    it.waiters[0].future.cancel()
    assert it.serve({ANY: 1}) == 1
    assert it.waiters[3].future.done()
    assert not it.queue.discard(it.waiters[0])
    assert it.queue.count == 1


async def test_all_with_one_wish_are_turned_away() -> None:
    it = Waiting([CT, MR, CT])
    it.waiters[2].future.cancel()
    it.queue.fail(CT, KeyError())
    assert isinstance(it.waiters[0].future.exception(), KeyError)
    assert not it.waiters[1].future.done()
    assert (it.queue.count, list(it.queue.wishes())) == (1, [MR])


async def test_what_is_needed_by_those_who_wait() -> None:
    it = Waiting([MR, ANY, CT, MR, Wish(MR.need, True), Wish(Need("1.2.3"), False)])
    assert it.queue.needs(2) == [MR.need, CT.need]
    it.queue.discard(it.waiters[0])
    assert it.queue.needs(9) == [CT.need, MR.need, Need("1.2.3")]


async def test_whose_time_is_over() -> None:
    it = Waiting([])
    loop = asyncio.get_running_loop()
    it.waiters = [it.queue.add(loop.create_future(), wish, when) for wish, when in ((CT, 5.0), (MR, 3.0), (CT, 3.0))]
    it.waiters.append(it.queue.add(loop.create_future(), ANY))
    assert it.queue.expire(2.9, KeyError) == 3.0
    assert it.served == []
    assert it.queue.expire(3.0, KeyError) == 5.0
    assert it.served == [1, 2]
    assert isinstance(it.waiters[1].future.exception(), KeyError)
    assert isinstance(it.waiters[2].future.exception(), KeyError)
    assert (it.queue.count, list(it.queue.wishes())) == (2, [CT, ANY])
    it.waiters[0].future.cancel()
    assert it.queue.expire(6.0, KeyError) == math.inf
    assert it.queue.count == 1
