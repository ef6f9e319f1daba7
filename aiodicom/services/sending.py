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
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from aiodicom.errors import AiodicomError, AssociationClosed, RemoteError, StatusError
from aiodicom.net.fleet import Connect
from aiodicom.net.pooling import AssociationPool
from aiodicom.net.proposing import Proposals
from aiodicom.net.sources import KnownFile
from aiodicom.net.transcoding import Transcoding
from aiodicom.net.tuning import Choice
from aiodicom.net.upkeep import Upkeep
from aiodicom.services.scan import Unusable
from aiodicom.services.stopping import Interrupted
from aiodicom.standard.status import Status
from aiodicom.ul.pdu import MOST_CONTEXTS

if TYPE_CHECKING:
    from aiodicom.dimse.messages import CStoreRSP
    from aiodicom.net.association import Association

__all__ = ["Listener", "StoreJob", "Unsendable"]

#: Files to look at before the first association is proposed, the seconds that this may take, how many are looked
#: at in one go later, and how few waiting ones start that.
_FIRST: Final = 4096
_FIRST_SECONDS: Final = 1.0
_BATCH: Final = 512
_LOW: Final = 1024

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
            group.is_done.set()

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
        deadline = monotonic() + seconds
        while len(batch) < count:
            entry = next(self._files, None)
            if entry is None:
                self._is_exhausted = True
                break
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
            group.queue.append(file)
            self._waiting += 1

    # ------------------------------------------------------------------------------------------- files, to the peer

    def _staff(self, group: _Group) -> None:
        """Has as many of the group's files sent at once as its pool wants."""
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
        for _ in range(min(group.pool.concurrency - group.workers, len(group.queue))):
            group.workers += 1
            self._tasks.create_task(self._work(group, group.pool))

    async def _keep(self, group: _Group, pool: AssociationPool) -> None:
        """The life of a pool."""
        async with pool:
            await group.is_done.wait()

    async def _work(self, group: _Group, pool: AssociationPool) -> None:
        """Sends one file after the other, until there are no more or fewer are wanted at once."""
        try:
            while group.queue and group.workers <= pool.concurrency and not self._stop.is_set():
                file = group.queue.popleft()
                self._waiting -= 1
                if self._waiting < _LOW:
                    self._is_low.set()
                group.held += 1
                try:
                    await self._send(file, group, pool)
                finally:
                    group.held -= 1
        finally:
            group.workers -= 1
            self._look_for_end(group)

    async def _send(self, file: KnownFile, group: _Group, pool: AssociationPool) -> None:
        is_begun = False

        async def store(association: Association) -> CStoreRSP:
            nonlocal is_begun
            is_begun = True
            group.running += 1
            if group.workers < pool.concurrency:  # the association is open now: it is known what the peer grants
                self._staff(group)
            self._look_for_end(group)
            try:
                return await association.c_store(file, transcode=self._transcoding)
            finally:
                group.running -= 1

        try:
            response = await pool.perform(store, size=file.size)
        except (AiodicomError, OSError) as error:
            if is_begun:
                self._listener.failed(file.path, error)
            else:
                self._listener.unsent(file.path, Interrupted() if self._stop.is_set() else group.error or error)
            is_about_file = isinstance(error, StatusError) or not isinstance(error, RemoteError | AssociationClosed)
            if (not is_about_file or not is_begun) and not (pool.open or pool.opening) and not self._stop.is_set():
                self._give_up(group, error)
        else:
            self._listener.sent(file, response.status)

    def _look_for_end(self, group: _Group) -> None:
        """When nothing more will be begun, associations are released as they become idle: there are servers that accept
        more than they serve, and turn to the next one when another ends.
        """
        if self.is_scanned and not group.queue and group.held == group.running:
            group.is_done.set()

    def _give_up(self, group: _Group, error: BaseException) -> None:
        if group.error is None:
            group.error = error
            group.is_done.set()
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
        self.pool: AssociationPool | None = None
        self.workers = 0
        #: files that have been taken from the queue and not been heard of yet, and those of them that are being sent
        self.held = 0
        self.running = 0
        #: set when nothing more will be begun
        self.is_done = asyncio.Event()
        #: why nothing is sent any more
        self.error: BaseException | None = None
