"""What is claimed and when, and what becomes of deliveries: no clock, no thread."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiodicom.router.queue import rows, search, upkeep
from aiodicom.router.queue.objects import Delivery, Duplicates, Failure, Selection, State
from aiodicom.router.queue.shard import Shard
from tests.router.queue.objects import arrival, incoming, numbers, put, reclaim, sparse


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Shard]:
    shard = Shard(tmp_path / "shard")
    yield shard
    shard.close()


def consistent(shard: Shard) -> None:
    """Holds what is counted against what there is."""
    connection = shard.rows.connection
    there = Counter(
        (shard.rows.texts[word], State(state))
        for word, state in connection.execute("SELECT destination, state FROM deliveries").fetchall()
    )
    counted = {(name, state): n for name, states in shard.rows.counts().items() for state, n in states.items()}
    assert counted == there
    pending = connection.execute(
        "SELECT segment, count(*), sum(size) FROM objects o WHERE EXISTS"
        " (SELECT 1 FROM deliveries WHERE object = o.id AND state < 4) GROUP BY segment"
    ).fetchall()
    known = {each.number: (each.live, each.live_bytes) for each in upkeep.segments_of(shard.rows).values()}
    assert {number: found for number, found in known.items() if found[0]} == {n: (c, s) for n, c, s in pending}


def test_a_study_stays_together_in_the_order_of_arrival(shard: Shard) -> None:
    put(shard, *[incoming(number, study=number % 3) for number in range(12)])
    assert numbers(shard) == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]


def test_what_is_leased_is_not_claimed_again_until_given_back(shard: Shard) -> None:
    put(shard, *map(incoming, range(5)))
    leases = shard.claim("pacs", 3)
    assert numbers(shard) == [3, 4]
    shard.give_back(leases)
    assert numbers(shard) == [0, 1, 2]


def test_higher_priorities_go_first(shard: Shard) -> None:
    for number, priority in enumerate([0, 5, -1, 5]):
        put(shard, incoming(number, Delivery("pacs", priority=priority), study=number))
    assert numbers(shard) == [1, 3, 0, 2]


def test_the_newest_study_first_in_its_own_order(shard: Shard) -> None:
    put(shard, *[incoming(number, study=number // 4) for number in range(12)])
    assert numbers(shard, limit=6, newest=True) == [8, 9, 10, 11, 4, 5]
    assert numbers(shard, limit=3) == [0, 1, 2]
    put(shard, incoming(99, Delivery("pacs", priority=1), study=0))
    assert numbers(shard, newest=True) == [99]
    assert numbers(shard, "nobody's", newest=True) == []


def test_destinations_do_not_wait_for_each_other(shard: Shard) -> None:
    put(shard, *[incoming(number, "pacs", "cloud") for number in range(3)])
    assert numbers(shard, "pacs") == numbers(shard, "cloud") == [0, 1, 2]
    assert numbers(shard, "nobody's") == []


def test_a_poison_object_is_dead_and_blocks_nobody(shard: Shard) -> None:
    put(shard, *map(incoming, range(3)))
    first = shard.claim("pacs", 1)
    shard.note([], [], [Failure(first[0], "status C000H", None)], 1.0)
    assert numbers(shard) == [1, 2]
    (way,) = search.listed(shard.rows, Selection("pacs", State.DEAD))
    (step,) = way.steps
    assert (step.state, step.reason, step.attempts, step.changed) == (State.DEAD, "status C000H", 1, 1.0)
    assert shard.rows.counts() == {"pacs": {State.WAITING: 2, State.DEAD: 1}}
    consistent(shard)


def test_a_delayed_one_waits_again_when_it_is_due(shard: Shard) -> None:
    put(shard, *map(incoming, range(2)))
    first, _ = shard.claim("pacs", 2)
    shard.note([], [], [Failure(first, "no answer", 30.0)], 20.0)
    assert upkeep.wake(shard.rows, 29.0, 3600.0) == set()
    assert numbers(shard) == []
    assert upkeep.wake(shard.rows, 30.0, 3600.0) == {"pacs"}
    (again,) = shard.claim("pacs", 5)
    assert (again.object, again.attempts) == (first.object, 1)


def test_a_clock_that_was_set_back_does_not_delay_for_years(shard: Shard) -> None:
    put(shard, incoming(0))
    shard.note([], [], [Failure(shard.claim("pacs", 1)[0], "no answer", 1e9)], 1e9 - 60)
    assert upkeep.wake(shard.rows, 1e6, 86400.0) == {"pacs"}


def test_a_failure_of_the_destination_is_no_attempt(shard: Shard) -> None:
    put(shard, incoming(0))
    shard.note([], [], [Failure(shard.claim("pacs", 1)[0], "refused", 0.0, counts=False)], 1.0)
    upkeep.wake(shard.rows, 2.0, 3600.0)
    assert shard.claim("pacs", 1)[0].attempts == 0


def test_what_is_late_expires_and_is_not_kept(shard: Shard) -> None:
    put(shard, incoming(0, Delivery("pacs", expires=10.0)), incoming(1))
    assert upkeep.expire(shard.rows, 9.0) == 0
    assert upkeep.expire(shard.rows, 10.0) == 1
    assert numbers(shard) == [1]
    assert shard.rows.counts()["pacs"] == {State.WAITING: 1, State.EXPIRED: 1}
    consistent(shard)


def test_held_objects_wait_for_their_release(shard: Shard) -> None:
    put(shard, *[incoming(number, study=number % 2) for number in range(4)])
    assert shard.rows.change_selected(Selection(study_instance_uid="1.2.0"), State.HELD, 1.0) == 2
    assert numbers(shard) == [1, 3]
    assert shard.rows.change_selected(Selection(state=State.HELD), State.WAITING, 2.0) == 2
    assert numbers(shard) == [0, 2]
    consistent(shard)


def test_a_held_destination_keeps_what_comes(tmp_path: Path) -> None:
    shard = Shard(tmp_path / "shard")
    put(shard, incoming(0))
    shard.rows.hold_destination("pacs", 1.0)
    put(shard, incoming(1))
    assert numbers(shard) == []
    shard.close()
    shard = Shard(tmp_path / "shard")
    assert shard.rows.on_hold == {"pacs"}
    assert numbers(shard) == []
    shard.rows.release_destination("pacs")
    assert numbers(shard) == [0, 1]
    shard.close()


def test_a_retried_one_has_all_its_attempts_again(shard: Shard) -> None:
    put(shard, incoming(0))
    shard.note([], [], [Failure(shard.claim("pacs", 1)[0], "bad", None)], 1.0)
    assert shard.rows.change_selected(Selection("pacs", State.DEAD), State.WAITING, 2.0) == 1
    (lease,) = shard.claim("pacs", 1)
    assert lease.attempts == 0
    # Why it failed before stays to be seen.
    (way,) = search.find(shard.rows, sop_instance_uid=lease.sop_instance_uid)
    assert way.steps[0].reason == "bad"


def test_one_that_was_dropped_while_it_was_sent(shard: Shard) -> None:
    put(shard, *map(incoming, range(3)))
    sent, failed, dropped = shard.claim("pacs", 3)
    assert shard.rows.change_selected(Selection("pacs"), State.DROPPED, 1.0, "not wanted") == 3
    shard.note([], [sent], [Failure(failed, "no answer", 5.0)], 2.0)
    shard.give_back([dropped])
    assert shard.rows.counts() == {"pacs": {State.DELIVERED: 1, State.DROPPED: 2}}
    assert numbers(shard) == []
    consistent(shard)


def test_many_are_changed_in_steps(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST", 10)
    put(shard, *map(incoming, range(25)))
    steps = [shard.rows.change_selected(Selection("pacs"), State.HELD, 1.0) for _ in range(4)]
    assert steps == [10, 10, 5, 0]


@pytest.mark.parametrize(
    ("policy", "before", "after"),
    [(Duplicates.FORWARD, False, False), (Duplicates.DROP_WAITING, True, False), (Duplicates.DROP, True, True)],
)
def test_the_same_object_again(tmp_path: Path, policy: Duplicates, before: bool, after: bool) -> None:
    """Before it was delivered, and after that."""
    shard = Shard(tmp_path / "shard", duplicates=policy)
    put(shard, incoming(0))
    group = shard.write([arrival(incoming(0)), arrival(incoming(0), b"changed"), arrival(incoming(0), b"changed")])
    dropped = shard.commit(group, 0.0)
    assert [stored.id in dropped for stored in group.stored] == [before, False, before]
    shard.note([], shard.claim("pacs", 10), [], 1.0)
    group = shard.write([arrival(incoming(0)), arrival(incoming(0, "pacs", "cloud"), b"changed")])
    dropped = shard.commit(group, 0.0)
    assert [stored.id in dropped for stored in group.stored] == [after, False]
    assert numbers(shard, "cloud") == [0]
    assert len(numbers(shard, "pacs")) == (0 if after else 2)
    consistent(shard)
    shard.close()


def test_a_dead_one_is_no_reason_to_drop_the_same_object(shard: Shard) -> None:
    put(shard, incoming(0))
    shard.note([], [], [Failure(shard.claim("pacs", 1)[0], "bad", None)], 1.0)
    assert shard.commit(shard.write([arrival(incoming(0))]), 2.0) == set()


def test_the_way_of_an_object(shard: Shard) -> None:
    put(shard, incoming(7, Delivery("pacs", "ct"), Delivery("cloud", "copies"), study=4, received=12.5), now=13.0)
    (lease,) = shard.claim("pacs", 1)
    shard.note([], [], [Failure(lease, "no answer", 20.0)], 14.0)
    upkeep.wake(shard.rows, 20.0, 3600.0)
    shard.note([], shard.claim("pacs", 1), [], 21.0)
    wanted = [{"sop_instance_uid": "1.2.4.7"}, {"study_instance_uid": "1.2.4"}, {"patient_id": "P4"}]
    for each in wanted:
        (way,) = search.find(shard.rows, **each)
        assert (way.sop_instance_uid, way.patient_id, way.calling_aet, way.received) == ("1.2.4.7", "P4", "CT1", 12.5)
        assert [(step.destination, step.route, step.state, step.attempts) for step in way.steps] == [
            ("pacs", "ct", State.DELIVERED, 2),
            ("cloud", "copies", State.WAITING, 0),
        ]
        assert (way.steps[0].reason, way.steps[0].changed) == ("no answer", 21.0)
        assert shard.log.read(way.place) == b"data set"
    assert search.find(shard.rows) == []
    assert search.find(shard.rows, patient_id="P4", study_instance_uid="1.2.5") == []


def test_listing_goes_on_where_it_ended(shard: Shard) -> None:
    put(shard, *map(incoming, range(5)))
    first = search.listed(shard.rows, Selection("pacs"), limit=3)
    second = search.listed(shard.rows, Selection("pacs"), first[-1].object, limit=3)
    assert [way.sop_instance_uid[-1] for way in first + second] == list("01234")
    assert search.listed(shard.rows, Selection("cloud")) == []
    assert search.listed(shard.rows, Selection(study_instance_uid="1.2.9")) == []
    assert [way.object for way in search.listed(shard.rows, Selection(object=first[1].object))] == [first[1].object]


def numbers_left(shard: Shard) -> int:
    return int(shard.rows.connection.execute("SELECT count(*) FROM objects").fetchone()[0])


def test_what_is_old_and_done_is_forgotten(shard: Shard) -> None:
    put(shard, *[incoming(number, study=number, received=float(number)) for number in range(6)])
    shard.note([], shard.claim("pacs", 4), [], 5.0)
    # In steps, from where the last one ended.
    after, seen = upkeep.forget(shard.rows, 3.0, 0, limit=2)
    assert (seen, numbers_left(shard)) == (2, 4)
    assert upkeep.forget(shard.rows, 3.0, after, limit=4)[1] == 1
    after, seen = upkeep.forget(shard.rows, 100.0, 0, limit=100)
    assert (seen, numbers_left(shard)) == (3, 2)
    assert upkeep.forget(shard.rows, 100.0, after) == (after, 0)
    assert shard.rows.counts() == {"pacs": {State.WAITING: 2}}
    assert numbers(shard) == [4, 5]
    assert shard.rows.connection.execute("SELECT count(*) FROM studies").fetchone() == (2,)
    # A study that was forgotten comes anew.
    put(shard, incoming(9, study=0))
    assert numbers(shard) == [9]
    consistent(shard)


def test_a_failed_commit_leaves_no_numbers_of_words_behind(shard: Shard) -> None:
    group = shard.write([arrival(incoming(0, "new"))])

    def fail() -> None:
        with shard.rows.transaction():
            shard.rows.word("new")
            shard.rows.study("1.2.1", "P1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    shard.commit(group, 0.0)
    assert numbers(shard, "new") == [0]
    assert search.find(shard.rows, study_instance_uid="1.2.1")


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_done_the_numbers_agree(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)
    shard = Shard(tmp_path / "shard", segment_size=20_000)
    now = 0.0
    for step in range(60):
        now += chosen.random() * 10
        match chosen.randrange(9):
            case 0 | 1 | 2:
                some = [
                    incoming(
                        chosen.randrange(40),
                        *[
                            Delivery(name, priority=chosen.randrange(2), expires=chosen.choice([None, now + 20]))
                            for name in chosen.sample(["a", "b", "c"], chosen.randrange(1, 4))
                        ],
                        study=chosen.randrange(5),
                        received=now,
                    )
                    for _ in range(chosen.randrange(1, 40))
                ]
                put(shard, *some, data=bytes([chosen.randrange(2)]) * chosen.randrange(2000), now=now)
            case 3 | 4:
                leases = shard.claim(chosen.choice("abc"), chosen.randrange(1, 80), newest=chosen.random() < 0.3)
                delivered = leases[: len(leases) // 2]
                failures = [
                    Failure(lease, "bad", chosen.choice([None, now + 5])) for lease in leases[len(leases) // 2 :]
                ]
                if chosen.random() < 0.3:
                    shard.rows.change_selected(Selection("a"), State.DROPPED, now)
                shard.note([], delivered, failures, now)
            case 5:
                meant = Selection(chosen.choice([None, "a"]), chosen.choice([None, State.DEAD, State.HELD]))
                state = chosen.choice([State.HELD, State.WAITING, State.DROPPED])
                shard.rows.change_selected(meant, state, now)
            case 6:
                upkeep.wake(shard.rows, now, 3600.0)
                upkeep.expire(shard.rows, now)
            case 7:
                upkeep.forget(shard.rows, now - 30, 0)
                reclaim(shard)
            case 8:
                found = sparse(shard)
                if found is not None:
                    shard.commit_copy(shard.copy(*found, 10_000), now)
        if step % 10 == 9:
            consistent(shard)
            shard.close()
            shard = Shard(tmp_path / "shard", segment_size=20_000)
            assert shard.findings == []
    consistent(shard)
    for destination in "abc":
        for lease in shard.claim(destination, 10_000):
            assert len(shard.log.read(lease.place)) == lease.place.size
    shard.close()
