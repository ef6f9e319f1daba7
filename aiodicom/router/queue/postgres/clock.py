"""The clock of a queue that several nodes share: the database's."""

from __future__ import annotations

__all__ = ["DatabaseClock"]


class DatabaseClock:
    """What the database's clock says, known from the last time that it was asked and the time that has passed since.

    So all nodes mean the same moment, whatever their own clocks say. It never goes back. It is told the monotonic clock
    and asks none.
    """

    __slots__ = ("_asked", "_last", "_said")

    def __init__(self, said: float, monotonic: float) -> None:
        self._said = said
        self._asked = monotonic
        self._last = said

    def correct(self, said: float, monotonic: float) -> None:
        """The database has been asked again."""
        self._said = said
        self._asked = monotonic

    def now(self, monotonic: float) -> float:
        """Returns its time, in seconds."""
        self._last = max(self._last, self._said + monotonic - self._asked)
        return self._last
