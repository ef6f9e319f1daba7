"""An event loop whose clock is that of the machine, but jumps to what is due next as soon as nothing comes any more.

Sockets, threads and the disk are the machine's, as a router in this process needs them. So hours in which nothing
happens take no time. While somebody waits for the machine it is asked not to jump.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["SimulatedLoop"]

#: Seconds in which nothing has to come for the clock to jump, unless told.
_QUIET: Final = 0.001


class _Selector(selectors.DefaultSelector):
    """Waits for the machine alone, if `jump` may be called with the seconds that it would have waited for the clock."""

    def __init__(self, jump: Callable[[float], bool], quiet: float) -> None:
        super().__init__()
        self._jump = jump
        self._quiet = quiet

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(self._quiet if timeout is None else min(timeout, self._quiet))
        if found or timeout is None or timeout <= self._quiet or self._jump(timeout):
            return found
        return super().select(timeout - self._quiet)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps.

    `step`: the least seconds of a jump: what is due within one happens at its end. `quiet`: the seconds in which
    nothing has to come for the clock to jump. A machine that holds a thread up for longer has it jump under that.
    """

    def __init__(self, step: float, quiet: float = _QUIET) -> None:
        self._jumped = 0.0
        self._step = step
        self._holders = 0
        super().__init__(_Selector(self._jump, quiet))

    def _jump(self, seconds: float) -> bool:
        if self._holders:
            return False
        self._jumped += max(seconds, self._step)
        return True

    def time(self) -> float:
        return time.monotonic() + self._jumped

    def clocks(self) -> tuple[float, float]:
        """A time of day that goes by this clock, and the clock."""
        now = self.time()
        return 1.7e9 + now, now

    @contextmanager
    def without_jumps(self) -> Iterator[None]:
        """The clock does not jump until this is left."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
