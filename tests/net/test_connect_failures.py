"""Connections that can't be made."""

from __future__ import annotations

import asyncio

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
