"""The progress bar of the commands that send and receive; the only part of them that needs rich."""

from __future__ import annotations

from typing import Protocol

from rich import progress
from rich.console import Console

from aiodicom.cli.live import Live

__all__ = ["progress_bar"]

#: Seconds between two looks at the numbers.
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


def progress_bar(job: Job, tally: Tally) -> Live:
    """A bar on stderr for as long as it is entered; lines that are written to stderr meanwhile go above it."""
    console = Console(stderr=True)
    bar = progress.Progress(
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[megabytes]:,.1f} MB"),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
    )
    task = bar.add_task("", total=None, megabytes=0.0)

    def draw() -> progress.Progress:
        bar.update(
            task,
            completed=tally.stored + tally.not_stored,
            # While folders are still being looked through, nobody knows.
            total=job.found if job.is_scanned else None,
            megabytes=tally.bytes / 1e6,
        )
        return bar

    return Live(draw, interval=_INTERVAL, console=console)
