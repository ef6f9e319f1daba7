"""Several nodes: what each leases, hears and takes over; and a database that goes away and comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from aiodicom.router.forwarded import Forwarding
from aiodicom.router.queue.objects import QueueUnavailable, Selection, State
from aiodicom.router.queue.postgres import nodes, rows
from aiodicom.router.queue.postgres.clock import DatabaseClock
from aiodicom.router.queue.postgres.nodes import NodeEnded
from aiodicom.router.queue.postgres.queue import PostgresQueue
from aiodicom.router.transactions import SharedTransactions
from aiodicom.services.storage_commitment import ReferencedInstance, Transaction
from aiodicom.standard.status import Status
from tests.router.postgres.conftest import BARE, Shared
from tests.router.postgres.server import PostgresServer
from tests.router.postgres.test_queue import numbers, put, whole
from tests.router.queue.objects import incoming, something


def test_the_clock_of_the_database() -> None:
    clock = DatabaseClock(1000.0, 50.0)
    assert clock.now(51.0) == 1001.0
    clock.correct(1002.0, 51.0)
    assert clock.now(51.5) == 1002.5
    clock.correct(900.0, 52.0)  # somebody has set it back
    assert clock.now(60.0) == 1002.5
    assert clock.now(200.0) == 1048.0


async def test_all_that_comes_is_leased_once(shared: Shared) -> None:
    async with shared.node() as first, shared.node() as second, shared.node() as third:
        await asyncio.gather(*[first.enqueue(incoming(n, study=n % 5), b"x") for n in range(200)])
        claimed: list[int] = []

        async def take(queue: PostgresQueue) -> None:
            while leases := await queue.claim("pacs", 7):
                claimed.extend(lease.object for lease in leases)
                queue.delivered(*leases)

        await asyncio.gather(*[take(queue) for queue in (first, second, third) for _ in range(2)])
        for queue in (first, second, third):
            await queue.flush()
        assert len(claimed) == len(set(claimed)) == 200
        assert await third.counts() == {"pacs": {State.DELIVERED: 200}}


async def test_nodes_tell_each_other(shared: Shared) -> None:
    async with shared.node() as first, shared.node() as second:
        assert await numbers(second) == []
        waiting = asyncio.ensure_future(something(second, "pacs"))
        await put(first, incoming(0))
        await waiting
        (lease,) = await second.claim("pacs", 1)
        assert await whole(second, lease) == b"data set"
        # One that is given back, or released, is told of as well.
        await first.hold(Selection("pacs"))
        second.give_back(lease)
        await second.flush()
        await second.maintain()
        assert second.on_hold == ["pacs"]
        assert await numbers(second) == []
        waiting = asyncio.ensure_future(something(second, "pacs"))
        await first.release(Selection("pacs"))
        await waiting
        assert await numbers(second) == [0]
        assert await numbers(first) == []


async def test_who_waits_until_another_node_has_forwarded_an_object(shared: Shared) -> None:
    async with shared.node() as first, shared.node() as second:
        forwarding = Forwarding(first)
        answers: list[asyncio.Future[Status]] = [asyncio.get_running_loop().create_future() for _ in range(2)]
        for number, answer in enumerate(answers):
            one = incoming(number)
            receipt = await first.enqueue(one, b"data set")
            forwarding.wait(receipt.object, one.sop_instance_uid, 1, answer)
        sent, refused = await second.claim("pacs", 2)
        await forwarding.look()
        assert not answers[0].done()
        second.delivered(sent)
        second.failed(refused, "no such SOP class", None)
        await second.flush()
        await forwarding.look()
        assert [await answer for answer in answers] == [Status.SUCCESS, Status.PROCESSING_FAILURE]
        await forwarding.close()


async def die(queue: PostgresQueue) -> None:
    """What is left of a node whose process was killed: nothing but its row and its folder."""
    membership = queue._membership
    assert membership._task is not None
    membership._task.cancel()
    await asyncio.wait((membership._task,))
    await queue._link.close()
    await queue._store.close()
    queue._folder.release()


async def test_a_node_that_dies_gives_its_leases_back(shared: Shared) -> None:
    async with shared.node() as survivor:
        queue = await shared.open()
        await put(queue, incoming(0), incoming(1))
        assert len(await queue.claim("pacs", 2)) == 2
        # It was killed between the store and the database.
        (shared.folder / "2" / "00" / "255").write_bytes(b"of nobody")
        assert await numbers(survivor) == []
        waiting = asyncio.ensure_future(something(survivor, "pacs"))
        await asyncio.sleep(0)
        await die(queue)
        await shared.query("UPDATE nodes SET seen = seen - 1000 WHERE id = 2")
        assert len(await survivor._link.run(nodes.bury, survivor._membership.node)) == 1
        await survivor.maintain()  # which looks at what waits, and at what was left
        await waiting
        leases = await survivor.claim("pacs", 3)
        assert [await whole(survivor, lease) for lease in leases] == [b"data set"] * 2
        assert [path.name for path in shared.objects()] == ["0", "1"]
        assert await shared.query("SELECT * FROM retired") == []


async def test_storage_commitments_of_a_node_that_dies_are_seen_to_by_another(shared: Shared) -> None:
    first, second = [Transaction(uid, "CT1", (ReferencedInstance("1.2", "1.2.3"),)) for uid in ("1.1", "1.2")]
    async with shared.node() as survivor:
        queue = await shared.open()
        transactions, others = SharedTransactions(queue), SharedTransactions(survivor)
        await transactions.keep(first)
        await transactions.keep(second)
        await transactions.keep(second)  # who asks twice with one UID means the same
        await transactions.forget(first)
        # One that was away for a moment, and has another number, keeps its own.
        queue._membership.doubt(queue._membership.node, OSError("by a test"))
        await queue._membership.up()
        assert await others.take() == []
        await die(queue)
        await shared.query(f"UPDATE nodes SET seen = seen - 1000 WHERE id <> {survivor._membership.node}")
        await survivor._link.run(nodes.bury, survivor._membership.node)
        assert await others.take() == [second]
        assert await others.take() == []
        await others.forget(second)
        assert await shared.query("SELECT * FROM transactions") == []
        await shared.query("DELETE FROM nodes")
        with pytest.raises(QueueUnavailable):
            await others.keep(first)


async def test_a_node_that_is_taken_for_dead_begins_anew(shared: Shared, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "aiodicom.router")
    async with shared.node() as first, shared.node() as second:
        await put(first, *map(incoming, range(4)))
        sent, failed, given, _ = await first.claim("pacs", 4)
        before = first._membership.node
        await shared.query(f"UPDATE nodes SET seen = seen - 1000 WHERE id = {before}")
        assert len(await second._link.run(nodes.bury, second._membership.node)) == 1
        # It does not know yet. What it says of its leases is not lost, but for what is no business of its own now.
        assert await numbers(second) == [0, 1, 2, 3]
        first.delivered(sent)
        first.failed(failed, "no answer", None)
        first.give_back(given)
        await first.flush()
        assert first._membership.node > before
        assert await second.counts() == {"pacs": {State.DELIVERED: 1, State.WAITING: 3}}
        assert await numbers(first) == []
        assert "taken this one for dead" in caplog.text
        assert not (await first.enqueue(incoming(9), b"x")).is_duplicate


async def test_what_was_put_under_a_number_that_has_ended(shared: Shared) -> None:
    async with shared.node() as queue:
        await put(queue, incoming(0))
        await shared.query("DELETE FROM nodes")
        with pytest.raises(QueueUnavailable, match="dead"):
            await queue.enqueue(incoming(1), b"x")
        await queue._membership.up()
        assert not (await queue.enqueue(incoming(1), b"x")).is_duplicate
        await queue.maintain()
        assert len(shared.objects()) == 2


async def test_a_commit_of_which_nobody_knows(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to a commit, or to a claim, is lost: neither is left hanging."""
    async with shared.node() as queue:
        insert, claim = rows.insert, rows.claim

        async def lose(*arguments: Any, **options: Any) -> Any:
            await (insert if len(arguments) == 4 and not options else claim)(*arguments, **options)
            await arguments[0].execute("COMMIT")
            raise ConnectionResetError("by a test")

        monkeypatch.setattr(rows, "insert", lose)
        with pytest.raises(QueueUnavailable, match="by a test"):
            await queue.enqueue(incoming(0), b"data set")
        assert not queue.accepts()
        assert queue.obstacle == "PostgreSQL cannot be used: by a test"
        await queue._membership.up()
        monkeypatch.setattr(rows, "insert", insert)
        # The sender sends it again, and it is known.
        assert (await queue.enqueue(incoming(0), b"data set")).is_duplicate
        monkeypatch.setattr(rows, "claim", lose)
        assert await numbers(queue) == []
        monkeypatch.setattr(rows, "claim", claim)
        await queue._membership.up()
        await something(queue, "pacs")
        (lease,) = await queue.claim("pacs", 1)
        await queue.maintain()
        assert await whole(queue, lease) == b"data set"


