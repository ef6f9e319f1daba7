"""A worker: one of the processes that `aiodicom.serve` starts."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
import socket
import ssl as tls
import sys
from importlib import import_module
from ipaddress import IPv4Network, IPv6Network
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeVar

from aiodicom.errors import LocalError
from aiodicom.net.board import Board, SharedCounters
from aiodicom.net.descriptors import allow_most_descriptors
from aiodicom.net.limits import Places
from aiodicom.net.run import run
from aiodicom.net.server import Server
from aiodicom.net.tls import ServerContext
from aiodicom.net.turns import Turns
from aiodicom.ul._pdu import Budget

__all__ = ["Assignment", "Ready", "check_name", "work"]

T = TypeVar("T")


class Assignment(NamedTuple):
    """What a worker is given."""

    factory: str
    arguments: tuple[Any, ...]
    sockets: list[socket.socket]
    #: the TLS context, or ``"module:function"`` that gives it
    ssl: str | ServerContext | None
    proxy_protocol: bool | tuple[str | IPv4Network | IPv6Network, ...]
    backlog: int
    drain_timeout: float
    board: Board
    #: which row of the board is its own
    number: int
    #: by which workers call each other to the sockets
    bells: list[tuple[socket.socket, socket.socket]]
    #: where it says that it accepts, unless nobody waits for that
    ready: Connection | None


class Ready(NamedTuple):
    """What a worker says once it accepts."""

    max_associations: int | None


def work(assignment: Assignment) -> None:
    """A worker's life."""
    # The terminal sends Ctrl-C to the whole group; the supervisor alone decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    allow_most_descriptors()
    try:
        run(_serve(assignment))
    except LocalError as error:
        sys.exit(f"worker {assignment.number}: {error}")


async def _serve(assignment: Assignment) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None
    loop.add_reader(supervisor.sentinel, stopped.set)  # one that was killed can't ask its workers to stop
    server = _call(assignment.factory, assignment.arguments, Server)
    context = _call(assignment.ssl, (), tls.SSLContext) if isinstance(assignment.ssl, str) else assignment.ssl
    if isinstance(context, ServerContext):
        loop.add_signal_handler(signal.SIGHUP, context.reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    board, number = assignment.board, assignment.number
    server.counters = SharedCounters(board, number)
    server.places = Places(server.places.limit, board.column("present"), board.column("places"), number, board)
    server.budget = Budget(server.budget.limit // len(assignment.bells))  # it holds over all workers together
    server.turns = Turns(
        board.column("present"), board.column("looked"), board.column("away"), number, assignment.bells
    )
    for sock in assignment.sockets:
        await server.listen(
            sock=sock, ssl=context, proxy_protocol=assignment.proxy_protocol, backlog=assignment.backlog
        )
    if assignment.ready is not None:
        assignment.ready.send(Ready(server.places.limit))
        assignment.ready.close()
    gc.freeze()  # what was imported and made so far stays: collections need not look at it among many associations
    await stopped.wait()
    loop.remove_reader(supervisor.sentinel)
    server.turns.end()
    await server.drain(assignment.drain_timeout)


def check_name(name: str) -> None:
    """Raises `LocalError` for what is not ``"module:function"``."""
    module, _, function = name.partition(":")
    if not module or not function:
        raise LocalError(f'{name!r} names no function: give "module:function"')


def _call(name: str, arguments: tuple[Any, ...], kind: type[T]) -> T:
    module, _, function = name.partition(":")
    try:
        imported = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # one that the module itself wants to import
        raise LocalError(f"{name}: there is no module {error.name}") from None
    if not hasattr(imported, function):
        raise LocalError(f"{name}: the module has no {function}")
    made = getattr(imported, function)(*arguments)
    if not isinstance(made, kind):
        raise LocalError(f"{name} gave a {type(made).__name__}, not a {kind.__name__}")
    return made
