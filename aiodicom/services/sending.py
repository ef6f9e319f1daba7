"""The Storage service class as SCU (PS3.4 annex B): many files, over some associations, in bounded memory.

Files are looked at while others are sent, a few thousand ahead. What is found decides what is proposed: a presentation
context for each pair of SOP class and transfer syntax, up to 128 on an association. Pairs beyond those, and pairs that
turn up later, make another *group* with a pool of associations of its own, beside the first.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from aiodicom.errors import AiodicomError, AssociationClosed, RemoteError, StatusError
from aiodicom.net.fleet import Connect
from aiodicom.net.pooling import AssociationPool
from aiodicom.net.proposing import Proposals
from aiodicom.net.responses import Token, check
from aiodicom.net.sources import AheadFile, DataSource, KnownFile, open_source
from aiodicom.net.transcoding import Transcoding
from aiodicom.net.tuning import Choice
from aiodicom.net.unawaited import Unawaited, Withdrawn, begin_store
from aiodicom.net.upkeep import Upkeep
from aiodicom.services.scan import Unusable
from aiodicom.services.stopping import Interrupted
from aiodicom.standard.status import Status
from aiodicom.store._files import ReadAhead
from aiodicom.ul.pdu import MOST_CONTEXTS

if TYPE_CHECKING:
    from aiodicom.dimse.events import ResponseReceived
    from aiodicom.dimse.messages import CStoreRSP
    from aiodicom.net.association import Association

__all__ = ["Listener", "StoreJob", "Unsendable"]

#: Files to look at before the first association is proposed, the seconds that this may take, how many are looked
#: at in one go later, and how few waiting ones start that.
_FIRST: Final = 4096
_FIRST_SECONDS: Final = 1.0
_BATCH: Final = 512
_LOW: Final = 1024

#: So many files are read while others are sent, where they are large enough for that to be of use.
_AHEAD: Final = 4

#: Seconds after which an association for which no file turns up is released, before the peer tires of it.
_IDLE: Final = 10.0


class Unsendable(Exception):
    """Why a file that is, or may be, a DICOM file cannot be sent."""


class Listener(Protocol):
    """Hears of every file, once."""

    def sent(self, file: KnownFile, status: Status) -> None:
        """The peer has stored it: a success or a warning."""

    def failed(self, path: str, error: BaseException) -> None:
        """It was not stored: a failure status, no context for it, or its association ended."""

    def unsent(self, path: str, error: BaseException) -> None:
        """It was not tried, because no association is left or can be opened, or because of the stop."""

    def skipped(self, path: str, reason: str) -> None:
        """It is no DICOM file."""

    def association_failed(self, error: BaseException) -> None:
        """An association could not be opened, or ended badly; others may go on."""


class StoreJob:
    """Stores each of `files` once. `run()` raises nothing that concerns files or peers: the listener hears of it.

    `associations`: how many share the files of a group; `window`: how many requests each has outstanding at most.
    Either may be "auto": it is then found by what gets done. `transcode`: what may be done to files that the peer does
    not accept as they are.
    """

    def __init__(
        self,
        files: Iterator[KnownFile | Unusable],
        connect: Connect,
        listener: Listener,
        *,
        associations: Choice = 1,
        window: Choice = 1,
        transcode: Transcoding = Transcoding.LOSSLESS,
    ) -> None:
        #: files found so far, and whether those are all
        self.found = 0
        self.is_scanned = False
        self._files = files
        self._is_exhausted = False
        self._connect = connect
        self._listener = listener
        self._associations = associations
        self._window = window
        self._transcoding = transcode
        self._stop = asyncio.Event()
        self._groups: list[_Group] = []
        self._group_of: dict[tuple[str, str], _Group] = {}
        self._waiting = 0
        self._is_low = asyncio.Event()
        self._tasks: asyncio.TaskGroup

    async def run(self, stop: asyncio.Event) -> None:
        """Returns when every file has been heard of; after `stop`, as soon as what is on its way has been answered.

        Cancelling it aborts the associations.
        """
        self._stop = stop
        waking = asyncio.create_task(self._wake_on_stop())
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._scan(_FIRST, _FIRST_SECONDS)
                while not self.is_scanned and not stop.is_set():
                    self._is_low.clear()
                    if self._waiting >= _LOW:
                        await self._is_low.wait()
                    else:
                        await self._scan(_BATCH)
        finally:
            waking.cancel()
            await asyncio.wait((waking,))
        for group in self._groups:
            self._give_up(group, Interrupted())

    async def _wake_on_stop(self) -> None:
        await self._stop.wait()
        self._is_low.set()
        for group in self._groups:
            group.end()

    # ------------------------------------------------------------------------------------------- files, to groups

    async def _scan(self, count: int, seconds: float = 60.0) -> None:
        batch = await asyncio.to_thread(self._read, count, seconds)
        self.is_scanned = self._is_exhausted
        for entry in batch:
            if isinstance(entry, KnownFile):
                self._enqueue(entry)
            elif entry.broken:
                self._listener.failed(entry.path, Unsendable(entry.reason))
            else:
                self._listener.skipped(entry.path, entry.reason)
        for group in self._groups:
            self._staff(group)
            self._look_for_end(group)

    def _read(self, count: int, seconds: float) -> list[KnownFile | Unusable]:
        """Looks at the next files; runs in a thread."""
        batch: list[KnownFile | Unusable] = []
        ahead = 0 if self._waiting else _AHEAD
        deadline = monotonic() + seconds
        while len(batch) < count:
            entry = next(self._files, None)
            if entry is None:
                self._is_exhausted = True
                break
            if len(batch) < ahead and isinstance(entry, KnownFile):
                entry = AheadFile.reading(entry)  # at once, so that it is there when the association is
            batch.append(entry)
            if monotonic() > deadline:
                break
        return batch

    def _enqueue(self, file: KnownFile) -> None:
        self.found += 1
        pair = (file.meta.sop_class_uid, file.meta.transfer_syntax)
        group = self._group_of.get(pair)
        if group is None:
            group = self._groups[-1] if self._groups else None
            # What an association proposes is settled when it is opened.
            if group is None or group.pool is not None or len(group.kinds) == MOST_CONTEXTS:
                group = _Group()
                self._groups.append(group)
            group.kinds.append(pair)
            self._group_of[pair] = group
        if group.error is not None:
            self._listener.unsent(file.path, group.error)
        else:
            group.put(file)
            self._waiting += 1

    # ------------------------------------------------------------------------------------------- files, to the peer

    def _staff(self, group: _Group) -> None:
        """Has the group's files sent."""
        if group.error is not None or self._stop.is_set() or not group.queue:
            return
        if group.pool is None:
            group.pool = AssociationPool(
                self._connect,
                Proposals(kinds=group.kinds, transcoding=self._transcoding),
                size=self._associations,
                window=self._window,
                max_waiting=sys.maxsize,  # there are as many as are wanted at once
                wait=None,
                upkeep=Upkeep(idle=_IDLE),
                on_failure=self._listener.association_failed,
            )
            self._tasks.create_task(self._keep(group, group.pool))
            self._tasks.create_task(self._supply(group, group.pool))
        group.changed.set()

    async def _keep(self, group: _Group, pool: AssociationPool) -> None:
        """The life of a pool."""
        async with pool:
            await group.is_done.wait()

    async def _supply(self, group: _Group, pool: AssociationPool) -> None:
        """Has the group's files sent, as many at once as its pool wants, until there are no more."""
        while group.held or not group.is_done.is_set():
            await group.changed.wait()
            group.changed.clear()
            while group.ended:
                self._end(group.ended.popleft(), group, pool)
            while group.queue and group.held < pool.concurrency and not group.is_done.is_set():
                if pool.is_blocked:
                    pool.when_ready(group.changed.set)
                    break
                self._send(group.take(), group, pool)
                self._waiting -= 1
                if self._waiting < _LOW:
                    self._is_low.set()
            self._look_for_end(group)

    def _send(self, file: KnownFile, group: _Group, pool: AssociationPool) -> None:
        """Has a file be sent: at once where that need not wait, at the cost of neither task nor future."""
        group.held += 1
        if self._begin(file, group, pool):
            group.running += 1
        else:
            self._tasks.create_task(self._perform(file, group, pool))

    def _begin(self, file: KnownFile, group: _Group, pool: AssociationPool) -> bool:
        is_begun = False
        with suppress(AiodicomError, OSError):  # whoever waits for it will hear why
            source = open_source(file)
            try:
                token = _Stored(file, source, group)
                is_begun = pool.begin_now(partial(_begin_store, source), token, size=file.size)
            finally:
                if not is_begun:
                    source.close()
        return is_begun

    def _end(self, stored: _Stored, group: _Group, pool: AssociationPool) -> None:
        """There is the answer to a file that was begun, or there will be none."""
        group.running -= 1
        group.held -= 1
        error = stored.error
        if stored.event is not None:
            response = stored.event.message
            try:
                check(response)
            except StatusError as failure:
                error = failure
            else:
                self._listener.sent(stored.file, response.status)
                return
        assert error is not None
        if isinstance(error, Withdrawn):
            group.held += 1
            self._tasks.create_task(self._perform(stored.file, group, pool, is_begun=True))
        else:
            self._fail(stored.file, group, pool, error, is_begun=True)

    async def _perform(self, file: KnownFile, group: _Group, pool: AssociationPool, *, is_begun: bool = False) -> None:
        """Sends a file when it is its turn; `is_begun`: it has been tried before."""

        async def store(association: Association) -> CStoreRSP:
            nonlocal is_begun
            is_begun = True
            group.running += 1
            group.changed.set()  # the association is open now: it is known what the peer grants
            try:
                return await association.c_store(file, transcode=self._transcoding)
            finally:
                group.running -= 1

        try:
            response = await pool.perform(store, size=file.size)
        except (AiodicomError, OSError) as error:
            self._fail(file, group, pool, error, is_begun=is_begun)
        else:
            self._listener.sent(file, response.status)
        finally:
            group.forget(file)
            group.held -= 1
            group.changed.set()

    def _fail(
        self, file: KnownFile, group: _Group, pool: AssociationPool, error: BaseException, *, is_begun: bool
    ) -> None:
        if is_begun:
            self._listener.failed(file.path, error)
        else:
            self._listener.unsent(file.path, Interrupted() if self._stop.is_set() else group.error or error)
        is_about_file = isinstance(error, StatusError) or not isinstance(error, RemoteError | AssociationClosed)
        if (not is_about_file or not is_begun) and not (pool.open or pool.opening) and not self._stop.is_set():
            self._give_up(group, error)

    def _look_for_end(self, group: _Group) -> None:
        """When nothing more will be begun, associations are released as they become idle: there are servers that accept
        more than they serve, and turn to the next one when another ends.
        """
        if self.is_scanned and not group.queue and group.held == group.running:
            group.end()

    def _give_up(self, group: _Group, error: BaseException) -> None:
        if group.error is None:
            group.error = error
            group.end()
        self._waiting -= len(group.queue)
        self._is_low.set()
        while group.queue:
            self._listener.unsent(group.queue.popleft().path, group.error)


