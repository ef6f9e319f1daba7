"""C-GET and C-MOVE as SCP: what a handler yields is sent by C-STORE sub-operations (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from aiodicom.dimse.events import Timeouts
from aiodicom.dimse.messages import CStoreRSP, Response
from aiodicom.dimse.responses import response_to
from aiodicom.errors import (
    DeadlineExceeded,
    LocalError,
    OperationRefused,
    StatusError,
)
from aiodicom.net._data_sets import encode_data_set
from aiodicom.net._retrieving import SubOperations
from aiodicom.net.answers import Reply
from aiodicom.net.failures import Failures
from aiodicom.net.pacing import is_here
from aiodicom.net.requests import GetRequest, MoveRequest, RetrieveRequest
from aiodicom.net.responses import Token, check
from aiodicom.net.sources import DataSource, KnownFile, SubOperation, open_source
from aiodicom.net.transcoding import Transcoding
from aiodicom.net.transport import NEAR_SEND_BUFFER
from aiodicom.net.unawaited import begin_store
from aiodicom.net.yielding import yielding
from aiodicom.standard.status import Status
from aiodicom.values import Value, frozen

if TYPE_CHECKING:
    import ssl as tls

    from aiodicom.net.association import Association
    from aiodicom.net.outbox import Outbox

__all__ = [
    "Destination",
    "Destinations",
    "MoveOriginator",
    "find_destination",
    "perform_get",
    "perform_move",
]

#: SOP Instance UIDs of failed sub-operations that are remembered: the counters go no further.
_MOST_FAILED: Final = 0xFFFF
#: The send buffer of the one association of a C-GET to a peer on this machine, which has less to do where it finds more
#: at a time; by C-MOVE there are several.
SEND_BUFFER: Final = 2 << 20
#: How many times as much as was asked for Linux takes of what is to be sent.
_TAKEN: Final = 2
#: Sub-operations at once on one association, as far as the peer grants so many.
_MOST_AT_ONCE: Final = 16


class MoveOriginator(NamedTuple):
    """Whose C-MOVE a C-STORE is a sub-operation of (PS3.7 9.1.1.1)."""

    ae_title: str
    message_id: int


@frozen
class Destination(Value):
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
    timeouts: Timeouts = Timeouts()
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


class Way(Protocol):
    """How sub-operations reach who is to store."""

    @property
    def at_once(self) -> int:
        """How many of them are wanted at a time."""

    @property
    def sends_files(self) -> bool:
        """Whether parts of files are sent without being read."""

    @property
    def room(self) -> int:
        """How many bytes of them are wanted at a time: where parts of files are sent unread, what the system takes at
        once, for the rest of one would be read.
        """

    @property
    def is_ready(self) -> bool:
        """Whether there is any use in `begin`."""

    def when_ready(self, told: Callable[[], object]) -> None:
        """Has `told` called when there may be, or nothing can be sent any more."""

    def begin(self, source: DataSource, token: Token) -> bool:
        """Begins one if that has to wait for nothing; returns whether it was. Raises as `begin_store` does."""

    async def send(self, what: SubOperation) -> CStoreRSP:
        """Performs one. Raises what `Association.c_store` raises."""

    def note(self, error: Exception) -> None:
        """This came of one."""


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
    request.association.transport.expect_objects(SEND_BUFFER)
    return await _Retrieval(request, outbox, _Back(request, outbox, transcoding), interval).perform(function)


async def perform_move(
    function: Callable[[MoveRequest], Any],
    request: MoveRequest,
    outbox: Outbox,
    interval: float,
    transcoding: Transcoding,
    destinations: Destinations,
) -> Reply:
    """Sends what the handler yields to the destination, and returns the final response; otherwise as `perform_get`.

    Raises `OperationRefused` for a destination that is unknown.
    """
    association = request.association
    destination = await find_destination(destinations, request.move_destination, association)
    if destination is None:
        raise OperationRefused(Status.MOVE_DESTINATION_UNKNOWN, "move destination unknown")
    way = _There(request, destination, destination.transcode or transcoding)
    async with way.pool:
        return await _Retrieval(request, outbox, way, interval).perform(function)


async def find_destination(destinations: Destinations, title: str, association: Association) -> Destination | None:
    """Returns the destination of an AE title, or None for an unknown one; `association` is the one that asks."""
    if isinstance(destinations, Mapping):
        return destinations.get(title)
    found = destinations(title, association)
    return await found if inspect.isawaitable(found) else found


class _Back:
    """On the association that has asked (C-GET)."""

    def __init__(self, request: GetRequest, outbox: Outbox, transcoding: Transcoding) -> None:
        self._association = request.association
        self._outbox = outbox
        self._priority = request.priority
        self._transcoding = transcoding
        self.at_once = min(self._association.window or _MOST_AT_ONCE, _MOST_AT_ONCE)

    @property
    def is_ready(self) -> bool:
        return self._outbox.is_ready or not self._association.is_open

    def when_ready(self, told: Callable[[], object]) -> None:
        self._outbox.when_ready(told)

    @property
    def sends_files(self) -> bool:
        return self._association.sends_files

    @property
    def room(self) -> int:
        return _TAKEN * SEND_BUFFER

    def begin(self, source: DataSource, token: Token) -> bool:
        return begin_store(self._association, source, token, priority=self._priority)

    async def send(self, what: SubOperation) -> CStoreRSP:
        return await self._association.c_store(**what._asdict(), priority=self._priority, transcode=self._transcoding)

    def note(self, error: Exception) -> None:
        """It is the association's, which is that of the request."""


