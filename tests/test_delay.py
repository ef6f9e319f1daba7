"""The proxy that tests and benchmarks of long ways go through."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from tests import delay
from tests.delay import DelayingProxy


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Gives back what it gets, to the end."""
    while some := await reader.read(65536):
        writer.write(some)
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def far_echo(delay: float) -> AsyncIterator[DelayingProxy]:
    """A proxy before `echo`."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, DelayingProxy(server.sockets[0].getsockname()[1], delay=delay) as proxy:
        yield proxy


async def test_it_gives_all_bytes_in_order_and_then_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    # Less than what is sent: reading pauses, and goes on.
    monkeypatch.setattr(delay, "MOST_UNDER_WAY", 100_000)
    sent = random.Random(1).randbytes(3_000_000)
    async with far_echo(0.001) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)

        async def send() -> None:
            # At once, before there is a connection onward, and then in pieces.
            for start in range(0, len(sent), 300_000):
                writer.write(sent[start : start + 300_000])
                await writer.drain()
            writer.write_eof()

        _, received = await asyncio.gather(send(), reader.read(-1))
        assert received == sent
        assert proxy.connections == 1
        writer.close()
        await writer.wait_closed()


async def test_nothing_arrives_before_its_time() -> None:
    loop = asyncio.get_running_loop()
    async with far_echo(0.03) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        begun = loop.time()
        for _ in range(2):
            writer.write(b"there and back")
            assert await reader.readexactly(14) == b"there and back"
        # Timers may be a millisecond early.
        assert loop.time() - begun >= 4 * 0.028
        writer.close()
        await writer.wait_closed()


async def test_where_nobody_listens_the_connection_ends(port: int) -> None:
    async with DelayingProxy(port, delay=0.001) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
