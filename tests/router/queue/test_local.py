"""The queue behind an event loop."""

from __future__ import annotations

import asyncio
import errno
import gc
import sqlite3
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest

from aiodicom.errors import LocalError
from aiodicom.router.queue import writing
from aiodicom.router.queue.local import LocalQueue, QueueFull, QueueSettings
from aiodicom.router.queue.objects import Delivery, Receipt, Selection, State
from aiodicom.router.queue.ownership import ShardInUse, shard_path
from aiodicom.router.queue.sharding import adopt, open_first_free
from aiodicom.router.queue.space import Space, Watermarks
from aiodicom.store.records import DamagedRecord
from tests.leaks import no_garbage
from tests.router.queue.objects import incoming, something
from tests.store.held import HeldWriters, failing_appends, holding

#: No maintenance but when it is asked for; nothing kept in memory.
BARE = QueueSettings(memory=0, history=1e18, interval=0)


@asynccontextmanager
async def opened(path: Path, settings: QueueSettings = BARE, **options: Any) -> AsyncIterator[LocalQueue]:
    queue = await LocalQueue.open(path / "shard", settings, **options)
    try:
        yield queue
    finally:
        await queue.close()


async def whole(queue: LocalQueue, lease: Any) -> bytes:
    """What a delivery sends."""
    source = queue.source(lease)
    try:
        return b"".join([bytes(chunk) async for chunk in source.chunks(1024)])
    finally:
        source.close()


async def test_in_and_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        receipts = await asyncio.gather(*[queue.enqueue(incoming(n), b"data %d" % n) for n in range(50)])
        assert len({receipt.object for receipt in receipts}) == 50
        leases = await queue.claim("pacs", 100)
        assert [await whole(queue, lease) for lease in leases] == [b"data %d" % n for n in range(50)]
        queue.delivered(*leases)
        await queue.flush()
        assert await queue.counts() == {"pacs": {State.DELIVERED: 50}}


def held(monkeypatch: pytest.MonkeyPatch) -> list[HeldWriters]:
    """Has queues that are opened from now on wait for the test to write."""
    return holding(monkeypatch, writing)


async def test_nobody_hears_of_success_before_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = held(monkeypatch)
    async with opened(tmp_path) as queue:
        (disk,) = made
        first = queue.enqueue(incoming(0), b"x")
        await disk.has(1)
        second = queue.enqueue(incoming(1), b"x")
        await disk.has(2)
        # What comes while two groups are on their way is written together.
        others = [queue.enqueue(incoming(n), b"x") for n in range(2, 20)]
        assert await queue.claim("pacs", 10) == []
        assert not first.done()
        disk.let()
        await asyncio.gather(first, second)
        await disk.has(1)
        assert not any(other.done() for other in others)
        disk.let()
        await asyncio.gather(*others)
        assert len(await queue.claim("pacs", 100)) == 20


async def test_what_is_on_the_disk_first_is_told_of_in_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = held(monkeypatch)
    async with opened(tmp_path) as queue:
        (disk,) = made
        first = queue.enqueue(incoming(0), b"x")
        await disk.has(1)
        second = queue.enqueue(incoming(1), b"x")
        await disk.has(2)
        late = disk.given.popleft()
        disk.let()
        assert await queue.claim("pacs", 10) == []
        assert not second.done()
        disk.given.append(late)
        disk.let()
        receipts = await asyncio.gather(first, second)
        assert receipts[0].object < receipts[1].object


async def test_nothing_holds_an_object_when_it_is_queued(tmp_path: Path) -> None:
    # Memory that waits for the garbage collector is missing to what comes next: after 1,000 objects that went to files.
    async with opened(tmp_path) as queue:
        data = numpy.zeros(1 << 18, numpy.uint8)
        gone = weakref.ref(data)
        gc.disable()
        try:
            await queue.enqueue(incoming(0), memoryview(data))
            del data
            await queue.flush()
            assert gone() is None
        finally:
            gc.enable()


async def why_not(queued: asyncio.Future[Receipt]) -> str:
    """Why an object is not queued. (`pytest.raises` would empty the frames that an error leads to.)"""
    try:
        await queued
    except (OSError, sqlite3.Error) as error:
        return str(error)
    return ""


