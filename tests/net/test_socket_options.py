"""TCP options, and the 40 ms that a peer with Nagle's algorithm loses to delayed acknowledgements without them."""

from __future__ import annotations

import socket
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.net import pacing, sockets, suboperations, transport
from tests.net.hostile import echo, pdv, requestor, status_of, store_command, store_server, until
from tests.rawpeer import P_DATA_TF, Connection, RawPeer, pdu, response

NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY)
KEEPALIVE = (socket.SOL_SOCKET, socket.SO_KEEPALIVE)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="TCP_QUICKACK is Linux's")


def congestion_control_of(connected: Any) -> bytes:
    """What Linux calls it."""
    name: bytes = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return name.rstrip(b"\0")


def socket_of(association: aiodicom.Association) -> Any:
    """The socket as the loop shows it."""
    return association.transport.connection.get_extra_info("socket")


async def test_both_sides_send_at_once_and_notice_a_peer_that_is_gone() -> None:
    server = aiodicom.Server()
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port) as association,
    ):
        (accepted,) = server.associations
        for each in (association, accepted):
            for option in (NODELAY, KEEPALIVE):
                assert socket_of(each).getsockopt(*option), option


async def test_a_socket_that_was_bound_by_others_is_prepared_too() -> None:
    server = aiodicom.Server()
    sock = socket.create_server(("127.0.0.1", 0))
    async with server.listen(sock=sock) as listening, aiodicom.connect("127.0.0.1", listening.port):
        (accepted,) = server.associations
        assert socket_of(accepted).getsockopt(*NODELAY)
        assert socket_of(accepted).getsockopt(*KEEPALIVE)


