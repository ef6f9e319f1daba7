"""A router in several processes on the same listening sockets, under a supervisor; each has a part of the queue."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NamedTuple

from aiodicom.errors import LocalError
from aiodicom.net.descriptors import allow_most_descriptors
from aiodicom.net.run import run
from aiodicom.net.sockets import addresses_of, bind
from aiodicom.net.supervisor import EXIT_GRACE, Supervisor
from aiodicom.router.config.reloading import Reloaded, reload
from aiodicom.router.router import DRAIN

if TYPE_CHECKING:
    from aiodicom.router.config.root import Config
    from aiodicom.web.router.process import ProcessSettings

__all__ = ["RouterWorkers", "supervised"]

_log = logging.getLogger("aiodicom.router")


class _Assignment(NamedTuple):
    """What a worker is given."""

    settings: ProcessSettings
    sockets: dict[tuple[str, int], list[socket.socket]]
    #: Where it says that it listens, unless nobody waits for that.
    ready: Connection | None


class RouterWorkers:
    """The processes, while they run."""

    def __init__(
        self,
        supervisor: Supervisor,
        settings: list[ProcessSettings],
        sockets: Mapping[tuple[str, int], list[socket.socket]],
    ) -> None:
        self._supervisor = supervisor
        self._settings = settings
        self._sockets = sockets
        self.addresses = [address[:2] for bound in sockets.values() for address in addresses_of(bound)]
        #: Ends when the supervisor does, by a fault.
        self.watching = asyncio.get_running_loop().create_task(supervisor.watch())

    @property
    def config(self) -> Config:
        """What workers begin with that come from now on."""
        return self._settings[0].config

    def reload(self) -> Reloaded:
        """Has every process read the configuration again, and those that come later begin with it, if it is right.

        Returns what is to be said of it, once for all of them.
        """
        (settings,) = self._settings
        reloaded = reload(settings.path, settings.config, self._sockets.keys())
        self._settings[:] = [settings._replace(config=reloaded.config)]
        self._supervisor.hang_up()
        return reloaded


@asynccontextmanager
async def supervised(settings: ProcessSettings, count: int) -> AsyncIterator[RouterWorkers]:
    """Runs so many workers until the context is left, which drains them.

    Raises OSError for what cannot be listened on, LocalError when they cannot start.
    """
    sockets: dict[tuple[str, int], list[socket.socket]] = {}
    config = settings.config
    #: The one that workers begin with: it changes when the configuration does.
    current = [settings]
    supervisor = Supervisor(_work, lambda _, ready: _Assignment(current[0], sockets, ready), count, lambda _: None)
    allow_most_descriptors()
    try:
        for listener in config.listeners:
            sockets[listener.host, listener.port] = await bind(listener.host, listener.port)
        await supervisor.start()
        workers = RouterWorkers(supervisor, current, sockets)
        try:
            yield workers
        finally:
            workers.watching.cancel()
            with suppress(asyncio.CancelledError):
                await workers.watching
    finally:
        for bound in sockets.values():
            for each in bound:
                each.close()  # before the workers end: nobody shall wait at a door behind which nobody is
        await supervisor.stop(2 * DRAIN + EXIT_GRACE)


def _work(assignment: _Assignment) -> None:
    """A worker's life."""
    # The terminal sends Ctrl-C to the whole group; the supervisor alone decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if assignment.settings.prepare is not None:
        assignment.settings.prepare()
    allow_most_descriptors()
    run(_serve(assignment))


async def _serve(assignment: _Assignment) -> None:
    from aiodicom.web.router.process import running

    stopped, hangup = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None
    loop.add_reader(supervisor.sentinel, stopped.set)  # one that was killed can't ask its workers to stop
    try:
        async with AsyncExitStack() as stack:
            process = await stack.enter_async_context(running(assignment.settings, assignment.sockets))
            if assignment.ready is not None:
                assignment.ready.send(os.getpid())
                assignment.ready.close()
            while not stopped.is_set():
                waiting = [asyncio.ensure_future(event.wait()) for event in (stopped, hangup)]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for each in waiting:
                    each.cancel()
                if hangup.is_set():
                    hangup.clear()
                    await process.router.reload()
                    if process.router.has_failed:  # what is wrong with the file, the supervisor says
                        for problem in process.router.problems:
                            _log.error("%s: the configuration stays as it was: %s", process.router.shard, problem)
    except LocalError as error:
        _log.error("%s", error)
        raise SystemExit(1) from None
    finally:
        loop.remove_reader(supervisor.sentinel)
