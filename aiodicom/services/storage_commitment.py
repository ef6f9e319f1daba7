"""The Storage Commitment service class (PS3.4 annex J), Push Model, both sides.

As SCP, over what an embedder stores:

    StorageCommitment(archive).attach(server)

As SCU, with the report on the same association:

    listener = CommitmentListener()
    async with connect(..., contexts=[STORAGE_COMMITMENT_PUSH_MODEL], handlers=listener.handlers) as association:
        commitment = await request_commitment(association, instances, listener)

or on one that the SCP opens: `listener.attach(server)`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from operator import index
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, SupportsIndex

from aiodicom.dataset import Dataset
from aiodicom.errors import AiodicomError, DeadlineExceeded, LocalError, OperationRefused
from aiodicom.net.handlers import Handlers
from aiodicom.net.sources import KnownFile
from aiodicom.net.suboperations import find_destination
from aiodicom.services.decoding import attributes_of
from aiodicom.services.dispatch import attach, heard
from aiodicom.services.reporting import Report, Reporter, Target
from aiodicom.standard.status import Status
from aiodicom.standard.uids import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
    generate_uid,
    is_valid_uid,
)
from aiodicom.values import Value, frozen

if TYPE_CHECKING:
    from aiodicom.net.requests import NActionRequest, NEventReportRequest
    from aiodicom.net.results import Result

__all__ = [
    "CommitmentArchive",
    "Commitment",
    "CommitmentListener",
    "FailedInstance",
    "FailureReason",
    "ReferencedInstance",
    "StorageCommitment",
    "Transaction",
    "request_commitment",
]

_log = logging.getLogger(__name__)

_REQUEST: Final = 1
_TRANSACTION_UID: Final = 0x00081195
_REFERENCED_SOP_SEQUENCE: Final = 0x00081199
#: Event types (PS3.4 table J.3-2)
_SUCCESSFUL, _FAILURES_EXIST = 1, 2


class FailureReason(IntEnum):
    """Why an instance is not committed to: Failure Reason (0008,1197), PS3.3 C.14.1.1."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    REFERENCED_SOP_CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION_UID = 0x0131
    RESOURCE_LIMITATION = 0x0213


class ReferencedInstance(NamedTuple):
    """A SOP instance."""

    sop_class_uid: str
    sop_instance_uid: str


class FailedInstance(NamedTuple):
    """A SOP instance that is not committed to; the reason is a `FailureReason`, or another number."""

    sop_class_uid: str
    sop_instance_uid: str
    reason: int


class Transaction(NamedTuple):
    """A request for storage commitment."""

    transaction_uid: str
    #: Who has asked, and is told.
    ae_title: str
    instances: tuple[ReferencedInstance, ...]


# As SCP


class CommitmentArchive(Protocol):
    """What an embedder has: what is stored, and the transactions that nobody has been told the end of."""

    async def begin(self, transaction: Transaction) -> None:
        """Keeps a transaction. What has asked for it is answered with success once this has returned: it should last.

        May raise `OperationRefused`.
        """
        ...

    async def verify(self, transaction: Transaction) -> Mapping[str, int]:
        """Commits to the safekeeping of the instances, and returns those that it does not commit to: SOP Instance UID
        to reason. Takes as long as it takes. Where it raises or returns anything else, nothing is committed to
        (0110H).
        """
        ...

    async def end(self, transaction: Transaction) -> None:
        """Forgets a transaction whose end has been reported."""
        ...


