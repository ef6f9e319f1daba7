"""An SCP of ours on an event loop of its own, for commands that run in the test's thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import aiodicom
from tests.cli.conftest import PATIENCE


class Served(NamedTuple):
    """A server that listens."""

    port: int


@contextmanager
def serving(make: Callable[[], aiodicom.Server], **options: Any) -> Iterator[Served]:
    """Runs the server that `make` gives, called on the loop, on a free port of loopback, with these options of
    `Server.listen`; drained at the end.
    """
    ready = threading.Event()
    served: list[Served] = []
    stop: list[Callable[[], None]] = []

    async def run() -> None:
        server = make()
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        listening = await server.listen("127.0.0.1", 0, **options)
        stop.append(lambda: loop.call_soon_threadsafe(end.set))
        served.append(Served(listening.port))
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
        self.identifiers: list[aiodicom.Dataset] = []
        self.proposals: list[list[tuple[str, tuple[str, ...]]]] = []
        self.titles: list[tuple[str, str]] = []

    def note_association(self, association: aiodicom.Association) -> None:
        """For `Server.on_association`."""
        assert association.proposal is not None
        contexts = association.proposal.contexts
        self.proposals.append([(context.abstract_syntax, context.transfer_syntaxes) for context in contexts])
        self.titles.append((association.calling_aet, association.called_aet))
