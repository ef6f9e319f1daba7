"""When the disk is too full to take more."""

from __future__ import annotations

import os
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
    """

    __slots__ = ("_refuse", "_resume", "is_full", "space")

    def __init__(self, space: Callable[[], Space], *, refuse: int | None = None, resume: int | None = None) -> None:
        self.space = space
        self._refuse = refuse
        self._resume = resume
        #: Whether objects are refused.
        self.is_full = False

    def check(self, wanted: int = 0) -> bool:
        """Looks at the disk; returns whether `wanted` bytes may be taken. Raises OSError."""
        free, total = self.space()
        refuse = min(total // 20, 10 * _GIB) if self._refuse is None else self._refuse
        resume = max(2 * refuse if self._resume is None else self._resume, refuse)
        if self.is_full:
            self.is_full = free - wanted < resume
        else:
            self.is_full = free - wanted < refuse
        return not self.is_full
