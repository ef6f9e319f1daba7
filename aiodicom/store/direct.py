"""Which files go to the disk past the cache, which through it, and which stay there, by how long the disk takes."""

from __future__ import annotations

from typing import Final

__all__ = ["DirectWrites"]

#: At most so many at once: beyond, they wait for one another, however fast the disk is.
MOST: Final = 16

#: A disk that needs longer than so many seconds for one of several files keeps those who wait for it waiting. One of
#: 500 MB/s takes four files of 500 kB at once in 4 ms; what goes into the cache instead is dear where pages are new.
SLOW: Final = 10e-3

#: A disk that needs longer than so many seconds has more before it than it takes.
BEHIND: Final = 100e-3

#: How much one file has to say of how long they take.
_WEIGHT: Final = 1 / 8


class DirectWrites:
    """The files that are on their way past the cache.

    The disk takes a file from memory with half the work of the cache or less, but has to be waited for. So files go
    there while it is fast; when it is slow, ever fewer at once. One is always allowed, and tells when the disk is fast
    again. Others go through the cache, which lets go of them when the disk has them: nobody waits for that, so it is
    for a disk that `keeps_up`. The rest stays in the cache.

    Invariants: 1 <= `limit` <= `MOST`; `running` is at most what `limit` has been.
    """

    __slots__ = ("_last", "_seconds", "_since", "limit", "running")

    def __init__(self) -> None:
        #: So many may be on their way.
        self.limit = MOST
        #: So many are.
        self.running = 0
        #: How long a file takes, lately, and took last.
        self._seconds = self._last = 0.0
        #: When the last one was written, or the only one was begun.
        self._since = 0.0

    def begin(self, now: float) -> bool:
        """Whether the next file goes past the cache; `end` has to be told then how that went. `now`, in seconds."""
        if self.running >= self.limit:
            return False
        if self.running == 0:
            self._since = now
        self.running += 1
        return True

    def end(self, seconds: float, now: float) -> None:
        """One of them is written; `seconds`: how long that took."""
        self.running -= 1
        self._since = now
        self._last = seconds
        self._seconds += (seconds - self._seconds) * _WEIGHT
        if self._seconds > SLOW:
            self.limit = max(1, self.limit - 1)
        elif self._seconds < SLOW / 2:
            self.limit = min(MOST, self.limit + 1)

    def keeps_up(self, now: float) -> bool:
        """Whether the disk takes what it is given, while as many are on their way as may be: they would wait behind
        what it does not. (What does not lie on pages goes into the cache after all, and says nothing of the disk.)
        """
        return self._last <= BEHIND and now - self._since <= BEHIND
