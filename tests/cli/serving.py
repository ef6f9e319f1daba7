"""An SCP of ours on an event loop of its own, for commands that run in the test's thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiodicom
from aiodicom.dimse.messages import Request
from tests.cli.conftest import PATIENCE


class Served:
    """A server that listens."""

    def __init__(self, server: aiodicom.Server, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.port = port
        self._loop = loop

    def call(self, function: Callable[[], object]) -> None:
        """Calls a function on the server's loop."""
        self._loop.call_soon_threadsafe(function)


@contextmanager
def serving(make: Callable[[], aiodicom.Server]) -> Iterator[Served]:
    """Runs the server that `make` gives, called on the loop, on a free port of loopback; drained at the end."""
    ready = threading.Event()
    served: list[Served] = []
    stop: list[Callable[[], None]] = []

    async def run() -> None:
        server = make()
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        listening = await server.listen("127.0.0.1", 0)
        stop.append(lambda: loop.call_soon_threadsafe(end.set))
        served.append(Served(server, listening.port, loop))
        ready.set()
        await end.wait()
        await server.drain(5)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield served[0]
    finally:
        stop[0]()
        thread.join(PATIENCE)
        assert not thread.is_alive()


class Asked:
    """Remembers what a server was asked, and how its associations were proposed."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.identifiers: list[aiodicom.Dataset] = []
        self.proposals: list[list[tuple[str, tuple[str, ...]]]] = []
        self.titles: list[tuple[str, str]] = []

    def note_association(self, association: aiodicom.Association) -> None:
        """For `Server.on_association`."""
        assert association.proposal is not None
        contexts = association.proposal.contexts
        self.proposals.append([(context.abstract_syntax, context.transfer_syntaxes) for context in contexts])
        self.titles.append((association.calling_aet, association.called_aet))
