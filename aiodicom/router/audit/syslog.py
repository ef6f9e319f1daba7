"""Audit messages to a repository: by syslog over TLS (PS3.15 A.6, RFC 5425) or over UDP (A.7, RFC 5426)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl as tls
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Final, Protocol

from aiodicom.router.breaker import Backoff

__all__ = ["Repository", "TLSTransport", "Transport", "UDPTransport", "syslog_message"]

_log = logging.getLogger(__name__)

#: Facility 10, security and authorization, and severity 5, notice (PS3.15 A.6).
_PRIORITY: Final = 10 * 8 + 5

#: Messages that wait for the repository; beyond, the oldest is dropped.
_MOST_WAITING: Final = 10_000

#: Bytes of a message over UDP: what fits into a datagram.
_MOST_DATAGRAM: Final = 65_000

_BACKOFF: Final = Backoff(first=1.0, most=60.0)


def syslog_message(message: bytes, when: datetime, host: str, application: str, process_id: int) -> bytes:
    """The message with its syslog header (RFC 5424 6): UTF-8, with the byte order mark."""
    stamp = when.isoformat(timespec="milliseconds")
    return (
        f"<{_PRIORITY}>1 {stamp} {_word(host, 255)} {_word(application, 48)} {process_id} DICOM+RFC3881 - ".encode()
        + b"\xef\xbb\xbf"
        + message
    )


def _word(text: str, most: int) -> str:
    """Printable ASCII without spaces, or what stands for nothing (RFC 5424 6)."""
    return "".join(each for each in text if "!" <= each <= "~")[:most] or "-"


class Transport(Protocol):
    """A way to the repository."""

    async def send(self, message: bytes) -> None:
        """Sends one message; raises OSError, and ValueError for one that cannot go this way at all."""

    async def close(self) -> None:
        """Ends what is open."""


class UDPTransport:
    """Datagrams: nobody says whether they have arrived."""

    def __init__(self, host: str, port: int = 514) -> None:
        self._address = (host, port)
        self._transport: asyncio.DatagramTransport | None = None

    async def send(self, message: bytes) -> None:
        """Sends one message; one too long for a datagram raises ValueError."""
        if len(message) > _MOST_DATAGRAM:
            raise ValueError(f"an audit message of {len(message):,} bytes does not fit into a datagram: use TLS")
        if self._transport is None or self._transport.is_closing():
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=self._address
            )
        self._transport.sendto(message)

    async def close(self) -> None:
        """Closes the socket."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None


class TLSTransport:
    """A connection with a frame for each message (RFC 5425 4.3); opened again when it has ended.

    A message that was written to a connection that is lost may be lost with it: syslog has no answers.
    """

    def __init__(
        self, host: str, port: int = 6514, *, ssl: tls.SSLContext | None, server_hostname: str | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._ssl = ssl
        self._server_hostname = server_hostname
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None

    async def send(self, message: bytes) -> None:
        """Sends one message; raises OSError."""
        if self._writer is None or self._writer.is_closing() or (self._reader is not None and self._reader.at_eof()):
            await self.close()
            self._reader, self._writer = await asyncio.open_connection(
                self._host, self._port, ssl=self._ssl, server_hostname=self._server_hostname if self._ssl else None
            )
        self._writer.write(b"%d %b" % (len(message), message))
        await self._writer.drain()

    async def close(self) -> None:
        """Closes the connection."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


class Repository:
    """Sends messages one after the other, beside what is audited, which never waits for it.

    While the repository cannot be reached, up to 10,000 messages wait; then the oldest are dropped, which is logged
    with their number. To be entered; leaving it waits up to `linger` seconds for what waits.
    """

    def __init__(
        self, transport: Transport, application: str, *, host: str = "", linger: float = 5.0, send_timeout: float = 30.0
    ) -> None:
        self._transport = transport
        self._application = application
        self._host = host or socket.gethostname()
        self._linger = linger
        self._send_timeout = send_timeout
        self._waiting: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._is_ending = False
        self._task: asyncio.Task[None] | None = None
        #: messages that were sent, and those that were dropped
        self.sent = 0
        self.dropped = 0

    def put(self, message: bytes, when: datetime) -> None:
        """Has a message sent."""
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1
            if self.dropped == 1 or not self.dropped % 1000:
                _log.error("%d audit messages were dropped: the repository does not take them", self.dropped)
        self._waiting.append(syslog_message(message, when, self._host, self._application, os.getpid()))
        self._wake.set()

    async def __aenter__(self) -> Repository:
        self._task = asyncio.get_running_loop().create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        self._is_ending = True
        self._wake.set()
        await asyncio.wait((task,), timeout=self._linger)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if self._waiting:
            self.dropped += len(self._waiting)
            _log.error("%d audit messages were not sent before the end", len(self._waiting))
        await self._transport.close()

    async def _work(self) -> None:
        failures = 0
        while self._waiting or not self._is_ending:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            message = self._waiting[0]
            try:
                async with asyncio.timeout(self._send_timeout):
                    await self._transport.send(message)
            except ValueError as error:
                _log.error("an audit message was dropped: %s", error)
                self.dropped += 1
            except (OSError, TimeoutError) as error:
                failures += 1
                if failures == 1:
                    _log.error("the audit repository cannot be reached: %s", error)
                await self._transport.close()
                await asyncio.sleep(_BACKOFF.pause(failures, 0))
                continue
            else:
                if failures:
                    _log.warning("the audit repository can be reached again")
                failures = 0
                self.sent += 1
            # Too many may have come meanwhile, so that this one was dropped already.
            if self._waiting and self._waiting[0] is message:
                self._waiting.popleft()
