"""What a peer has done that nobody has read: how a paused association learns that it is over."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["borrowed", "has_closed", "unread"]

#: The peer has closed its side, or reset the connection. POLLRDHUP is Linux's; elsewhere a paused peer that closes in
#: good order is noticed when reading goes on.
_CLOSED = getattr(select, "POLLRDHUP", 0)


@contextmanager
def borrowed(connected: Any) -> Iterator[socket.socket]:
    """Gives a real socket for one of those that event loops show, which duplicate their descriptor for some methods."""
    real = socket.socket(connected.family, connected.type, connected.proto, fileno=connected.fileno())
    try:
        yield real
    finally:
        real.detach()


def has_closed(connected: Any) -> bool:
    """Whether the peer has closed or reset the connection, whatever it has sent before."""
    poll = select.poll()
    poll.register(connected.fileno(), _CLOSED)
    return bool(poll.poll(0))


def unread(connected: Any, size: int) -> bytes:
    """Returns up to `size` bytes that have come and have not been read, and leaves them there."""
    with borrowed(connected) as real:
        try:
            return real.recv(size, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
