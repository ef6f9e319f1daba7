"""Within this machine nothing is paced, from the first byte on."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import struct
import sys
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import ConnectFailed, ConnectionLost
from aiodicom.net import connect, pacing
from tests.net.sides import soon
from tests.net.test_socket_options import congestion_control_of, socket_of
from tests.ports import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody chooses a congestion control")


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system whose sockets are paced: what is a test of nothing else than that they are asked."""
    monkeypatch.setattr(pacing, "is_paced", lambda _connected: True)
    monkeypatch.setattr(pacing, "_paces", lambda: True)


@pytest.mark.usefixtures("paced")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_neither_end_is(host: str) -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0) as listening, aiodicom.connect(host, listening.port) as association:
        (accepted,) = server.associations
        for each in (association, accepted):
            assert congestion_control_of(socket_of(each)) == pacing.CONGESTION_CONTROL
        assert (await association.c_echo()).status == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_addresses_of_this_machine(host: str) -> None:
    assert pacing.is_here(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "127.example.org", "::", "0.0.0.0", "", None])
def test_other_addresses(host: str | None) -> None:
    assert not pacing.is_here(host)


async def test_others_are_left_to_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await pacing.connect_here("192.0.2.1", 104) is None
    monkeypatch.setattr(pacing, "_paces", lambda: False)
    assert await pacing.connect_here("127.0.0.1", 104) is None


@pytest.mark.usefixtures("paced")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_who_is_not_there_is_told_as_elsewhere(host: str) -> None:
    port = free_port()
    with pytest.raises(ConnectFailed, match=f"^no connection to {host} port {port}: Connection refused$"):
        await aiodicom.connect(host, port)
    with pytest.raises(OSError, match="Connection refused") as caught:
        await pacing.connect_here("127.0.0.1", port)
    assert caught.value.errno == errno.ECONNREFUSED


@pytest.mark.usefixtures("paced")
async def test_another_address_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system knows nothing of the first one's family."""
    original = socket.socket

    def make(family: int = socket.AF_INET, *kind: int, **more: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return original(family, *kind, **more)

    async def both(_host: str, port: int, **_: int) -> list[Any]:
        kind = (socket.SOCK_STREAM, 0, "")
        return [(socket.AF_INET6, *kind, ("::1", port, 0, 0)), (socket.AF_INET, *kind, ("127.0.0.1", port))]

    async with aiodicom.Server().listen("127.0.0.1", 0) as listening:
        loop = SimpleNamespace(getaddrinfo=both, sock_connect=asyncio.get_running_loop().sock_connect)
        with monkeypatch.context() as patched:
            patched.setattr(pacing, "asyncio", SimpleNamespace(get_running_loop=lambda: loop))
            patched.setattr(socket, "socket", make)
            connection = await pacing.connect_here("localhost", listening.port)
    assert connection is not None
    connection.close()


def test_a_system_that_does_not_know_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "_OPTION", 9999)
    with socket.socket() as one:
        assert not pacing.is_paced(one)
        pacing.unpace(one)


@pytest.mark.usefixtures("paced")
async def test_a_connection_that_is_given_up_leaves_nothing_behind() -> None:
    with socket.socket() as full, socket.socket() as first:  # which is why the second connection waits
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        first.connect(full.getsockname())
        connecting = asyncio.ensure_future(pacing.connect_here("127.0.0.1", full.getsockname()[1]))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not connecting.done()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting


class Others:
    """Descriptors of somebody else, opened one after another from here on."""

    def __init__(self) -> None:
        self.descriptors = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]

    def close(self) -> None:
        """Raises OSError if somebody has closed one."""
        for each in self.descriptors:
            os.close(each)


@pytest.mark.usefixtures("paced")
@pytest.mark.parametrize("turns", range(8))
async def test_one_that_is_cancelled_closes_its_own_descriptor_only(turns: int) -> None:
    async with aiodicom.Server().listen("127.0.0.1", 0) as listening:
        connecting = asyncio.ensure_future(aiodicom.connect("127.0.0.1", listening.port))
        for _ in range(turns):
            await asyncio.sleep(0)
        connecting.cancel()
        with suppress(asyncio.CancelledError):
            await (await connecting).release()
        others = Others()
        del connecting
        gc.collect()
        others.close()


@pytest.mark.usefixtures("paced")
async def test_a_peer_that_resets_the_connection_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        async def connect_and_lose(host: str, port: int) -> socket.socket | None:
            connection = await pacing.connect_here(host, port)
            accepted, _ = listening.accept()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            return connection

        monkeypatch.setattr(connect, "connect_here", connect_and_lose)
        with pytest.raises(ConnectionLost):
            await soon(aiodicom.connect("127.0.0.1", listening.getsockname()[1]))
        others = Others()
        gc.collect()
        others.close()
