"""How many files go to the disk itself at once, and which to the cache instead: decided by how long the disk takes."""

from __future__ import annotations

from typing import Final

__all__ = ["DirectWrites"]

#: At most so many at once: beyond, they wait for one another, however fast the disk is.
MOST: Final = 16

#: A disk that needs longer than so many seconds for one of several files keeps those who wait for it waiting. One of
#: 500 MB/s takes four files of 500 kB at once in 4 ms; what goes into the cache instead is dear where pages are new.
SLOW: Final = 10e-3

#: How much one file has to say of how long they take.
_WEIGHT: Final = 1 / 8


class DirectWrites:
    """The files that are on their way past the cache.

    The disk takes a file from memory with half the work of the cache or less, but has to be waited for. So files go
    there while it is fast; when it is slow, ever fewer at once, and the others into the cache. One is always allowed,
    and tells when the disk is fast again.

    Invariants: 1 <= `limit` <= `MOST`; `running` is at most what `limit` has been.
    """

    __slots__ = ("_seconds", "limit", "running")

    def __init__(self) -> None:
        #: So many may be on their way.
        self.limit = MOST
        #: So many are.
        self.running = 0
        #: How long a file takes, lately.
        self._seconds = 0.0

    def begin(self) -> bool:
        """Whether the next file goes past the cache; `end` has to be told then how that went."""
        if self.running >= self.limit:
            return False
        self.running += 1
        return True

    def end(self, seconds: float) -> None:
        """One of them is written; `seconds`: how long that took."""
        self.running -= 1
        self._seconds += (seconds - self._seconds) * _WEIGHT
        if self._seconds > SLOW:
            self.limit = max(1, self.limit - 1)
        elif self._seconds < SLOW / 2:
            self.limit = min(MOST, self.limit + 1)
