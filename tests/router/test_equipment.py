"""Storage commitment, what is passed through, and parts of the queue that nobody has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.errors import StatusError
from aiodicom.router.control import Meant
from aiodicom.router.queue.local import LocalQueue
from aiodicom.router.queue.objects import Delivery
from aiodicom.router.transactions import FolderTransactions
from aiodicom.services.storage_commitment import (
    CommitmentListener,
    FailureReason,
    ReferencedInstance,
    StorageCommitment,
    Transaction,
    request_commitment,
)
from aiodicom.standard.uids import MODALITY_PERFORMED_PROCEDURE_STEP, STORAGE_COMMITMENT_PUSH_MODEL
from tests.router.queue.objects import incoming
from tests.router.running import CT, HEAD, Archive, Changes, destination, image, routing, soon, store, uid_of, write

ROUTE = '---\n[[routes]]\nto = ["pacs"]\n'


async def asked(port: int, *uids: str) -> dict[str, int]:
    """Asks a router to commit; returns the reasons of what it does not commit to."""
    listener = CommitmentListener()
    async with aiodicom.connect(
        "127.0.0.1", port, calling_aet="CT1", called_aet="ROUTER",
        contexts=[STORAGE_COMMITMENT_PUSH_MODEL], handlers=listener.handlers,
    ) as association:  # fmt: skip
        commitment = await request_commitment(
            association, [ReferencedInstance(CT, uid) for uid in uids], listener, timeout=10
        )
    return {each.sop_instance_uid: each.reason for each in commitment.failed}


async def test_commitment_to_what_is_queued(tmp_path: Path) -> None:
    async with Archive() as pacs, routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE)) as running:
        await running.control.hold(Meant(destination="pacs"))
        await store(running.port, [image(1)])
        refused = {uid_of(2): FailureReason.NO_SUCH_OBJECT_INSTANCE}
        assert await asked(running.port, uid_of(1), uid_of(2)) == refused


async def test_commitment_to_what_is_in_another_part_of_the_queue(tmp_path: Path) -> None:
    other = await LocalQueue.open(tmp_path / "queue" / "shard-007")
    one = incoming(1, Delivery("pacs", "route 1"))
    await other.enqueue(one, b"data")
    async with Archive() as pacs, routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE)) as running:
        assert await asked(running.port, one.sop_instance_uid) == {}
    await other.close()


async def test_commitment_to_what_is_delivered_also_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiodicom.router.commitment._LOOK", 0.01)
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def hear(commitment: Any) -> None:
        told.set_result(commitment)

    async with Archive() as pacs:
        CommitmentListener(unexpected=hear).attach(pacs.server)
        head = HEAD.replace("[queue]", '[queue]\ncommitment = "delivered"')
        path = write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)
        async with routing(path) as running:
            await running.control.hold(Meant(destination="pacs"))
            await store(running.port, [image(1)])
            commitments = running.router.equipment._commitments
            assert commitments is not None
            await commitments.begin(Transaction("1.2.3.4.5", "PACS", (ReferencedInstance(CT, uid_of(1)),)))
            await commitments.begin(Transaction("1.2.3.4.6", "GONE", (ReferencedInstance(CT, uid_of(1)),)))
        async with routing(path) as running:
            await running.control.release(Meant(destination="pacs"))
            async with asyncio.timeout(10):
                commitment = await told
            assert (commitment.transaction_uid, commitment.failed) == ("1.2.3.4.5", ())
            assert pacs.uids == [uid_of(1)]
            assert await asked(running.port, uid_of(1)) == {}


class Committing(Changes):
    """What a destination commits to: nothing the first time, and whatever it is once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions: list[Transaction] = []
        self.may_end = asyncio.Event()

    async def begin(self, transaction: Transaction) -> None:
        self.transactions.append(transaction)
        self.tell()

    async def verify(self, transaction: Transaction) -> dict[str, int]:
        await self.may_end.wait()
        if len(self.transactions) > 1:
            return {}
        return {each.sop_instance_uid: FailureReason.PROCESSING_FAILURE for each in transaction.instances}

    async def end(self, transaction: Transaction) -> None:
        self.tell()


async def test_commitment_that_is_required_of_a_destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiodicom.router.senders.committing._GATHERING", 0.01)
    committing = Committing()
    async with Archive() as pacs:
        service = StorageCommitment(committing)
        service.attach(pacs.server)
        text = destination("pacs", pacs.port, "commitment = {}") + ROUTE
        async with routing(write(tmp_path, text)) as running:
            await store(running.port, [image(1)])
            # The destination has it, and has been asked: until it has answered, the queue keeps the object.
            await committing.until(lambda: committing.transactions)
            assert pacs.uids == [uid_of(1)]
            assert await running.steps(uid_of(1)) == {"pacs": ("waiting", "")}
            committing.may_end.set()
            await running.watch.saw("failed", uid_of(1), "pacs", "not committed to: 0110H")
            await running.watch.saw("delivered", uid_of(1), "pacs")
            assert pacs.uids == [uid_of(1), uid_of(1)]
        await service.close()


