"""Connections within this machine, and to a peer that is near, on which nothing is paced.

A congestion control that paces, as BBR does, sets a timer for each 64 KiB or so. Between any two a peer that is near
may fall asleep, and to wake it costs the sender as much as to copy what it sends. Linux goes on pacing a socket that
once had such a one, whatever it gets afterwards (`sk_pacing_status` in net/ipv4/tcp_output.c): so a connection within
this machine never has it.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import ipaddress
import os
import socket
import sys
from contextlib import suppress
from typing import Any

from aiodicom.net.probe import borrowed

__all__ = ["CONGESTION_CONTROL", "connect_here", "is_here", "is_paced", "unpace"]

#: What nothing is paced with, on Linux always there.
CONGESTION_CONTROL = b"reno"
_OPTION: int = getattr(socket, "TCP_CONGESTION", 0) if sys.platform == "linux" else 0
#: Linux's TCP_CA_NAME_MAX
_LONGEST_NAME = 16


def is_paced(connected: Any) -> bool:
    """Whether a TCP socket has a congestion control that paces."""
    if _OPTION:
        with suppress(OSError), borrowed(connected) as real:  # a system that has no such option, whatever it is called
            return real.getsockopt(socket.IPPROTO_TCP, _OPTION, _LONGEST_NAME).startswith(b"bbr")
    return False


def unpace(connected: Any) -> bool:
    """Has a TCP socket, or those accepted from it, not have a congestion control that paces; returns whether it did."""
    was_paced = is_paced(connected)
    if was_paced:
        # A system may not have it, or not let us choose.
        with suppress(OSError), borrowed(connected) as real:
            real.setsockopt(socket.IPPROTO_TCP, _OPTION, CONGESTION_CONTROL)
    return was_paced


def is_here(host: str | None) -> bool:
    """Whether an address is one of those by which a machine reaches itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


@functools.cache
def _paces() -> bool:
    """Whether connections are paced that nobody has prevented it for."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        return is_paced(one)
    return False


async def connect_here(host: str | None, port: int) -> socket.socket | None:
    """Returns a connection that is not paced to an address of this machine; None for others, and where none is paced.

    Raises `OSError`. Cancelled, nothing is left behind.
    """
    if not is_here(host) or not _paces():
        return None
    loop = asyncio.get_running_loop()
    if host == "localhost":
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    else:  # which asks nobody
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    failure: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        try:
            return await _connect(loop, socket.socket(family, kind, protocol), address)
        except OSError as error:
            failure = error if error.errno is None else OSError(error.errno, os.strerror(error.errno))
    assert failure is not None  # a name has at least one address, or getaddrinfo() raises
    try:
        raise failure
    finally:
        failure = None  # whose traceback has this frame: a cycle


async def _connect(loop: asyncio.AbstractEventLoop, connection: socket.socket, address: Any) -> socket.socket:
    try:
        connection.setblocking(False)
        unpace(connection)
        if not _connect_at_once(connection, address):
            await loop.sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_at_once(connection: socket.socket, address: Any) -> bool:
    """Whether a socket that does not block is connected at once, as within a machine it is where somebody listens and
    has room. Otherwise it is about to be. Raises `OSError`.

    An event loop that is asked for that may ask a thread for the address first, and waits for the next of its turns.
    """
    failed = connection.connect_ex(address)
    if failed == errno.EINPROGRESS:
        failed = connection.connect_ex(address)
    if failed in (errno.EALREADY, errno.EINPROGRESS, errno.EAGAIN):
        return False
    if failed not in (0, errno.EISCONN):
        raise OSError(failed, os.strerror(failed))
    return True
