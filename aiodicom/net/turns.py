"""Which of several processes accepts the next connection from the socket that they share."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic_ns

from aiodicom.net.limits import Numbers

__all__ = ["Turns"]

#: A worker with fewer connections waits for nobody: it would cost more than it brings.
_FEW = 8
#: How far a worker with more may be ahead of the one with the fewest: these, or a part of its own.
_AHEAD = 3
_AHEAD_ONE_IN = 5
#: Seconds for which it then leaves the socket to the others, and nanoseconds for which it waits for one that does not
#: look.
_MOMENT = 0.005
_PATIENCE = 100_000_000


class Turns:
    """Has this worker leave connections to others that have clearly fewer.

    All processes are woken by a connection, and who is first would take most of them. So a worker that is ahead looks
    away for a moment, and rings the bell of those that it waits for, should they be looking away themselves. Whoever
    has the fewest always accepts, and is known to be there by the time at which it last looked at the socket; one that
    does not look within the patience of the others is stuck, and is not waited for again before it looks.

    A connection counts until its association is over: it may take its time to close. `present`, `looked` and `away`
    have one number for each worker, of which this one writes only its own, `index`. `looked` is in nanoseconds of the
    system's monotonic clock, and 0 while a worker does not accept. `bells` has a pair of sockets for each worker: who
    reads the first, when somebody writes to the second.
    """

    def __init__(
        self,
        present: Numbers,
        looked: Numbers,
        away: Numbers,
        index: int,
        bells: Sequence[tuple[socket.socket, socket.socket]],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._present = present
        self._looked = looked
        self._away = away
        self._index = index
        self._others = [other for other in range(len(present)) if other != index]
        self._bells = bells
        #: What is to be called when it may be this worker's turn again.
        self._waiting: set[Callable[[], None]] = set()
        #: Who has not come when it was waited for, with the time at which it had looked before.
        self._stuck: dict[int, int] = {}
        #: When it last left the socket to others, and since when none of these has looked at it.
        self._yielded = 0
        self._since = 0
        for _, bell in bells:
            bell.setblocking(False)
        self._loop.add_reader(self._bells[index][0].fileno(), self._on_bell)
        self.look()

    def end(self) -> None:
        """This worker accepts no more."""
        self._looked[self._index] = 0
        self._loop.remove_reader(self._bells[self._index][0].fileno())

    def look(self) -> None:
        """Says that this worker is there: somebody waits to be accepted."""
        self._looked[self._index] = monotonic_ns()

    @property
    def waits_for(self) -> list[int]:
        """The workers that should accept before this one does."""
        own = self._present[self._index]
        if own < _FEW:
            return []
        behind = own - max(_AHEAD, own // _AHEAD_ONE_IN)
        return [other for other in self._others if self._present[other] <= behind and self._is_there(other)]

    def delay(self) -> float:
        """Seconds for which to leave the socket to others; 0 when it is this worker's turn."""
        waits_for = self.waits_for
        if not waits_for:
            return 0.0
        now = monotonic_ns()
        if now - self._yielded >= _PATIENCE or max(self._looked[other] for other in waits_for) > self._since:
            self._since = now
        elif now - self._since >= _PATIENCE:
            self._stuck |= {other: self._looked[other] for other in waits_for}
            return 0.0
        self._yielded = now
        for other in waits_for:
            if self._away[other]:
                with suppress(BlockingIOError):  # it has been rung for often enough
                    self._bells[other][1].send(b"\0")
        return _MOMENT

    def leave(self, resume: Callable[[], None]) -> None:
        """The socket is left to others; `resume` is called when it may be this worker's turn."""
        self._waiting.add(resume)
        self._away[self._index] = 1

    def come_back(self, resume: Callable[[], None]) -> None:
        """The socket is looked at again."""
        self._waiting.discard(resume)
        self._away[self._index] = bool(self._waiting)

    def check(self) -> None:
        """This worker has fewer connections than before."""
        if self._waiting and not self.waits_for:
            for resume in list(self._waiting):
                resume()

    def _on_bell(self) -> None:
        self._bells[self._index][0].recv(4096)
        self.check()

    def _is_there(self, other: int) -> bool:
        return self._looked[other] not in (0, self._stuck.get(other))
