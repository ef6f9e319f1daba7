"""How fast a destination is sent to at the most: objects and bytes a second. Knows no clock."""

from __future__ import annotations

from typing import Final

__all__ = ["Pace"]

#: Seconds of the rate that may be sent at once after a pause.
_BURST: Final = 1.0


class Pace:
    """A bucket of objects, and one of bytes; None for no limit. What is sent may go below zero: then it is waited."""

    __slots__ = ("_byte_rate", "_bytes", "_object_rate", "_objects", "_then")

    def __init__(self, objects: float | None, bytes: float | None, now: float) -> None:
        self._object_rate = objects
        self._byte_rate = bytes
        self._objects = max((objects or 0) * _BURST, 1.0)
        self._bytes = (bytes or 0) * _BURST
        self._then = now

    def room(self, now: float) -> float:
        """How many objects may be begun now: any number where nothing is limited."""
        self._fill(now)
        if self._byte_rate is not None and self._bytes <= 0:
            return 0
        return float("inf") if self._object_rate is None else max(int(self._objects), 0)

    def sent(self, objects: int, bytes: int) -> None:
        """So much was begun."""
        self._objects -= objects
        self._bytes -= bytes

    def wait(self, now: float) -> float:
        """Seconds until there is room for one object."""
        self._fill(now)
        waits = [0.0]
        if self._object_rate is not None and self._objects < 1:
            waits.append((1 - self._objects) / self._object_rate)
        if self._byte_rate is not None and self._bytes <= 0:
            waits.append((1 - self._bytes) / self._byte_rate)
        return max(waits)

    def _fill(self, now: float) -> None:
        passed = max(now - self._then, 0)
        self._then = now
        if self._object_rate is not None:
            self._objects = min(self._objects + passed * self._object_rate, max(self._object_rate * _BURST, 1.0))
        if self._byte_rate is not None:
            self._bytes = min(self._bytes + passed * self._byte_rate, self._byte_rate * _BURST)
