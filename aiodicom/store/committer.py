"""Files on the disk without holding up an event loop: several at a time, by threads that don't need the interpreter."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from aiodicom.store._writers import FileJob, FoldersJob, Job, Writers
from aiodicom.store.direct import DirectWrites
from aiodicom.store.files import Folder, PartialFile, Path

__all__ = ["LARGE", "Committer"]

_log = logging.getLogger(__name__)

#: As many as keep a fast disk busy that is waited for after each write.
_THREADS: Final = 8

#: Files that are worked on at most: they and their sub-folders are open meanwhile.
_MOST: Final = 64

#: From this size on the disk takes a file from memory with less work than the operating system's cache.
LARGE: Final = 64 << 10


class _Commit:
    """A file on its way, and who waits for it."""

    __slots__ = ("done", "file", "is_direct", "path", "sync", "then")

    def __init__(
        self, file: PartialFile, path: Path, sync: bool, then: Callable[[], Any] | None, done: asyncio.Future[Any]
    ) -> None:
        self.file = file
        self.path = path
        self.sync = sync
        self.then = then
        self.done = done
        #: Whether it is one of the `DirectWrites`.
        self.is_direct = False


class Committer:
    """Commits files of one folder, for one event loop, by up to `threads` threads.

    In this order: the bytes of a file are written, and with `sync` on the disk; it has its name; with `sync`, the
    folders with the names are on the disk. Folders are synced for all files together that got their names meanwhile.

    Invariants: `running` counts the files that the threads have and those whose folders are not synced yet; others wait
    only while there are `_MOST` of these. While `_is_syncing` the threads have folders; what gets its name meanwhile
    is in `_named` until that is over, because it may have come too late.
    """

    def __init__(self, folder: Folder, threads: int = _THREADS) -> None:
        self._folder = folder
        self._most_threads = threads
        self._writers: Writers | None = None
        self._waiting: deque[_Commit] = deque()
        #: Files that are on their way.
        self.running = 0
        self._named: list[FileJob] = []
        self._is_syncing = False
        self._direct = DirectWrites()
        self._idle: asyncio.Future[None] | None = None

    def commit(
        self, file: PartialFile, path: Path = (), *, sync: bool = False, then: Callable[[], Any] | None = None
    ) -> asyncio.Future[Any]:
        """Gives `file` its name. When it has it, and with `sync` when all is on the disk, what `then()` returns is the
        result; otherwise it is what `PartialFile.commit` raises. (A failed sync of a folder leaves the new file in
        place: it is whole, but may not survive a crash.)

        Cancellation gives up the wait: the file is committed all the same, and if that fails it is logged.
        """
        loop = asyncio.get_running_loop()
        if self._writers is None:
            self._writers = Writers(self._most_threads)
            loop.add_reader(self._writers.fileno(), self._collect)
        done = loop.create_future()
        self._waiting.append(_Commit(file, path, sync, then, done))
        self._start()
        return done

    async def close(self) -> None:
        """Returns when all that was given has been committed or has failed; nothing more may be given."""
        loop = asyncio.get_running_loop()
        if self.running:
            self._idle = loop.create_future()
            await self._idle
        if self._writers is not None:
            loop.remove_reader(self._writers.fileno())
            self._writers.close()  # they have nothing to do
            self._writers = None

    def _start(self) -> None:
        while self._waiting and self.running < _MOST:
            commit = self._waiting.popleft()
            is_large = commit.file.is_held and commit.file.size >= LARGE
            try:
                job = commit.file.job(commit.path, sync=commit.sync)
            except Exception as error:
                _tell(commit, error)
                continue
            # What has to be on the disk waits for it in any case.
            if is_large and not commit.sync:
                now = asyncio.get_running_loop().time()
                commit.is_direct = self._direct.begin(now)
                job.let_go = not commit.is_direct and self._direct.keeps_up(now)
            job.past_cache = commit.sync or commit.is_direct
            job.context = commit
            self.running += 1
            self._give(job)

    def _give(self, job: Job) -> None:
        assert self._writers is not None
        try:
            self._writers.give(job)
        except OSError:  # not even one thread can be started: who sends is held up, and loses nothing
            asyncio.get_running_loop().call_soon(self._run_here, job)

    def _run_here(self, job: Job) -> None:
        job.run()
        self._go_on([job])

    def _collect(self) -> None:
        assert self._writers is not None
        self._go_on(self._writers.collect())

    def _go_on(self, done: list[Job]) -> None:
        for job in done:
            if isinstance(job, FileJob):
                self._written(job)
            else:
                assert isinstance(job, FoldersJob)
                self._folders_synced(job)
        self._start()
        if self._named and not self._is_syncing:
            self._sync_folders()
        if self._idle is not None and not self.running:
            self._idle.set_result(None)

    def _written(self, job: FileJob) -> None:
        if job.context.is_direct:
            self._direct.end(job.seconds, asyncio.get_running_loop().time())
        if job.result:
            self._end(job, OSError(job.result, os.strerror(job.result)))
        elif job.context.sync:
            self._named.append(job)
        else:
            self._end(job, None)

    def _sync_folders(self) -> None:
        named, self._named = self._named, []
        folders = {(): self._folder.descriptor}
        for job in named:
            path = job.context.path
            for depth, descriptor in enumerate(job.folders, 1):
                folders.setdefault(path[:depth], descriptor)
        # The deepest first: a name is on the disk before the name of the folder that it is in.
        paths = sorted(folders, key=len, reverse=True)
        syncing = FoldersJob([folders[path] for path in paths])
        syncing.context = named, paths
        self._is_syncing = True
        self._give(syncing)

    def _folders_synced(self, job: FoldersJob) -> None:
        self._is_syncing = False
        named, paths = job.context
        failed = {path: number for path, number in zip(paths, job.results, strict=True) if number}
        for each in named:
            path = each.context.path
            numbers = [failed[path[:depth]] for depth in range(max(1, len(path))) if path[:depth] in failed]
            self._end(each, OSError(numbers[0], os.strerror(numbers[0])) if numbers else None)

    def _end(self, job: FileJob, failure: Exception | None) -> None:
        self.running -= 1
        commit, job.context = job.context, None
        _tell(commit, failure)


def _tell(commit: _Commit, failure: Exception | None) -> None:
    if commit.done.cancelled():
        if failure is not None:
            _log.error("an object could not be stored, after its association had ended: %s", failure)
    elif failure is not None:
        commit.done.set_exception(failure)
    else:
        commit.done.set_result(None if commit.then is None else commit.then())
