"""Objects that have just come, in memory, so that what is delivered at once is never read from the disk."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

__all__ = ["Recent"]

#: Seconds after which an object makes room for another one.
_PATIENCE: Final = 5.0
#: Bytes of the largest object that is kept: larger ones are in files.
_LARGEST: Final = 8 << 20


class _Kept(NamedTuple):
    data: bytes | memoryview
    #: deliveries that have not been made
    left: int
    since: float


class Recent:
    """Keeps up to `most` bytes of objects until all their deliveries have been made.

    When it is full, what waits longer than five seconds makes room; if nothing does, the new object is not kept: what
    came first is delivered first. It is told the time.
    """

    __slots__ = ("_kept", "_most", "size")

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        #: Bytes that are kept.
        self.size = 0

    def keep(self, object: int, data: bytes | memoryview, deliveries: int, now: float) -> None:
        """An object has come."""
        size = len(data)
        if size > min(_LARGEST, self._most) or not deliveries:
            return
        while self._kept and self.size + size > self._most:
            oldest = next(iter(self._kept))
            if now - self._kept[oldest].since < _PATIENCE:
                return
            self._drop(oldest)
        self._kept[object] = _Kept(data, deliveries, now)
        self.size += size

    def get(self, object: int) -> bytes | memoryview | None:
        """The bytes of an object, if they are here."""
        kept = self._kept.get(object)
        return None if kept is None else kept.data

    def delivered(self, object: int) -> None:
        """One of its deliveries needs it no more."""
        kept = self._kept.get(object)
        if kept is None:
            return
        if kept.left > 1:
            self._kept[object] = kept._replace(left=kept.left - 1)
        else:
            self._drop(object)

    def _drop(self, object: int) -> None:
        self.size -= len(self._kept.pop(object).data)
