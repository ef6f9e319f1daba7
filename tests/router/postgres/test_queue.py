"""One node: what is claimed and when, and what becomes of deliveries, of their rows and of their bytes."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from aiodicom.errors import LocalError
from aiodicom.router.queue.objects import Delivery, Duplicates, Lease, QueueUnavailable, Selection, State
from aiodicom.router.queue.postgres.queue import PostgresQueue
from aiodicom.router.queue.postgres.schema import WrongVersion
from aiodicom.router.queue.space import Space, Watermarks
from aiodicom.store.records import DamagedRecord
from tests.router.postgres.conftest import BARE, Shared
from tests.router.queue.objects import incoming, something


async def numbers(queue: PostgresQueue, destination: str = "pacs", limit: int = 1000, *, newest: bool = False) -> Any:
    """Claims, and returns the numbers of the objects."""
    leases = await queue.claim(destination, limit, newest=newest)
    return [int(lease.sop_instance_uid.rpartition(".")[2]) for lease in leases]


async def put(queue: PostgresQueue, *objects: Any, data: bytes = b"data set") -> list[int]:
    """Queues objects, one after the other."""
    return [(await queue.enqueue(each, data)).object for each in objects]


async def whole(queue: PostgresQueue, lease: Lease) -> bytes:
    source = queue.source(lease)
    try:
        return b"".join([bytes(chunk) async for chunk in source.chunks(2)])
    finally:
        source.close()


async def test_a_study_stays_together_and_the_newest_may_come_first(shared: Shared) -> None:
    async with shared.node() as queue:
        await put(queue, *[incoming(number, study=number % 3) for number in range(12)])
        assert await numbers(queue, limit=6) == [0, 3, 6, 9, 1, 4]
        assert await numbers(queue, limit=3, newest=True) == [2, 5, 8]
        await put(queue, incoming(99, Delivery("pacs", priority=1)), incoming(98, Delivery("pacs", priority=-1)))
        assert await numbers(queue, newest=True) == [99]
        assert await numbers(queue) == [7, 10, 11, 98]
        assert await numbers(queue) == await numbers(queue, "nobody's") == []


async def test_what_becomes_of_deliveries(shared: Shared) -> None:
    async with shared.node() as queue:
        await put(queue, *map(incoming, range(6)), incoming(6, "pacs", "cloud"))
        delivered, dead, delayed, returned, dropped, spared, both = await queue.claim("pacs", 10)
        queue.delivered(delivered, both)
        queue.failed(dead, "status C000H, \0 and \ud800", None)
        queue.failed(delayed, "no answer", queue.now() - 1)
        queue.failed(spared, "refused", queue.now() + 1000, counts=False)
        queue.give_back(returned)
        queue.dropped(dropped, "dropped by a route")
        await queue.flush()
        assert await queue.counts() == {
            "pacs": {State.DELIVERED: 2, State.DEAD: 1, State.DELAYED: 2, State.WAITING: 1, State.DROPPED: 1},
            "cloud": {State.WAITING: 1},
        }
        # Two are needed no more: with one of them the second destination still waits for the bytes.
        await queue.maintain()
        assert len(shared.objects()) == 5
        again = {lease.sop_instance_uid: lease for lease in await queue.claim("pacs", 10)}
        assert {uid: lease.attempts for uid, lease in again.items()} == {
            delayed.sop_instance_uid: 1,
            returned.sop_instance_uid: 0,
        }
        assert await queue.retry(Selection("pacs")) == 2
        assert {lease.attempts for lease in await queue.claim("pacs", 10)} == {0}
        (way,) = await queue.find(sop_instance_uid=dead.sop_instance_uid)
        assert way.steps[0].reason == "status C000H, \ufffd and ?"
        queue.delivered(*await queue.claim("cloud", 1))
        await queue.flush()
        await queue.maintain()
        assert len(shared.objects()) == 4
        # The same is counted as is there.
        there = await shared.query("SELECT destination, state, count(*) AS n FROM deliveries GROUP BY 1, 2")
        counted = {(name, state): n for name, states in (await queue.counts()).items() for state, n in states.items()}
        assert counted == {(row["destination"], row["state"]): row["n"] for row in there}


async def test_what_people_want(shared: Shared) -> None:
    async with shared.node() as queue:
        await put(queue, *[incoming(number, study=number % 2) for number in range(4)])
        assert await queue.hold(Selection(study_instance_uid="1.2.0")) == 2
        sent, _ = await queue.claim("pacs", 10)
        assert await queue.drop(Selection(object=sent.object, number=0), "not wanted") == 1
        assert await queue.release(Selection()) == 2
        assert await numbers(queue) == [0, 2]
        assert await queue.hold(Selection("pacs")) == 0
        assert queue.on_hold == ["pacs"]
        await put(queue, incoming(9))
        assert await numbers(queue) == []
        assert await queue.release(Selection("pacs")) == 0
        assert (await numbers(queue), queue.on_hold) == ([9], [])
        # What was delivered is, whatever anybody wanted meanwhile.
        queue.delivered(sent)
        await queue.flush()
        assert (await queue.find(sop_instance_uid=sent.sop_instance_uid))[0].steps[0].state is State.DELIVERED


async def test_looking_for_objects(shared: Shared) -> None:
    async with shared.node() as queue:
        await put(queue, *[incoming(n, Delivery("pacs", "ct"), "cloud", study=4, received=12.5) for n in range(5)])
        for wanted in (
            {"sop_instance_uid": "1.2.4.3"},
            {"study_instance_uid": "1.2.4", "limit": 2},
            {"patient_id": "P4"},
        ):
            ways = await queue.find(**wanted)
            assert (ways[0].study_instance_uid, ways[0].patient_id, ways[0].received) == ("1.2.4", "P4", 12.5)
            steps = [(step.destination, step.route, step.state) for step in ways[0].steps]
            assert steps == [("pacs", "ct", State.WAITING), ("cloud", "", State.WAITING)]
        assert await queue.find() == await queue.find(patient_id="P4\0") == []
        first = await queue.pending(Selection("pacs"), limit=3)
        second = await queue.pending(Selection("pacs", study_instance_uid="1.2.4"), first[-1].object, limit=3)
        assert [way.sop_instance_uid[-1] for way in first + second] == list("01234")
        assert await queue.pending(Selection("pacs", State.DEAD)) == []


@pytest.mark.parametrize(
    ("policy", "before", "after"),
    [(Duplicates.FORWARD, False, False), (Duplicates.DROP_WAITING, True, False), (Duplicates.DROP, True, True)],
)
async def test_the_same_object_again(shared: Shared, policy: Duplicates, before: bool, after: bool) -> None:
    """Before it was delivered, together with itself, and after that."""
    async with shared.node(duplicates=policy) as queue:
        await put(queue, incoming(0))
        data = [b"data set", b"changed", b"changed"]
        receipts = await asyncio.gather(*[queue.enqueue(incoming(0), each) for each in data])
        assert sorted(receipt.is_duplicate for receipt in receipts) == sorted([before, False, before])
        queue.delivered(*await queue.claim("pacs", 10))
        await queue.flush()
        assert (await queue.enqueue(incoming(0), b"data set")).is_duplicate is after
        assert not (await queue.enqueue(incoming(0, "pacs", "cloud"), b"changed")).is_duplicate
        assert len(await numbers(queue, "pacs")) == (0 if after else 2)
        await queue.maintain()
        assert len(shared.objects()) == (1 if after else 2)


async def test_the_same_object_many_times_at_once(shared: Shared) -> None:
    """In commits side by side, in which neither finds the other."""
    async with shared.node(duplicates=Duplicates.DROP) as queue:
        for number in range(1, 4):  # the first of these make the connections
            receipts = await asyncio.gather(*[queue.enqueue(incoming(number), b"data set") for _ in range(60)])
            assert [receipt.is_duplicate for receipt in receipts].count(False) == 1


async def test_what_is_late_or_old_goes(shared: Shared) -> None:
    async with shared.node(BARE._replace(history=0.0)) as queue:
        now = queue.now()
        late = incoming(0, Delivery("pacs", expires=now - 1), received=now - 5)
        await put(queue, late, incoming(1, Delivery("pacs", expires=now + 1000), study=2, received=now - 5))
        await queue.maintain()
        assert await queue.counts() == {"pacs": {State.WAITING: 1}}
        assert len(await queue.find(patient_id="P2")) == 1
        assert await queue.find(patient_id="P1") == []
        assert len(shared.objects()) == 1
        assert [row["uid"] for row in await shared.query("SELECT uid FROM studies")] == ["1.2.2"]


async def test_bytes_come_back_as_they_were(shared: Shared) -> None:
    data = random.Random(1).randbytes(9_000_001)
    async with shared.node() as queue:
        await queue.enqueue(incoming(0), memoryview(data))
        await queue.enqueue(incoming(1), b"")
        large, empty = await queue.claim("pacs", 2)
        assert await whole(queue, large) == data
        assert await whole(queue, empty) == b""
        (path,) = [path for path in shared.objects() if path.stat().st_size]
        with path.open("r+b") as file:
            file.seek(8_999_999)
            file.write(b"??")
        with pytest.raises(DamagedRecord):
            await whole(queue, large)
        with pytest.raises(DamagedRecord):
            queue.source(large).encoder("1.2.840.10008.1.2")()
        path.unlink()
        with pytest.raises(DamagedRecord):
            await whole(queue, large)


async def test_what_has_just_come_is_not_read_again(shared: Shared) -> None:
    async with shared.node(BARE._replace(memory=1 << 20)) as queue:
        await queue.enqueue(incoming(0), b"data set")
        shared.objects()[0].unlink()
        (lease,) = await queue.claim("pacs", 1)
        assert queue.source(lease).at_once() == (b"data set",)
        queue.delivered(lease)
        await queue.flush()
        assert queue.source(lease).at_once() is None


async def test_one_that_cannot_be_kept_is_refused_alone(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shared.node() as queue:
        with pytest.raises(ValueError, match="too many"):
            queue.enqueue(incoming(0, peer="x" * 70_000), b"x")
        with pytest.raises(ValueError, match="surrogates"):
            queue.enqueue(incoming(0, peer="\ud800"), b"x")
        huge = incoming(3, Delivery("pacs", priority=1 << 40))
        queued = [queue.enqueue(each, b"x") for each in (incoming(1), huge, incoming(2, peer="a\0b"))]
        outcomes = await asyncio.gather(*queued, return_exceptions=True)
        assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
        assert {lease.peer for lease in await queue.claim("pacs", 3)} == {"192.0.2.1", "a\ufffdb"}
    assert len(shared.objects()) == 2


async def test_nothing_is_taken_when_the_disk_is_full(shared: Shared) -> None:
    free = 50
    watermarks = Watermarks(lambda: Space(free, 1000), refuse=20, resume=40)
    async with shared.node(watermarks=watermarks) as queue:
        assert queue.accepts(30)
        assert not queue.accepts(31)
        assert queue.obstacle == "the queue's disk is nearly full"


async def test_a_claim_that_is_cancelled_leases_nothing(shared: Shared) -> None:
    async with shared.node() as queue:
        await put(queue, incoming(0))
        claiming = asyncio.ensure_future(queue.claim("pacs", 10))
        await asyncio.sleep(0)
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
        await something(queue, "pacs")
        await queue.flush()
        assert await numbers(queue) == [0]


async def test_the_end_and_what_cannot_begin(shared: Shared) -> None:
    async with shared.node() as queue:
        await put(queue, incoming(0))
        assert len(await queue.claim("pacs", 1)) == 1
    with pytest.raises(LocalError, match="closed"):
        queue.enqueue(incoming(1), b"x")
    assert await shared.query("SELECT * FROM nodes") == []
    async with shared.node() as queue:
        assert await numbers(queue) == [0]
    await shared.query("UPDATE version SET number = 99")
    with pytest.raises(WrongVersion, match="another version"):
        async with shared.node():
            pass
    shared.url = "postgresql://nobody@/none?host=/nonexistent"
    with pytest.raises(QueueUnavailable, match="PostgreSQL cannot be used"):
        async with shared.node():
            pass
    shared.folder = shared.folder / "file" / "in"
    (shared.folder.parent).write_bytes(b"")
    with pytest.raises(OSError, match="objects/file"):
        async with shared.node():
            pass
