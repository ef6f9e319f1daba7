"""Files brought into another form, some at a time: what `transcode` and `deidentify` have in common."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from aiodicom.cli import output
from aiodicom.errors import AiodicomError
from aiodicom.net.sources import KnownFile
from aiodicom.services.scan import scan

__all__ = ["Conversion"]

#: Files that are found before their turn, so that the bar knows how many there are.
_AHEAD = 10_000


class Conversion:
    """Works on the files that `sources` are or hold, `jobs` of them at a time, each in a thread.

    `work` is called with a path and returns how many bytes it has written. Names what fails, and counts; `what` is what
    has been done to a file, in one word.
    """

    def __init__(
        self, command: str, what: str, sources: Iterable[str], work: Callable[[str], int], *, jobs: int
    ) -> None:
        #: for the bar: files found so far, whether those are all, and what has become of them
        self.found = 0
        self.is_scanned = False
        self.stored = 0
        self.not_stored = 0
        self.bytes = 0
        #: what has been written, and files that are no DICOM
        self.written = 0
        self.skipped = 0
        #: seconds that all of it took
        self.seconds = 0.0
        self._command = command
        self._what = what
        self._work = work
        self._jobs = jobs
        self._files = scan(sources)

    async def run(self, stop: asyncio.Event) -> int:
        """Returns the exit code. After `stop`, what has begun is finished."""
        begun = perf_counter()
        if sys.stderr.isatty():
            from aiodicom.cli.progress import progress_bar

            with progress_bar(self, self):
                await self._perform(stop)
        else:
            await self._perform(stop)
        self.seconds = perf_counter() - begun
        is_done = self.is_scanned and self.stored + self.not_stored == self.found
        return 1 if self.not_stored or not self.stored or not is_done else 0

    async def _perform(self, stop: asyncio.Event) -> None:
        running: set[asyncio.Future[None]] = set()
        paths: asyncio.Queue[str | None] = asyncio.Queue(_AHEAD)
        with ThreadPoolExecutor(self._jobs, f"aiodicom-{self._command}") as threads:
            async with asyncio.TaskGroup() as tasks:
                scanning = tasks.create_task(self._scan(paths))
                try:
                    while not stop.is_set() and (path := await paths.get()) is not None:
                        running.add(asyncio.ensure_future(self._one(threads, path)))
                        # One more than there are threads: it is there when one is free.
                        if len(running) > self._jobs:
                            _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    scanning.cancel()
                    while running:
                        _, running = await asyncio.wait(running)

    async def _scan(self, paths: asyncio.Queue[str | None]) -> None:
        loop = asyncio.get_running_loop()
        while (path := await loop.run_in_executor(None, self._next)) is not None:
            self.found += 1
            await paths.put(path)
        self.is_scanned = True
        await paths.put(None)

    def _next(self) -> str | None:
        for entry in self._files:
            if isinstance(entry, KnownFile):
                return entry.path
            self.skipped += not entry.broken
            self.not_stored += entry.broken
            self.found += entry.broken
            output.note(self._command, f"{entry.path}: {'' if entry.broken else 'skipped: '}{entry.reason}")
        return None

    async def _one(self, threads: ThreadPoolExecutor, path: str) -> None:
        def work() -> tuple[int, int]:
            # Before: what is written may take its place.
            size = os.stat(path).st_size
            return size, self._work(path)

        try:
            size, written = await asyncio.get_running_loop().run_in_executor(threads, work)
        except (AiodicomError, OSError) as error:
            self.not_stored += 1
            output.note(self._command, f"{path}: {output.explain(error)}")
        else:
            self.stored += 1
            self.bytes += size
            self.written += written

    def counts(self) -> dict[str, object]:
        """What has become of the files, for `--json`."""
        return {
            self._what: self.stored,
            "failed": self.not_stored,
            "skipped": self.skipped,
            "bytes": self.bytes,
            "bytes_written": self.written,
            "seconds": round(self.seconds, 6),
        }
