"""Within this machine nothing is paced, from the first byte on."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys

import pytest

import aiodicom
from aiodicom.errors import ConnectFailed
from aiodicom.net import pacing
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
    assert await pacing.connect_here("192.0.2.1", 104, None) is None
    monkeypatch.setattr(pacing, "_paces", lambda: False)
    assert await pacing.connect_here("127.0.0.1", 104, None) is None


@pytest.mark.usefixtures("paced")
async def test_from_the_address_that_was_asked_for() -> None:
    server = aiodicom.Server()
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, local_addr=("127.0.0.2", 0)),
    ):
        (accepted,) = server.associations
        assert accepted.peer.startswith("127.0.0.2:")


@pytest.mark.usefixtures("paced")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_who_is_not_there_is_told_as_elsewhere(host: str) -> None:
    port = free_port()
    with pytest.raises(ConnectFailed, match=f"^no connection to {host} port {port}: Connection refused$"):
        await aiodicom.connect(host, port)
    with pytest.raises(OSError, match="Connection refused") as caught:
        await pacing.connect_here("127.0.0.1", port, None)
    assert caught.value.errno == errno.ECONNREFUSED


@pytest.mark.usefixtures("paced")
async def test_a_connection_that_is_given_up_leaves_nothing_behind() -> None:
    with socket.socket() as full:  # which is why the second connection waits
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            connecting = asyncio.ensure_future(pacing.connect_here("127.0.0.1", full.getsockname()[1], None))
            while not connecting.done() and len(asyncio.all_tasks()) < 2:  # noqa: ASYNC110 (it is about to begin)
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