async def test_nothing_of_a_node_that_has_ended_is_committed(shared: Shared) -> None:
    async with shared.node() as queue:
        for work, arguments in (
            (rows.claim, (99, "pacs", 1)),
            (rows.settle, (99, [], [], [])),
            (nodes.see, (99,)),
        ):
            options = {"newest": False} if work is rows.claim else {}
            with pytest.raises(NodeEnded):
                await queue._link.run(work, *arguments, **options)


@pytest.mark.leaves_open  # another process of the server, which the fixture ends
async def test_the_database_goes_away_and_comes_back(shared: Shared, postgres: PostgresServer) -> None:
    async with shared.node(BARE._replace(interval=0.01)) as queue, shared.node() as other:
        await put(queue, *map(incoming, range(3)))
        sent, failed, _ = await queue.claim("pacs", 3)
        await put(queue, incoming(3, "cloud"))  # which is on the disk, and so is what was claimed before
        with restarted(postgres):
            queue.delivered(sent)
            queue.failed(failed, "no answer", None)
            with pytest.raises(QueueUnavailable):
                await queue.counts()
            with pytest.raises(QueueUnavailable):
                await queue.enqueue(incoming(7), b"x")
            assert not queue.accepts()
            assert await numbers(queue) == []
        await queue.flush()
        assert queue.accepts()
        assert (await queue.counts())["pacs"] == {State.DELIVERED: 1, State.DEAD: 1, State.WAITING: 1}
        await put(queue, incoming(8))
        # As who delivers does: what was told while nobody listened is found by looking.
        while not (found := await numbers(other)):
            await something(other, "pacs")
        assert found == [8]  # the third is still with the first node


class restarted(ExitStack):
    """While a database is killed."""

    def __init__(self, postgres: PostgresServer) -> None:
        super().__init__()
        postgres.kill()
        self.callback(postgres.start)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Warnings that the tests are about."""
    logger = logging.getLogger("asyncio")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)
