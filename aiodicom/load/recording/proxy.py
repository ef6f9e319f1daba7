"""The proxy between a modality and a PACS: moves bytes as they come, and shows a copy of them to an `Observation`.

Nothing is added, changed or held back; what one side does not take is not read from the other, so that each feels the
other's pace. TLS passes through as it is, and cannot be understood.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

from aiodicom.dimse.tracing import Tracer
from aiodicom.load.recording.observing import Keep, Observation
from aiodicom.load.recording.trace import AssociationRecord, OperationRecord, Record
from aiodicom.net.sockets import bind
from aiodicom.net.transport import acknowledge, be_prompt

__all__ = ["Counts", "RecordingProxy", "Titles"]

_log = logging.getLogger("aiodicom.record")

#: Bytes that are moved at once, and about twice what waits on the way in one direction.
_PIECE = 1 << 18
#: Who has sent less than this may hold the rest back until it is acknowledged (Nagle's algorithm): a proxy that waited
#: to do that would add 40 ms to each operation of many a peer.
_ALL_THERE_IS = 1 << 16


@dataclass(slots=True)
class Counts:
    """What has passed."""

    connections: int = 0
    #: Connections that the PACS did not take.
    unreachable: int = 0
    #: Connections that were TLS, or otherwise no DICOM.
    encrypted: int = 0
    not_understood: int = 0
    associations: int = 0
    operations: int = 0
    bytes: int = 0


class Titles:
    """AE titles as they are recorded: as they are, or a name for each in its place."""

    #: Those beyond are all called the same.
    MOST = 10_000

    def __init__(self, *, are_recorded: bool) -> None:
        self._are_recorded = are_recorded
        self._names: dict[str, str] = {}

    def __call__(self, title: str) -> str:
        if self._are_recorded:
            return title
        if title not in self._names and len(self._names) < self.MOST:
            self._names[title] = f"AE{len(self._names) + 1}"
        return self._names.get(title, "AE")


class RecordingProxy:
    """Listens, and connects each connection with the PACS at `host` and `port`; `emit` is called with each record."""

    def __init__(
        self, host: str, port: int, emit: Callable[[Record], object], titles: Titles, keep: Keep | None = None
    ) -> None:
        self.counts = Counts()
        self._target = (host, port)
        self._write = emit
        self._titles = titles
        self._keep = keep
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun = 0.0

    async def listen(self, host: str | None, port: int) -> list[tuple[str, int]]:
        """Begins, and the time of the records with it; returns where. Raises `OSError`, `LocalError` for a port that is
        none."""
        self._begun = perf_counter()
        sockets = await bind(host, port)
        for sock in sockets:
            be_prompt(sock)
            self._servers.append(await asyncio.start_server(self._accept, sock=sock, limit=_PIECE))
        return [sock.getsockname()[:2] for sock in sockets]

    async def drain(self, timeout: float | None) -> None:
        """Listens no more, and waits until the connections have ended, so many seconds at most."""
        for server in self._servers:
            server.close()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=timeout)

    async def close(self) -> None:
        """Listens no more, and cuts the connections that are left."""
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    # --- a connection ------------------------------------------------------------------------------------------------

    def _elapsed(self) -> float:
        # uvloop's own clock stands still within a turn of the loop, and has whole milliseconds.
        return perf_counter() - self._begun

    def _emit(self, record: Record) -> None:
        self.counts.associations += isinstance(record, AssociationRecord)
        self.counts.operations += isinstance(record, OperationRecord)
        self._write(record)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        number = self.counts.connections
        try:
            theirs, to_them = await asyncio.open_connection(*self._target, limit=_PIECE)
        except OSError as error:
            _log.warning("connection %d: the PACS cannot be reached: %s", number, error)
            self.counts.unreachable += 1
            writer.transport.abort()
            return
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        be_prompt(to_them.get_extra_info("socket"))
        observation = Observation(number, self._emit, self._titles, self._keep)
        _log.info("connection %d", number)
        try:
            with suppress(OSError):
                await self._move_both(reader, writer, theirs, to_them, observation)
            # What has come is still delivered, an A-ABORT before a reset most of all.
            for each in (writer, to_them):
                each.close()
            for each in (writer, to_them):
                with suppress(OSError):
                    await each.wait_closed()
        finally:
            for each in (writer, to_them):
                each.transport.abort()
            observation.ended(self._elapsed())
            _log.info("connection %d has ended: %s", number, observation.how)
            self.counts.encrypted += observation.trouble == "TLS"
            self.counts.not_understood += observation.trouble not in ("", "TLS")

    async def _move_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        theirs: asyncio.StreamReader,
        to_them: asyncio.StreamWriter,
        observation: Observation,
    ) -> None:
        """Moves bytes until both sides have ended, or one is gone: raises OSError then."""
        tracer = None
        if _log.isEnabledFor(logging.DEBUG):
            tracer = Tracer(lambda line: _log.debug("[%d] %s", observation.number, line))

        def from_requestor(data: bytes) -> None:
            observation.requestor_sent(data, self._elapsed())
            if tracer is not None:
                tracer.received(data)

        def from_acceptor(data: bytes) -> None:
            observation.acceptor_sent(data, self._elapsed())
            if tracer is not None:
                tracer.sent(data)

        moving = (
            asyncio.ensure_future(self._move(reader, writer, to_them, from_requestor)),
            asyncio.ensure_future(self._move(theirs, to_them, writer, from_acceptor)),
        )
        try:
            await asyncio.gather(*moving)
        finally:
            for each in moving:
                each.cancel()
            await asyncio.gather(*moving, return_exceptions=True)

    async def _move(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
        observe: Callable[[bytes], None],
    ) -> None:
        source = back.get_extra_info("socket")
        while data := await reader.read(_PIECE):
            if len(data) < _ALL_THERE_IS:
                acknowledge(source)
            self.counts.bytes += len(data)
            # Before it is sent: what is agreed on is known before somebody can use it.
            observe(data)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
