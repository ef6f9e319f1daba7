"""Several processes on one listening socket, under a supervisor."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from ipaddress import IPv4Network, IPv6Network
from itertools import chain
from multiprocessing.connection import Connection
from typing import Any

from aiodicom.errors import LocalError
from aiodicom.metrics import Counters
from aiodicom.net.board import Board
from aiodicom.net.descriptors import allow_most_descriptors, shortage
from aiodicom.net.proxy_protocol import trusted
from aiodicom.net.sockets import BACKLOG, addresses_of, bind, bind_path, port_of
from aiodicom.net.supervisor import EXIT_GRACE, Supervisor
from aiodicom.net.tls import ServerContext
from aiodicom.net.worker import Assignment, check_name, work

__all__ = ["Serving", "serve"]

_log = logging.getLogger("aiodicom.serve")


async def serve(
    factory: str,
    host: str | None = None,
    port: int = 104,
    *,
    workers: int,
    path: str | os.PathLike[str] | None = None,
    sock: socket.socket | None = None,
    ssl: str | ServerContext | None = None,
    proxy_protocol: bool | Iterable[str | IPv4Network | IPv6Network] = False,
    backlog: int = BACKLOG,
    arguments: Sequence[Any] = (),
    drain_timeout: float = 30.0,
    on_ready: Callable[[Serving], None] | None = None,
) -> None:
    """Runs the server that `factory` makes in so many worker processes on one listening socket, until cancelled.

    `factory` is ``"module:function"``: each worker calls it with `arguments`, which have to be picklable, and gets a
    `Server`. Its `max_associations` and `max_memory` hold over all workers together. `ssl` is a context from
    `tls_server_context`, of which each worker makes its own, or ``"module:function"`` of a function without parameters
    that returns the `ssl.SSLContext`: other contexts can't be handed to another process. Where to listen, and
    `proxy_protocol`, are said as to `Server.listen`; `sock` is closed at the end.

    New connections go to the workers that have the fewest. A worker that dies is logged and replaced, later and later
    if that happens again and again; one that is sent SIGTERM drains, and is replaced. `on_ready` is called once all of
    them accept, with a `Serving` that tells of all of them.

    Cancelling it drains the workers for up to `drain_timeout` seconds; cancelled once more, they are killed. Raises
    `LocalError` when the workers can't start, and `OSError`, such as for a port in use.
    """
    if workers < 1:
        raise LocalError(f"{workers} workers can't serve")
    if ssl is not None and not isinstance(ssl, str | ServerContext):
        raise LocalError(
            'ssl: give a context from tls_server_context, or "module:function" of a function that returns another one; '
            "workers make their own"
        )
    for name in (factory, ssl):
        if isinstance(name, str):
            check_name(name)
    networks = trusted(proxy_protocol, path, sock)
    proxies = networks or networks is not None  # as each worker says it in turn
    if path is not None:
        sockets = [bind_path(path, backlog)]
    elif sock is not None:
        sockets = [sock]
    else:
        sockets = await bind(host, port, backlog)
    with ExitStack() as stack:
        bells = [socket.socketpair() for _ in range(workers)]
        for end in chain(sockets, *bells):
            stack.enter_context(end)
        board = stack.enter_context(closing(Board(workers)))

        def assign(number: int, ready: Connection | None) -> Assignment:
            return Assignment(
                factory, tuple(arguments), sockets, ssl, proxies, backlog, drain_timeout, board, number, bells, ready
            )

        allow_most_descriptors()
        supervisor = Supervisor(work, assign, workers, board.has_ended)
        try:
            limit = (await supervisor.start())[-1].max_associations
            if limit is not None and (missing := shortage(limit, workers)):
                _log.warning("%s", missing)
            if on_ready is not None:
                on_ready(Serving(board, addresses_of(sockets), supervisor.hang_up))
            await supervisor.watch()
        finally:
            for each in sockets:
                each.close()  # before the workers end: nobody shall wait at a door behind which nobody is
            await supervisor.stop(drain_timeout + EXIT_GRACE)


class Serving:
    """What is known of the workers of `serve()`, while they run and afterwards."""

    def __init__(self, board: Board, addresses: list[Any], reload_certificates: Callable[[], None]) -> None:
        self._board = board
        self._reload_certificates = reload_certificates
        #: The addresses that are listened on: (host, port) for IPv4 and IPv6, a path for a unix socket.
        self.addresses = addresses

    @property
    def port(self) -> int:
        """The TCP port that is listened on."""
        return port_of(self.addresses)

    @property
    def counters(self) -> Counters:
        """What has happened in all workers since the start, those that have died included; a copy of this moment."""
        return self._board.total()

    @property
    def workers(self) -> list[Counters]:
        """The same for each worker. `associations_peak` is the most in all workers that this one has seen."""
        return [self._board.counters(worker) for worker in range(self._board.workers)]

    def reload_certificates(self) -> None:
        """Has all workers read the files of a context from `tls_server_context` anew, and log what can't be used.

        They do so by themselves, each before a handshake; this is to know at once.
        """
        self._reload_certificates()
