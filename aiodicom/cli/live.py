"""What is drawn again and again while something runs; the only part of those commands that needs rich."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import TracebackType

from rich import box, live
from rich.console import Console, RenderableType
from rich.table import Table

__all__ = ["Live", "rows"]

#: Seconds between two looks at the numbers. Drawing takes some milliseconds of the loop that also measures.
_INTERVAL = 0.5


class Live:
    """Draws what `draw` gives for as long as it is entered, on the event loop's own thread."""

    def __init__(
        self, draw: Callable[[], RenderableType], *, interval: float = _INTERVAL, console: Console | None = None
    ) -> None:
        self._draw_one = draw
        self._interval = interval
        self._live = live.Live(console=console, auto_refresh=False, transient=True)
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
        self._live.update(self._draw_one(), refresh=True)
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._draw)


def rows(measures: Iterable[tuple[str, str]]) -> Table:
    """Names and their values below one another."""
    table = Table(box=box.ROUNDED, show_header=False)
    table.add_column()
    table.add_column(justify="right", min_width=12)
    for name, value in measures:
        table.add_row(name, value)
    return table