async def test_queries_and_steps_are_passed_through_and_go_on_at_reload(tmp_path: Path, port: int) -> None:
    steps: list[str] = []

    def answering(archive: Archive, name: str) -> None:
        @archive.server.on_c_find
        async def find(request: aiodicom.FindRequest) -> AsyncIterator[Dataset]:
            yield Dataset(PatientID=name, QueryRetrieveLevel="STUDY")

        @archive.server.on_n_create
        async def create(request: aiodicom.NCreateRequest) -> None:
            steps.append(name)

    async with Archive() as pacs, Archive() as other:
        answering(pacs, "PACS")
        answering(other, "OTHER")
        passing = '[pass_through]\nqueries = "pacs"\nmpps = "pacs"\n'
        head = HEAD.replace("port = 0", f"port = {port}") + passing
        async with routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE, head)) as running:
            contexts = [aiodicom.StudyRoot.find, MODALITY_PERFORMED_PROCEDURE_STEP]
            async with aiodicom.connect("127.0.0.1", port, contexts=contexts, called_aet="ROUTER") as association:
                query = Dataset(QueryRetrieveLevel="STUDY", PatientID="")
                assert [match.PatientID async for match in association.c_find(query)] == ["PACS"]
                await association.n_create(MODALITY_PERFORMED_PROCEDURE_STEP, Dataset(Modality="CT"), "1.2.3")
                write(tmp_path, destination("pacs", other.port) + ROUTE, head)
                assert await running.router.reload() == ("destinations.pacs.port",)
                assert [match.PatientID async for match in association.c_find(query)] == ["OTHER"]
                write(tmp_path, destination("pacs", other.port) + ROUTE, head.replace('queries = "pacs"\n', ""))
                assert await running.router.reload() == ("pass_through.queries",)
                with pytest.raises(StatusError, match="0122H"):
                    _ = [match async for match in association.c_find(query)]
    assert steps == ["PACS"]


async def test_a_part_of_the_queue_that_nobody_has_is_delivered_from(tmp_path: Path) -> None:
    left = await LocalQueue.open(tmp_path / "queue" / "shard-005")
    await left.enqueue(incoming(1, Delivery("pacs", "route 1")), image(1).to_bytes())
    await left.enqueue(incoming(2, Delivery("pacs", "gone", group="1.2.1")), image(2).to_bytes())
    await left.enqueue(incoming(3, Delivery("held", "route 1")), image(3).to_bytes())
    await left.close()
    async with Archive() as pacs:
        text = destination("pacs", pacs.port) + destination("held", pacs.port, "hold = true") + ROUTE
        async with routing(write(tmp_path, text)) as running:
            await running.router._adoption.look()
            await pacs.got("1.2.1.1")
            await running.watch.saw("dead", "1.2.1.2")  # its study is complete, as its route is gone
            counts = {each.name: each for each in (await running.control.status()).destinations}
            assert (counts["pacs"].dead, counts["held"].waiting) == (1, 1)
            (way,) = await running.control.search("1.2.1.3")
            assert way.object.startswith("shard-005/")
            assert await running.control.drop(Meant(object=way.object)) == 1
            assert await running.control.drop(Meant(state="dead")) == 1
            await running.router._adoption.look()
            assert running.router.adopted == []


async def test_commitments_that_a_dead_process_has_left_are_answered_by_another(tmp_path: Path) -> None:
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def hear(commitment: Any) -> None:
        told.set_result(commitment)

    # Nothing else is in that part of the queue: all has been delivered.
    await (await LocalQueue.open(tmp_path / "queue" / "shard-005")).close()
    left = FolderTransactions(str(tmp_path / "queue" / "shard-005"))
    await left.keep(Transaction("1.2.3.4.5", "PACS", (ReferencedInstance(CT, "1.2.3"),)))
    left.close()
    async with Archive() as pacs:
        CommitmentListener(unexpected=hear).attach(pacs.server)
        async with routing(write(tmp_path, destination("pacs", pacs.port) + ROUTE)) as running:
            await running.router._adoption.look()
            async with asyncio.timeout(10):
                commitment = await told
            await soon(lambda: not list(tmp_path.rglob("1.2.3.4.5*")))
    assert commitment.transaction_uid == "1.2.3.4.5"
    assert [each.reason for each in commitment.failed] == [FailureReason.NO_SUCH_OBJECT_INSTANCE]