class StorageCommitment:
    """Performs N-ACTION of the Storage Commitment Push Model, and reports by N-EVENT-REPORT: on the association that
    asked as long as that is open, else on another one of the same AE, else on one that it opens with the server's
    destination of the AE's title.

    A report that cannot be sent is tried again after each of `retries`, in seconds; after that the transaction stays
    with the archive, for `resume`. At most `max_transactions` are in progress, the next one is answered 0213H.
    """

    def __init__(
        self, archive: CommitmentArchive, *, retries: Sequence[float] = (1.0, 10.0, 60.0), max_transactions: int = 1000
    ) -> None:
        self.archive = archive
        self.retries = tuple(retries)
        self.max_transactions = max_transactions
        self._handlers: Handlers | None = None
        self._reporter: Reporter | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        #: requests that the archive has not begun yet
        self._beginning = 0

    def attach(self, handlers: Handlers) -> None:
        """Has this perform what a server is asked in contexts of the Storage Commitment Push Model."""
        attach(handlers, [STORAGE_COMMITMENT_PUSH_MODEL], on_n_action=self.action)
        self._handlers = handlers
        self._reporter = Reporter(handlers, STORAGE_COMMITMENT_PUSH_MODEL)

    async def action(self, request: NActionRequest) -> Status:
        """Answers an N-ACTION (PS3.4 J.3.2), for a handler of your own. Raises `OperationRefused`."""
        if request.sop_instance_uid != STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE:
            raise OperationRefused(Status.NO_SUCH_SOP_INSTANCE)
        if request.action_type_id != _REQUEST:
            raise OperationRefused(Status.NO_SUCH_ACTION_TYPE)
        information = attributes_of(request)
        uid = str(information.get("TransactionUID") or "")
        if not is_valid_uid(uid):
            raise OperationRefused(Status.INVALID_ARGUMENT_VALUE, "no Transaction UID", (_TRANSACTION_UID,))
        instances = tuple(
            ReferencedInstance(
                str(item.get("ReferencedSOPClassUID") or ""), str(item.get("ReferencedSOPInstanceUID") or "")
            )
            for item in information.get("ReferencedSOPSequence") or ()
        )
        if not instances or not all(map(all, instances)):
            raise OperationRefused(
                Status.INVALID_ARGUMENT_VALUE, "no instances, or unnamed ones", (_REFERENCED_SOP_SEQUENCE,)
            )
        if len(self._tasks) + self._beginning >= self.max_transactions:
            raise OperationRefused(Status.RESOURCE_LIMITATION, "too many transactions in progress")
        association = request.association
        transaction = Transaction(uid, association.calling_aet, instances)
        assert self._handlers is not None
        self._beginning += 1
        try:
            # First, so that nothing is kept that is then answered with a failure.
            destination = await find_destination(self._handlers.destinations, transaction.ae_title, association)
            await self.archive.begin(transaction)
            self._begin(transaction, Target(association, transaction.ae_title, destination))
        finally:
            self._beginning -= 1
        return Status.SUCCESS

    async def resume(self, transactions: Iterable[Transaction]) -> None:
        """Takes up transactions that were begun and not ended, such as before a restart.

        The server's destinations have to be a mapping for that. Raises `LocalError` when they are not.
        """
        if self._handlers is None or not isinstance(self._handlers.destinations, Mapping):
            raise LocalError("without a mapping of destinations it is not known where to report to")
        for transaction in transactions:
            destination = self._handlers.destinations.get(transaction.ae_title)
            self._begin(transaction, Target(None, transaction.ae_title, destination))

    def _begin(self, transaction: Transaction, target: Target) -> None:
        # Not a task of the association: the report may go out on another one.
        task = asyncio.get_running_loop().create_task(self._perform(transaction, target))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, transaction: Transaction, target: Target) -> None:
        assert self._reporter is not None
        report = _report(transaction, await self._verified(transaction))
        for pause in (*self.retries, None):
            try:
                await self._reporter.send(target, report)
                break
            except Exception as error:
                is_ours = not isinstance(error, AiodicomError)
                _log.warning("a storage commitment could not be reported: %s", error, exc_info=is_ours)
                if pause is None:
                    return
            await asyncio.sleep(pause)
        try:
            await self.archive.end(transaction)
        except Exception:
            _log.exception("a storage commitment transaction could not be ended")

    async def _verified(self, transaction: Transaction) -> dict[str, int]:
        """What the archive does not commit to, with the reasons. Where it fails it commits to nothing."""
        try:
            failed = await self.archive.verify(transaction)
            uids = [each.sop_instance_uid for each in transaction.instances]
            return {uid: _number(failed[uid]) for uid in uids if uid in failed}
        except Exception:
            _log.exception("the instances of a storage commitment request could not be verified")
            return {each.sop_instance_uid: FailureReason.PROCESSING_FAILURE for each in transaction.instances}

    async def drain(self, timeout: float | None = 30.0) -> None:
        """Waits for the transactions in progress, at most `timeout` seconds, and gives up the others."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=timeout)
        await self.close()

    async def close(self) -> None:
        """Gives up the transactions in progress; they stay with the archive."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _number(reason: object) -> int:
    """A reason of the archive's as it can be reported."""
    if isinstance(reason, SupportsIndex) and 0 <= index(reason) <= 0xFFFF:
        return index(reason)
    _log.error("%r is no reason why an instance is not committed to: reported as 0110H", reason)
    return FailureReason.PROCESSING_FAILURE


