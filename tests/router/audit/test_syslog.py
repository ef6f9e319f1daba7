"""Messages on their way to a repository: framing, loss of the connection, what is too much."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from aiodicom.router.audit.syslog import Repository, TLSTransport, UDPTransport, syslog_message

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def test_the_header_is_that_of_rfc_5424() -> None:
    message = syslog_message(b"<AuditMessage/>", WHEN, "host name", "aiodicom", 17)
    head = b"<85>1 2026-01-02T03:04:05.678+00:00 hostname aiodicom 17 DICOM+RFC3881 - \xef\xbb\xbf"
    assert message == head + b"<AuditMessage/>"


async def test_over_a_stream_each_message_has_a_frame_and_the_connection_may_end() -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int(await reader.readuntil(b" "))
        got.put_nowait(await reader.readexactly(length))
        writer.close()  # each message needs a new one

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        transport = TLSTransport("127.0.0.1", port, ssl=None)
        async with Repository(transport, "aiodicom", host="here") as repository:
            for text in (b"<A/>", b"<B/>"):
                repository.put(text, WHEN)
                assert (await got.get()).endswith(b"\xef\xbb\xbf" + text)
                await asyncio.sleep(0)
        assert repository.sent == 2


async def test_over_udp() -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()

    class Taker(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _address: object) -> None:
            got.put_nowait(data)

    loop = asyncio.get_running_loop()
    taker, _ = await loop.create_datagram_endpoint(Taker, local_addr=("127.0.0.1", 0))
    try:
        port = taker.get_extra_info("sockname")[1]
        async with Repository(UDPTransport("127.0.0.1", port), "aiodicom") as repository:
            repository.put(b"x" * 70_000, WHEN)
            repository.put(b"<A/>", WHEN)
            assert (await got.get()).endswith(b"<A/>")
        assert (repository.sent, repository.dropped) == (1, 1)
    finally:
        taker.close()


class Broken:
    """A repository that cannot be reached."""

    async def send(self, message: bytes) -> None:
        raise OSError("nobody there")

    async def close(self) -> None:
        pass


async def test_what_waits_is_bounded_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async with Repository(Broken(), "aiodicom", linger=0) as repository:
        for _ in range(10_003):
            repository.put(b"<A/>", WHEN)
        assert repository.dropped == 3
    assert repository.dropped == 10_003
    assert "10000 audit messages were not sent" in caplog.text
