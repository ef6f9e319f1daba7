"""C-GET and C-MOVE as SCP: what a handler yields is sent by C-STORE sub-operations (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiodicom.dimse.events import Timeouts
from aiodicom.dimse.messages import CStoreRSP
from aiodicom.dimse.responses import response_to
from aiodicom.errors import AiodicomError, DeadlineExceeded, LocalError, OperationRefused, StatusError
from aiodicom.net.answers import Reply
from aiodicom.net.reencoding import encode_data_set
from aiodicom.net.requests import GetRequest, MoveRequest, RetrieveRequest
from aiodicom.net.sources import AheadFile, KnownFile, Storable, open_source
from aiodicom.net.transcoding import Transcoding
from aiodicom.net.yielding import yielding
from aiodicom.standard.status import Status, StatusCategory

if TYPE_CHECKING:
    import ssl as tls

    from aiodicom.net.association import Association
    from aiodicom.net.outbox import Outbox

__all__ = [
    "Destination",
    "Destinations",
    "MoveOriginator",
    "SubOperation",
    "find_destination",
    "perform_get",
    "perform_move",
]

#: SOP Instance UIDs of failed sub-operations that are remembered: the counters go no further.
_MOST_FAILED: Final = 0xFFFF
#: Sub-operations at once on one association, as far as the peer grants so many.
_MOST_AT_ONCE: Final = 16


class MoveOriginator(NamedTuple):
    """Whose C-MOVE a C-STORE is a sub-operation of (PS3.7 9.1.1.1)."""

    ae_title: str
    message_id: int


class SubOperation(NamedTuple):
    """What is to be sent, where it does not say itself what it is: the arguments of `Association.c_store`."""

    source: Storable
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    transfer_syntax: str | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a C-MOVE can send to: the address of an AE, and how.

    `associations`: how many at once at most. `transcode`: what may be done to objects in transfer syntaxes that it does
    not accept, as for `Association.c_store`; None: what the server's own says. The other options are those of
    `connect()`. Raises `LocalError` for numbers that can't be.
    """

    host: str
    port: int = 104
    associations: int = 4
    ssl: tls.SSLContext | None = None
    server_hostname: str | None = None
    timeouts: Timeouts = Timeouts()  # noqa: RUF009 (immutable)
    transcode: Transcoding | str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.port <= 0xFFFF:
            raise LocalError(f"port {self.port} is no address: 1 to 65535")
        if self.associations < 1:
            raise LocalError(f"{self.associations} associations send nothing: at least 1")


#: The destinations by AE title, or a function of (AE title, association that asks) that knows; None is "unknown".
Destinations = (
    Mapping[str, Destination] | Callable[[str, "Association"], "Destination | Awaitable[Destination | None] | None"]
)

#: Sends one object, and returns the response to its C-STORE. Raises what `Association.c_store` raises.
_Send = Callable[[SubOperation], Awaitable[CStoreRSP]]


async def perform_get(
    function: Callable[[GetRequest], Any],
    request: GetRequest,
    outbox: Outbox,
    interval: float,
    transcoding: Transcoding,
) -> Reply:
    """Sends what the handler yields on the association that asks for it, and returns the final response.

    `interval`: the least time between two pending responses, in seconds. `transcoding`: what may be done to objects in
    transfer syntaxes that the peer has not accepted.
    """
    association = request.association
    association.transport.expect_objects()

    def send(what: SubOperation) -> Awaitable[CStoreRSP]:
        return association.c_store(
            what.source,
            priority=request.priority,
            sop_class_uid=what.sop_class_uid,
            sop_instance_uid=what.sop_instance_uid,
            transfer_syntax=what.transfer_syntax,
            transcode=transcoding,
        )

    at_once = min(association.window or _MOST_AT_ONCE, _MOST_AT_ONCE)
    return await _Retrieval(request, outbox, send, lambda: at_once, interval).perform(function)