async def test_ipv6_is_tcp_as_well() -> None:
    server = aiodicom.Server()
    try:
        listening = await server.listen("::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with aiodicom.connect("::1", listening.port) as association:
        (accepted,) = server.associations
        for each in (association, accepted):
            assert socket_of(each).getsockopt(*NODELAY)
    await server.close()


async def test_unix_sockets_have_no_such_options(tmp_path: Path, acknowledged: list[int]) -> None:
    server = aiodicom.Server()
    async with server.listen(path=tmp_path / "socket"), aiodicom.connect(path=tmp_path / "socket") as association:
        assert (await association.c_echo()).status == 0
    assert acknowledged == []


@pytest.fixture
def acknowledged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each TCP_QUICKACK."""
    calls: list[int] = []
    original = transport.set_option

    def note(connected: Any, level: int, option: int, value: int | bytes = 1) -> None:
        if (level, option) == (socket.IPPROTO_TCP, socket.TCP_QUICKACK):
            calls.append(option)
        original(connected, level, option, value)

    monkeypatch.setattr(transport, "set_option", note)
    return calls


def far_from_here(monkeypatch: pytest.MonkeyPatch, seconds: float | None) -> None:
    """Has every peer be on another machine, so many seconds away there and back."""
    for module in (pacing, sockets, transport):
        monkeypatch.setattr(module, "is_here", lambda _host: False)
    monkeypatch.setattr(transport, "round_trip", lambda _connected: seconds)


@on_linux
@pytest.mark.parametrize(("seconds", "is_near"), [(0.00003, True), (0.0003, False), (0.025, False), (None, False)])
async def test_little_waits_in_the_system_for_a_near_peer_and_nothing_is_paced(
    seconds: float | None, is_near: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_from_here(monkeypatch, seconds)
    with socket.socket() as untouched:
        usual = congestion_control_of(untouched)
    async with (
        aiodicom.Server().listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port) as association,
    ):
        used = congestion_control_of(socket_of(association))
        assert used == (pacing.CONGESTION_CONTROL if is_near and usual.startswith(b"bbr") else usual)
        size = socket_of(association).getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert (size == 2 * transport.NEAR_SEND_BUFFER) == is_near


@on_linux
@pytest.mark.parametrize(("seconds", "is_near"), [(0.00003, True), (0.025, False)])
async def test_nor_of_what_a_server_sends_by_c_get(
    seconds: float, is_near: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_from_here(monkeypatch, seconds)
    monkeypatch.setattr(suboperations, "SEND_BUFFER", 300_000)  # no size that the system would choose
    assert aiodicom.StudyRoot.get is not None
    server, sizes = aiodicom.Server(), []

    @server.on_c_get
    async def get(request: aiodicom.GetRequest) -> list[Any]:
        sizes.append(socket_of(request.association).getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
        return []

    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[aiodicom.StudyRoot.get]) as association,
    ):
        query = aiodicom.Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
        assert [each async for each in association.c_get(query)] == []
    assert [size == 2 * suboperations.SEND_BUFFER for size in sizes] == [is_near]


@on_linux
async def test_the_system_tells_how_far_a_peer_is() -> None:
    async with (
        aiodicom.Server().listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port) as association,
    ):
        seconds = transport.round_trip(socket_of(association))
        assert seconds is not None
        assert 0 < seconds < 1


STORE = pdu(P_DATA_TF, pdv(3, 3, store_command()))


@on_linux
@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([echo()], 0),
        ([echo(), echo()], 0),
        ([echo()[:50], echo()[50:]], 1),
        ([echo()[:1], echo()[1:7], echo()[7:]], 2),
        ([STORE, pdu(P_DATA_TF, pdv(3, 2, b"data"))], 1),
        ([STORE + pdu(P_DATA_TF, pdv(3, 0, bytes(5000))), pdu(P_DATA_TF, pdv(3, 2, bytes(5000)))], 0),
    ],
    ids=["whole", "two whole", "in two pieces", "in three pieces", "a data set to come", "a large data set to come"],
)
async def test_what_may_wait_for_us_is_acknowledged_at_once(
    pieces: list[bytes], expected: int, acknowledged: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    updated = transport.Transport.buffer_updated

    def note(self: transport.Transport, nbytes: int) -> None:
        updated(self, nbytes)
        reads.append(nbytes)

    monkeypatch.setattr(transport.Transport, "buffer_updated", note)
    server = store_server()
    async with server.listen("127.0.0.1", 0) as listening, requestor(listening.port) as peer:
        await peer.associate()
        for piece in pieces:
            before = len(reads)
            await peer.send(piece)
            await until(lambda: len(reads) > before)  # noqa: B023
        assert status_of(await peer.expect(P_DATA_TF)) == 0
        assert len(acknowledged) == expected


#: Operations, and the seconds that each may take: 200 a second; by the median, since others have the processors too.
#: Each waits for 40 ms when no option is set.
COUNT, LIMIT = 100, 0.005


@on_linux
async def test_an_acceptor_with_nagles_algorithm_is_not_waited_for() -> None:
    """It writes each response in two pieces, and the second only goes when the first is acknowledged."""

    def script(peer: Connection) -> None:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        peer.accept()
        while (request := peer.message()) is not None:
            answer = response(request)
            peer.send(answer[:12])
            peer.send(answer[12:])

    with RawPeer(script) as peer:
        async with aiodicom.connect("127.0.0.1", peer.port) as association:
            took = []
            for _ in range(COUNT):
                started = time.monotonic()
                await association.c_echo()
                took.append(time.monotonic() - started)
    assert statistics.median(took) < LIMIT


@on_linux
async def test_a_requestor_with_nagles_algorithm_is_not_waited_for() -> None:
    """It writes the command set and the data set apart."""
    server = store_server()
    async with server.listen("127.0.0.1", 0) as listening, requestor(listening.port) as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        await peer.associate()
        took = []
        for number in range(1, COUNT + 1):
            started = time.monotonic()
            await peer.send(pdu(P_DATA_TF, pdv(3, 3, store_command(number))))
            await peer.send(pdu(P_DATA_TF, pdv(3, 2, b"data")))
            assert status_of(await peer.expect(P_DATA_TF)) == 0
            took.append(time.monotonic() - started)
    assert statistics.median(took) < LIMIT
