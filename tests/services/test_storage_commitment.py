"""Storage commitment (PS3.4 annex J), both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import pytest

import aiodicom
from aiodicom import Dataset
from aiodicom.errors import DeadlineExceeded, LocalError, OperationRefused, StatusError
from aiodicom.net.suboperations import Destination
from aiodicom.services.storage_commitment import (
    Commitment,
    CommitmentListener,
    FailedInstance,
    FailureReason,
    ReferencedInstance,
    StorageCommitment,
    Transaction,
    request_commitment,
)
from aiodicom.standard.status import Status
from aiodicom.standard.uids import STORAGE_COMMITMENT_PUSH_MODEL
from tests.net.hostile import proposal, requestor, status_of
from tests.net.sides import until
from tests.rawpeer import IMPLICIT, P_DATA_TF, item, p_data, ui, us
from tests.services.sides import hearing, served

CT = "1.2.840.10008.5.1.4.1.1.2"
WELL_KNOWN = "1.2.840.10008.1.20.1.1"
INSTANCES = [(CT, "1.2.1"), (CT, "1.2.2"), (CT, "1.2.3")]


class Shelf:
    """An archive that has some instances, and remembers what happens."""

    def __init__(self, *stored: str) -> None:
        self.stored = set(stored)
        self.open: dict[str, Transaction] = {}
        self.ended: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def begin(self, transaction: Transaction) -> None:
        if transaction.transaction_uid in self.open:
            raise OperationRefused(Status.DUPLICATE_INVOCATION)
        self.open[transaction.transaction_uid] = transaction

    async def verify(self, transaction: Transaction) -> Mapping[str, int]:
        await self.gate.wait()
        missing = [each for each in transaction.instances if each.sop_instance_uid not in self.stored]
        return {each.sop_instance_uid: FailureReason.NO_SUCH_OBJECT_INSTANCE for each in missing}

    async def end(self, transaction: Transaction) -> None:
        del self.open[transaction.transaction_uid]
        self.ended.append(transaction.transaction_uid)


def asked(service: StorageCommitment, listener: CommitmentListener | None = None, **options: Any) -> Any:
    handlers = {} if listener is None else {"handlers": listener.handlers}
    return served(service, contexts=[STORAGE_COMMITMENT_PUSH_MODEL], **handlers, **options)


async def test_on_the_same_association() -> None:
    shelf, listener = Shelf("1.2.1", "1.2.2", "1.2.3"), CommitmentListener()
    async with asked(StorageCommitment(shelf), listener) as (_, association):
        commitment = await request_commitment(association, INSTANCES, listener, transaction_uid="1.2.9")
        await until(lambda: shelf.ended)
    assert commitment == Commitment("1.2.9", tuple(ReferencedInstance(*each) for each in INSTANCES), ())
    assert commitment.is_complete
    assert shelf.ended == ["1.2.9"]


async def test_failures_have_reasons() -> None:
    shelf, listener = Shelf("1.2.1"), CommitmentListener()
    instances = [ReferencedInstance(CT, "1.2.1"), Dataset(SOPClassUID=CT, SOPInstanceUID="1.2.2")]
    async with asked(StorageCommitment(shelf), listener) as (_, association):
        commitment = await request_commitment(association, instances, listener)
        await until(lambda: shelf.ended)
    assert commitment.committed == (ReferencedInstance(CT, "1.2.1"),)
    assert commitment.failed == (FailedInstance(CT, "1.2.2", FailureReason.NO_SUCH_OBJECT_INSTANCE),)
    assert commitment.failed[0].reason.name == "NO_SUCH_OBJECT_INSTANCE"  # type: ignore[attr-defined]
    assert not commitment.is_complete


async def test_on_an_association_that_the_scp_opens() -> None:
    shelf, listener = Shelf("1.2.1", "1.2.2", "1.2.3"), CommitmentListener()
    ours = aiodicom.Server(ae_title="SCU")
    listener.attach(ours)
    async with ours.listen("127.0.0.1", 0) as listening:
        shelf.gate.clear()
        service = StorageCommitment(shelf)
        async with asked(service, destinations={"SCU": Destination("127.0.0.1", listening.port)}) as (_, association):
            task = asyncio.create_task(request_commitment(association, INSTANCES, listener))
            await until(lambda: shelf.open)
            await association.release()
            shelf.gate.set()
            commitment = await task
            await until(lambda: shelf.ended)
    assert len(commitment.committed) == 3


@pytest.mark.parametrize("is_scp", [False, True])
async def test_a_report_on_an_association_of_an_scp_that_proposes_no_role(is_scp: bool) -> None:
    """Many do not; the server may be an SCP of the SOP class itself."""
    heard: list[Commitment] = []
    ours = aiodicom.Server(ae_title="SCU")
    CommitmentListener(unexpected=heard.append).attach(ours)
    if is_scp:
        StorageCommitment(Shelf()).attach(ours)
    report = Dataset(TransactionUID="1.2.9", ReferencedSOPSequence=[Dataset(ReferencedSOPInstanceUID="1.2.1")])
    command = {
        0x0002: ui(STORAGE_COMMITMENT_PUSH_MODEL),
        0x0100: us(0x0100),
        0x0110: us(1),
        0x0800: us(1),
        0x1000: ui(WELL_KNOWN),
        0x1002: us(1),
    }
    statuses = []
    async with ours.listen("127.0.0.1", 0) as listening:
        # Who says that it is SCU alone is taken at its word.
        uid = STORAGE_COMMITMENT_PUSH_MODEL.encode()
        for roles in (b"", item(0x54, bytes((0, len(uid))) + uid + b"\1\0")):
            async with requestor(listening.port) as peer:
                context = (1, STORAGE_COMMITMENT_PUSH_MODEL, [IMPLICIT])
                await peer.associate(proposal([context], sub_items=roles, called_aet="SCU"))
                await peer.send(p_data(1, command, report.to_bytes(IMPLICIT)))
                statuses.append(status_of(await peer.expect(P_DATA_TF)))
                await peer.release()
    assert statuses == [0, 0x0211]
    assert [each.transaction_uid for each in heard] == ["1.2.9"]


async def test_a_report_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    shelf, heard, attempts = Shelf("1.2.1"), [], []
    listener = CommitmentListener(unexpected=heard.append)
    ours = aiodicom.Server(ae_title="SCU")

    def refuse(request: Any) -> Status:
        attempts.append(request)
        if len(attempts) == 2:
            listener.attach(ours)
        return Status.PROCESSING_FAILURE

    ours.on_n_event_report(refuse)
    service = StorageCommitment(shelf, retries=[0.0, 0.0, 0.0])
    transaction = Transaction("1.2.9", "SCU", (ReferencedInstance(CT, "1.2.1"),))
    await shelf.begin(transaction)
    async with (
        ours.listen("127.0.0.1", 0) as listening,
        asked(service, destinations={"SCU": Destination("127.0.0.1", listening.port)}),
    ):
        await service.resume([transaction])
        await until(lambda: shelf.ended)
    assert [each.transaction_uid for each in heard] == ["1.2.9"]
    assert len(attempts) == 2
    assert "could not be reported" in caplog.text


async def test_what_cannot_be_reported_stays_with_the_archive() -> None:
    shelf = Shelf("1.2.1")
    service = StorageCommitment(shelf, retries=[])
    transaction = Transaction("1.2.9", "NOBODY", (ReferencedInstance(CT, "1.2.1"),))
    await shelf.begin(transaction)
    async with asked(service, destinations={}):
        await service.resume([transaction])
        await service.drain()
    assert shelf.open == {"1.2.9": transaction}


@pytest.mark.parametrize("verified", [OSError("the disk is away"), None, {"1.2.1"}, 5])
async def test_an_archive_that_fails_commits_to_nothing(verified: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Shelf):
        async def verify(self, transaction: Transaction) -> Mapping[str, int]:
            if isinstance(verified, Exception):
                raise verified
            return verified  # type: ignore[no-any-return]

    listener = CommitmentListener()
    shelf = Broken()
    async with asked(StorageCommitment(shelf), listener) as (_, association):
        commitment = await request_commitment(association, INSTANCES, listener)
        await until(lambda: shelf.ended)
    assert commitment.failed == tuple(FailedInstance(*each, FailureReason.PROCESSING_FAILURE) for each in INSTANCES)
    assert "could not be verified" in caplog.text


@pytest.mark.parametrize("reason", ["missing", None, -1, 0x10000, 1.5])
async def test_a_reason_that_is_none_is_a_failure_of_its_instance(
    reason: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Shelf):
        async def verify(self, transaction: Transaction) -> Mapping[str, int]:
            return {"1.2.1": reason, "1.2.2": numpy.uint16(0x0119)}  # type: ignore[dict-item]

    listener = CommitmentListener()
    shelf = Odd()
    async with asked(StorageCommitment(shelf), listener) as (_, association):
        commitment = await request_commitment(association, INSTANCES, listener)
        await until(lambda: shelf.ended)
    assert [each.reason for each in commitment.failed] == [0x0110, 0x0119]
    assert commitment.committed == (ReferencedInstance(*INSTANCES[2]),)
    assert f"{reason!r} is no reason" in caplog.text


async def test_whatever_goes_wrong_in_sending_is_tried_again_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf("1.2.1")
    service = StorageCommitment(shelf, retries=[0.0])
    transaction = Transaction("1.2.9", "SCU", (ReferencedInstance(CT, "1.2.1"),))
    await shelf.begin(transaction)
    nonsense: Any = object()
    async with asked(service, destinations={"SCU": Destination("127.0.0.1", 104, ssl=nonsense)}):
        await service.resume([transaction])
        await service.drain()
    assert shelf.open == {"1.2.9": transaction}
    assert caplog.text.count("could not be reported") == 2


@pytest.mark.parametrize(
    ("instance", "action", "information", "status"),
    [
        ("1.2.3", 1, Dataset(TransactionUID="1.2"), 0x0112),
        (WELL_KNOWN, 2, Dataset(TransactionUID="1.2"), 0x0123),
        (WELL_KNOWN, 1, None, 0x0120),
        (WELL_KNOWN, 1, Dataset(ReferencedSOPSequence=[Dataset(ReferencedSOPInstanceUID="1.2")]), 0x0115),
        (WELL_KNOWN, 1, Dataset(TransactionUID="1.2"), 0x0115),
        (WELL_KNOWN, 1, Dataset(TransactionUID="1.2", ReferencedSOPSequence=[Dataset()]), 0x0115),
    ],
)
async def test_requests_that_are_none(instance: str, action: int, information: Dataset | None, status: int) -> None:
    async with asked(StorageCommitment(Shelf())) as (_, association):
        with pytest.raises(StatusError) as refusal:
            await association.n_action(STORAGE_COMMITMENT_PUSH_MODEL, instance, action, information)
    assert refusal.value.status == status


async def test_transactions_are_bounded_and_refused_by_the_archive() -> None:
    shelf, listener = Shelf("1.2.1"), CommitmentListener()
    shelf.gate.clear()
    service = StorageCommitment(shelf, max_transactions=2)
    async with asked(service, listener) as (_, association):
        waiting = [
            asyncio.create_task(
                request_commitment(association, INSTANCES[:1], listener, transaction_uid=f"1.2.{number}")
            )
            for number in (1, 2)
        ]
        await until(lambda: len(shelf.open) == 2)
        with pytest.raises(StatusError, match="0213"):
            await request_commitment(association, INSTANCES, listener)
        shelf.gate.set()
        assert all([(await task).is_complete for task in waiting])
        await until(lambda: len(shelf.ended) == 2)


async def test_transactions_that_are_being_begun_count() -> None:
    begun = asyncio.Event()

    class Slow(Shelf):
        async def begin(self, transaction: Transaction) -> None:
            begun.set()
            await self.gate.wait()
            await super().begin(transaction)

    shelf, listener = Slow("1.2.1"), CommitmentListener()
    shelf.gate.clear()
    service = StorageCommitment(shelf, max_transactions=1)
    async with asked(service, listener, window=2) as (_, association):
        first = asyncio.create_task(request_commitment(association, INSTANCES[:1], listener))
        await begun.wait()
        with pytest.raises(StatusError, match="0213"):
            await request_commitment(association, INSTANCES, listener, timeout=5)
        shelf.gate.set()
        assert (await first).is_complete
        await until(lambda: shelf.ended)


async def test_destinations_that_fail_begin_nothing() -> None:
    def destinations(title: str, association: aiodicom.Association) -> Destination | None:
        raise RuntimeError("no directory")

    shelf, listener = Shelf("1.2.1"), CommitmentListener()
    service = StorageCommitment(shelf)
    async with asked(service, listener) as (server, association):
        server.destinations = destinations
        with pytest.raises(StatusError, match="0110"):
            await request_commitment(association, INSTANCES, listener)
    assert not shelf.open


async def reported(instances: Sequence[Any], event_type: int, **report: Any) -> Commitment:
    """What comes of asking for these, of an SCP that reports so on the same association."""
    listener = CommitmentListener()
    server = aiodicom.Server(ae_title="SCP")

    @server.on_n_action
    async def act(request: Any) -> None:
        data_set = Dataset(TransactionUID=request.dataset.TransactionUID, **report)

        async def tell() -> None:
            await request.association.n_event_report(STORAGE_COMMITMENT_PUSH_MODEL, WELL_KNOWN, event_type, data_set)

        request.association.own(asyncio.create_task(tell()))

    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect(
            "127.0.0.1",
            listening.port,
            called_aet="SCP",
            contexts=[STORAGE_COMMITMENT_PUSH_MODEL],
            handlers=listener.handlers,
        ) as association,
    ):
        return await request_commitment(association, instances, listener)


class TestListener:
    @pytest.mark.parametrize("kind", ["plain", "async"])
    async def test_a_report_that_does_not_come(self, kind: str) -> None:
        shelf = Shelf("1.2.1")
        heard: list[Commitment] = []
        listener = CommitmentListener(unexpected=hearing(heard.append, kind))
        shelf.gate.clear()
        async with asked(StorageCommitment(shelf), listener) as (_, association):
            with pytest.raises(DeadlineExceeded, match=r"storage commitment report within 0.05 s") as late:
                await request_commitment(association, INSTANCES[:1], listener, timeout=0.05)
            assert "handlers=listener.handlers" in late.value.__notes__[0]
            listener.attach(aiodicom.Server())
            with pytest.raises(DeadlineExceeded) as late:
                await request_commitment(association, INSTANCES[:1], listener, timeout=0.05)
            assert not hasattr(late.value, "__notes__")
            shelf.gate.set()  # it comes after all
            await until(lambda: len(heard) == 2)
        assert heard[0].is_complete

    async def test_nobody_knows_the_transaction(self) -> None:
        shelf, listener = Shelf("1.2.1"), CommitmentListener()
        async with asked(StorageCommitment(shelf, retries=[]), listener) as (_, association):
            information = Dataset(
                TransactionUID="1.2.9",
                ReferencedSOPSequence=[Dataset(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.1")],
            )
            await association.n_action(STORAGE_COMMITMENT_PUSH_MODEL, WELL_KNOWN, 1, information)
            await association.release()
        assert "1.2.9" in shelf.open

    async def test_what_cannot_be_asked(self) -> None:
        shelf, listener = Shelf(), CommitmentListener(max_waiting=1)
        shelf.gate.clear()
        async with asked(StorageCommitment(shelf), listener) as (_, association):
            with pytest.raises(LocalError, match="no instances"):
                await request_commitment(association, [], listener)
            for wrong in ((CT,), (CT, ""), "1.2.1", Dataset(SOPClassUID=CT)):
                with pytest.raises(LocalError, match="names no instance"):
                    await request_commitment(association, [wrong], listener)  # type: ignore[list-item]
            first = asyncio.create_task(request_commitment(association, INSTANCES, listener, transaction_uid="1.2"))
            await until(lambda: shelf.open)
            with pytest.raises(LocalError, match="1 requests"):
                await request_commitment(association, INSTANCES, listener)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    async def test_what_the_scp_says_besides(self) -> None:
        item = Dataset(
            ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.1", RetrieveAETitle="ARCHIVE", FailureReason=0xABCD
        )
        commitment = await reported(INSTANCES[:1], 2, ReferencedSOPSequence=[item], FailedSOPSequence=[item])
        assert commitment.retrieve_ae_title == "ARCHIVE"
        assert commitment.failed == (FailedInstance(CT, "1.2.1", 0xABCD),)
        assert not commitment.is_complete

    async def test_what_the_report_leaves_out_is_not_committed(self) -> None:
        item = Dataset(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.2")
        commitment = await reported(INSTANCES, 1, ReferencedSOPSequence=[item])
        assert commitment.committed == (ReferencedInstance(CT, "1.2.2"),)
        assert commitment.missing == (ReferencedInstance(CT, "1.2.1"), ReferencedInstance(CT, "1.2.3"))
        assert not commitment.failed
        assert not commitment.is_complete