async def perform_move(
    function: Callable[[MoveRequest], Any],
    request: MoveRequest,
    outbox: Outbox,
    interval: float,
    transcoding: Transcoding,
    destinations: Destinations,
) -> Reply:
    """Sends what the handler yields to the destination, and returns the final response; otherwise as `perform_get`.

    Once the destination has let a timeout pass and no association with it is left, nothing more is tried: the rest has
    failed, which would else take that time for each few.

    Raises `OperationRefused` for a destination that is unknown.
    """
    from aiodicom.net.pool import Pool

    association = request.association
    destination = await find_destination(destinations, request.move_destination, association)
    if destination is None:
        raise OperationRefused(Status.MOVE_DESTINATION_UNKNOWN, "move destination unknown")
    originator = MoveOriginator(association.calling_aet, request.message_id)
    pool = Pool(
        destination.host,
        destination.port,
        size=destination.associations,
        window="auto",
        contexts=(),
        transcode=destination.transcode or transcoding,
        calling_aet=association.called_aet,
        called_aet=request.move_destination,
        ssl=destination.ssl,
        server_hostname=destination.server_hostname,
        timeouts=destination.timeouts,
        wait=None,  # no more are begun than it has turns for, if the destination grants them
    )
    silence: DeadlineExceeded | None = None

    async def send(what: SubOperation) -> CStoreRSP:
        nonlocal silence
        if silence is not None:
            raise DeadlineExceeded(silence.what, silence.seconds)
        try:
            return await pool.c_store(
                what.source,
                priority=request.priority,
                sop_class_uid=what.sop_class_uid,
                sop_instance_uid=what.sop_instance_uid,
                transfer_syntax=what.transfer_syntax,
                move_originator=originator,
            )
        except DeadlineExceeded as error:
            if not pool.open:
                silence = error
            raise

    async with pool:
        return await _Retrieval(request, outbox, send, lambda: pool.concurrency, interval).perform(function)


async def find_destination(destinations: Destinations, title: str, association: Association) -> Destination | None:
    """Returns the destination of an AE title, or None for an unknown one; `association` is the one that asks."""
    if isinstance(destinations, Mapping):
        return destinations.get(title)
    found = destinations(title, association)
    return await found if inspect.isawaitable(found) else found


