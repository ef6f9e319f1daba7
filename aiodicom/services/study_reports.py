"""The ends of studies whose objects several processes store: these report them to the one that runs the commands.

async with collected(StudyEnds(command)) as address:  # in the supervisor
    ...                                               # workers store with studies=StudyReports(command, address)
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiodicom.services.studies import StudyCommand, StudyEnds

__all__ = ["StudyReports", "collected"]

_log = logging.getLogger(__name__)


@asynccontextmanager
async def collected(ends: StudyEnds) -> AsyncIterator[str]:
    """Takes what `StudyReports` say, at the address that it gives, for `ends`; in the end waits for all of it.

    On leaving, returns when the workers have closed their reports and the command has ended for every study. Left by an
    exception, runs nothing more. Raises OSError.
    """
    folder = tempfile.mkdtemp(prefix="aiodicom-")  # which other users cannot enter
    readers: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        readers.add(task)
        try:
            async for line in reader:
                ends.stored(*json.loads(line))
        finally:
            readers.discard(task)
            writer.close()

    try:
        address = os.path.join(folder, "studies")
        server = await asyncio.start_unix_server(take, address)
        try:
            yield address
            while readers:
                await asyncio.wait(readers)
        finally:
            server.close()
            for task in readers:
                task.cancel()
        await ends.drain()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class StudyReports:
    """Stands for `StudyEnds` in a worker process: reports to the one that has it, at an address of `collected`.

    Of a study that waits to be reported, the last object counts, so that what waits is bounded by the studies. Raises
    OSError where nobody listens.
    """

    def __init__(self, command: StudyCommand, address: str) -> None:
        self.command = command
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self._waiting: dict[str, tuple[Mapping[str, str], str]] = {}
        self._sending: asyncio.Task[None] | None = None

    def stored(self, study: str, values: Mapping[str, str], path: str) -> None:
        """An object of a study has been stored, the study being in the folder `path`."""
        self._waiting[study] = values, path
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def drain(self) -> None:
        """Returns when everything has been reported; nothing can be any more."""
        if self._sending is not None:
            await asyncio.wait((self._sending,))
        self._socket.close()

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                study, (values, path) = self._waiting.popitem()
                line = json.dumps((study, dict(values), path)) + "\n"
                await loop.sock_sendall(self._socket, line.encode())
        except OSError as error:
            _log.error("the ends of studies cannot be reported: %s", error)
        finally:
            self._sending = None
