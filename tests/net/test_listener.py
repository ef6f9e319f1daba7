"""Accepting connections: those that propose nothing, and those for which there is no descriptor."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import struct
import subprocess
import sys
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trustme

import aiodicom
from aiodicom.errors import ConnectFailed
from aiodicom.net import listener as module
from aiodicom.net.limits import Places
from aiodicom.net.listener import Listener
from tests.conftest import LOOPS
from tests.net.hostile import PATIENCE, Requestor, requestor, until

#: What a server that may have one association keeps of connections without a proposal.
CROWD = 256 + 4


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    return context


def is_empty(server: aiodicom.Server) -> bool:
    return not server.associations and (server.places.connections, server.places.idle) == (0, 0)


async def closed(reader: asyncio.StreamReader) -> bool:
    """Whether the server closes this connection at once; false if it answers."""
    async with asyncio.timeout(PATIENCE):
        try:
            return await reader.read(1) == b""
        except ConnectionError:
            return True


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("end", ["closed", "reset"])
async def test_probes_of_a_load_balancer_leave_nothing(end: str, encrypted: bool, tls: ssl.SSLContext) -> None:
    server = aiodicom.Server(max_associations=1)
    async with server.listen("127.0.0.1", 0, ssl=tls if encrypted else None) as listening:
        for _ in range(3):
            probes = [socket.create_connection(("127.0.0.1", listening.port)) for _ in range(200)]
            await until(lambda: server.places.idle >= 200)
            for probe in probes:
                if end == "reset":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                probe.close()
            await until(lambda: is_empty(server))


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
async def test_connections_that_propose_nothing_are_bounded(
    encrypted: bool, tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    server = aiodicom.Server(max_associations=1)
    async with (
        server.listen("127.0.0.1", 0, ssl=tls if encrypted else None) as listening,
        AsyncExitStack() as stack,
    ):
        silent = [await stack.enter_async_context(requestor(listening.port)) for _ in range(CROWD)]
        await until(lambda: server.places.idle == CROWD)
        for _ in range(20):
            assert await closed((await stack.enter_async_context(requestor(listening.port))).reader)
        assert server.places.connections == CROWD
        if not encrypted:
            # Those that are in may propose; then there is room for another one.
            await silent[0].associate()
            assert server.places.idle == CROWD - 1
            late = await stack.enter_async_context(requestor(listening.port))
            await until(lambda: server.places.idle == CROWD)
            silent.append(late)
        for each in silent:
            each.reset()
        await until(lambda: is_empty(server))
    (message,) = [message for message in caplog.messages if "closed at once" in message]
    assert f"{CROWD} connections have no association" in message


async def test_connections_whose_association_is_over_count_until_they_close() -> None:
    server = aiodicom.Server(max_associations=1)
    async with server.listen("127.0.0.1", 0) as listening, requestor(listening.port) as lingering:
        await lingering.associate()
        assert server.places.idle == 0
        await lingering.release()
        assert (server.places.connections, server.places.idle) == (1, 1)
        async with aiodicom.connect("127.0.0.1", listening.port) as association:
            await association.c_echo()
            assert (server.places.connections, server.places.idle) == (2, 1)
        await until(lambda: server.places.connections == 1)


async def test_a_server_without_a_limit_has_none_for_connections_either() -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0) as listening, AsyncExitStack() as stack:
        for _ in range(CROWD + 100):
            await stack.enter_async_context(requestor(listening.port))
        await until(lambda: server.places.idle == CROWD + 100)


async def test_what_is_no_tls_is_forgotten(tls: ssl.SSLContext) -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0, ssl=tls) as listening, requestor(listening.port) as peer:
        await peer.send(b"GET / HTTP/1.0\r\n\r\n")
        await peer.ended()  # an alert, or nothing
        await until(lambda: is_empty(server))


async def test_closing_ends_handshakes(tls: ssl.SSLContext) -> None:
    server = aiodicom.Server()
    listening = await server.listen("127.0.0.1", 0, ssl=tls)
    async with requestor(listening.port) as peer:
        await until(lambda: server.places.idle == 1)
        async with asyncio.timeout(PATIENCE):
            await server.close()
        assert await closed(peer.reader)
        assert is_empty(server)


class Exhausted(socket.socket):
    """A listening socket that can give no connection until it is told so."""

    attempts = 0
    works = False

    def _accept(self) -> Any:
        type(self).attempts += 1
        if not type(self).works:
            raise OSError(errno.EMFILE, "Too many open files")
        return super()._accept()  # type: ignore[misc]


async def test_a_process_without_descriptors_neither_spins_nor_gives_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_RETRY", 3600.0)
    monkeypatch.setattr(Exhausted, "attempts", 0)
    monkeypatch.setattr(Exhausted, "works", False)
    places = Places(None)
    server = aiodicom.Server()
    server.places = places
    sock = Exhausted()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    async with server.listen(sock=sock) as listening, requestor(listening.port) as peer:
        await peer.send(b"")
        await until(lambda: Exhausted.attempts == 1)
        for _ in range(100):
            await asyncio.sleep(0)
        assert Exhausted.attempts == 1
        (kept,) = [listener for listener in listening._listeners if isinstance(listener, Listener)]
        for attempt in range(2, 50):  # connections that end, whose descriptors others take
            kept.retry()
            await until(lambda wanted=attempt: Exhausted.attempts == wanted)  # type: ignore[misc]
        monkeypatch.setattr(Exhausted, "works", True)
        kept.retry()
        await peer.associate()
    assert [record.levelno for record in caplog.records if "have to wait" in record.message] == [logging.WARNING]


@pytest.mark.parametrize("loop", LOOPS)
def test_few_descriptors(loop: str) -> None:
    """A real process, whose limit is real."""

    async def main(port: int) -> None:
        async with AsyncExitStack() as stack:
            peers: list[Requestor] = []
            pending: set[asyncio.Task[Requestor]] = set()

            async def open_one() -> Requestor:
                peer = await stack.enter_async_context(requestor(port))
                await peer.associate()
                return peer

            for _ in range(100):
                pending.add(asyncio.create_task(open_one()))
            while len(peers) < 20:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                peers += [task.result() for task in done]
            # There are descriptors for fewer than 60. The others wait, and those that are in are served.
            assert len(pending) > 40
            for _ in range(20):
                for peer in peers:
                    assert await peer.echo() == 0
            # Each that goes makes room for one that waits.
            while pending:
                ended = peers.pop()
                await ended.release()
                ended.writer.close()
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
                assert done
                peers += [task.result() for task in done]
            for peer in peers:
                assert await peer.echo() == 0

    command = [sys.executable, "-m", "tests.net.scarce", loop, "64"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        asyncio.run(main(port))
        _, errors = process.communicate("", timeout=PATIENCE)
    assert errors.count("further connections have to wait: Too many open files") == 1
    assert "raise it as root with ulimit -Hn" in errors
    assert "Traceback" not in errors


async def test_nothing_listens_after_the_end() -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0) as listening:
        port = listening.port
    with pytest.raises(ConnectFailed):
        await aiodicom.connect("127.0.0.1", port)
