"""The header of the PROXY protocol, version 2, in front of associations, and what comes in its place."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import LocalError, TLSHandshakeFailed
from aiodicom.net.proxy_protocol import HeaderError, body_length, client_of, crc32c, trusted
from tests.certificates import Authority
from tests.net.hostile import Requestor, proposal, until
from tests.net.sides import soon

SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")
V4 = bytes([192, 0, 2, 7, 192, 0, 2, 1]) + struct.pack("!HH", 40000, 104)
V6 = bytes.fromhex("20010DB8000000000000000000000007" + "20010DB8000000000000000000000001") + struct.pack(
    "!HH", 40001, 104
)


def header(
    body: bytes = V4,
    family: int = 0x11,
    *,
    command: int = 0x21,
    length: int | None = None,
    signature: bytes = SIGNATURE,
) -> bytes:
    """A header, or something like it."""
    return signature + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


def tlv(kind: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("!BH", kind, len(value) if length is None else length) + value


def checked(body: bytes, family: int = 0x11) -> bytes:
    """A header with its checksum behind `body`."""
    without = header(body + tlv(3, bytes(4)), family)
    return without[:-4] + struct.pack("!I", crc32c(without))


def unix(source: bytes) -> bytes:
    return source.ljust(108, b"\0") + b"/run/dicom".ljust(108, b"\0")


#: What a load balancer may say, and the peer that it makes; None where that is the load balancer itself.
GOOD: list[tuple[str, bytes, str | None]] = [
    ("v4", header(), "192.0.2.7:40000"),
    ("v6", header(V6, 0x21), "[2001:db8::7]:40001"),
    ("unix", header(unix(b"/run/client"), 0x31), "/run/client"),
    ("unix-unprintable", header(unix(b"/a\nFAKE\x1b[31m"), 0x31), r"/a\nFAKE\x1b[31m"),
    ("unix-unnamed", header(unix(b""), 0x31), "unix socket"),
    ("tlvs", header(V4 + tlv(4, bytes(40)) + tlv(2, b"pacs") + tlv(0xEE, b"")), "192.0.2.7:40000"),
    ("checksum", checked(V4 + tlv(1, b"dicom")), "192.0.2.7:40000"),
    ("longest", header(V4 + tlv(4, bytes(4096 - len(V4) - 3))), "192.0.2.7:40000"),
    ("local", header(b"", 0, command=0x20), None),
    ("local-with-more", header(b"whatever it is", 0x11, command=0x20), None),
    ("unspecified", header(b"", 0), None),
    ("unspecified-with-more", header(bytes(7), 0), None),
]
#: What is none, with what the log says.
BAD: list[tuple[str, bytes, str]] = [
    ("dicom", proposal(), "does not begin with"),
    ("http", b"GET / HTTP/1.1\r\n\r\n", "does not begin with"),
    ("version-1", b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 104\r\n", "does not begin with"),
    ("nearly", header(signature=SIGNATURE[:-1] + b"\r"), "does not begin with"),
    ("tls", bytes.fromhex("16030100F8010000F4"), "does not begin with"),
    ("version-3", header(command=0x31), "version and command 31H"),
    ("command-2", header(command=0x22), "version and command 22H"),
    ("udp", header(family=0x12), "family and transport 12H"),
    ("family-4", header(family=0x41), "family and transport 41H"),
    ("too-long", header(length=0xFFFF), "65,535 bytes is longer than 4,096"),
    ("short-v4", header(V4[:-1]), "addresses in the PROXY protocol header end too early"),
    ("short-v6", header(V4, 0x21), "addresses in the PROXY protocol header end too early"),
    ("short-unix", header(bytes(215), 0x31), "addresses in the PROXY protocol header end too early"),
    ("tlv-beyond-the-end", header(V4 + tlv(4, b"", 1)), "a TLV in the PROXY protocol header ends too early"),
    ("half-a-tlv", header(V4 + b"\4\0"), "a TLV in the PROXY protocol header ends too early"),
    ("wrong-checksum", checked(V4)[:-1] + b"\0", "checksum in the PROXY protocol header is wrong"),
    ("short-checksum", header(V4 + tlv(3, b"ab")), "checksum in the PROXY protocol header is not 4 bytes"),
]
good = pytest.mark.parametrize(("sent", "peer"), [each[1:] for each in GOOD], ids=[each[0] for each in GOOD])
bad = pytest.mark.parametrize(("sent", "text"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])


@asynccontextmanager
async def serving(
    proxy_protocol: Any = True, timeouts: aiodicom.Timeouts | None = None, **options: Any
) -> AsyncIterator[tuple[aiodicom.Server, int, list[str]]]:
    """A server behind load balancers, its port, and the peers that have associated."""
    server = aiodicom.Server(**({} if timeouts is None else {"timeouts": timeouts}))
    peers: list[str] = []
    server.on_association(lambda association: peers.append(association.peer))
    async with server.listen("127.0.0.1", 0, proxy_protocol=proxy_protocol, **options) as listening:
        yield server, listening.port, peers
        await until(lambda: (server.places.connections, server.places.idle) == (0, 0))


@asynccontextmanager
async def opened(port: int, **options: Any) -> AsyncIterator[Requestor]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    try:
        yield Requestor(reader, writer)
    finally:
        writer.transport.abort()


@good
@pytest.mark.parametrize("byte_by_byte", [False, True], ids=["whole", "bytes"])
async def test_a_header(sent: bytes, peer: str | None, byte_by_byte: bool) -> None:
    if byte_by_byte and len(sent) > 300:
        sent = header(V4)
    async with serving() as (_, port, peers), opened(port) as requestor:
        local = requestor.writer.get_extra_info("sockname")
        if byte_by_byte:
            for index in range(len(sent)):
                requestor.writer.write(sent[index : index + 1])
                await asyncio.sleep(0)
        else:
            # The proposal right behind it, in the same segment: not one byte of that may be lost.
            requestor.writer.write(sent + proposal())
        if byte_by_byte:
            requestor.writer.write(proposal())
        await requestor.expect(2)
        assert await requestor.echo() == 0
        assert peers == [peer or f"127.0.0.1:{local[1]}"]
        await requestor.release()


@bad
async def test_what_is_no_header(sent: bytes, text: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aiodicom.server")
    async with serving() as (_, port, peers), opened(port) as requestor:
        requestor.writer.write(sent + proposal())
        assert await requestor.ended() == b""
    assert peers == []
    (message,) = [message for message in caplog.messages if " came to nothing: " in message]
    assert message.startswith("a connection from 127.0.0.1:")
    assert text in message


@pytest.mark.parametrize("length", [1, 5, 12, 15, 16, 27])
@pytest.mark.parametrize("end", ["close", "reset", "silence"])
async def test_a_header_that_does_not_come(length: int, end: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aiodicom.server")
    limits = aiodicom.Timeouts(artim=0.05) if end == "silence" else None
    async with serving(timeouts=limits) as (server, port, peers), opened(port) as requestor:
        requestor.writer.write(header()[:length])
        if end == "silence":
            assert await requestor.ended() == b""
            assert any("no PROXY protocol header within 0.05 s" in message for message in caplog.messages)
        else:
            await until(lambda: server.places.idle == 1)
            if end == "reset":
                requestor.reset()
            else:
                requestor.writer.close()
            await until(lambda: server.places.connections == 0)
            assert any(" came to nothing: " in message for message in caplog.messages)
    assert peers == []


@pytest.mark.parametrize("sent", [b"\r", b"\r\n\r\n\0\r\nQUIX", b"\x01"])
async def test_what_is_wrong_already_is_not_waited_for(sent: bytes) -> None:
    async with serving() as (_, port, _), opened(port) as requestor:
        requestor.writer.write(sent)
        if SIGNATURE.startswith(sent):
            requestor.writer.write(b"\r")
        assert await requestor.ended() == b""


async def test_many_that_are_silent_hold_nobody_up() -> None:
    async with serving() as (server, port, peers):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        await until(lambda: server.places.idle == 200)
        async with opened(port) as requestor:
            requestor.writer.write(header() + proposal())
            await requestor.expect(2)
        for _, writer in silent:
            writer.close()
    assert peers == ["192.0.2.7:40000"]


async def test_closing_ends_those_that_are_silent() -> None:
    server = aiodicom.Server()
    listening = await server.listen("127.0.0.1", 0, proxy_protocol=True)
    async with opened(listening.port) as silent:
        await until(lambda: server.places.idle == 1)
        await soon(server.close())
        assert await silent.ended() == b""
    assert (server.places.connections, server.places.idle) == (0, 0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def context(authority: Authority) -> ssl.SSLContext:
    files = authority.issue("server", "127.0.0.1")
    return aiodicom.tls_server_context(cert=files.cert, key=files.key)


async def test_in_front_of_tls(context: ssl.SSLContext, authority: Authority) -> None:
    client = aiodicom.tls_client_context(ca=authority.path)
    loop = asyncio.get_running_loop()
    async with serving(ssl=context) as (_, port, peers):
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_sendall(sock, header(V6, 0x21))
        reader, writer = await soon(asyncio.open_connection(sock=sock, ssl=client, server_hostname="127.0.0.1"))
        requestor = Requestor(reader, writer)
        await requestor.associate()
        assert await requestor.echo() == 0
        await requestor.release()
        writer.transport.abort()
    assert peers == ["[2001:db8::7]:40001"]


async def test_tls_without_it_is_refused(context: ssl.SSLContext, authority: Authority) -> None:
    client = aiodicom.tls_client_context(ca=authority.path)
    async with serving(ssl=context) as (_, port, peers):
        with pytest.raises(TLSHandshakeFailed):
            await soon(aiodicom.connect("127.0.0.1", port, ssl=client))
    assert peers == []


@pytest.mark.parametrize(
    ("networks", "is_trusted"),
    [
        (["127.0.0.0/8"], True),
        (["192.0.2.0/24", "127.0.0.1"], True),
        ([ip_network("127.0.0.1/32")], True),
        (["192.0.2.0/24", "::1/128"], False),
    ],
)
async def test_where_load_balancers_are(networks: Any, is_trusted: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aiodicom.server")
    async with serving(iter(networks)) as (_, port, peers), opened(port) as requestor:
        requestor.writer.write(header() + proposal())
        if is_trusted:
            await requestor.expect(2)
        else:
            assert await requestor.ended() == b""
            (message,) = [each for each in caplog.messages if "came to nothing" in each]
            assert "127.0.0.1 is not among the sources of the PROXY protocol" in message
    assert peers == (["192.0.2.7:40000"] if is_trusted else [])


async def test_ipv4_on_a_socket_of_both_kinds() -> None:
    server = aiodicom.Server()
    async with server.listen("::", 0, proxy_protocol=["127.0.0.0/8"]) as listening, opened(listening.port) as requestor:
        requestor.writer.write(header() + proposal())
        await requestor.expect(2)


async def test_a_unix_socket(tmp_path: Path) -> None:
    server = aiodicom.Server()
    path = tmp_path / "dicom"
    with pytest.raises(LocalError, match="who connects to a unix socket is in no network"):
        await server.listen(path=path, proxy_protocol=["127.0.0.1"])
    assert not path.exists()
    async with server.listen(path=path, proxy_protocol=True):
        reader, writer = await asyncio.open_unix_connection(os.fspath(path))
        requestor = Requestor(reader, writer)
        writer.write(header() + proposal())
        await requestor.expect(2)
        (association,) = server.associations
        assert association.peer == "192.0.2.7:40000"
        writer.transport.abort()


def test_one_network_is_not_its_letters() -> None:
    assert trusted("10.0.0.0/8") == (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (["10.0.0.1/8"], "to be a network"),
        (["pacs"], "to be a network"),
        ([], "no network"),
        (5, "proxy_protocol=5 is none: give True, or the networks"),
        (None, "proxy_protocol=None is none: give True, or the networks"),
    ],
)
def test_what_is_no_network(networks: Any, message: str) -> None:
    with pytest.raises(LocalError, match=message):
        aiodicom.Server().listen("127.0.0.1", 0, proxy_protocol=networks)


def test_the_checksum() -> None:
    # RFC 3720 B.4
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_any_change_of_a_header_is_another_header_or_an_error() -> None:
    whole = checked(V4 + tlv(4, bytes(3)))
    assert body_length(whole[:16]) == len(whole) - 16
    for index in range(16, len(whole)):
        for value in (0, 1, 0x7F, 0xFF):
            if whole[index] == value:
                continue
            changed = whole[:index] + bytes([value]) + whole[index + 1 :]
            try:
                client_of(changed[:16], changed[16:])
            except HeaderError:
                continue
            assert index == len(V4) + 16 + 6  # which makes the checksum a TLV that nobody knows