class _Retrieval:
    """The sub-operations of one C-GET or C-MOVE, up to `at_once()` at a time.

    Invariants: every sub-operation that has begun is one of those `_running`, or counted in exactly one of `completed`,
    `failed`, `warning`; each of `_workers` performs one, or waits for the next in `_idle`.
    """

    def __init__(
        self, request: RetrieveRequest, outbox: Outbox, send: _Send, at_once: Callable[[], int], interval: float
    ) -> None:
        self._request = request
        self._outbox = outbox
        self._send = send
        self._at_once = at_once
        self._interval = interval
        self._loop = request.association.loop
        self._running = 0
        self._workers: list[asyncio.Task[None]] = []
        #: What the workers that have nothing to do wait for; the last to come first, for what it needs is near.
        self._idle: list[asyncio.Future[SubOperation]] = []
        #: Who waits for one of them to end.
        self._wake: asyncio.Future[None] | None = None
        self._begun = 0
        self._completed = 0
        self._failed = 0
        self._warning = 0
        self._failed_uids: list[str] = []
        self._told = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    async def perform(self, function: Callable[[Any], Any]) -> Reply:
        """Sends what the handler yields, and returns the final response when all has ended. Raises what the handler
        raises, then too.
        """
        self._timer = self._loop.call_later(self._interval, self._tell)
        try:
            async with yielding(function, self._request) as things:
                try:
                    async for thing in things:
                        await self._begin(thing if isinstance(thing, SubOperation) else SubOperation(thing))
                except Exception:
                    await self._ended()
                    raise
                await self._ended()
            # What has begun ends also when the peer has cancelled: to stop in the middle of an object would be the end
            # of its association.
            await self._ended()
        finally:
            self._timer.cancel()
            for worker in self._workers:
                worker.cancel()
            self._workers.clear()  # what ends them has seen this, and would be kept by them
        return self._reply()

    async def _begin(self, what: SubOperation) -> None:
        what = what._replace(source=AheadFile.of(what.source))
        while self._running >= self._at_once():
            await self._one_ended()
        self._running += 1
        self._begun += 1
        if self._idle:
            self._idle.pop().set_result(what)
        else:
            self._workers.append(self._loop.create_task(self._work(what)))

    async def _work(self, what: SubOperation) -> None:
        """Performs one sub-operation after the other: a task for each would cost as much as the rest of it."""
        while True:
            await self._perform(what)
            del what  # and the object with it, however long the handler takes for the next one
            idle = self._loop.create_future()
            self._idle.append(idle)
            what = await idle

    async def _one_ended(self) -> None:
        self._wake = self._loop.create_future()
        await self._wake

    async def _ended(self) -> None:
        while self._running:
            await self._one_ended()

    async def _perform(self, what: SubOperation) -> None:
        try:
            status = (await self._send(what)).status
        except Exception as error:  # whatever a source of the handler's raises
            association = self._request.association
            if not association.is_open:
                return  # there is nobody to count for
            self._failed += 1
            if len(self._failed_uids) < _MOST_FAILED:
                self._failed_uids += _uid_of(what)
            if isinstance(error, (AiodicomError, OSError)):
                # A failure status is the destination's affair; the rest is ours, or on the way.
                level = logging.INFO if isinstance(error, StatusError) else logging.WARNING
                association.log(level, "a sub-operation of %s failed: %s", self._service, _told(error))
            else:
                association.log(logging.ERROR, "a sub-operation of %s failed", self._service, error=error)
        else:
            self._completed += status.category is StatusCategory.SUCCESS
            self._warning += status.category is StatusCategory.WARNING
            if self._loop.time() - self._told >= self._interval:
                self._tell()
        finally:
            self._running -= 1
            if self._wake is not None and not self._wake.done():
                self._wake.set_result(None)

    @property
    def _service(self) -> str:
        return self._request.message.SERVICE

    def _counters(self, *, is_final: bool) -> dict[str, int]:
        ended = self._completed + self._failed + self._warning
        remaining = max(self._request.total or 0, self._begun) - ended
        counters = {
            "number_of_completed_suboperations": min(self._completed, 0xFFFF),
            "number_of_failed_suboperations": min(self._failed, 0xFFFF),
            "number_of_warning_suboperations": min(self._warning, 0xFFFF),
        }
        # PS3.7 9.1.3.1.6: how many remain is in pending responses, and where the peer has cancelled.
        if not is_final or self._request.is_cancelled:
            counters["number_of_remaining_suboperations"] = min(remaining, 0xFFFF)
        return counters

    def _tell(self) -> None:
        """Sends a pending response, unless the peer takes less than is sent: the next one says more."""
        assert self._timer is not None
        self._timer.cancel()
        now = self._told = self._loop.time()
        self._timer = self._loop.call_at(now + self._interval, self._tell)
        if self._outbox.is_ready and self._request.association.is_open:
            response = response_to(self._request.message, Status.PENDING, **self._counters(is_final=False))
            self._outbox.send_response(self._request.context.context_id, response)

    def _reply(self) -> Reply:
        if self._request.is_cancelled:
            status = Status.CANCEL
        elif not self._failed and not self._warning:
            status = Status.SUCCESS
        elif self._completed or self._warning:
            status = Status.SUB_OPERATIONS_COMPLETE_WITH_FAILURES
        else:
            status = Status.UNABLE_TO_PERFORM_SUB_OPERATIONS
        data = None
        if self._failed_uids:
            from aiodicom.dataset import Dataset

            failed = Dataset(FailedSOPInstanceUIDList=self._failed_uids)
            data = encode_data_set(failed, self._request.context.transfer_syntax)
        counters = self._counters(is_final=True)
        return Reply(response_to(self._request.message, status, has_data_set=data is not None, **counters), data)


def _told(error: BaseException) -> str:
    """What may be logged of an error: which object it is would be in the name of its file."""
    if isinstance(error, OSError) and not isinstance(error, AiodicomError):
        return error.strerror or type(error).__name__
    return str(error)


def _uid_of(what: SubOperation) -> list[str]:
    """The SOP Instance UID of what could not be sent, if it can be told."""
    if what.sop_instance_uid:
        return [what.sop_instance_uid]
    if isinstance(what.source, KnownFile):
        return [what.source.meta.sop_instance_uid]
    try:
        opened = open_source(what.source)
    except Exception:
        return []  # it may be what has failed
    try:
        return [opened.sop_instance_uid]
    finally:
        opened.close()
