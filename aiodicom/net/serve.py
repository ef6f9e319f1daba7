"""Several processes on one listening socket, under a supervisor."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import socket
from collections.abc import Callable, Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from aiodicom.errors import LocalError
from aiodicom.net.limits import Places
from aiodicom.net.run import run
from aiodicom.net.server import BACKLOG, Server

__all__ = ["serve"]

_log = logging.getLogger("aiodicom.serve")

#: How long drained workers may take to end before they are killed, beyond the time for draining, in seconds.
_EXIT_GRACE = 5.0
#: A worker that dies is replaced after this many seconds, so that one that can't start doesn't keep a core busy.
_RESTART_DELAY = 0.5


def bind(host: str, port: int) -> socket.socket:
    """Returns a TCP socket bound to this address, IPv4 or IPv6, and listening; `::` is for both. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    is_dual = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=is_dual)


async def serve(
    factory: str,
    *,
    workers: int,
    sock: socket.socket,
    arguments: Sequence[Any] = (),
    drain_timeout: float = 30.0,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Runs the server that ``factory`` makes in `workers` processes, which accept from `sock`, until cancelled.

    `factory` is ``"module:function"``; each process calls the function with `arguments`, which have to be picklable,
    and gets a `Server`. Its `max_associations` then holds over all processes. `on_ready` is called once all of them
    accept. A process that dies is logged and replaced. Cancelling drains them for up to `drain_timeout` seconds.
    Raises `LocalError` when they can't even start.
    """
    if workers < 1:
        raise LocalError(f"{workers} workers can't serve")
    supervisor = _Supervisor(factory, workers, sock, tuple(arguments), drain_timeout)
    try:
        await supervisor.start(on_ready)
        await supervisor.watch()
    finally:
        await asyncio.shield(supervisor.stop())


class _Supervisor:
    """Starts, watches and replaces the worker processes."""

    def __init__(
        self, factory: str, workers: int, sock: socket.socket, arguments: tuple[Any, ...], drain_timeout: float
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._factory = factory
        self._sock = sock
        self._arguments = arguments
        self._drain_timeout = drain_timeout
        self._loop = asyncio.get_running_loop()
        #: The associations of each worker; each writes its own number only.
        self._counts = self._context.Array("q", workers, lock=False)
        self._workers: list[BaseProcess | None] = [None] * workers
        self._deaths: asyncio.Queue[int] = asyncio.Queue()

    async def start(self, on_ready: Callable[[], None] | None) -> None:
        ready = [self._start(index) for index in range(len(self._workers))]
        for index, connection in enumerate(ready):
            # A worker that ends without a word closes its end, which wakes this up as well.
            started = await self._readable(connection)
            if not started:
                raise LocalError(f"worker {index} could not start: its own message is above")
        if on_ready is not None:
            on_ready()

    async def watch(self) -> None:
        while True:
            index = await self._deaths.get()
            process = self._workers[index]
            assert process is not None
            process.join()
            _log.error("worker %d (process %s) died with exit code %s: replaced", index, process.pid, process.exitcode)
            process.close()
            self._workers[index] = None
            self._counts[index] = 0
            await asyncio.sleep(_RESTART_DELAY)
            connection = self._start(index)
            await self._readable(connection)

    async def stop(self) -> None:
        processes = [process for process in self._workers if process is not None]
        for process in processes:
            self._loop.remove_reader(process.sentinel)
            if process.is_alive():
                process.terminate()
        deadline = self._loop.time() + self._drain_timeout + _EXIT_GRACE
        for process in processes:
            if await self._ended(process, deadline):
                process.join()  # a moment at most: its end shows before the system has its exit code
            else:
                _log.error("worker process %s doesn't end: killed", process.pid)
                process.kill()
                process.join()
            process.close()

    def _start(self, index: int) -> Connection:
        parent, child = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_work,
            args=(
                _Assignment(
                    self._factory, self._arguments, self._sock, self._counts, index, child, self._drain_timeout
                ),
            ),
            name=f"aiodicom worker {index}",
        )
        process.start()
        child.close()
        self._workers[index] = process
        self._loop.add_reader(process.sentinel, self._on_death, index, process.sentinel)
        return parent

    def _on_death(self, index: int, sentinel: int) -> None:
        self._loop.remove_reader(sentinel)
        self._deaths.put_nowait(index)

    async def _readable(self, connection: Connection) -> bool:
        arrived = asyncio.Event()
        self._loop.add_reader(connection.fileno(), arrived.set)
        try:
            await arrived.wait()
            return bool(connection.recv())
        except EOFError:
            return False
        finally:
            self._loop.remove_reader(connection.fileno())
            connection.close()

    async def _ended(self, process: BaseProcess, deadline: float) -> bool:
        ended = asyncio.Event()
        self._loop.add_reader(process.sentinel, ended.set)
        try:
            async with asyncio.timeout_at(deadline):
                await ended.wait()
        except TimeoutError:
            return False
        finally:
            self._loop.remove_reader(process.sentinel)
        return True


class _Assignment(NamedTuple):
    """What a worker process is given."""

    factory: str
    arguments: tuple[Any, ...]
    sock: socket.socket
    #: The associations of all workers, and which of the numbers is this one's.
    counts: Any
    number: int
    #: Where it says that it accepts.
    ready: Connection
    drain_timeout: float


def _work(assignment: _Assignment) -> None:
    """A worker's life."""
    # The terminal sends Ctrl-C to the whole group; the supervisor alone decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run(_accept(assignment))


async def _accept(assignment: _Assignment) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None
    loop.add_reader(supervisor.sentinel, stopped.set)  # one that was killed can't ask its workers to stop
    module, _, name = assignment.factory.partition(":")
    server = getattr(import_module(module), name)(*assignment.arguments)
    if not isinstance(server, Server):
        raise LocalError(f"{assignment.factory} gave a {type(server).__name__}, not a Server")
    server.places = Places(server.places.limit, assignment.counts, assignment.number)
    await server.listen(sock=assignment.sock)
    assignment.ready.send(True)
    assignment.ready.close()
    await stopped.wait()
    loop.remove_reader(supervisor.sentinel)
    await server.drain(assignment.drain_timeout)
