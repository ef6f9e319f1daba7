"""Which files go past the cache, by how long the disk takes."""

from __future__ import annotations

from itertools import pairwise

from aiodicom.store.direct import BEHIND, MOST, SLOW, DirectWrites


def begin(writes: DirectWrites) -> int:
    """Begins as many as are let."""
    count = 0
    while writes.begin(0.0):
        count += 1
    return count


def limits(writes: DirectWrites, seconds: float, count: int) -> list[int]:
    """The limit after each of so many files that take so long, one after another."""
    found = []
    for _ in range(count):
        assert writes.begin(0.0)
        writes.end(seconds, 0.0)
        found.append(writes.limit)
    return found


def test_a_fast_disk_has_as_many_as_are_ever_allowed() -> None:
    writes = DirectWrites()
    assert begin(writes) == writes.running == MOST
    writes.end(SLOW / 10, 0.0)
    assert begin(writes) == 1
    for _ in range(MOST):
        writes.end(SLOW / 10, 0.0)
    assert writes.running == 0
    assert set(limits(writes, SLOW / 10, 100)) == {MOST}


def test_a_slow_disk_has_ever_fewer_and_one_at_least() -> None:
    found = limits(DirectWrites(), 3 * SLOW, 100)
    assert all(after in (before, before - 1) for before, after in pairwise(found))
    assert found[-1] == 1
    assert found.index(1) < 2 * MOST


def test_those_on_their_way_are_not_taken_back() -> None:
    writes = DirectWrites()
    assert begin(writes) == MOST
    for left in range(MOST - 1, 0, -1):
        writes.end(100 * SLOW, 0.0)
        assert writes.limit == left
        assert not writes.begin(0.0)


def test_one_slow_file_is_no_slow_disk() -> None:
    writes = DirectWrites()
    limits(writes, SLOW / 10, 10)
    assert limits(writes, 5 * SLOW, 1) == [MOST]


def test_a_disk_that_is_fast_again_has_all_again() -> None:
    writes = DirectWrites()
    limits(writes, 10 * SLOW, 100)
    found = limits(writes, SLOW / 10, 100)
    assert found == sorted(found)
    assert found[-1] == MOST


def test_one_that_is_neither_keeps_what_it_has() -> None:
    writes = DirectWrites()
    limits(writes, 0.75 * SLOW, 100)
    assert set(limits(writes, 0.75 * SLOW, 100)) == {MOST}
    limits(writes, 10 * SLOW, 100)
    limits(writes, 0.75 * SLOW, 100)
    assert set(limits(writes, 0.75 * SLOW, 100)) == {1}


def test_a_disk_keeps_up_until_one_takes_long() -> None:
    writes = DirectWrites()
    assert writes.begin(5.0)
    assert writes.keeps_up(5.0)
    assert writes.keeps_up(5.0 + BEHIND)
    assert not writes.keeps_up(5.1 + BEHIND)
    writes.end(BEHIND + 0.2, 5.2 + BEHIND)
    assert writes.begin(10.0)
    assert not writes.keeps_up(10.0)
    writes.end(BEHIND, 10.0 + BEHIND)
    assert writes.begin(20.0)
    assert writes.keeps_up(20.0)


def test_a_disk_keeps_up_while_some_of_several_are_written() -> None:
    writes = DirectWrites()
    assert writes.begin(1.0)
    assert writes.begin(1.0)
    for number in range(10):
        now = 1 + number * BEHIND / 2
        assert writes.keeps_up(now)
        writes.end(BEHIND, now)
        assert writes.begin(now)
