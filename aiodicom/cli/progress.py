"""The progress bar of the commands that send and receive; the only part of them that needs rich."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol

from rich import progress
from rich.console import Console

__all__ = ["Progress"]

#: Seconds between two looks at the numbers. Drawing takes some milliseconds of the loop that also sends.
_INTERVAL = 0.25


class Job(Protocol):
    """What there is to do."""

    @property
    def found(self) -> int:
        """How much is known of."""

    @property
    def is_scanned(self) -> bool:
        """Whether that is all."""


class Tally(Protocol):
    """What has been done."""

    @property
    def stored(self) -> int:
        """Objects that were stored."""

    @property
    def not_stored(self) -> int:
        """Objects that have failed."""

    @property
    def bytes(self) -> int:
        """Bytes of those that were stored."""


class Progress:
    """Draws a bar on stderr for as long as it is entered; lines that are written to stderr meanwhile go above it."""

    def __init__(self, job: Job, tally: Tally) -> None:
        self._job = job
        self._tally = tally
        self._bar = progress.Progress(
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[megabytes]:,.1f} MB"),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, megabytes=0.0)
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Progress:
        self._bar.start()
        self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._bar.stop()

    def _draw(self) -> None:
        self._bar.update(
            self._task,
            completed=self._tally.stored + self._tally.not_stored,
            # While folders are still being looked through, nobody knows.
            total=self._job.found if self._job.is_scanned else None,
            megabytes=self._tally.bytes / 1e6,
            refresh=True,
        )
        self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._draw)
