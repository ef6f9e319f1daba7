"""C-GET and C-MOVE as SCP: what a handler yields is sent by C-STORE sub-operations (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from aiodicom.dimse.events import ResponseReceived, Timeouts
from aiodicom.dimse.messages import CStoreRSP, Response
from aiodicom.dimse.responses import response_to
from aiodicom.errors import (
    ContextNotAccepted,
    DeadlineExceeded,
    LocalError,
    OperationRefused,
    StatusError,
)
from aiodicom.net._data_sets import encode_data_set
from aiodicom.net.answers import Reply
from aiodicom.net.failures import Failures
from aiodicom.net.pacing import is_here
from aiodicom.net.requests import GetRequest, MoveRequest, RetrieveRequest
from aiodicom.net.responses import Token, check, is_failure
from aiodicom.net.sources import AheadFile, DataSource, KnownFile, Storable, Way, open_source
from aiodicom.net.transcoding import Transcoding
from aiodicom.net.unawaited import Unawaited, Withdrawn, begin_store
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
    "SubOperation",
    "find_destination",
    "perform_get",
    "perform_move",
]

#: SOP Instance UIDs of failed sub-operations that are remembered: the counters go no further.
_MOST_FAILED: Final = 0xFFFF
#: The send buffer of the one association of a C-GET to a peer on this machine, which has less to do where it finds more
#: at a time; by C-MOVE there are several.
SEND_BUFFER: Final = 2 << 20
#: So many objects are read while others are sent, if they can be.
_AHEAD: Final = 8
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


class _Way(Way, Protocol):
    """How sub-operations reach who is to store."""

    @property
    def at_once(self) -> int:
        """How many of them are wanted at a time."""

    @property
    def is_ready(self) -> bool:
        """Whether there is any use in `begin`."""

    async def ready(self) -> None:
        """Waits until there is, or nothing can be sent any more."""

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
        return self._outbox.is_ready

    async def ready(self) -> None:
        await self._outbox.ready()

    @property
    def sends_files(self) -> bool:
        return self._association.sends_files

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

    async def ready(self) -> None:
        while self.pool.is_blocked:
            drained = asyncio.get_running_loop().create_future()
            self.pool.when_ready(partial(_awake, drained))
            await drained

    @property
    def sends_files(self) -> bool:
        return self.pool.sends_files if self.pool.open else self._may_send_files

    def begin(self, source: DataSource, token: Token) -> bool:
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


class _Retrieval:
    """The sub-operations of one C-GET or C-MOVE, up to `way.at_once` at a time.

    What has to wait for nothing is begun, and `_Begun` told of its response: that costs neither task nor future. Other
    sub-operations are tasks, such as those of objects that are large or have to be transcoded.

    Invariants: every sub-operation that has been yielded is `_waiting`, one of those `_running`, or counted in exactly
    one of `completed`, `failed`, `warning`; each of those `_running` is one of `_tasks`, or has a `_Begun` that has not
    been told yet; `_carry` is one of `_tasks`, too.
    """

    def __init__(self, request: RetrieveRequest, outbox: Outbox, way: _Way, interval: float) -> None:
        self._request = request
        self._outbox = outbox
        self._way = way
        self._interval = interval
        self._loop = request.association.loop
        #: What is read while others are sent.
        self._waiting: deque[SubOperation] = deque()
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()
        #: What `_carry` waits for, and who fills `_waiting`, and waits for the end.
        self._changed: asyncio.Future[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._begun = 0
        self._completed = 0
        self._failed = 0
        self._warning = 0
        self._failed_uids: list[str] = []
        self._failures = Failures(request.association, request.message.SERVICE)
        self._told = self._loop.time()
        #: None when nothing is told any more: what has been begun may end later than a handler that is cancelled.
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
            # What is being sent ends also when the peer has cancelled: to stop in the middle of an object would be the
            # end of its association.
            self._waiting.clear()
            await self._ended()
        finally:
            self._timer.cancel()
            self._timer = None
            self._waiting.clear()
            for task in self._tasks:
                task.cancel()
            self._failures.end()
        return self._reply()

    async def _begin(self, what: SubOperation) -> None:
        """Takes what has been yielded; returns when the next can be."""
        source = AheadFile.of(what.source, self._way)
        self._begun += 1
        if source is what.source:
            if not self._waiting and self._has_turn and self._way.is_ready:
                self._send(what)
                return
        else:
            what = SubOperation(source, *what[1:])
        self._waiting.append(what)
        if self._changed is None:
            self._changed = self._loop.create_future()
            self._start(self._carry())
        _awake(self._changed)
        # What is in no file takes memory.
        most = _AHEAD if isinstance(source, KnownFile) else 1
        if len(self._waiting) >= most:
            while len(self._waiting) > most // 2:
                await self._change()

    @property
    def _has_turn(self) -> bool:
        return self._running < self._way.at_once

    async def _carry(self) -> None:
        """Sends what waits, when it is its turn."""
        assert self._changed is not None
        while True:
            while self._waiting and self._has_turn:
                if not self._way.is_ready:
                    await self._way.ready()
                if self._waiting:
                    self._send(self._waiting.popleft())
                if len(self._waiting) in (0, _AHEAD // 2):
                    _awake(self._wake)
            await self._changed
            self._changed = self._loop.create_future()

    def _send(self, what: SubOperation) -> None:
        """Has one be sent now if it can be, else in a task."""
        self._running += 1
        try:
            is_begun = self._send_now(what)
        except Exception as error:
            self.note_error(what, error)
        else:
            if not is_begun:
                self._start(self._perform(what))

    def _send_now(self, what: SubOperation) -> bool:
        source = open_source(*what)
        is_begun = False
        try:
            is_begun = self._way.begin(source, _Begun(self, what, source))
        except ContextNotAccepted:
            pass  # in its own transfer syntax: it may be transcoded
        finally:
            if not is_begun:
                source.close()
        return is_begun

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _change(self) -> None:
        """Waits until there is room in `_waiting`, or nothing is sent any more."""
        self._wake = self._loop.create_future()
        await self._wake

    async def _ended(self) -> None:
        while self._running or self._waiting:
            await self._change()

    async def _perform(self, what: SubOperation) -> None:
        try:
            status = (await self._way.send(what)).status
        except Exception as error:  # whatever a source of the handler's raises
            self.note_error(what, error)
        except asyncio.CancelledError:
            self._note_end()  # all of it is over, unless a source of the handler's raises that
            raise
        else:
            self._note(status)

    def again(self, what: SubOperation) -> None:
        """A sub-operation is to be sent once more, on another association."""
        self._start(self._perform(what))

    def on_response(self, what: SubOperation, response: Response) -> None:
        """There is the response to a sub-operation."""
        if is_failure(response.status):
            try:
                check(response)
            except StatusError as error:
                self.note_error(what, error)
        else:
            self._note(response.status)

    def _note(self, status: Status) -> None:
        """A sub-operation has ended."""
        if status:
            self._warning += 1
        else:
            self._completed += 1
        self._note_end()
        if self._loop.time() - self._told >= self._interval:
            self._tell()

    def note_error(self, what: SubOperation, error: Exception) -> None:
        """A sub-operation has failed."""
        self._way.note(error)
        if self._request.association.is_open:  # else there is nobody to count for
            self._failed += 1
            if len(self._failed_uids) < _MOST_FAILED:
                self._failed_uids += _uid_of(what)
            self._failures.note(error)
        self._note_end()

    def _note_end(self) -> None:
        self._running -= 1
        if self._waiting:
            _awake(self._changed)
        elif not self._running:
            _awake(self._wake)

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
        if self._timer is None:
            return
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


def _awake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


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


class _Begun(Unawaited):
    """The token of a sub-operation that nobody awaits."""

    __slots__ = ("_retrieval", "_source", "_what")

    def __init__(self, retrieval: _Retrieval, what: SubOperation, source: DataSource) -> None:
        self._retrieval = retrieval
        self._what = what
        self._source = source

    def set_result(self, event: ResponseReceived) -> None:
        self._source.close()
        self._retrieval.on_response(self._what, event.message)

    def set_exception(self, error: Exception) -> None:
        self._source.close()
        if isinstance(error, Withdrawn):
            self._retrieval.again(self._what)
        else:
            self._retrieval.note_error(self._what, error)
