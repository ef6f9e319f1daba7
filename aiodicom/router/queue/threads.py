"""A thread that does what it is given, in its order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from aiodicom.errors import LocalError

__all__ = ["CallThread"]


class CallThread:
    """Makes calls, which must not raise."""

    def __init__(self, name: str) -> None:
        self._is_closed = False
        self._given: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def give(self, call: Callable[[], object]) -> None:
        """Has a call made. Raises LocalError after `close`."""
        if self._is_closed:
            raise LocalError("the queue is closed")
        self._given.put(call)

    def close(self) -> None:
        """Returns when all calls that were given have been made; no more may be given. Blocks."""
        self._is_closed = True
        self._given.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (call := self._given.get()) is not None:
            call()
            del call  # and what it is about, until the next one comes
