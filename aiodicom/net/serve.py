"""Several processes on one listening socket, under a supervisor."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from ipaddress import IPv4Network, IPv6Network
from itertools import chain
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from aiodicom.errors import LocalError
from aiodicom.metrics import Counters
from aiodicom.net.board import Board
from aiodicom.net.descriptors import allow_most_descriptors, shortage
from aiodicom.net.proxy_protocol import trusted
from aiodicom.net.sockets import BACKLOG, addresses_of, bind, bind_path, port_of
from aiodicom.net.tls import ServerContext
from aiodicom.net.worker import Assignment, Ready, work

__all__ = ["Serving", "serve"]

_log = logging.getLogger("aiodicom.serve")

#: How long drained workers may take to end before they are killed, beyond the time for draining, in seconds.
_EXIT_GRACE = 5.0
#: A worker that dies is replaced after this many seconds, and after twice as many when its replacement dies too, and so
#: on to the longest: one that can't start keeps no core busy. One that has lived so long counts as started.
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_STARTED = 60.0


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
    proxies = proxy_protocol if isinstance(proxy_protocol, bool) else tuple(proxy_protocol)
    trusted(proxies)
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
        supervisor = _Supervisor(assign, board)
        try:
            limit = await supervisor.start()
            if limit is not None and (missing := shortage(limit, workers)):
                _log.warning("%s", missing)
            if on_ready is not None:
                on_ready(Serving(board, addresses_of(sockets), supervisor.reload_certificates))
            await supervisor.watch()
        finally:
            for each in sockets:
                each.close()  # before the workers end: nobody shall wait at a door behind which nobody is
            await supervisor.stop(drain_timeout + _EXIT_GRACE)


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


class _Worker:
    """A worker's process, from its start on."""

    def __init__(self, context: multiprocessing.context.SpawnContext, assignment: Assignment) -> None:
        self._loop = asyncio.get_running_loop()
        self.started = self._loop.time()
        self.process: BaseProcess = context.Process(
            target=work, args=(assignment,), name=f"aiodicom worker {assignment.number}"
        )
        # One that does not listen to SIGHUP yet would end by it; this way it waits until the worker does.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        #: Done when the process has ended.
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self.process.sentinel, self._on_end)

    def reap(self) -> int | None:
        """The exit code of the process, which has ended or is about to."""
        self.process.join()  # a moment at most: its end shows before the system has its exit code
        self._on_end()
        code = self.process.exitcode
        self.process.close()
        return code

    def _on_end(self) -> None:
        if not self.ended.done():
            self._loop.remove_reader(self.process.sentinel)
            self.ended.set_result(None)


class _Supervisor:
    """Starts, watches and replaces the workers, each on its own."""

    def __init__(self, assign: Callable[[int, Connection | None], Assignment], board: Board) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._assign = assign
        self._board = board
        #: Those that have not been reaped.
        self._workers: dict[int, _Worker] = {}

    async def start(self) -> int | None:
        """Returns the limit of associations once all workers accept. Raises `LocalError` if one can't start."""
        pipes = []
        try:
            for number in range(self._board.workers):
                receiver, sender = self._context.Pipe(duplex=False)
                pipes.append(receiver)
                with sender:
                    self._workers[number] = _Worker(self._context, self._assign(number, sender))
            limit: int | None = None
            for number, receiver in enumerate(pipes):
                ready = await _received(receiver)
                if ready is None:
                    raise LocalError(f"worker {number} could not start: its own message is above")
                limit = ready.max_associations
        finally:
            for receiver in pipes:
                receiver.close()
        return limit

    async def watch(self) -> None:
        """Replaces the workers that end. Never returns."""
        async with asyncio.TaskGroup() as group:
            for number in self._workers:
                group.create_task(self._keep(number))

    async def _keep(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        delay = _FIRST_DELAY
        while True:
            worker = self._workers[number]
            await asyncio.wait((worker.ended,))
            del self._workers[number]
            pid, code = worker.process.pid, worker.reap()
            self._board.has_ended(number)
            if code == 0:  # somebody has asked it to, otherwise than we do
                delay = _FIRST_DELAY
                _log.info("worker %d (process %s) has drained: replaced", number, pid)
            else:
                if loop.time() - worker.started >= _STARTED:
                    delay = _FIRST_DELAY
                _log.error("worker %d (process %s) died with exit code %s: replaced in %g s", number, pid, code, delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, _LONGEST_DELAY)
            while number not in self._workers:
                try:
                    self._workers[number] = _Worker(self._context, self._assign(number, None))
                except OSError as error:  # no memory, no descriptors, too many processes
                    _log.error("worker %d can't be started: %s; tried again in %g s", number, error, delay)
                    await asyncio.sleep(delay)
                    delay = min(2 * delay, _LONGEST_DELAY)

    def reload_certificates(self) -> None:
        """Has the workers read their certificates anew."""
        for worker in self._workers.values():
            if not worker.ended.done() and worker.process.pid is not None:
                os.kill(worker.process.pid, signal.SIGHUP)

    async def stop(self, timeout: float) -> None:
        """Has the workers drain; kills those that don't end in time, or all of them when cancelled."""
        workers = list(self._workers.values())
        for worker in workers:
            worker.process.terminate()
        try:
            if workers:
                await asyncio.wait([worker.ended for worker in workers], timeout=timeout)
        finally:
            for worker in workers:
                if not worker.ended.done():
                    _log.error("worker process %s doesn't end: killed", worker.process.pid)
                    worker.process.kill()
                worker.reap()
            for number in self._workers:
                self._board.has_ended(number)
            self._workers.clear()


async def _received(connection: Connection) -> Ready | None:
    """What a worker says; None if it ends without a word, for that closes its end."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    loop.add_reader(connection.fileno(), arrived.set)
    try:
        await arrived.wait()
        ready: Ready = connection.recv()
    except EOFError:
        return None
    finally:
        loop.remove_reader(connection.fileno())
    return ready