class _There:
    """To the destination of a C-MOVE, on associations of a `pool`.

    Once the destination has let a timeout pass and no association with it is left, nothing more is tried: the rest has
    failed, which would else take that time for each few.
    """

    def __init__(self, request: MoveRequest, destination: Destination, transcoding: Transcoding | str) -> None:
        from aiodicom.net.pool import Pool

        association = request.association
        self._priority = request.priority
        self._originator = MoveOriginator(association.calling_aet, request.message_id)
        self._silence: DeadlineExceeded | None = None
        #: Before there is an association that tells.
        self._may_send_files = destination.ssl is None and is_here(destination.host)
        self.pool = Pool(
            destination.host,
            destination.port,
            size=destination.associations,
            window="auto",
            contexts=(),
            transcode=transcoding,
            calling_aet=association.called_aet,
            called_aet=request.move_destination,
            ssl=destination.ssl,
            server_hostname=destination.server_hostname,
            timeouts=destination.timeouts,
            wait=None,
        )

    @property
    def at_once(self) -> int:
        return self.pool.concurrency

    @property
    def is_ready(self) -> bool:
        # No more are begun than the pool has turns for, if the destination grants them.
        return not self.pool.is_blocked

    def when_ready(self, told: Callable[[], object]) -> None:
        self.pool.when_ready(told)

    @property
    def sends_files(self) -> bool:
        return self.pool.sends_files if self.pool.open else self._may_send_files

    @property
    def room(self) -> int:
        return _TAKEN * NEAR_SEND_BUFFER * max(self.pool.open, 1)

    def begin(self, source: DataSource, token: Token) -> bool:
        if self._silence is not None:
            self._check()
        return self.pool.begin_store(source, token, priority=self._priority, move_originator=self._originator)

    async def send(self, what: SubOperation) -> CStoreRSP:
        self._check()
        return await self.pool.c_store(**what._asdict(), priority=self._priority, move_originator=self._originator)

    def note(self, error: Exception) -> None:
        if isinstance(error, DeadlineExceeded) and not self.pool.open:
            self._silence = error

    def _check(self) -> None:
        if self._silence is not None:
            raise DeadlineExceeded(self._silence.what, self._silence.seconds)


