"""The Storage service class as SCU (PS3.4 annex B): many files, over some associations, in bounded memory.

Files are looked at while others are sent, a few thousand ahead. What is found decides what is proposed: a presentation
context for each pair of SOP class and transfer syntax, up to 128 on an association. Pairs beyond those, and pairs that
turn up later, make another *group* with associations of its own, beside the first. For native objects (without
compressed pixels) the other native transfer syntaxes are proposed too: a peer that does not accept theirs gets them
encoded anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from aiodicom.errors import AiodicomError, AssociationClosed, RemoteError, StatusError
from aiodicom.net.reencoding import NATIVE
from aiodicom.services.scan import Found, Unusable
from aiodicom.services.stopping import Interrupted, unless_stopped
from aiodicom.standard.status import Status

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = ["Connect", "Listener", "StoreJob", "Unsendable", "proposal"]

#: Opens an association that proposes these presentation contexts.
Connect = Callable[[Sequence[tuple[str, Sequence[str]]]], Awaitable["Association"]]

#: PS3.8 9.3.2.2: context ids are the odd numbers of one byte.
_CONTEXTS: Final = 128

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

    def sent(self, file: Found, status: Status) -> None:
        """The peer has stored it: a success or a warning."""

    def failed(self, path: str, error: BaseException) -> None:
        """It was not stored: a failure status, no context for it, or its association ended."""

    def unsent(self, path: str, error: BaseException) -> None:
        """It was not tried, because no association is left, or because of the stop."""

    def skipped(self, path: str, reason: str) -> None:
        """It is no DICOM file."""

    def association_failed(self, error: BaseException) -> None:
        """An association could not be opened, or ended badly; others may go on."""


class StoreJob:
    """Stores each of `files` once. `run()` raises nothing that concerns files or peers: the listener hears of it.

    `associations`: how many share the files of a group; `window`: how many requests each has outstanding at most.
    """

    def __init__(
        self,
        files: Iterator[Found | Unusable],
        connect: Connect,
        listener: Listener,
        *,
        associations: int = 1,
        window: int = 1,
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
        self._stop = asyncio.Event()
        self._groups: list[_Group] = []
        self._group_of: dict[tuple[str, str], _Group] = {}
        self._waiting = 0
        self._is_low = asyncio.Event()
        self._lanes: asyncio.TaskGroup

    async def run(self, stop: asyncio.Event) -> None:
        """Returns when every file has been heard of; after `stop`, as soon as what is on its way has been answered.

        Cancelling it aborts the associations.
        """
        self._stop = stop
        waking = asyncio.create_task(self._wake_on_stop())
        try:
            async with asyncio.TaskGroup() as self._lanes:
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
            group.arrived.set()

    # ------------------------------------------------------------------------------------------- files, to groups

    async def _scan(self, count: int, seconds: float = 60.0) -> None:
        batch = await asyncio.to_thread(self._read, count, seconds)
        self.is_scanned = self._is_exhausted
        for entry in batch:
            if isinstance(entry, Found):
                self._enqueue(entry)
            elif entry.broken:
                self._listener.failed(entry.path, Unsendable(entry.reason))
            else:
                self._listener.skipped(entry.path, entry.reason)
        for group in self._groups:
            if group.queue:
                self._staff(group)
            if group.queue or self.is_scanned:
                group.arrived.set()

    def _read(self, count: int, seconds: float) -> list[Found | Unusable]:
        """Looks at the next files; runs in a thread."""
        batch: list[Found | Unusable] = []
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

    def _enqueue(self, file: Found) -> None:
        self.found += 1
        pair = (file.meta.sop_class_uid, file.meta.transfer_syntax)
        group = self._group_of.get(pair)
        if group is None:
            group = self._groups[-1] if self._groups else None
            # What an association proposes is settled when it is opened.
            if group is None or group.is_settled or len(group.kinds) == _CONTEXTS:
                group = _Group()
                self._groups.append(group)
            group.kinds.append(pair)
            self._group_of[pair] = group
        if group.error is not None:
            self._listener.unsent(file.path, group.error)
        else:
            group.queue.append(file)
            self._waiting += 1

    def _staff(self, group: _Group) -> None:
        """Opens associations for the group's files, as many as may be."""
        if group.error is not None:
            return
        group.is_settled = True
        while group.lanes < min(self._associations, len(group.queue)):
            group.lanes += 1
            self._lanes.create_task(self._lane(group))

    # ------------------------------------------------------------------------------------------- files, to the peer

    async def _lane(self, group: _Group) -> None:
        """One association, from its proposal to its release."""
        error: BaseException | None = None
        try:
            async with await unless_stopped(self._stop, self._connect(proposal(group.kinds))) as association:
                async with asyncio.TaskGroup() as workers:
                    # 0 is no limit (PS3.7 D.3.3.3)
                    for _ in range(min(self._window, association.window or self._window)):
                        workers.create_task(self._work(group, association))
                if not association.is_open:
                    error = group.cause or AssociationClosed("the peer released the association")
        except (AiodicomError, OSError) as failure:
            error = failure
        except Interrupted:
            pass
        finally:
            group.lanes -= 1
        if error is not None:
            self._listener.association_failed(error)
            if group.lanes == 0:
                self._give_up(group, error)
        elif not self._stop.is_set():
            self._staff(group)  # for files that came while the association was being released

    async def _work(self, group: _Group, association: Association) -> None:
        """Sends one file after the other, until there are no more or the association has ended."""
        listener = self._listener
        while association.is_open and not self._stop.is_set():
            if not group.queue:
                if self.is_scanned or not await group.wait():
                    return
                continue
            file = group.queue.popleft()
            self._waiting -= 1
            if self._waiting < _LOW:
                self._is_low.set()
            try:
                response = await association.c_store(file.path)
            except (AiodicomError, OSError) as error:
                if isinstance(error, RemoteError) and not isinstance(error, StatusError):
                    group.cause = error
                listener.failed(file.path, error)
            else:
                listener.sent(file, response.status)

    def _give_up(self, group: _Group, error: BaseException) -> None:
        group.error = error
        self._waiting -= len(group.queue)
        self._is_low.set()
        while group.queue:
            self._listener.unsent(group.queue.popleft().path, error)