class _Group:
    """Files whose presentation contexts fit into one association, and what sends them."""

    def __init__(self) -> None:
        #: pairs of SOP class and transfer syntax; no more of them once there is a pool
        self.kinds: list[tuple[str, str]] = []
        self.queue: deque[KnownFile] = deque()
        #: what is read, or has been and is not sent yet
        self._reading: list[ReadAhead] = []
        self.pool: AssociationPool | None = None
        #: files that have been taken from the queue and not been heard of yet, and those of them that are being sent
        self.held = 0
        self.running = 0
        #: those that were begun and have ended since they were looked at
        self.ended: deque[_Stored] = deque()
        #: set when there is anything new, and when nothing more will be begun
        self.changed = asyncio.Event()
        self.is_done = asyncio.Event()
        #: why nothing is sent any more
        self.error: BaseException | None = None

    def put(self, file: KnownFile) -> None:
        """A file has been found."""
        self.queue.append(file)
        if isinstance(file, AheadFile):
            self._reading.append(file.ahead)

    def take(self) -> KnownFile:
        """Returns the next file, and has another one of those that follow read, where not enough of them are."""
        taken = self.queue.popleft()
        self._reading = [each for each in self._reading if not each.is_taken]
        may_stay = self.pool is not None and self.pool.sends_files
        # Several at a time: to wake the thread that reads costs a good part of what reading does.
        if len(self._reading) <= _AHEAD // 2:
            for number, file in enumerate(islice(self.queue, _AHEAD)):
                if len(self._reading) < _AHEAD and not isinstance(file, AheadFile):
                    self.queue[number] = file = AheadFile.reading(file, may_stay=may_stay)
                    if isinstance(file, AheadFile):
                        self._reading.append(file.ahead)
        return taken

    def forget(self, file: KnownFile) -> None:
        """A file has been heard of: what was read of it may be left, if it was not sent as it stands."""
        if isinstance(file, AheadFile):
            self._reading = [each for each in self._reading if each is not file.ahead]

    def end(self) -> None:
        """Nothing more is begun."""
        if not self.is_done.is_set():
            self.is_done.set()
            self.changed.set()


class _Stored(Unawaited):
    """The token of a file that is being sent: what came of it."""

    __slots__ = ("_group", "_source", "error", "event", "file")

    def __init__(self, file: KnownFile, source: DataSource, group: _Group) -> None:
        self.file = file
        self.event: ResponseReceived | None = None
        self.error: BaseException | None = None
        self._source = source
        self._group = group

    def set_result(self, event: ResponseReceived) -> None:
        self.event = event
        self._end()

    def set_exception(self, error: BaseException) -> None:
        self.error = error
        self._end()

    def _end(self) -> None:
        self._source.close()
        self._group.ended.append(self)
        self._group.changed.set()


def _begin_store(source: DataSource, association: Association, token: Token) -> bool:
    return begin_store(association, source, token)
