"""Reading and writing so many bytes a second, whatever the network could carry."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aiodicom.load.target.counts import Counts

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = ["RECEIVE_BUFFER", "PacedSink", "PacedWriter"]

#: What the system may receive ahead of us from who is read slowly, in bytes.
RECEIVE_BUFFER = 1 << 16
#: Seconds between two pieces that are sent slowly, and the bytes that may wait for that before nothing more is read.
_TICK = 0.02
_HIGH_WATER = 1 << 16


class PacedSink:
    """Throws a data set away, and reads no faster than `rate` bytes a second; None for as fast as it comes.

    `on_first` is called with the first bytes.
    """

    __slots__ = ("_association", "_counts", "_due", "_on_first", "_rate", "_timer")

    def __init__(
        self, association: Association, counts: Counts, rate: float | None, on_first: Callable[[], object] | None
    ) -> None:
        self._association = association
        self._counts = counts
        self._rate = rate
        self._on_first = on_first
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def lag(self) -> float:
        """The seconds until what has come would have been read."""
        return max(0.0, self._due - self._association.loop.time()) if self._due else 0.0

    def write(self, view: memoryview) -> None:
        self._counts.bytes_received += len(view)
        if self._on_first is not None:
            self._on_first()
            self._on_first = None
        if self._rate is not None:
            loop = self._association.loop
            self._due = max(self._due, loop.time()) + len(view) / self._rate
            if self._timer is None:
                self._association.transport.pause_reading(self)
                self._timer = loop.call_at(self._due, self._read_on)

    def finish(self) -> None:
        pass  # what is still to be waited for is `lag`

    def abandon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._association.transport.resume_reading(self)

    def _read_on(self) -> None:
        loop = self._association.loop
        if self._due > loop.time():
            self._timer = loop.call_at(self._due, self._read_on)
        else:
            self._timer = None
            self._association.transport.resume_reading(self)


class PacedWriter:
    """In place of an association's asyncio transport: what is written leaves at `rate` bytes a second.

    While more than a little waits, the association is told not to go on, as if the peer were slow to take it.
    """

    def __init__(self, association: Association, rate: float) -> None:
        self._connection: Any = association.transport.connection
        self._protocol = association.transport
        self._loop = association.loop
        self._rate = rate
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_full = False
        #: What is to be done once everything has left.
        self._end: Callable[[], object] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def write(self, data: bytes | memoryview) -> None:
        self._waiting.append(bytes(data))
        self._size += len(data)
        if self._size > _HIGH_WATER and not self._is_full:
            self._is_full = True
            self._protocol.pause_writing()
        if self._timer is None:
            self._send()

    def writelines(self, pieces: Iterable[bytes | memoryview]) -> None:
        for piece in pieces:
            self.write(piece)

    def get_write_buffer_size(self) -> int:
        return self._size + int(self._connection.get_write_buffer_size())

    def is_closing(self) -> bool:
        return self._end is not None or self._connection.is_closing()

    def write_eof(self) -> None:
        self._finish(self._connection.write_eof)

    def close(self) -> None:
        self._finish(self._connection.close)

    def abort(self) -> None:
        self._drop()
        self._connection.abort()

    def _finish(self, end: Callable[[], object]) -> None:
        if self._size:
            self._end = end
        else:
            end()

    def _drop(self) -> None:
        self._waiting.clear()
        self._size = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        self._timer = None
        if self._connection.is_closing():
            self._drop()
            return
        if not self._size:
            if self._end is not None:
                self._end()
            return
        most = max(1, int(self._rate * _TICK))
        piece = self._waiting.popleft()
        if len(piece) > most:
            self._waiting.appendleft(piece[most:])
            piece = piece[:most]
        self._size -= len(piece)
        self._connection.write(piece)
        self._timer = self._loop.call_later(len(piece) / self._rate, self._send)
        if self._is_full and self._size <= _HIGH_WATER // 2:
            self._is_full = False
            self._protocol.resume_writing()
