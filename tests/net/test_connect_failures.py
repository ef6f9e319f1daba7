"""Connections that can't be made."""

from __future__ import annotations

import asyncio
import errno
import re
import ssl as tls
from pathlib import Path
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
    with pytest.raises(LocalError, match="the host is empty: give the name or the address of the peer"):
        aiodicom.connect("")


@pytest.mark.parametrize("port", [0, -1, 65536, "104", None])
def test_a_port_that_is_no_address(port: Any) -> None:
    with pytest.raises(LocalError, match=f"port {port!r} is no address: 1 to 65535"):
        aiodicom.connect("localhost", port)


@pytest.mark.parametrize(
    "local_addr",
    [
        "127.0.0.5",
        ("127.0.0.5", -1),
        ("127.0.0.5", 65536),
        ("127.0.0.5", "0"),
        ("127.0.0.5",),
        ("", 0),
        (None, 0),
        (0, 0),
        5,
    ],
)
def test_a_local_address_that_is_none(local_addr: Any) -> None:
    with pytest.raises(LocalError, match=re.escape(f"local_addr={local_addr!r} is none: give the address")):
        aiodicom.connect("localhost", local_addr=local_addr)


def test_what_a_unix_socket_has_not(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="local_addr goes with a host"):
        aiodicom.connect(path=tmp_path / "dicom", local_addr=("127.0.0.1", 0))
    with pytest.raises(LocalError, match="give server_hostname"):
        aiodicom.connect(path=tmp_path / "dicom", ssl=aiodicom.tls_client_context())


@pytest.mark.parametrize("local_addr", [None, ("127.0.0.1", 0)])
def test_a_name_for_tls_without_tls(local_addr: tuple[str, int] | None) -> None:
    with pytest.raises(LocalError, match="server_hostname is for TLS: give ssl too"):
        aiodicom.connect("localhost", server_hostname="pacs", local_addr=local_addr)


@pytest.mark.parametrize("ssl", [tls.SSLContext(tls.PROTOCOL_TLS_SERVER), True])
def test_no_tls_context_of_a_client(ssl: Any) -> None:
    with pytest.raises(LocalError, match=r"the TLS context of a client, such as from aiodicom\.tls_client_context\(\)"):
        aiodicom.connect("localhost", ssl=ssl)


@pytest.mark.parametrize("ssl", [tls.SSLContext(tls.PROTOCOL_TLS_CLIENT), True])
def test_no_tls_context_of_a_server(ssl: Any) -> None:
    with pytest.raises(LocalError, match=r"the TLS context of a server, such as from aiodicom\.tls_server_context\(\)"):
        aiodicom.Server().listen("localhost", 0, ssl=ssl)


@pytest.mark.parametrize("name", ["a" * 64, ".pacs", "a\0b"])
def test_no_name_to_ask_for_in_tls(name: str) -> None:
    with pytest.raises(LocalError, match=re.escape(f"{name!r} is no name to ask for in TLS")):
        aiodicom.connect("localhost", ssl=aiodicom.tls_client_context(), server_hostname=name)


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
