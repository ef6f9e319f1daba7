"""The queue's clock, and when the disk is too full: both are told everything."""

from __future__ import annotations

import pytest

from aiodicom.router.queue.clock import QueueClock
from aiodicom.router.queue.recent import Recent
from aiodicom.router.queue.space import Space, Watermarks, space_of


def test_it_is_the_time_of_day() -> None:
    clock = QueueClock(1000.0, 5.0)
    assert clock.now(1000.5, 5.5) == 1000.5
    assert clock.now(1060.5, 65.5) == 1060.5
    assert clock.jumped == 0


@pytest.mark.parametrize("jump", [-1e9, -3600.0, 3600.0, 1e9])
def test_a_jump_is_not_followed(jump: float) -> None:
    clock = QueueClock(1000.0, 5.0)
    assert clock.now(1010.0 + jump, 15.0) == 1010.0
    assert clock.now(1020.0 + jump, 25.0) == 1020.0
    assert clock.jumped == jump


def test_a_clock_that_is_slewed_is_followed_but_never_back() -> None:
    clock = QueueClock(1000.0, 0.0)
    assert clock.now(1001.5, 1.0) == 1001.5
    assert clock.now(1001.0, 2.0) == 1001.5


def test_a_restart_does_not_go_back_behind_what_was() -> None:
    assert QueueClock(1000.0, 0.0, last=5000.0).now(1001.0, 1.0) == 5001.0
    assert QueueClock(9000.0, 0.0, last=5000.0).now(9001.0, 1.0) == 9001.0


def test_refuses_below_the_one_mark_and_resumes_above_the_other() -> None:
    free = iter((100, 50, 49, 60, 79, 80, 60, 50, 10))
    marks = Watermarks(lambda: Space(next(free), 1000), refuse=50, resume=80)
    accepts = [marks.check() for _ in range(9)]
    assert accepts == [True, True, False, False, False, True, True, True, False]
    assert marks.is_full


def test_what_is_to_come_counts() -> None:
    marks = Watermarks(lambda: Space(100, 1000), refuse=50)
    assert marks.check(50)
    assert not marks.check(51)


def test_a_disk_that_was_just_asked_is_asked_again_only_before_anything_is_refused() -> None:
    now, asked, free = 0.0, 0, 100

    def space() -> Space:
        nonlocal asked
        asked += 1
        return Space(free, 1000)

    marks = Watermarks(space, refuse=50, resume=80, age=1.0, time=lambda: now)
    assert [marks.check(20), marks.check(20), marks.check(10)] == [True] * 3  # what was granted counts
    assert asked == 1
    free = 70
    assert marks.check(10)
    assert asked == 2
    free = 60
    assert not marks.check(11)
    assert not marks.check()
    assert asked == 4
    free = 80
    assert marks.check()
    assert marks.check()
    assert asked == 5
    now, free = 1.0, 10
    assert not marks.check()
    assert asked == 6


def test_the_default_is_a_part_of_the_disk() -> None:
    tib = 1 << 40
    for total, refuse in ((100 << 30, 5 << 30), (tib, 10 << 30)):
        assert Watermarks(lambda total=total, refuse=refuse: Space(refuse, total)).check()  # type: ignore[misc]
        assert not Watermarks(lambda total=total, refuse=refuse: Space(refuse - 1, total)).check()  # type: ignore[misc]


def test_the_space_of_this_disk(tmp_path: object) -> None:
    space = space_of(str(tmp_path))
    assert 0 <= space.free <= space.total


def test_recent_objects_are_kept_until_all_their_deliveries_are_made() -> None:
    recent = Recent(100)
    recent.keep(1, b"x" * 40, 2, 0.0)
    recent.delivered(1)
    assert recent.get(1) == b"x" * 40
    recent.delivered(1)
    assert recent.get(1) is None
    assert recent.size == 0
    recent.delivered(1)


def test_recent_objects_make_room_when_they_wait_long_and_not_before() -> None:
    recent = Recent(100)
    recent.keep(1, b"x" * 60, 1, 0.0)
    recent.keep(2, b"y" * 60, 1, 1.0)  # what came first is delivered first
    assert (recent.get(1) is None, recent.get(2) is None) == (False, True)
    recent.keep(3, b"z" * 60, 1, 10.0)
    assert (recent.get(1) is None, recent.get(3) is None) == (True, False)
    recent.keep(4, b"large" * 60, 1, 99.0)
    recent.keep(5, b"no", 0, 99.0)
    assert recent.size == 60
