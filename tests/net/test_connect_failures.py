"""Connections that can't be made."""

from __future__ import annotations

import asyncio
import errno
from typing import Any
from unittest import mock

import pytest

import aiodicom
from aiodicom.errors import ConnectFailed, LocalError


async def test_a_refused_connection_says_where_it_was_to_go(port: int) -> None:
    with pytest.raises(ConnectFailed, match=f"127.0.0.1 port {port}") as failure:
        async with asyncio.timeout(10):
            await aiodicom.connect("127.0.0.1", port)
    assert isinstance(failure.value.__cause__, OSError)


async def test_a_missing_unix_socket_fails(tmp_path: object) -> None:
    with pytest.raises(ConnectFailed, match="nowhere"):
        async with asyncio.timeout(10):
            await aiodicom.connect(path=f"{tmp_path}/nowhere")


def test_a_host_or_a_path_is_needed() -> None:
    with pytest.raises(LocalError):
        aiodicom.connect()
    with pytest.raises(LocalError):
        aiodicom.connect("localhost", path="/tmp/socket")


async def test_connecting_can_be_cancelled_at_every_step() -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0) as listening:
        for turns in range(40):
            connecting = asyncio.ensure_future(aiodicom.connect("127.0.0.1", listening.port))
            for _ in range(turns):
                await asyncio.sleep(0)
            if connecting.done():
                await (await connecting).release()
                continue
            connecting.cancel()
            async with asyncio.timeout(10):
                with pytest.raises(asyncio.CancelledError):
                    await connecting


def test_a_connection_that_comes_when_it_was_given_up_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    async def fail(_loop: object, make: Any, *_: object, **__: object) -> None:
        made.append(make())
        raise OSError(errno.ECONNRESET, "Connection reset by peer")

    async def main() -> None:
        monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", fail)
        with pytest.raises(ConnectFailed):
            await aiodicom.connect("192.0.2.1", 11112)
        late = mock.Mock()
        made[0].connection_made(late)
        late.abort.assert_called_once_with()
        made[0].connection_lost(None)

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(main())
