"""What goes on before it has rows."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from aiodicom.router.queue.ahead import Ahead, Unnoted
from aiodicom.router.queue.local import LocalQueue
from aiodicom.router.queue.objects import Delivery, Duplicates, Incoming, Lease, Selection, State, lease_of
from aiodicom.store.segments import Place
from tests.router.queue.objects import incoming, something
from tests.router.queue.test_local import opened, whole


def lease(number: int, priority: int = 0) -> Lease:
    return lease_of(number, 0, incoming(number, Delivery("pacs", priority=priority)), Place(1, 0, 1, 0))


def clear() -> Ahead:
    ahead = Ahead()
    ahead.served("pacs")
    ahead.found_none("pacs", 0)
    return ahead


def test_only_for_those_who_wait_and_have_nothing_waiting() -> None:
    ahead = Ahead()
    assert not ahead.takes("pacs")
    ahead.served("pacs")
    assert not ahead.takes("pacs")
    ahead.found_none("pacs", 0)
    assert ahead.takes("pacs")
    assert not ahead.takes("other")


def test_what_was_given_after_the_look_is_not_known_to_it() -> None:
    ahead = clear()
    ahead.may_wait({"pacs"})
    assert not ahead.takes("pacs")
    ahead.found_none("pacs", ahead.given)  # it looked before that was given
    assert not ahead.is_clear("pacs")
    ahead.given += 1
    ahead.found_none("pacs", ahead.given)
    assert ahead.is_clear("pacs")
    ahead.all_may_wait()
    ahead.found_none("pacs", ahead.given)
    assert not ahead.is_clear("pacs")


def test_by_priority_and_as_they_have_come() -> None:
    ahead = clear()
    for each in (lease(1), lease(2, 5), lease(3), lease(4, 5)):
        ahead.add(each, 0.0)
    assert [each.object for each in ahead.take("pacs", 3, 0.0)] == [2, 4, 1]
    assert [each.object for each in ahead.take("pacs", 3, 0.0)] == [3]
    assert ahead.take("pacs", 3, 0.0) == []


def test_it_is_bounded() -> None:
    ahead = clear()
    taken = 0
    while ahead.takes("pacs"):
        ahead.add(lease(taken), 0.0)
        taken += 1
    assert taken == 512
    ahead.take("pacs", 1, 0.0)
    assert ahead.takes("pacs")


def test_what_nobody_comes_for_is_left() -> None:
    ahead = clear()
    ahead.add(lease(1), 10.0)
    ahead.add(lease(2), 10.8)
    assert ahead.left(11.0) == []
    assert [each.object for each in ahead.left(11.1)] == [1, 2]
    assert ahead.left(99.0) == []
    assert not ahead.takes("pacs")  # until somebody waits again


def test_a_uid_is_remembered_until_who_was_looked_up_before_its_rows_is_decided_on() -> None:
    unnoted = Unnoted()
    for _ in range(3):
        unnoted.arrived()
    unnoted.add("1")
    unnoted.add("1")
    unnoted.decided(2)
    unnoted.noted(["1"])
    assert "1" in unnoted
    unnoted.decided(1)
    assert "1" in unnoted  # the second one has no rows
    unnoted.noted(["1"])
    assert "1" not in unnoted


# --- behind the queue


async def waiting(queue: LocalQueue) -> None:
    """Has somebody wait for `pacs`, of which nothing waits."""
    assert await queue.claim("pacs", 10) == []
    waits = asyncio.ensure_future(something(queue, "pacs"))
    await asyncio.sleep(0)
    waits.cancel()


def without_rows(queue: LocalQueue) -> int:
    (count,) = sqlite3.connect(Path(queue.path) / "index.db").execute("SELECT count(*) FROM objects").fetchone()
    return len(queue._notes._groups) if not count else -count


async def test_it_is_leased_before_it_has_rows_and_gets_them_as_delivered(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await waiting(queue)
        receipt = await queue.enqueue(incoming(0), b"data")
        (found,) = await queue.claim("pacs", 10)
        assert found.object == receipt.object
        assert without_rows(queue) == 1
        queue.delivered(found)
        (way,) = await queue.find(sop_instance_uid=found.sop_instance_uid)
        assert [(step.state, step.attempts) for step in way.steps] == [(State.DELIVERED, 1)]
        assert await queue.counts() == {"pacs": {State.DELIVERED: 1}}
        assert await queue.claim("pacs", 10) == []


async def test_who_listens_is_told_once_and_has_what_came_without_a_wait(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await waiting(queue)
        told = asyncio.Event()
        queue.listen("pacs", told.set)
        await asyncio.gather(*[queue.enqueue(incoming(number), b"data") for number in range(3)])
        assert told.is_set()
        assert [lease.sop_instance_uid for lease in queue.offered("pacs", 2)] == [
            incoming(number).sop_instance_uid for number in range(2)
        ]
        # There is one more, which who listens again hears of.
        told.clear()
        queue.listen("pacs", told.set)
        await told.wait()
        assert len(queue.offered("pacs", 2)) == 1
        assert queue.offered("pacs", 2) == []
        told.clear()
        queue.listen("pacs", told.set)
        await asyncio.sleep(0)
        assert not told.is_set()
        await queue.enqueue(incoming(4, "other"), b"data")
        assert not told.is_set()


async def test_nothing_is_offered_of_what_is_held_or_waits_in_the_rows(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await queue.enqueue(incoming(0), b"data")  # nobody has waited for it
        told = asyncio.Event()
        queue.listen("pacs", told.set)
        await told.wait()
        assert queue.offered("pacs", 10) == []
        (lease,) = await queue.claim("pacs", 10)
        await waiting(queue)
        await queue.enqueue(incoming(1), b"data")
        await queue.hold(Selection("pacs"))
        assert queue.offered("pacs", 10) == []
        assert await queue.claim("pacs", 10) == []
        queue.delivered(lease)


async def test_one_that_is_given_back_or_has_failed_waits_in_the_rows(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await waiting(queue)
        await asyncio.gather(*[queue.enqueue(incoming(n), b"data") for n in range(3)])
        leases = await queue.claim("pacs", 10)
        queue.failed(leases[0], "refused", None)
        queue.give_back(leases[1])
        assert [each.object for each in await queue.claim("pacs", 10)] == [leases[1].object]
        assert await queue.counts() == {"pacs": {State.WAITING: 2, State.DEAD: 1}}


async def test_nothing_gets_ahead_of_what_waits(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await waiting(queue)
        await queue.enqueue(incoming(0), b"data")
        queue.give_back(*await queue.claim("pacs", 10))
        await queue.enqueue(incoming(1), b"data")
        assert [each.sop_instance_uid[-1] for each in await queue.claim("pacs", 10)] == ["0", "1"]


@pytest.mark.parametrize("is_delivered", [False, True])
async def test_the_same_again_before_the_first_has_rows(tmp_path: Path, is_delivered: bool) -> None:
    async with opened(tmp_path, duplicates=Duplicates.DROP) as queue:
        await waiting(queue)
        await queue.enqueue(incoming(0), b"data")
        leases = await queue.claim("pacs", 10)
        if is_delivered:
            queue.delivered(*leases)
        assert (await queue.enqueue(incoming(0), b"data")).is_duplicate
        assert not (await queue.enqueue(incoming(0), b"changed")).is_duplicate
        assert len(await queue.claim("pacs", 10)) == 1


async def test_of_two_destinations_one_that_waits_gets_it_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await waiting(queue)
        receipt = await queue.enqueue(incoming(0, "pacs", "other"), b"data")
        queue.delivered(*await queue.claim("pacs", 10))
        assert [each.object for each in await queue.claim("other", 10)] == [receipt.object]
        assert await queue.counts() == {"pacs": {State.DELIVERED: 1}, "other": {State.WAITING: 1}}


async def test_what_is_delivered_before_the_rows_of_its_other_deliveries_are_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await waiting(queue)
        go = threading.Event()
        queue._rows.give(go.wait)
        queue._give_rows(queue._settle_all)  # before the rows come
        enqueued = queue.enqueue(incoming(0, "pacs", "other"), b"data")
        await something(queue, "pacs")
        queue.delivered(*await queue.claim("pacs", 10))
        go.set()
        await enqueued
        assert await queue.counts() == {"pacs": {State.DELIVERED: 1}, "other": {State.WAITING: 1}}


async def test_what_is_held_meanwhile_is_not_given(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await waiting(queue)
        await queue.enqueue(incoming(0), b"data")
        await queue.hold(Selection("pacs"))
        assert await queue.claim("pacs", 10) == []
        await queue.enqueue(incoming(1), b"data")
        assert await queue.claim("pacs", 10) == []
        await queue.release(Selection("pacs"))
        assert len(await queue.claim("pacs", 10)) == 2


async def test_what_nobody_comes_for_can_be_claimed_of_the_rows(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await waiting(queue)
        await queue.enqueue(incoming(0), b"data")
        queue._ahead._since["pacs"] -= 2
        await queue.maintain()
        assert not queue._ahead.takes("pacs")
        assert len(await queue.claim("pacs", 10)) == 1


async def test_rows_that_cannot_be_written_follow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was answered stays queued; what comes meanwhile is refused."""
    async with opened(tmp_path) as queue:
        await waiting(queue)
        connection = queue._shard.rows.connection
        connection.execute("CREATE TEMP TRIGGER no BEFORE INSERT ON objects BEGIN SELECT RAISE(ABORT, 'no'); END")
        await queue.enqueue(incoming(0), b"data")
        await queue.enqueue(incoming(1), b"data")
        leases = await queue.claim("pacs", 10)
        queue.delivered(leases[0])
        await queue.flush()
        assert "have to wait for their rows" in caplog.text
        with pytest.raises(sqlite3.Error, match="no"):
            await queue.enqueue(incoming(2), b"data")
        connection.execute("DROP TRIGGER no")
        await queue.enqueue(incoming(3), b"data")
        queue.delivered(leases[1])
        # That the first one was delivered could not be noted.
        assert [each.sop_instance_uid[-1] for each in await queue.claim("pacs", 10)] == ["0", "3"]
        assert await queue.counts() == {"pacs": {State.WAITING: 2, State.DELIVERED: 1}}


async def test_what_was_answered_and_has_no_rows_is_there_after_a_crash(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await waiting(queue)
        connection = queue._shard.rows.connection
        connection.execute("CREATE TEMP TRIGGER no BEFORE INSERT ON objects BEGIN SELECT RAISE(ABORT, 'no'); END")
        receipt = await queue.enqueue(incoming(0), b"data")
    async with opened(tmp_path) as queue:
        (found,) = await queue.claim("pacs", 10)
        assert found.object == receipt.object
        assert await whole(queue, found) == b"data"


def test_a_lease_says_what_the_object_said() -> None:
    said: Incoming = incoming(7, Delivery("pacs", "ct", 3, 99.0))
    made = lease_of(1, 0, said, Place(1, 2, 3, 4))
    assert (made.destination, made.route, made.priority, made.expires) == ("pacs", "ct", 3, 99.0)
    assert (made.sop_instance_uid, made.study_instance_uid) == (said.sop_instance_uid, said.study_instance_uid)
    assert made.place == Place(1, 2, 3, 4)
