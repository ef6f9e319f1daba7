"""Accepts connections from one listening socket, which other processes may accept from as well."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl as tls
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from aiodicom.net.descriptors import open_file_limit
from aiodicom.net.limits import Places
from aiodicom.net.proxy_protocol import HeaderReader, Trusted
from aiodicom.net.sockets import peer_text
from aiodicom.net.tls import HANDSHAKE_REFUSALS, why_no_tls
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
#: Seconds for which it is silent after a line that says what keeps connections, or one of them, out.
_QUIET = 60.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class _Accepted(socket.socket):
    """A connection. The event loops look at what kind it is several times, and making enums of that is dear.

    A `socket.socket` it has to be: uvloop detaches that from its descriptor, which it would else close twice.
    """

    __slots__ = ()

    family = socket.SocketType.family  # type: ignore[assignment]
    type = socket.SocketType.type  # type: ignore[assignment]


class _Opening:
    """Makes one connection: goes through the coroutine of the event loop as a task would.

    That coroutine waits for a future or two of the loop's own. A task, with what asyncio keeps of each, costs more than
    all that it does, and would run it a turn of the loop later.
    """

    __slots__ = ("_connection", "_coroutine", "_listener", "_peer", "_refusals", "_transport", "_waits_for")

    def __init__(
        self,
        listener: Listener,
        transport: Transport,
        connection: socket.socket,
        coroutine: Coroutine[Any, Any, object],
        peer: str | None,
        refusals: list[tls.SSLError],
    ) -> None:
        self._listener = listener
        self._transport = transport
        self._connection = connection
        self._coroutine = coroutine
        self._peer = peer
        self._refusals = refusals
        self._waits_for: Any = None

    def step(self, _waited_for: object = None) -> None:
        """Goes on until the coroutine waits again or ends."""
        try:
            self._waits_for = waits_for = self._coroutine.send(None)
        except StopIteration:
            return  # the transport has told already that it is connected
        except (Exception, asyncio.CancelledError) as failure:
            # Once the client was refused, how it has left says nothing.
            error = self._refusals[0] if self._refusals else failure
            self._listener.on_failed(self._transport, self._connection, error, self._peer)
            return
        waits_for._asyncio_future_blocking = False
        waits_for.add_done_callback(self.step)

    def cancel(self) -> None:
        """Closes the connection unless it is ready."""
        self._waits_for.cancel()


class Listener:
    """Accepts connections for as long as it listens, and makes the transport of each.

    The event loops' own servers would not do: they can't leave a connection to another process; and when descriptors
    run out, asyncio's logs that thousands of times, and uvloop's may close itself.

    Invariants: the loop watches the socket unless `_timer` is set, then that will have it watched; while there are
    connections in `_accepted`, `_make_ready` is about to be called; `_headers` has those from which the header of the
    PROXY protocol is being read; `_opening` has the transports that have no connection yet, with what makes it.
    """

    def __init__(
        self,
        sock: socket.socket,
        make_transport: Callable[[Listener], Transport],
        places: Places,
        turns: Turns | None,
        *,
        ssl: tls.SSLContext | None,
        proxies: Trusted | None,
        timeout: float | None,
    ) -> None:
        self.sock = sock
        self._kind = (int(sock.family), int(sock.type), sock.proto)
        self._loop = asyncio.get_running_loop()
        #: What the callbacks of all connections run in; a copy for each would be kept as long as the connection. With
        #: TLS there is one: see `HANDSHAKE_REFUSALS`.
        self._context = copy_context()
        self._make_transport = make_transport
        self._places = places
        self._turns = turns
        self._tls: dict[str, Any] = {}
        if ssl is not None:
            self._tls = {"ssl": ssl, "ssl_handshake_timeout": timeout}
        self._proxies = proxies
        self._timeout = timeout
        self._headers: set[HeaderReader] = set()
        self._accepted: deque[socket.socket] = deque()
        self._opening: dict[Transport, _Opening] = {}
        self._all_opened: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_exhausted = False
        #: Until when nothing is said of a kind of warning.
        self._quiet_until: dict[str, float] = {}
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
        while self._headers:
            reader = self._headers.pop()
            reader.cancel()
            self._close(reader.connection)
        for opening in list(self._opening.values()) if self._tls else ():  # without TLS they are about to be connected
            opening.cancel()
        if self._opening:
            self._all_opened = self._loop.create_future()
            await self._all_opened

    def connected(self, transport: Transport) -> None:
        """A transport has its connection: from here on its end is its association's affair."""
        self._forget(transport)

    def _accept(self) -> None:
        has_none = not self._accepted
        self._accept_ahead()
        if has_none:
            self._make_ready()

    def _accept_ahead(self) -> None:
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
                self._warn("idle", f"{self._places.idle:,} connections have no association: more are closed at once")
                continue
            self._places.enter()
            self._accepted.append(_Accepted(*self._kind, descriptor))

    def _make_ready(self) -> None:
        begin = self._open if self._proxies is None else self._read_header
        for _ in range(min(_AT_ONCE, len(self._accepted))):
            begin(self._accepted.popleft())
        if self._accepted:
            self._loop.call_soon(self._make_ready)

    def _read_header(self, connection: socket.socket) -> None:
        assert self._proxies is not None
        reader = HeaderReader(connection, self._proxies, self._timeout, self._on_header)
        self._headers.add(reader)
        reader.start()

    def _on_header(self, reader: HeaderReader, client: str | None, error: Exception | None) -> None:
        self._headers.discard(reader)
        if error is None:
            self._open(reader.connection, client)
        else:
            _log.info("a connection from %s came to nothing: %s", peer_text(reader.connection), error)
            self._close(reader.connection)

    def _open(self, connection: socket.socket, client: str | None = None) -> None:
        transport = self._make_transport(self)
        if client is not None:
            transport.client = client
        elif self._tls:
            client = peer_text(connection)  # for the log, as long as it is there
        coroutine = self._loop.connect_accepted_socket(lambda: transport, connection, **self._tls)
        context = self._context
        refusals: list[tls.SSLError] = []
        if self._tls:  # beside which a context is small
            context = context.copy()
            context.run(HANDSHAKE_REFUSALS.set, refusals)
        self._opening[transport] = opening = _Opening(self, transport, connection, coroutine, client, refusals)
        context.run(opening.step)

    def on_failed(
        self, transport: Transport, connection: socket.socket, error: BaseException, peer: str | None
    ) -> None:
        """A connection came to nothing; `peer` is its other end, as far as that is known."""
        if transport not in self._opening:
            return  # its handshake ended in the very turn of the loop in which it was given up
        self._forget(transport)
        self._close(connection)
        peer = peer or "somebody"
        if isinstance(error, tls.SSLError):  # not somebody who only looks whether we are there
            why = f"no connection from {peer}: {why_no_tls(error)}"
            if not self._warn("tls", why):
                _log.info("%s", why)
        elif isinstance(error, OSError):  # no TLS handshake, or not in time
            why = str(error) or "the peer closed it during the TLS handshake"
            _log.info("a connection from %s came to nothing: %s", peer, why)
        elif not isinstance(error, asyncio.CancelledError):
            raise error

    def _forget(self, transport: Transport) -> None:
        del self._opening[transport]
        if not self._opening and self._all_opened is not None and not self._all_opened.done():
            self._all_opened.set_result(None)

    def _close(self, connection: socket.socket) -> None:
        connection.close()
        self._places.end()
        self._places.leave()
        self.retry()

    def _on_exhausted(self, error: OSError) -> None:
        self._is_exhausted = True
        self._pause(_RETRY)
        self._warn("wait", f"further connections have to wait: {error.strerror} ({open_file_limit()})")

    def _warn(self, kind: str, text: str) -> bool:
        """Logs a warning unless there has just been one of its kind; returns whether it has."""
        now = self._loop.time()
        if now < self._quiet_until.get(kind, 0.0):
            return False
        self._quiet_until[kind] = now + _QUIET
        _log.warning("%s", text)
        return True

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
