"""Sockets that listen: on TCP addresses, and in the file system."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from aiodicom.dimse.tracing import printable
from aiodicom.errors import LocalError
from aiodicom.net.pacing import is_here, unpace

__all__ = ["BACKLOG", "address_text", "addresses_of", "bind", "bind_path", "peer_text", "port_of"]

#: Bytes that the system may receive ahead of us on each connection.
_ROOM = 4 << 20
#: Connections that wait to be accepted; a scanner room that wakes up at eight opens many at once.
BACKLOG = 4096


async def bind(host: str | None, port: int, backlog: int = BACKLOG) -> list[socket.socket]:
    """Returns a listening TCP socket for each address of `host`, for None every address of the machine.

    "::" is for IPv4, too. `port` 0 is one free port for all of them. Raises `OSError`, `LocalError` for a port that is
    none.
    """
    if not 0 <= port <= 0xFFFF:  # the system would take what is left of it in 16 bits
        raise LocalError(f"port {port} is none: 0 for a free one, or 1 to 65535")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise OSError(errno.EADDRNOTAVAIL, f"cannot listen on {host} port {port}: {error.strerror}") from None
    sockets: list[socket.socket] = []
    unavailable: OSError | None = None
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            if family not in (socket.AF_INET, socket.AF_INET6):
                continue
            if port == 0 and sockets:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            try:
                sockets.append(_bind_tcp(family, address, backlog, is_dual=host == "::"))
            except OSError as error:
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
                unavailable = error  # such as IPv6 where a host name has it and the machine has not
        if not sockets:
            raise unavailable or OSError(
                errno.EADDRNOTAVAIL, f"cannot listen on {host} port {port}: it is no IP address"
            )
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind_tcp(family: int, address: tuple[Any, ...], backlog: int, is_dual: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not is_dual)
        _make_room(sock)
        if is_here(address[0]):
            unpace(sock)
        sock.bind(address)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {address[0]} port {address[1]}: {error.strerror}") from None
    except BaseException:
        sock.close()
        raise
    return sock


def _make_room(sock: socket.socket) -> None:
    """Lets the connections accepted from `sock` receive much from the first object on.

    Linux begins with 128 KiB and adapts slowly. Who sets a size ends that, so one below what it would reach would be
    worse than none: where the system grants less than all, nothing is set.
    """
    if sys.platform != "linux":
        return
    with socket.socket(sock.family, sock.type) as scratch:
        scratch.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        granted = scratch.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # it is told doubled (socket(7))
    if granted >= _ROOM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)


def bind_path(path: str | os.PathLike[str], backlog: int = BACKLOG) -> socket.socket:
    """Returns a listening unix socket, in the place of one that an ended process has left there. Raises `OSError`."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.remove(path)
        sock.bind(os.fspath(path))
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {os.fspath(path)}: {error.strerror}") from None
    except BaseException:
        sock.close()
        raise
    return sock


def address_text(address: Any) -> str:
    """Returns a socket's address as people write it, the path of a unix socket such that it can be shown, whoever chose
    it; nothing for a unix socket without one.
    """
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return printable(os.fsdecode(address)) if address else ""


def peer_text(sock: socket.socket) -> str:
    """Returns the address of who has connected as people write it, also where that has gone already."""
    try:
        return address_text(sock.getpeername()) or "unix socket"
    except OSError:
        return "unknown"


def addresses_of(sockets: Iterable[socket.socket]) -> list[Any]:
    """Returns what they listen on: (host, port) for IPv4 and IPv6, a path for a unix socket."""
    addresses = (sock.getsockname() for sock in sockets)
    return [address[:2] if isinstance(address, tuple) else address for address in addresses]


def port_of(addresses: Iterable[Any]) -> int:
    """Returns the TCP port among such addresses, or raises `LocalError`."""
    for address in addresses:
        if isinstance(address, tuple):
            return int(address[1])
    raise LocalError("not listening on a TCP port")