async def test_nothing_holds_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 600
    marks = Watermarks(lambda: Space(free, 1000), refuse=500, resume=700)
    async with opened(tmp_path, watermarks=marks) as queue:
        with no_garbage():
            assert "nearly full" in await why_not(queue.enqueue(incoming(0), bytes(200)))
        free = 800
        with no_garbage(), monkeypatch.context() as patched:
            failing_appends(patched)
            assert "Input/output error" in await why_not(queue.enqueue(incoming(1), b"x"))
        rows = queue._shard.rows.connection
        rows.execute("CREATE TEMP TRIGGER full BEFORE INSERT ON objects BEGIN SELECT RAISE(ABORT, 'no'); END")
        with no_garbage():
            assert await why_not(queue.enqueue(incoming(2), b"x")) == "no"
        rows.execute("DROP TRIGGER full")


async def had_turns() -> None:
    """Returns when whatever is tried over and over by another thread has been, some times."""
    for _ in range(20):
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)


async def test_a_segment_that_cannot_be_made_is_tried_again_with_what_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    def fail() -> None:
        nonlocal tried
        tried += 1
        raise OSError(errno.ENOSPC, "No space left on device")

    async with opened(tmp_path, segment_size=1 << 16) as queue:
        await queue.enqueue(incoming(0), b"x")
        with monkeypatch.context() as patched:
            patched.setattr(queue._shard, "make_next", fail)
            await queue.enqueue(incoming(1), bytes(1 << 15))  # half of the segment: time for the next one
            await had_turns()
            assert 1 <= tried <= 2
            await queue.enqueue(incoming(2), bytes(1 << 15))
            await had_turns()
            assert tried <= 4
            with pytest.raises(OSError, match="No space left"):
                await queue.enqueue(incoming(3), b"x")
            await had_turns()
            assert tried <= 6
        await queue.enqueue(incoming(4), b"x")
        assert len(await queue.claim("pacs", 10)) == 4


async def test_a_large_group_has_the_disk_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = held(monkeypatch)
    async with opened(tmp_path) as queue:
        (disk,) = made
        first = queue.enqueue(incoming(0), bytes(1 << 18))
        await disk.has(1)
        second = queue.enqueue(incoming(1), b"x")
        assert await queue.claim("pacs", 10) == []
        assert len(disk.given) == 1
        disk.let()
        await first
        await disk.has(1)
        disk.let()
        await second


async def test_what_is_cancelled_is_queued_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = held(monkeypatch)
    async with opened(tmp_path) as queue:
        (disk,) = made
        first = queue.enqueue(incoming(0), b"x")
        first.cancel()
        await disk.has(1)
        disk.let()
        await something(queue, "pacs")
        assert len(await queue.claim("pacs", 10)) == 1


async def test_a_claim_that_is_cancelled_leases_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await queue.enqueue(incoming(0), b"x")
        claiming = asyncio.ensure_future(queue.claim("pacs", 10))
        await asyncio.sleep(0)
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
        leases: list[Any] = []
        while not leases:
            await something(queue, "pacs")
            leases = await queue.claim("pacs", 10)
        assert len(leases) == 1


