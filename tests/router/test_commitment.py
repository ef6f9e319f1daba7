"""What a router commits to, towards its senders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiodicom.errors import OperationRefused
from aiodicom.router.commitment import QueueCommitments
from aiodicom.router.config.queueing import Commitment
from aiodicom.router.queue.objects import QueueUnavailable, State, Way
from aiodicom.router.transactions import FolderTransactions
from aiodicom.services.storage_commitment import FailureReason, ReferencedInstance, Transaction
from tests.router.test_whereabouts import CT, way

TRANSACTION = Transaction("1.2.3.4", "CT1", (ReferencedInstance(CT, "1.2.3"),))


class Queue:
    """Tells ways, one answer after the other."""

    def __init__(self, *answers: list[Way] | None) -> None:
        self.answers = list(answers)

    async def find(self, **wanted: Any) -> list[Way]:
        assert wanted["sop_instance_uid"] == "1.2.3"
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise QueueUnavailable("PostgreSQL cannot be used")
        return answer


async def verified(folder: Path, settings: Commitment, *answers: list[Way] | None) -> dict[str, int]:
    """What is not committed to, by the answers of a queue one after the other; None where it is away."""
    commitments = QueueCommitments(Queue(*answers), settings, FolderTransactions(str(folder)))
    try:
        return dict(await commitments.verify(TRANSACTION))
    finally:
        commitments.transactions.close()


@pytest.mark.parametrize(
    ("state", "synced", "delivered"),
    [
        (State.DELIVERED, None, None),
        (State.DEAD, None, FailureReason.PROCESSING_FAILURE),
        (State.EXPIRED, FailureReason.PROCESSING_FAILURE, FailureReason.PROCESSING_FAILURE),
        (State.DROPPED, FailureReason.PROCESSING_FAILURE, FailureReason.PROCESSING_FAILURE),
    ],
)
async def test_what_is_safe(tmp_path: Path, state: State, synced: int | None, delivered: int | None) -> None:
    for settings, reason in ((Commitment.SYNCED, synced), (Commitment.DELIVERED, delivered)):
        expected = {} if reason is None else {"1.2.3": reason}
        assert await verified(tmp_path, settings, [way(1, state)]) == expected


async def test_what_is_queued_is_safe_here_and_waited_for_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await verified(tmp_path, Commitment.SYNCED, [way(1, State.WAITING)]) == {}
    monkeypatch.setattr("aiodicom.router.commitment._LOOK", 0.0)
    waiting, done = [way(1, State.WAITING)], [way(1, State.DELIVERED)]
    assert await verified(tmp_path, Commitment.DELIVERED, waiting, None, waiting, done) == {}
    # The same bytes sent again are not there before the first ones are.
    again = [way(2, State.DUPLICATE), *waiting]
    assert await verified(tmp_path, Commitment.DELIVERED, again, done) == {}


async def test_what_is_not_known_and_what_is_something_else(tmp_path: Path) -> None:
    assert await verified(tmp_path, Commitment.SYNCED, []) == {"1.2.3": FailureReason.NO_SUCH_OBJECT_INSTANCE}
    other = way(1, State.DELIVERED)._replace(sop_class_uid="1.2.840.10008.5.1.4.1.1.4")
    assert await verified(tmp_path, Commitment.SYNCED, [other]) == {"1.2.3": FailureReason.CLASS_INSTANCE_CONFLICT}


async def test_transactions_outlast_the_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = TRANSACTION._replace(ae_title="A/../B")
    first = FolderTransactions(str(tmp_path))
    await first.keep(TRANSACTION)
    await first.keep(other)
    first.close()
    (tmp_path / "commitments" / "broken.json").write_text("{")
    second = FolderTransactions(str(tmp_path))
    assert sorted(await second.take()) == sorted([TRANSACTION, other])
    assert "broken.json cannot be read" in caplog.text
    assert await second.take() == []
    await second.forget(TRANSACTION)
    await second.forget(TRANSACTION)
    second.close()
    third = FolderTransactions(str(tmp_path))
    assert await third.take() == [other]
    third.close()


async def test_a_transaction_that_cannot_be_kept_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transactions = FolderTransactions(str(tmp_path))
    commitments = QueueCommitments(Queue([]), Commitment.SYNCED, transactions)

    async def keep(transaction: Transaction) -> None:
        raise QueueUnavailable("PostgreSQL cannot be used")

    monkeypatch.setattr(transactions, "keep", keep)
    with pytest.raises(OperationRefused, match="0213H: the shared queue is away"):
        await commitments.begin(TRANSACTION)
    transactions.close()
