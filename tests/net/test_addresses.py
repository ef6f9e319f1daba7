"""What can be listened on and connected to."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

import aiodicom
from aiodicom.errors import LocalError


async def test_ipv4() -> None:
    server = aiodicom.Server()
    peers: list[str] = []
    server.on_c_echo(lambda request: peers.append(request.association.peer))
    async with server.listen("127.0.0.1", 0) as listening:
        assert listening.addresses == [("127.0.0.1", listening.port)]
        async with aiodicom.connect("127.0.0.1", listening.port) as association:
            await association.c_echo()
            assert association.peer == f"127.0.0.1:{listening.port}"
            assert peers == [association.local]


async def test_ipv6() -> None:
    server = aiodicom.Server()
    async with server.listen("::1", 0) as listening:
        assert listening.addresses == [("::1", listening.port)]
        async with aiodicom.connect("::1", listening.port) as association:
            await association.c_echo()
            assert association.peer == f"[::1]:{listening.port}"


async def test_every_address_of_the_machine(port: int) -> None:
    server = aiodicom.Server()
    async with server.listen(None, port) as listening:
        assert {address[1] for address in listening.addresses} == {port}
        for host in ("127.0.0.1", "::1", "localhost"):
            async with aiodicom.connect(host, listening.port) as association:
                await association.c_echo()


async def test_a_unix_socket_by_its_path(tmp_path: Path) -> None:
    server = aiodicom.Server()
    peers: list[str] = []
    server.on_c_echo(lambda request: peers.append(request.association.peer))
    path = tmp_path / "dicom"
    async with server.listen(path=path) as listening:
        assert listening.addresses == [str(path)]
        with pytest.raises(LocalError):
            _ = listening.port
        async with aiodicom.connect(path=path) as association:
            await association.c_echo()
            assert association.peer == str(path)
    assert peers == ["unix socket"]


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX"])
async def test_a_socket_that_is_bound_already(family: str, tmp_path: Path) -> None:
    server = aiodicom.Server()
    unix = family == "AF_UNIX"
    sock = socket.socket(getattr(socket, family))
    sock.bind(str(tmp_path / "dicom") if unix else ("127.0.0.1" if family == "AF_INET" else "::1", 0))
    where = {"path": sock.getsockname()} if unix else dict(zip(("host", "port"), sock.getsockname()[:2], strict=True))
    async with server.listen(sock=sock) as listening:
        assert listening.addresses == [sock.getsockname() if unix else sock.getsockname()[:2]]
        async with aiodicom.connect(**where) as association:
            await association.c_echo()


async def test_one_server_on_several_addresses(tmp_path: Path) -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0) as listening:
        await server.listen(path=tmp_path / "dicom")
        async with (
            aiodicom.connect("127.0.0.1", listening.port) as one,
            aiodicom.connect(path=tmp_path / "dicom") as other,
        ):
            await asyncio.gather(one.c_echo(), other.c_echo())
            assert len(server.associations) == 2
    with pytest.raises(aiodicom.errors.ConnectFailed):
        await aiodicom.connect(path=tmp_path / "dicom")


@pytest.mark.parametrize("port", [-1, 65536])
async def test_a_port_that_is_none(port: int) -> None:
    with pytest.raises(LocalError, match=f"port {port} is none"):
        await aiodicom.Server().listen("127.0.0.1", port)


async def test_a_port_in_use_is_an_error_of_the_system() -> None:
    async with aiodicom.Server().listen("127.0.0.1", 0) as listening:
        with pytest.raises(OSError, match="in use"):
            await aiodicom.Server().listen("127.0.0.1", listening.port)


async def test_a_local_address(port: int) -> None:
    async with (
        aiodicom.Server().listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, local_addr=("127.0.0.1", port)) as association,
    ):
        assert association.local == f"127.0.0.1:{port}"