async def test_waiting_ends_with_what_comes(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        assert await queue.claim("pacs", 1) == []
        waiting = asyncio.ensure_future(something(queue, "pacs"))
        elsewhere = asyncio.ensure_future(something(queue, "cloud"))
        await queue.enqueue(incoming(0), b"x")
        await waiting
        assert not elsewhere.done()
        elsewhere.cancel()


async def test_what_comes_for_those_who_wait_is_leased_as_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as queue:
        assert await queue.claim("pacs", 5) == []
        waiting = asyncio.ensure_future(something(queue, "pacs"))
        await asyncio.sleep(0)
        await asyncio.gather(*[queue.enqueue(incoming(n, "pacs", "other"), b"data") for n in range(3)])
        await waiting
        with monkeypatch.context() as patch:
            # Nobody need be asked any more.
            patch.setattr(queue, "_in_rows", None)
            first = await queue.claim("pacs", 2)
            second = await queue.claim("pacs", 2)
        assert [lease.sop_instance_uid for lease in first + second] == [incoming(n).sop_instance_uid for n in range(3)]
        assert await queue.claim("pacs", 2) == []
        assert len(await queue.claim("other", 5)) == 3


async def test_nothing_is_leased_for_those_who_are_held(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await queue.hold(Selection("held"))
        held = asyncio.ensure_future(something(queue, "held"))
        await asyncio.sleep(0)
        await queue.enqueue(incoming(1, "pacs", "held"), b"data")
        await held
        assert await queue.claim("held", 5) == []
        assert len(await queue.claim("pacs", 5)) == 1


async def test_what_was_settled_is_known_to_whoever_asks(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await asyncio.gather(*[queue.enqueue(incoming(n), b"data") for n in range(2)])
        leases = await queue.claim("pacs", 2)
        queue.delivered(leases[0])
        queue.failed(leases[1], "refused", None)
        assert await queue.counts() == {"pacs": {State.DELIVERED: 1, State.DEAD: 1}}


async def test_a_group_that_fails_is_refused_and_the_next_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as queue:
        with monkeypatch.context() as patched:
            failing_appends(patched)
            with pytest.raises(OSError, match="Input/output error"):
                await queue.enqueue(incoming(0), b"x")
        await queue.enqueue(incoming(1), b"y")
        (lease,) = await queue.claim("pacs", 10)
        assert await whole(queue, lease) == b"y"


async def test_a_commit_that_fails_is_no_success(tmp_path: Path) -> None:
    queue = await LocalQueue.open(tmp_path / "shard", BARE)
    rows = queue._shard.rows
    rows.connection.execute("CREATE TEMP TRIGGER full BEFORE INSERT ON objects BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(Exception, match="no"):
        await queue.enqueue(incoming(0), b"x")
    rows.connection.execute("DROP TRIGGER full")
    await queue.enqueue(incoming(1), b"x")
    assert len(await queue.claim("pacs", 10)) == 1
    await queue.close()


async def test_a_settlement_that_fails_is_a_delivery_made_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await queue.enqueue(incoming(0), b"x")
        leases = await queue.claim("pacs", 10)
        connection = queue._shard.rows.connection
        connection.execute("CREATE TEMP TRIGGER no BEFORE UPDATE ON deliveries BEGIN SELECT RAISE(ABORT, 'no'); END")
        queue.delivered(*leases)
        await something(queue, "pacs")
        connection.execute("DROP TRIGGER no")
        assert [lease.object for lease in await queue.claim("pacs", 10)] == [leases[0].object]


async def test_a_disk_that_is_full_of_what_was_delivered_gets_free(tmp_path: Path) -> None:
    """The segment that is written to is in nobody's way, but for a disk to which nothing is written any more."""
    free = 600_000
    marks = Watermarks(lambda: Space(free, 1_000_000), refuse=500_000, resume=800_000)
    async with opened(tmp_path, watermarks=marks) as queue:
        await asyncio.gather(*(queue.enqueue(incoming(n), bytes(9000)) for n in range(10)))
        held, *leases = await queue.claim("pacs", 10)
        queue.delivered(*leases)
        queue.failed(held, "not accepted", None)
        await queue.flush()
        (segment,) = (tmp_path / "shard" / "segments").iterdir()
        await queue.maintain()
        assert segment.exists()
        free = 400_000
        assert not queue.accepts()
        for _ in range(2):  # what it holds is copied, and then it is removed
            await queue.maintain()
        assert not segment.exists()
        (smaller,) = (tmp_path / "shard" / "segments").iterdir()
        assert smaller.stat().st_size < 20_000
        assert await queue.retry(Selection("pacs")) == 1
        (lease,) = await queue.claim("pacs", 10)
        assert await whole(queue, lease) == bytes(9000)
        queue.delivered(lease)
        await queue.flush()
        await queue.maintain()
        assert not smaller.exists()
        free = 900_000
        await queue.enqueue(incoming(11), b"x")


async def test_a_disk_that_is_nearly_full(tmp_path: Path) -> None:
    free = 1000
    marks = Watermarks(lambda: Space(free, 1000), refuse=500, resume=800)
    async with opened(tmp_path, watermarks=marks) as queue:
        assert queue.accepts(500)
        await queue.enqueue(incoming(0), b"x")
        free = 400
        assert not queue.accepts()
        with pytest.raises(QueueFull) as raised:
            await queue.enqueue(incoming(1), b"x")
        assert raised.value.errno == errno.ENOSPC  # the engine answers A700H
        free = 700
        assert not queue.accepts()
        free = 900
        assert queue.accepts()
        await queue.enqueue(incoming(2), b"x")
        # Deliveries went on.
        assert len(await queue.claim("pacs", 10)) == 2


@pytest.mark.parametrize("memory", [0, 1 << 20])
@pytest.mark.parametrize("size", [0, 1, 9000, 70_000, (1 << 20) + 5])
async def test_what_is_sent_is_what_was_received(tmp_path: Path, memory: int, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    async with opened(tmp_path, BARE._replace(memory=memory)) as queue:
        await queue.enqueue(incoming(0), data)
        (lease,) = await queue.claim("pacs", 1)
        source = queue.source(lease)
        assert (source.size, source.sop_instance_uid) == (size, "1.2.1.0")
        found = source.at_once()
        if found is not None:
            assert b"".join(found) == data
        source.close()
        assert await whole(queue, lease) == data


@pytest.mark.parametrize("size", [9000, 3 << 20])
async def test_damaged_bytes_never_arrive_as_a_whole(tmp_path: Path, size: int) -> None:
    async with opened(tmp_path) as queue:
        await queue.enqueue(incoming(0), bytes(size))
        (lease,) = await queue.claim("pacs", 1)
        (path,) = (tmp_path / "shard" / "segments").iterdir()
        with path.open("r+b") as file:
            file.seek(lease.place.offset + size // 2)
            file.write(b"damage")
        source = queue.source(lease)
        given: list[int] = []

        async def send() -> None:
            given.extend([len(chunk) async for chunk in source.chunks(1024)])

        with pytest.raises(DamagedRecord, match="damaged"):
            await send()
        assert sum(given) < size
        with pytest.raises(DamagedRecord):
            source.encoder("1.2.840.10008.1.2")()
        source.close()


async def test_people_hold_release_retry_and_drop(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        await asyncio.gather(*[queue.enqueue(incoming(n, study=n % 2), b"x") for n in range(4)])
        await queue.hold(Selection("pacs"))
        assert queue.on_hold == ["pacs"]
        assert await queue.claim("pacs", 10) == []
        await queue.release(Selection("pacs"))
        assert await queue.hold(Selection("pacs", study_instance_uid="1.2.0")) == 2
        leases = await queue.claim("pacs", 10)
        assert [lease.study for lease in leases] == [leases[0].study] * 2
        assert await queue.release(Selection("pacs")) == 2
        queue.failed(leases[0], "bad", None)
        queue.failed(leases[1], "later", queue.now() + 60)
        await queue.flush()
        assert (await queue.counts())["pacs"] == {State.WAITING: 2, State.DELAYED: 1, State.DEAD: 1}
        (way,) = await queue.pending(Selection("pacs", State.DEAD))
        assert (await queue.find(sop_instance_uid=way.sop_instance_uid))[0] == way
        assert await queue.retry(Selection("pacs")) == 2
        assert await queue.drop(Selection("pacs")) == 4
        assert await queue.counts() == {"pacs": {State.DROPPED: 4}}


async def test_maintenance(tmp_path: Path) -> None:
    wall = monotonic = 1000.0
    queue = await LocalQueue.open(tmp_path / "shard", BARE, segment_size=1)
    queue._clocks = lambda: (wall, monotonic)
    start = queue.now()
    for number, expires in enumerate([None, start + 50.0, None]):
        await queue.enqueue(incoming(number, Delivery("pacs", expires=expires), received=start), b"x")
    leases = await queue.claim("pacs", 3)
    queue.failed(leases[0], "later", start + 20.0)
    queue.give_back(*leases[1:])
    await queue.flush()
    wall, monotonic = wall + 30, monotonic + 30
    waiting = asyncio.ensure_future(something(queue, "pacs"))
    await queue.maintain()
    await waiting
    leases = await queue.claim("pacs", 3)
    assert len(leases) == 3
    queue.delivered(leases[0])
    queue.give_back(*leases[1:])
    wall, monotonic = wall + 30, monotonic + 30
    await queue.maintain()
    assert (await queue.counts())["pacs"] == {State.DELIVERED: 1, State.EXPIRED: 1, State.WAITING: 1}
    assert min(queue._shard.log.segments) == 3
    # A jump of the time of day is none of the queue's.
    wall, monotonic = wall + 1e9, monotonic + 1
    assert queue.now() == start + 61
    await queue.close()


async def test_maintenance_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path, BARE._replace(interval=0.001)) as queue:
        rounds = 0
        done = asyncio.Event()

        async def maintain() -> None:
            nonlocal rounds
            rounds += 1
            if rounds == 3:
                done.set()
            raise OSError("one round that fails ends nothing")

        monkeypatch.setattr(queue, "maintain", maintain)
        await done.wait()


async def test_what_holds_little_is_copied_together(tmp_path: Path) -> None:
    async with opened(tmp_path, segment_size=1) as queue:
        for group in range(3):
            await asyncio.gather(*[queue.enqueue(incoming(10 * group + n), bytes(5000)) for n in range(10)])
        leases = await queue.claim("pacs", 100)
        kept = [lease for lease in leases if lease.object % 10 == 0]
        queue.delivered(*[lease for lease in leases if lease not in kept])
        queue.give_back(*kept)
        await queue.maintain()
        await queue.maintain()
        assert len(await queue.claim("pacs", 100)) == len(kept)


async def test_meta_that_nobody_could_keep_is_refused_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        with pytest.raises(ValueError, match="too many"):
            queue.enqueue(incoming(0, peer="x" * 70_000), b"x")
        with pytest.raises(ValueError, match="surrogates"):
            queue.enqueue(incoming(0, peer="\ud800"), b"x")
        await queue.enqueue(incoming(1), b"x")


async def test_after_its_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        last = queue.enqueue(incoming(0), b"x")
    assert not (await last).is_duplicate
    with pytest.raises(LocalError, match="closed"):
        queue.enqueue(incoming(0), b"x")
    with pytest.raises(LocalError, match="closed"):
        await queue.counts()


async def test_a_shard_has_one_owner_and_the_next_one_goes_on(tmp_path: Path) -> None:
    first = await open_first_free(tmp_path, settings=BARE)
    second = await open_first_free(tmp_path, settings=BARE)
    with pytest.raises(ShardInUse, match="another process has the queue"):
        await LocalQueue.open(shard_path(tmp_path, 0), BARE)
    await first.enqueue(incoming(0), b"x")
    assert len(await first.claim("pacs", 1)) == 1
    assert await adopt(tmp_path, settings=BARE) == []
    await first.close()  # or its process dies
    (adopted,) = await adopt(tmp_path, settings=BARE)
    (lease,) = await adopted.claim("pacs", 1)
    assert await whole(adopted, lease) == b"x"
    await adopted.close()
    third = await open_first_free(tmp_path, settings=BARE)
    assert len(await third.claim("pacs", 1)) == 1
    await third.close()
    await second.close()


async def test_a_segment_that_cannot_be_emptied_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path, segment_size=1) as queue:
        for group in range(2):
            await asyncio.gather(*[queue.enqueue(incoming(10 * group + n), bytes(5000)) for n in range(10)])
        leases = await queue.claim("pacs", 9)
        queue.delivered(*leases)
        tries: list[int] = []

        def fail(segment: int, *_: object) -> None:
            tries.append(segment)
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(queue._shard, "read", fail)
        for _ in range(3):
            await queue.maintain()
        assert len(tries) == 1
        assert "cannot be emptied" in caplog.text
        assert len(await queue.claim("pacs", 100)) == 11
