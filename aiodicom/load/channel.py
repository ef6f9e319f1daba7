"""What a run's processes say to each other, and how."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import msgspec

from aiodicom.load.results import Interval, Result
from aiodicom.services.storage_commitment import Commitment

__all__ = [
    "Begin",
    "Channel",
    "Done",
    "Failed",
    "FromParent",
    "FromWorker",
    "Opened",
    "Over",
    "Reported",
    "SoFar",
    "Stop",
    "Unusable",
]

#: Bytes of the length before each message.
_LENGTH: Final = 4


class Begin(msgspec.Struct, frozen=True, tag=True):
    """To a worker: all are ready, the load begins."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """To a worker: the run ends early."""


class Opened(msgspec.Struct, frozen=True, tag=True):
    """From a worker: its associations are open."""


class Over(msgspec.Struct, frozen=True, tag=True):
    """From a worker: its load is over. To a worker: so is that of all, and nothing more comes to the receiver."""


class Reported(msgspec.Struct, frozen=True, tag=True):
    """From the worker that has the receiver, and to the others: a report of storage commitment that is not its own."""

    commitment: Commitment


class SoFar(msgspec.Struct, frozen=True, tag=True):
    """From a worker, every second: what it has done, and the intervals that have ended since it last said so."""

    result: Result
    intervals: list[Interval]


class Done(msgspec.Struct, frozen=True, tag=True):
    """From a worker: what came of its share."""

    result: Result


class Failed(msgspec.Struct, frozen=True, tag=True):
    """From a worker: what keeps it from beginning."""

    message: str


class Unusable(msgspec.Struct, frozen=True, tag=True):
    """From the first worker: a file that cannot be stored."""

    path: str
    reason: str
    broken: bool


FromParent = Begin | Over | Reported | Stop
FromWorker = Opened | Over | Reported | SoFar | Done | Failed | Unusable

Message = TypeVar("Message")


class Channel(Generic[Message]):
    """One end of a connection; `Message` is what comes. To be closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: Any) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._encoder = msgspec.msgpack.Encoder()

    @classmethod
    async def on(cls, sock: socket.socket, kind: Any) -> Channel[Message]:
        """The end of a socket pair, from which messages of a kind come."""
        return cls(*await asyncio.open_unix_connection(sock=sock), kind)

    async def receive(self) -> Message | None:
        """The next message; None where no further one comes."""
        try:
            size = int.from_bytes(await self._reader.readexactly(_LENGTH))
            message: Message = self._decoder.decode(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, OSError):
            return None
        return message

    def send(self, message: FromParent | FromWorker) -> None:
        """Sends a message; nothing happens where the other end has gone."""
        data = self._encoder.encode(message)
        if not self._writer.is_closing():
            self._writer.writelines((len(data).to_bytes(_LENGTH), data))

    async def close(self) -> None:
        """Closes this end once everything is sent."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
