"""Accepts connections from one listening socket, which other processes may accept from as well."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl as tls
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

from aiodicom.net.descriptors import open_file_limit
from aiodicom.net.limits import Places
from aiodicom.net.transport import Transport
from aiodicom.net.turns import Turns

__all__ = ["Listener"]

_log = logging.getLogger("aiodicom.server")

#: Connections that are made ready in one go: the associations that are open are served in between.
_AT_ONCE = 64
#: Connections that are taken from the system before they are made ready: its own queue overflows when thousands come at
#: once, and who is dropped there tries again a second later.
_AHEAD = 4096
#: Seconds until a process that is out of descriptors tries again, unless one of its connections has ended before.
_RETRY = 1.0
#: Seconds for which it is silent after a line that says what keeps connections out.
_QUIET = 60.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _Accepted(socket.socket):
    """A connection. The event loops look at what kind it is several times, and making enums of that is dear.

    A `socket.socket` it has to be: uvloop detaches that from its descriptor, which it would else close twice.
    """

    __slots__ = ()

    family = socket.SocketType.family  # type: ignore[assignment]
    type = socket.SocketType.type  # type: ignore[assignment]


class Listener:
    """Accepts connections for as long as it listens, and makes the transport of each.

    The event loops' own servers would not do: they can't leave a connection to another process; and when descriptors
    run out, asyncio's logs that thousands of times, and uvloop's may close itself.

    Invariants: the loop watches the socket unless `_timer` is set, then that will have it watched; while there are
    connections in `_accepted`, `_make_ready` is about to be called; `_opening` has the transports that have no
    connection yet, with what makes it.
    """

    def __init__(
        self,
        sock: socket.socket,
        make_transport: Callable[[Listener], Transport],
        places: Places,
        turns: Turns | None,
        *,
        ssl: tls.SSLContext | None,
        ssl_handshake_timeout: float | None,
    ) -> None:
        self.sock = sock
        self._kind = (int(sock.family), int(sock.type), sock.proto)
        self._loop = asyncio.get_running_loop()
        #: What the callbacks of all connections run in; a copy for each would be kept as long as the connection.
        self._context = copy_context()
        self._make_transport = make_transport
        self._places = places
        self._turns = turns
        self._tls: dict[str, Any] = {}
        if ssl is not None:
            self._tls = {"ssl": ssl, "ssl_handshake_timeout": ssl_handshake_timeout}
        self._accepted: deque[socket.socket] = deque()
        self._opening: dict[Transport, asyncio.Task[Any]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_exhausted = False
        self._quiet_until = 0.0
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._accept)

    def retry(self) -> None:
        """A connection has ended: there may be a descriptor again."""
        if self._is_exhausted:
            self._watch()

    def stop(self) -> None:
        """Accepts no more and closes the socket; connections that are being opened go on."""
        if self.sock.fileno() >= 0:
            self._watch()
            self._loop.remove_reader(self.sock.fileno())
            self.sock.close()

    async def abandon(self) -> None:
        """Stops, and closes the connections that are not ready yet or whose TLS handshake has not ended."""
        self.stop()
        while self._accepted:
            self._close(self._accepted.popleft())
        opening = list(self._opening.values())
        for task in opening if self._tls else ():  # without TLS they are about to be connected
            task.cancel()
        if opening:
            await asyncio.wait(opening)

    def connected(self, transport: Transport) -> None:
        """A transport has its connection: from here on its end is its association's affair."""
        del self._opening[transport]

    def _accept(self) -> None:
        turns = self._turns
        if turns is not None and not self._is_exhausted:
            turns.look()
        for _ in range(_AHEAD - len(self._accepted)):
            if turns is not None and (delay := turns.delay()):
                self._pause(delay)
                turns.leave(self._watch)
                return
            try:
                # As `accept()`, but for its Python object, whose attributes cost more than the system call.
                descriptor, _address = self.sock._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._on_exhausted(error)
                return
            self._is_exhausted = False
            if self._places.is_crowded:
                os.close(descriptor)
                self._warn(f"{self._places.idle:,} connections have no association: more are closed at once")
                continue
            self._places.enter()
            if not self._accepted:
                self._loop.call_soon(self._make_ready)
            self._accepted.append(_Accepted(*self._kind, descriptor))

    def _make_ready(self) -> None:
        for _ in range(min(_AT_ONCE, len(self._accepted))):
            self._open(self._accepted.popleft())
        if self._accepted:
            self._loop.call_soon(self._make_ready)

    def _open(self, connection: socket.socket) -> None:
        transport = self._make_transport(self)
        opening = self._loop.connect_accepted_socket(lambda: transport, connection, **self._tls)
        task = self._loop.create_task(opening, context=self._context)
        self._opening[transport] = task
        task.add_done_callback(partial(self._on_opened, transport, connection))

    def _on_opened(self, transport: Transport, connection: socket.socket, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._opening.pop(transport, None) is None:
            return
        self._close(connection)
        if isinstance(error, OSError):  # no TLS handshake, or not in time
            _log.info("a connection came to nothing: %s", error)
        elif error is not None:
            raise error

    def _close(self, connection: socket.socket) -> None:
        connection.close()
        self._places.end()
        self._places.leave()
        self.retry()

    def _on_exhausted(self, error: OSError) -> None:
        self._is_exhausted = True
        self._pause(_RETRY)
        self._warn(f"further connections have to wait: {error.strerror} ({open_file_limit()})")

    def _warn(self, text: str) -> None:
        now = self._loop.time()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            _log.warning("%s", text)

    def _pause(self, delay: float) -> None:
        self._loop.remove_reader(self.sock.fileno())
        self._timer = self._loop.call_later(delay, self._watch)

    def _watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._turns is not None:
                self._turns.come_back(self._watch)
            self._loop.add_reader(self.sock.fileno(), self._accept)