class _Retrieval(SubOperations):
    """The sub-operations of one C-GET or C-MOVE. What each of them needs is compiled.

    Invariant: each of those `running` is one of `_tasks`, such as that of an object that is large or has to be
    transcoded, or has a token that has not been told yet.
    """

    def __init__(self, request: RetrieveRequest, outbox: Outbox, way: Way, interval: float) -> None:
        super().__init__(way, request.association.loop, interval)
        self._request = request
        self._outbox = outbox
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed_uids: list[str] = []
        self._failures = Failures(request.association, request.message.SERVICE)
        #: None when nothing is told any more: what has been begun may end later than a handler that is cancelled.
        self._timer: asyncio.TimerHandle | None = None

    async def perform(self, function: Callable[[Any], Any]) -> Reply:
        """Sends what the handler yields, and returns the final response when all has ended. Raises what the handler
        raises, then too.
        """
        self._timer = self.loop.call_later(self.interval, self.tell)
        try:
            async with yielding(function, self._request) as things:
                try:
                    async for thing in things:
                        if not self.take(thing):
                            while not self.has_room:
                                await self.changed()
                except Exception:
                    await self._ended()
                    raise
                await self._ended()
            # What is being sent ends also when the peer has cancelled: to stop in the middle of an object would be the
            # end of its association.
            self.waiting.clear()
            await self._ended()
        finally:
            self._timer.cancel()
            self._timer = None
            self.waiting.clear()
            for task in self._tasks:
                task.cancel()
            self._failures.end()
        return self._reply()

    async def _ended(self) -> None:
        while self.running or self.waiting:
            await self.changed()

    def send_later(self, what: SubOperation) -> None:
        """Has a sub-operation be sent by a task."""
        task = self.loop.create_task(self._perform(what))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, what: SubOperation) -> None:
        try:
            status = (await self.way.send(what)).status
        except Exception as error:  # whatever a source of the handler's raises
            self.note_error(what, error)
        except asyncio.CancelledError:
            self.note_end()  # all of it is over, unless a source of the handler's raises that
            raise
        else:
            self.note(status)

    def note_failure(self, what: SubOperation, response: Response) -> None:
        """The response to a sub-operation says that it has failed."""
        try:
            check(response)
        except StatusError as error:
            self.note_error(what, error)

    def note_error(self, what: SubOperation, error: Exception) -> None:
        """A sub-operation has failed."""
        self.way.note(error)
        if self._request.association.is_open:  # else there is nobody to count for
            self.failed += 1
            if len(self._failed_uids) < _MOST_FAILED:
                self._failed_uids += _uid_of(what)
            self._failures.note(error)
        self.note_end()

    def _counters(self, *, is_final: bool) -> dict[str, int]:
        ended = self.completed + self.failed + self.warning
        remaining = max(self._request.total or 0, self.begun) - ended
        counters = {
            "number_of_completed_suboperations": min(self.completed, 0xFFFF),
            "number_of_failed_suboperations": min(self.failed, 0xFFFF),
            "number_of_warning_suboperations": min(self.warning, 0xFFFF),
        }
        # PS3.7 9.1.3.1.6: how many remain is in pending responses, and where the peer has cancelled.
        if not is_final or self._request.is_cancelled:
            counters["number_of_remaining_suboperations"] = min(remaining, 0xFFFF)
        return counters

    def tell(self) -> None:
        """Sends a pending response, unless the peer takes less than is sent: the next one says more."""
        if self._timer is None:
            return
        self._timer.cancel()
        now = self.told = self.loop.time()
        self._timer = self.loop.call_at(now + self.interval, self.tell)
        if self._outbox.is_ready and self._request.association.is_open:
            response = response_to(self._request.message, Status.PENDING, **self._counters(is_final=False))
            self._outbox.send_response(self._request.context.context_id, response)

    def _reply(self) -> Reply:
        if self._request.is_cancelled:
            status = Status.CANCEL
        elif not self.failed and not self.warning:
            status = Status.SUCCESS
        elif self.completed or self.warning:
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
