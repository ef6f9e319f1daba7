"""Moves the bytes of one association between its socket and its `Protocol`: the one funnel for reads, writes and
timers.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Protocol

from aiodicom.dimse.events import Ended, ProtocolEvent, Timeouts
from aiodicom.dimse.messages import CCancelRQ
from aiodicom.dimse.protocol import Protocol as AssociationProtocol
from aiodicom.errors import AssociationAborted, ConnectionLost, RemoteError
from aiodicom.net._transport import BufferedTransport
from aiodicom.net.loops import resources_of
from aiodicom.net.pacing import is_here, unpace
from aiodicom.net.probe import borrowed, has_closed, unread
from aiodicom.net.sockets import address_text
from aiodicom.net.tls import certificate_alert

__all__ = ["Owner", "Transport"]

#: Above this many unsent bytes the sender waits, until there are fewer than the second.
WRITE_HIGH_WATER = 1 << 20
WRITE_LOW_WATER = 1 << 18

#: How often a peer that is not read is looked after, in seconds, and how far ahead.
_PROBE_PERIOD = 0.5
_PROBE_SIZE = 1 << 20
#: Reasons to pause reading.
_ANSWERS_PILE_UP = "the peer takes no answers"
_TURN_OF_OTHERS = "others have their turn"
_QUICKACK = getattr(socket, "TCP_QUICKACK", None) if sys.platform == "linux" else None

#: A peer that is nearer than this many seconds there and back is on this machine as a rule. To it the send buffer gets
#: so many bytes (Linux takes twice that, for its own needs too): a large object goes there by one write. In the
#: megabytes that it would grow to by itself, what waits leaves the processor's cache before the peer takes it.
_NEAR = 50e-6
NEAR_SEND_BUFFER = 1 << 20
#: Where struct tcp_info has the round trip time, in microseconds (Linux's include/uapi/linux/tcp.h).
_TCP_INFO = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
_RTT = struct.Struct("68xI")


class Owner(Protocol):
    """Who is told what happens on the association."""

    def on_connected(self, transport: Transport) -> None:
        """The connection is made."""

    def on_event(self, event: ProtocolEvent, now: float) -> None:
        """The protocol has given an event."""

    def on_cancel(self, message_id: int) -> None:
        """The peer has cancelled an operation while reading was paused; the same will be told when that is read."""

    def on_gone(self, error: RemoteError) -> None:
        """The peer has aborted or closed while reading was paused; what it sent before is not for anybody any more."""

    def on_closed(self) -> None:
        """The socket is closed; nothing more will come."""


class Transport(BufferedTransport, asyncio.BufferedProtocol):
    """asyncio's protocol for one connection."""

    __slots__ = (
        "_drained",
        "_is_closed",
        "_is_prepared",
        "_loop",
        "_pauses",
        "_period",
        "_resources",
        "_seen",
        "client",
        "wheel_slot",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: AssociationProtocol, owner: Owner, timeouts: Timeouts
    ) -> None:
        self._resources = shared = resources_of(loop)
        super().__init__(protocol, owner, loop.time, loop.call_soon, shared.scratch, shared.turns.seen)
        self.is_loop_closed = loop.is_closed
        self.wheel_slot: int | None = None
        #: The address of the client whose connection a load balancer passes on, as that says (PROXY protocol).
        self.client: str | None = None
        self._loop = loop
        self._pauses: tuple[object, ...] = ()
        self._drained: asyncio.Future[None] | None = None
        self._is_closed = True
        self._is_prepared = False
        #: How much was unread when a paused peer was last looked after.
        self._seen = 0
        # A deadline is never nearer than the shortest timeout, so looking that often misses none: no operation has to
        # set a timer of its own.
        self._period = _shortest(timeouts)

    # --- asyncio's side ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.connection = transport
        if self.owner is None:  # it was given up before it came to be
            transport.abort()
            return
        self._is_closed = False
        self._resources.connections += 1
        self.connection.set_write_buffer_limits(WRITE_HIGH_WATER, WRITE_LOW_WATER)
        self.is_impatient = _QUICKACK is not None
        if not self.protocol.machine.acceptor and is_tcp(self._socket):
            be_prompt(self._socket)  # what is accepted has it from the listening socket
            self.expect_objects()
        self.watch()
        self.owner.on_connected(self)
        self.flush()

    def eof_received(self) -> bool:
        return False  # a half-closed association can't answer: the transport closes, and connection_lost() says so

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_closed:
            self._end(exc)

    def _end(self, exc: Exception | None) -> None:
        now = self.time()
        self._resources.wheel.cancel(self)
        self._resources.connections -= not self._is_closed
        ended = self.protocol.connection_lost(now)
        if ended is not None:
            if exc is not None:
                why = exc.strerror if isinstance(exc, OSError) else None
                lost: RemoteError = certificate_alert(exc) or ConnectionLost(f"the connection was lost: {why or exc}")
                lost.__cause__ = exc
                ended = Ended(lost)
            self.owner.on_event(ended, now)
        self.is_impatient = False
        self.descriptor = -1
        self._is_closed = True
        self.protocol.blocked_since = None
        self.wake()
        owner, self.owner = self.owner, None  # which has this transport: a cycle that ends here
        owner.on_closed()

    def pause_writing(self) -> None:
        self.protocol.blocked_since = self.time()
        if self.protocol.machine.acceptor:
            # Who doesn't take our answers asks for nothing more: they would pile up here.
            self.pause_reading(_ANSWERS_PILE_UP)

    def resume_writing(self) -> None:
        self.protocol.blocked_since = None
        self.connection.set_write_buffer_limits(WRITE_HIGH_WATER, WRITE_LOW_WATER)  # they may have been none
        self.resume_reading(_ANSWERS_PILE_UP)
        self.wake()

    # --- the association's side -------------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """Whether there is no connection: not yet, or no more."""
        return self._is_closed

    @property
    def certificate(self) -> dict[str, Any] | None:
        """The peer's certificate, None without TLS or where the peer gave none."""
        ssl_object: ssl.SSLObject | None = self.connection.get_extra_info("ssl_object")
        return None if ssl_object is None else (ssl_object.getpeercert() or None)

    def address(self, name: str) -> str:
        """Returns asyncio's ``peername`` or ``sockname`` as people write it."""
        if name == "peername" and self.client is not None:
            return self.client
        address = None if self.connection is None else self.connection.get_extra_info(name)
        return address_text(address) or ("unix socket" if name == "peername" else "")

    def expect_objects(self, send_buffer: int = NEAR_SEND_BUFFER) -> None:
        """Objects are to be sent: to a peer that is near, by way of a short send buffer, and without being paced.

        What has been done for a connection once is not done again.
        """
        connected = self._socket
        if self._is_prepared or not is_tcp(connected):
            return
        self._is_prepared = True
        way = round_trip(connected)
        peer = self.connection.get_extra_info("peername")  # None where it has gone already
        if way is None or peer is None or not (way < _NEAR or is_here(peer[0])):
            return
        set_option(connected, socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        # One that has been paced still is, and sends files slower by itself than we do.
        if not unpace(connected) and self.connection.get_extra_info("ssl_object") is None:
            self.sends_files = True

    def wake(self) -> None:
        """Has who waits in `drain()` look again."""
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    async def drain(self) -> None:
        """Waits while the peer takes less than is written."""
        while self.is_blocked:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)

    def when_drained(self, told: Callable[[], object]) -> None:
        """Has `told` called when the peer, which takes less than is written, has taken enough of it, or is gone."""
        if self._drained is None:
            self._drained = self._loop.create_future()
        self._drained.add_done_callback(lambda _drained: told())

    def pause_reading(self, reason: object) -> None:
        """Reads nothing more until `resume_reading()` has been called with every reason to pause."""
        if not self._pauses and not self.connection.is_closing():
            now = self.time()
            self.protocol.paused_since = now
            self._seen = 0
            self.connection.pause_reading()
            self._resources.wheel.schedule(self, now + _PROBE_PERIOD)
        if reason not in self._pauses:
            self._pauses += (reason,)

    def others_wait(self) -> bool:
        """Whether others that have much to read wait for their turn."""
        return self._resources.turns.has_waiting

    def plain_socket(self) -> int:
        """The descriptor of the socket if what is read and written there is what is said, else -1."""
        connected = self._socket
        is_plain = connected is not None and self.connection.get_extra_info("ssl_object") is None
        return connected.fileno() if is_plain else -1

    def peer_asks_here(self) -> bool | None:
        """Whether the peer, which asks something of us, is on this machine; None where we ask."""
        if not self.protocol.machine.acceptor:
            return None
        peer = self.connection.get_extra_info("peername")
        return not isinstance(peer, tuple) or is_here(peer[0])  # without a tuple it is a unix socket's

    def divert(self, connection: Any) -> None:
        """Has `connection` take all that is written from now on, in place of the socket and of the event loop's."""
        self.connection = connection
        self.descriptor = -1

    def end_turn(self) -> None:
        """Reads on when the others that have something to read have been read, and those that have much their turn."""
        if self._resources.connections == 1:
            return  # there is nobody else
        self.pause_reading(_TURN_OF_OTHERS)
        self._resources.turns.wait(partial(self.resume_reading, _TURN_OF_OTHERS))

    def resume_reading(self, reason: object) -> None:
        """Takes a reason to pause away."""
        if reason not in self._pauses:
            return
        self._pauses = tuple(other for other in self._pauses if other is not reason)
        if not self._pauses:
            self._read_on()

    def forget_pauses(self) -> None:
        """Reads on whatever the reasons to pause: the association is over, and the peer's close is to be noticed."""
        if self._pauses:
            self._pauses = ()
            self._read_on()

    def _read_on(self) -> None:
        self.protocol.read_on(self.time())
        if not self.connection.is_closing():
            self.connection.resume_reading()

    def close(self) -> None:
        """Closes the socket when what is written has left; without one, as no connection came to be, that is the
        end.
        """
        if self.connection is not None:
            # Closed a second time, TLS of asyncio knows of no connection any more that could be aborted.
            if not self.connection.is_closing():
                self.connection.close()
        elif self.owner is not None:
            self._end(None)

    def close_now(self) -> None:
        """Closes the socket without waiting for what is unsent or for the peer."""
        if self.connection is not None:
            self.connection.abort()

    def watch(self) -> None:
        """Looks at the deadlines again: call it when one may be nearer than `_period`."""
        if self._period is not None:
            self._resources.wheel.schedule(self, self.time() + self._period)

    def on_timer(self, now: float) -> float | None:
        """The timer wheel's call."""
        ended = self.protocol.handle_timer(now)
        if ended is not None:
            self.owner.on_event(ended, now)
        self.flush()
        if self._pauses and not self.protocol.is_over and (gone := self._probe()) is not None:
            self.owner.on_gone(gone)
            self.close_now()
            return None
        if self.protocol.is_over and (self.protocol.blocked_since is not None or self.protocol.is_closing):
            self.close_now()  # what is unsent will not be taken, so a graceful close would wait for ever
            return None
        # Not later than that, even if no deadline is so near: an operation may begin that has a nearer one.
        times = [] if self._period is None else [now + self._period, self.protocol.next_deadline() or math.inf]
        if self._pauses:
            times.append(now + _PROBE_PERIOD)
        return min(times, default=None)

    def _probe(self) -> RemoteError | None:
        """Why the association is over, if the peer that is not read has ended it."""
        connected = self._socket
        if connected is None:
            return None
        if has_closed(connected):
            return ConnectionLost("the peer closed the connection while it was held up")
        # What is encrypted tells nothing.
        if self.connection.get_extra_info("ssl_object") is None:
            ahead = unread(connected, _PROBE_SIZE)
            if len(ahead) != self._seen:  # otherwise nothing has come since the last time
                self._seen = len(ahead)
                if self.protocol.receiver.announces_abort(ahead):
                    return AssociationAborted(0, 0)
                for message in self.protocol.receiver.commands_announced(ahead):
                    if isinstance(message, CCancelRQ):
                        self.owner.on_cancel(message.message_id_being_responded_to)
        return None

    def acknowledge(self) -> None:
        """Has the system acknowledge at once what has come."""
        connected = self._socket
        self.is_impatient = connected is not None and acknowledge(connected)

    @property
    def _socket(self) -> Any:
        """The socket, which event loops make when they are asked for it; None when it is closed, or was never one."""
        return None if self._is_closed else self.connection.get_extra_info("socket")


