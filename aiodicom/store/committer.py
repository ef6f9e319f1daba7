"""Files on the disk without a wait for each: what comes while the disk works goes to it together."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiodicom.store.files import PartialFile, Path, commit_together

__all__ = ["Committer"]

_log = logging.getLogger(__name__)

#: Threads that wait for the disk: while one does, the next batch gathers and starts.
_THREADS: Final = 2
#: Files that are committed together at most: their sub-folders are open meanwhile.
_MOST: Final = 64

_Waiting = tuple[PartialFile, Path, asyncio.Future[None]]


class Committer:
    """Commits files of one folder as `Durability.SYNCED`, for one event loop.

    The more wait, the less each costs: a batch is one hand-over between threads and one fsync of the folder.

    Invariant: while files wait, as many batches run as may.
    """

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._batches: set[asyncio.Future[list[Exception | None]]] = set()
        self._threads: ThreadPoolExecutor | None = None

    async def commit(self, file: PartialFile, path: Path = ()) -> None:
        """Returns when `file` is on the disk; raises what `PartialFile.commit` raises.

        Cancellation gives up the wait: the file is committed all the same, and if that fails it is logged.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((file, path, done))
        self._start()
        await done

    async def close(self) -> None:
        """Returns when all that was given has been committed or has failed; nothing more may be given."""
        while self._batches:
            await asyncio.wait(self._batches)
        if self._threads is not None:
            self._threads.shutdown()  # they have nothing to do
            self._threads = None

    def _start(self) -> None:
        if not self._waiting or len(self._batches) == _THREADS:
            return
        batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "aiodicom-sync")
        files = [(file, path) for file, path, _ in batch]
        running = asyncio.get_running_loop().run_in_executor(self._threads, commit_together, files)
        self._batches.add(running)
        running.add_done_callback(lambda running: self._ended(batch, running))

    def _ended(self, batch: list[_Waiting], running: asyncio.Future[list[Exception | None]]) -> None:
        self._batches.remove(running)
        for (_, _, done), failure in zip(batch, running.result(), strict=True):
            if done.cancelled():
                if failure is not None:
                    _log.error("an object could not be stored, after its association had ended: %s", failure)
            elif failure is not None:
                done.set_exception(failure)
            else:
                done.set_result(None)
        self._start()