def _report(transaction: Transaction, failed: Mapping[str, int]) -> Report:
    information = Dataset(TransactionUID=transaction.transaction_uid)
    committed = [_reference(each) for each in transaction.instances if each.sop_instance_uid not in failed]
    if committed:
        information.ReferencedSOPSequence = committed
    refused = []
    for each in transaction.instances:
        if each.sop_instance_uid in failed:
            refused.append(_reference(each))
            refused[-1].FailureReason = failed[each.sop_instance_uid]
    if refused:
        information.FailedSOPSequence = refused
    event_type_id = _FAILURES_EXIST if refused else _SUCCESSFUL
    return Report(STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE, event_type_id, information)


def _reference(instance: ReferencedInstance) -> Dataset:
    return Dataset(ReferencedSOPClassUID=instance.sop_class_uid, ReferencedSOPInstanceUID=instance.sop_instance_uid)


# As SCU


@frozen
class Commitment(Value):
    """What an SCP has committed to."""

    transaction_uid: str
    committed: tuple[ReferencedInstance, ...]
    failed: tuple[FailedInstance, ...]
    #: Where the instances can be retrieved from, where the SCP says so.
    retrieve_ae_title: str | None = None
    #: What was asked for and the report does not speak of: nobody has committed to it.
    missing: tuple[ReferencedInstance, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing has failed or is missing."""
        return not self.failed and not self.missing


#: Hears of a report that nobody waits for; may raise `OperationRefused`. Plain or ``async``.
Unexpected = Callable[[Commitment], Awaitable[None] | None]


class CommitmentListener:
    """Takes the N-EVENT-REPORTs of the Storage Commitment Push Model, and gives them to who waits for them.

    `handlers` is for `connect(..., handlers=...)` or a `Pool`: reports on the association that asks. `attach` is for
    a `Server`: reports on associations that the SCP opens. One listener may have both.

    `unexpected`: a function, plain or ``async``, that hears of reports that nobody waits for, such as after a restart
    or a timeout; without one they are refused with 0115H, and the SCP may try again. At most `max_waiting` requests
    wait.
    """

    def __init__(self, *, unexpected: Unexpected | None = None, max_waiting: int = 1000) -> None:
        self.max_waiting = max_waiting
        #: What to give to `connect()`.
        self.handlers = Handlers()
        self._unexpected = unexpected
        self._waiting: dict[str, asyncio.Future[Commitment]] = {}
        self.attach(self.handlers)
        self._has_server = False

    def attach(self, handlers: Handlers) -> None:
        """Has this perform the N-EVENT-REPORTs in contexts of the Storage Commitment Push Model."""
        attach(handlers, [STORAGE_COMMITMENT_PUSH_MODEL], on_n_event_report=self.report)
        self._has_server = True

    async def report(self, request: NEventReportRequest) -> None:
        """Answers an N-EVENT-REPORT (PS3.4 J.3.3), for a handler of your own. Raises `OperationRefused`."""
        if request.event_type_id not in (_SUCCESSFUL, _FAILURES_EXIST):
            raise OperationRefused(Status.NO_SUCH_EVENT_TYPE)
        commitment = _commitment(attributes_of(request))
        if self.take(commitment):
            return
        if self._unexpected is not None:
            await heard(self._unexpected(commitment))
        else:
            raise OperationRefused(Status.INVALID_ARGUMENT_VALUE, "unknown Transaction UID", (_TRANSACTION_UID,))

    def take(self, commitment: Commitment) -> bool:
        """Gives a report, however it has come, to who waits for it; returns whether anybody does."""
        waiter = self._waiting.get(commitment.transaction_uid)
        if waiter is None or waiter.done():
            return False
        waiter.set_result(commitment)
        return True

    async def wait(self, transaction_uid: str, request: Callable[[], Awaitable[object]], timeout: float) -> Commitment:
        """Calls `request`, which asks for the commitment, and waits for its report.

        Raises `DeadlineExceeded` after `timeout` seconds, what `request` raises, and `LocalError` for too many that
        wait or a transaction that is waited for already. Cancelled, the report is one that nobody waits for.
        """
        if len(self._waiting) >= self.max_waiting:
            raise LocalError(f"{self.max_waiting} requests for storage commitment wait already")
        if transaction_uid in self._waiting:
            raise LocalError("the transaction is waited for already")
        waiter: asyncio.Future[Commitment] = asyncio.get_running_loop().create_future()
        self._waiting[transaction_uid] = waiter
        try:
            async with asyncio.timeout(timeout):
                await request()
                return await waiter
        except TimeoutError as error:
            if isinstance(error, AiodicomError):
                raise
            late = DeadlineExceeded("storage commitment report", timeout)
            if not self._has_server:
                late.add_note(
                    "The listener hears of reports on associations that were opened with handlers=listener.handlers; "
                    "for those on associations that the SCP opens attach it to a server"
                )
            raise late from None
        finally:
            del self._waiting[transaction_uid]


class _ActionOperations(Protocol):
    """An `Association`, or a `Pool` of them."""

    async def n_action(
        self, sop_class_uid: str, sop_instance_uid: str, action_type_id: int, dataset: Dataset | None = None
    ) -> Result:
        """See `Association.n_action`."""
        ...


async def request_commitment(
    operations: _ActionOperations,
    instances: Iterable[ReferencedInstance | tuple[str, str] | KnownFile | Dataset],
    listener: CommitmentListener,
    *,
    timeout: float = 60.0,
    transaction_uid: str | None = None,
) -> Commitment:
    """Asks an SCP to commit to the safekeeping of instances, and waits for its report (PS3.4 J.3).

    `operations`: an `Association` or a `Pool`. `instances`: pairs of SOP class and SOP instance, files, or data sets.
    The report may come on the association that asks, if that was opened with the listener's handlers, or on one that
    the SCP opens to a server that the listener is attached to.

    Only what is `committed` is safe: a report may leave instances out, which are then `missing`.

    Raises `DeadlineExceeded` when there is no report within `timeout` seconds, what `Association.n_action` raises, and
    `LocalError` for instances that are none. Cancelled, or after a timeout, the SCP may have committed all the same:
    its report then goes to the listener's function for unexpected ones.
    """
    references = [_referenced(each) for each in instances]
    if not references:
        raise LocalError("there are no instances to be committed to")
    uid = transaction_uid or generate_uid()
    information = Dataset(TransactionUID=uid, ReferencedSOPSequence=[_reference(each) for each in references])

    async def request() -> object:
        return await operations.n_action(
            STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE, _REQUEST, information
        )

    commitment = await listener.wait(uid, request, timeout)
    told = {each.sop_instance_uid for each in commitment.committed}
    told.update(each.sop_instance_uid for each in commitment.failed)
    missing = tuple(each for each in references if each.sop_instance_uid not in told)
    return replace(commitment, missing=missing) if missing else commitment


def _referenced(instance: Any) -> ReferencedInstance:
    """Which instance is meant. Raises `LocalError` for what names none."""
    if isinstance(instance, KnownFile):
        uids: Sequence[Any] = (instance.meta.sop_class_uid, instance.meta.sop_instance_uid)
    elif isinstance(instance, tuple):
        uids = instance
    else:
        uids = [getattr(instance, keyword, None) for keyword in ("SOPClassUID", "SOPInstanceUID")]
    if len(uids) != 2 or not all(isinstance(uid, str) and uid for uid in uids):
        raise LocalError(
            f"{type(instance).__name__} names no instance: a pair of SOP class and SOP instance UID, a file or a data "
            "set with both is wanted"
        )
    return ReferencedInstance(*map(str, uids))


def _commitment(information: Dataset) -> Commitment:
    """What a report says; an item may say itself where its instance can be retrieved (PS3.4 table J.3-2)."""
    committed = information.get("ReferencedSOPSequence") or ()
    failed = information.get("FailedSOPSequence") or ()
    titles = {str(item.get("RetrieveAETitle") or "") for item in (information, *committed)} - {""}
    return Commitment(
        str(information.get("TransactionUID") or ""),
        tuple(map(_named, committed)),
        tuple(FailedInstance(*_named(item), _reason(item.get("FailureReason"))) for item in failed),
        titles.pop() if len(titles) == 1 else None,
    )


def _named(item: Dataset) -> ReferencedInstance:
    return ReferencedInstance(
        str(item.get("ReferencedSOPClassUID") or ""), str(item.get("ReferencedSOPInstanceUID") or "")
    )


def _reason(value: object) -> int:
    if not isinstance(value, int):
        return FailureReason.PROCESSING_FAILURE
    try:
        return FailureReason(value)
    except ValueError:
        return value