@lru_cache(maxsize=16)
def _shortest(timeouts: Timeouts) -> float | None:
    """The shortest timeout that an association has once it is connected, None where it has none."""
    limits = (timeouts.artim, timeouts.acse, timeouts.dimse, timeouts.idle, timeouts.paused)
    return min((limit for limit in limits if limit is not None), default=None)


def is_tcp(connected: Any) -> bool:
    """Whether a socket is one of TCP."""
    return connected is not None and connected.family in (socket.AF_INET, socket.AF_INET6)


def be_prompt(connected: Any) -> None:
    """Has a TCP socket, or those accepted from it, send at once and notice a peer that is gone."""
    set_option(connected, socket.IPPROTO_TCP, socket.TCP_NODELAY)
    set_option(connected, socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def acknowledge(connected: Any) -> bool:
    """Has the system acknowledge at once what has come; returns whether it can: not on what is no TCP socket, and on
    one that the peer has closed, as the loop is about to find out.
    """
    if _QUICKACK is None:
        return False
    try:
        set_option(connected, socket.IPPROTO_TCP, _QUICKACK)
    except OSError:
        return False
    return True


def round_trip(connected: Any) -> float | None:
    """The seconds that a TCP connection has needed there and back, None where the system does not tell."""
    if _TCP_INFO is None:
        return None
    with borrowed(connected) as real:
        (microseconds,) = _RTT.unpack(real.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _RTT.size))
    return float(microseconds) / 1e6


def set_option(connected: Any, level: int, option: int, value: int | bytes = 1) -> None:
    """Sets a socket option, or switches it on."""
    with borrowed(connected) as real:
        real.setsockopt(level, option, value)
