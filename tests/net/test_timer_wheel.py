"""The timer wheel, on a loop whose clock is the test's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from aiodicom.net.loops import TimerWheel

STEP = TimerWheel.resolution


class Handle:
    """A timer of the loop."""

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Loop:
    """What a wheel asks of a loop; the time passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Handle] = []
        self.failures: list[BaseException] = []

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context["exception"])

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        assert not self.pending, "the wheel has one timer at most"
        self.timers.append(Handle(when, callback))
        return self.timers[-1]

    @property
    def pending(self) -> list[Handle]:
        return [timer for timer in self.timers if not timer.is_cancelled]

    def advance(self, seconds: float) -> None:
        """Runs what is due, each at its time."""
        end = self.now + seconds
        while due := [timer for timer in self.pending if timer.when <= end]:
            self.timers.remove(due[0])
            self.now = max(self.now, due[0].when)
            due[0].callback()
        self.now = end


class Item:
    """Notes when it is called."""

    def __init__(self, following: Callable[[float], float | None] = lambda _: None) -> None:
        self.wheel_slot: int | None = None
        self.calls: list[float] = []
        self._following = following

    def on_timer(self, now: float) -> float | None:
        self.calls.append(now)
        return self._following(now)


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def wheel(loop: Loop) -> TimerWheel:
    return TimerWheel(loop)  # type: ignore[arg-type]


def test_each_is_called_once_at_its_time_or_a_little_later(loop: Loop, wheel: TimerWheel) -> None:
    times = [random.Random(n).uniform(100, 110) for n in range(500)]
    items = [Item() for _ in times]
    for item, when in zip(items, times, strict=True):
        wheel.schedule(item, when)
    loop.advance(20)
    for item, when in zip(items, times, strict=True):
        (called,) = item.calls
        assert when <= called <= when + STEP + 1e-9
    assert not loop.pending


def test_the_order_is_that_of_the_times(loop: Loop, wheel: TimerWheel) -> None:
    order: list[int] = []
    for n in (3, 1, 2, 0):
        wheel.schedule(Item(lambda _, n=n: order.append(n)), 100 + n)  # type: ignore[misc]
    loop.advance(10)
    assert order == [0, 1, 2, 3]


def test_late_the_order_is_the_same(loop: Loop, wheel: TimerWheel) -> None:
    order: list[int] = []
    for n in (3, 1, 2, 0):
        wheel.schedule(Item(lambda _, n=n: order.append(n)), 100 + n)  # type: ignore[misc]
    loop.now += 60  # the loop was busy
    loop.advance(0)
    assert order == [0, 1, 2, 3]
    assert not loop.pending


def test_cancelled_it_is_not_called_and_no_timer_stays(loop: Loop, wheel: TimerWheel) -> None:
    first, second, same = Item(), Item(), Item()
    wheel.schedule(first, 101)
    wheel.schedule(second, 102)
    wheel.schedule(same, 102)
    wheel.cancel(first)
    wheel.cancel(second)
    assert loop.pending
    wheel.cancel(same)
    wheel.cancel(same)
    assert not loop.pending
    loop.advance(10)
    assert first.calls == second.calls == same.calls == []
    wheel.schedule(first, loop.now + 1)
    loop.advance(2)
    assert len(first.calls) == 1


@pytest.mark.parametrize(("old", "new"), [(101, 105), (105, 101), (101, 101)])
def test_scheduled_again_it_is_called_at_the_new_time_only(
    loop: Loop, wheel: TimerWheel, old: float, new: float
) -> None:
    item = Item()
    wheel.schedule(item, old)
    wheel.schedule(item, new)
    loop.advance(20)
    assert item.calls == [pytest.approx(new, abs=STEP + 1e-9)]
    assert not loop.pending


def test_what_it_returns_is_when_it_is_called_next(loop: Loop, wheel: TimerWheel) -> None:
    item = Item(lambda now: now + 1 if now < 104.5 else None)
    wheel.schedule(item, 101)
    loop.advance(20)
    assert item.calls == [pytest.approx(when, abs=5 * STEP) for when in (101, 102, 103, 104, 105)]
    assert not loop.pending


def test_a_time_in_the_past_is_no_busy_loop(loop: Loop, wheel: TimerWheel) -> None:
    item = Item(lambda now: now - 50)
    wheel.schedule(item, 99)
    loop.advance(1)
    assert 1 <= len(item.calls) <= 1 / STEP + 1
    wheel.cancel(item)
    assert not loop.pending


def test_one_that_schedules_and_cancels_others_while_it_is_called(loop: Loop, wheel: TimerWheel) -> None:
    earlier, later = Item(), Item()

    def rearrange(now: float) -> None:
        wheel.cancel(later)
        wheel.schedule(earlier, now + 0.5)

    wheel.schedule(Item(rearrange), 101)
    wheel.schedule(later, 102)
    loop.advance(10)
    assert len(earlier.calls) == 1
    assert later.calls == []
    assert not loop.pending


def test_one_that_schedules_itself_and_returns_a_time_too(loop: Loop, wheel: TimerWheel) -> None:
    item = Item()

    def again(now: float) -> float:
        if len(item.calls) == 1:
            wheel.schedule(item, 103)
        return 110.0 if len(item.calls) == 1 else 1000.0

    item._following = again
    wheel.schedule(item, 101)
    loop.advance(5)
    assert item.calls == [pytest.approx(101, abs=2 * STEP), pytest.approx(103, abs=2 * STEP)]


def test_one_that_fails_does_not_keep_the_others_from_their_time(loop: Loop, wheel: TimerWheel) -> None:
    def fail(_: float) -> None:
        raise RuntimeError("a bug elsewhere")

    others = [Item() for _ in range(20)]
    wheel.schedule(Item(fail), 101)
    for other in others:
        wheel.schedule(other, 101)
    later = Item()
    wheel.schedule(later, 102)
    loop.advance(10)
    assert [str(failure) for failure in loop.failures] == ["a bug elsewhere"]
    assert [len(other.calls) for other in (*others, later)] == [1] * 21
    assert not loop.pending


def test_of_two_at_the_same_time_the_first_can_cancel_the_second(loop: Loop, wheel: TimerWheel) -> None:
    items: list[Item] = []

    def cancel_all(_: float) -> None:
        for item in items:
            wheel.cancel(item)

    items += [Item(cancel_all) for _ in range(10)]
    for item in items:
        wheel.schedule(item, 101)
    loop.advance(10)
    assert sum(len(item.calls) for item in items) == 1
    assert not loop.pending


async def test_on_a_real_loop() -> None:
    loop = asyncio.get_running_loop()
    wheel = TimerWheel(loop)
    called: asyncio.Future[Any] = loop.create_future()
    when = loop.time() + 0.01
    wheel.schedule(Item(called.set_result), when)
    async with asyncio.timeout(5):
        assert when <= await called + 1e-3  # uvloop's clock ticks in milliseconds
    assert wheel._timer is None
