"""Files on the disk without a wait for each: what comes while the disk works goes to it together."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiodicom.store.files import PartialFile, Path, commit_together

__all__ = ["Committer"]

_log = logging.getLogger(__name__)

#: Files that are committed together at most: they and their sub-folders are open meanwhile.
_MOST: Final = 64

_Waiting = tuple[PartialFile, Path, asyncio.Future[None]]


class Committer:
    """Commits files of one folder as `Durability.SYNCED`, for one event loop, in a thread.

    The more wait, the less each costs: a batch is one hand-over between threads and one fsync of the folder. More than
    one thread would make the batches smaller, and wait for the same disk.

    Invariant: `_is_running` exactly while the thread takes what waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._is_running = False
        self._run_ended: asyncio.Future[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def commit(self, file: PartialFile, path: Path = ()) -> None:
        """Returns when `file` is on the disk; raises what `PartialFile.commit` raises.

        Cancellation gives up the wait: the file is committed all the same, and if that fails it is logged.
        """
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        with self._lock:
            self._waiting.append((file, path, done))
            starts, self._is_running = not self._is_running, True
        if starts:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "aiodicom-sync")
            self._run_ended = loop.run_in_executor(self._thread, self._run, loop)
        await done

    async def close(self) -> None:
        """Returns when all that was given has been committed or has failed; nothing more may be given."""
        if self._run_ended is not None:
            await self._run_ended
        if self._thread is not None:
            self._thread.shutdown()  # it has nothing to do
            self._thread = None

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while batch := self._take():
            try:
                failures = commit_together([(file, path) for file, path, _ in batch])
            except Exception as error:  # no memory, for instance: whoever waits must hear of it
                failures = [error] * len(batch)
            loop.call_soon_threadsafe(_tell, batch, failures)

    def _take(self) -> list[_Waiting]:
        with self._lock:
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            self._is_running = bool(batch)
        return batch


def _tell(batch: list[_Waiting], failures: list[Exception | None]) -> None:
    for (_, _, done), failure in zip(batch, failures, strict=True):
        if done.cancelled():
            if failure is not None:
                _log.error("an object could not be stored, after its association had ended: %s", failure)
        elif failure is not None:
            done.set_exception(failure)
        else:
            done.set_result(None)
