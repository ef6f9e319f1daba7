"""The live table of the demonstration; the only part of it that needs rich."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from rich import box, live
from rich.table import Table

__all__ = ["Live"]

#: Seconds between two looks at the numbers. Drawing takes some milliseconds of the loop that also measures.
_INTERVAL = 0.5


class Live:
    """Draws what `measures` gives for as long as it is entered, on the event loop's own thread."""

    def __init__(self, measures: Callable[[], list[tuple[str, str]]]) -> None:
        self._measures = measures
        self._live = live.Live(auto_refresh=False, transient=True)
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Live:
        self._live.start()
        self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._live.stop()

    def _draw(self) -> None:
        table = Table(box=box.ROUNDED, show_header=False)
        table.add_column()
        table.add_column(justify="right", min_width=12)
        for name, value in self._measures():
            table.add_row(name, value)
        self._live.update(table, refresh=True)
        self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._draw)