def proposal(kinds: Sequence[tuple[str, str]]) -> list[tuple[str, tuple[str, ...]]]:
    """The presentation contexts for objects of up to 128 kinds, pairs of SOP class and transfer syntax."""
    contexts: list[tuple[str, tuple[str, ...]]] = [(sop_class, (syntax,)) for sop_class, syntax in kinds]
    served: set[str] = set()
    for number, (sop_class, own) in enumerate(kinds):
        if own not in NATIVE or sop_class in served:
            continue
        served.add(sop_class)
        others = tuple(syntax for syntax in NATIVE if syntax != own)
        # Alone as long as there is room: together with the objects' own, the peer might choose another than that.
        if len(contexts) < _CONTEXTS:
            contexts.append((sop_class, others))
        else:
            contexts[number] = (sop_class, (own, *others))
    return contexts


class _Group:
    """Files whose presentation contexts fit into one association, and what works on them."""

    def __init__(self) -> None:
        #: pairs of SOP class and transfer syntax
        self.kinds: list[tuple[str, str]] = []
        #: whether an association has been opened: no further contexts then
        self.is_settled = False
        self.queue: deque[Found] = deque()
        self.lanes = 0
        #: set when files have been added, or no more will be
        self.arrived = asyncio.Event()
        #: why an association ended
        self.cause: BaseException | None = None
        #: why nothing is sent any more
        self.error: BaseException | None = None

    async def wait(self) -> bool:
        """Waits for files; false when none turn up."""
        self.arrived.clear()
        try:
            async with asyncio.timeout(_IDLE):
                await self.arrived.wait()
        except TimeoutError:
            return False
        return True
