"""An association whose event loop has been closed before it had ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import pytest
import uvloop

import aiodicom
from aiodicom import Server
from aiodicom.errors import RemoteError
from tests.net.sides import connect


def serve(port: asyncio.Future[int], over: threading.Event) -> None:
    """An SCP in a thread of its own."""

    async def run() -> None:
        async with Server().listen("127.0.0.1", 0) as listener:
            port.get_loop().call_soon_threadsafe(port.set_result, listener.port)
            await asyncio.to_thread(over.wait)

    asyncio.run(run())


async def associate(over: threading.Event) -> tuple[aiodicom.Association, threading.Thread]:
    port = asyncio.get_running_loop().create_future()
    server = threading.Thread(target=serve, args=(port, over))
    server.start()
    association = await connect(await port)
    await association.c_echo()
    return association, server


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_nothing_is_written_to_who_has_the_descriptor_now() -> None:
    loop = uvloop.new_event_loop()
    over = threading.Event()
    try:
        association, server = loop.run_until_complete(associate(over))
        descriptor = association.transport.descriptor
        loop.close()
        pairs = [socket.socketpair() for _ in range(8)]
        others = {one.fileno(): other for pair in pairs for one, other in (pair, pair[::-1])}
        with contextlib.suppress(RemoteError):
            association.abort()
        other = others[descriptor]
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(100)
        for pair in pairs:
            pair[0].close()
            pair[1].close()
    finally:
        over.set()
    server.join(10)
