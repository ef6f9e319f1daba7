"""When the disk is too full to take more."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Final, NamedTuple

__all__ = ["Space", "Watermarks", "space_of"]

_GIB: Final = 1 << 30


class Space(NamedTuple):
    """Of a file system, in bytes."""

    free: int
    total: int


def space_of(path: str) -> Space:
    """Returns what is free of the file system that `path` is on, to those without privileges. Raises OSError."""
    found = os.statvfs(path)
    return Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


class Watermarks:
    """Says when to refuse objects (A700H), and when to take them again.

    Refuses when less than `refuse` bytes would be free, and takes again when `resume` are. The default: 5 % of the file
    system, 10 GiB at most, and twice as much. Between the two it stays as it is, so that it does not flutter.

    The disk is asked again when the last answer is `age` seconds old, and before anything is refused; until then what
    was granted counts as taken.
    """

    __slots__ = ("_age", "_asked", "_free", "_granted", "_refuse", "_resume", "_time", "_total", "is_full", "space")

    def __init__(
        self,
        space: Callable[[], Space],
        *,
        refuse: int | None = None,
        resume: int | None = None,
        age: float = 0.0,
        time: Callable[[], float] = time.monotonic,
    ) -> None:
        self.space = space
        self._refuse = refuse
        self._resume = resume
        self._age = age
        self._time = time
        self._asked = -math.inf
        self._free = self._total = self._granted = 0
        #: Whether objects are refused.
        self.is_full = False

    def check(self, wanted: int = 0) -> bool:
        """Returns whether `wanted` bytes may be taken. Raises OSError."""
        now = self._time()
        if now - self._asked >= self._age or self._lacks(wanted):
            self._free, self._total = self.space()
            self._asked, self._granted = now, 0
            self.is_full = self._lacks(wanted)
        self._granted += wanted
        return not self.is_full

    def _lacks(self, wanted: int) -> bool:
        refuse = min(self._total // 20, 10 * _GIB) if self._refuse is None else self._refuse
        resume = max(2 * refuse if self._resume is None else self._resume, refuse)
        return self._free - self._granted - wanted < (resume if self.is_full else refuse)
