"""Files that the system sends to a peer on this machine: their bytes never come to us, and are the same."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import Dataset, Destination, Server, StudyRoot
from aiodicom.errors import ConnectionLost
from aiodicom.net import transport
from aiodicom.net.probe import borrowed
from aiodicom.net.sources import GatheredSource, KnownFile, prepare
from aiodicom.net.unawaited import begin_store
from aiodicom.services.sending import StoreJob
from aiodicom.store._files import FilePart, assume_copying, read_ahead
from tests.net.sides import CT, IMPLICIT, LARGE, connect, part10, soon
from tests.net.test_socket_options import socket_of
from tests.net.test_unawaited import Token, server
from tests.services.test_sending import Heard

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are read")
COUNT, SIZE = 24, 400_000
#: Those that are read before there is an association, and what else is, now and then.
READ = 8
QUERY = Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
assert StudyRoot.get is not None
assert StudyRoot.move is not None
GET, MOVE = StudyRoot.get, StudyRoot.move


@pytest.fixture(autouse=True)
def slow() -> Iterator[None]:
    """As on a machine on which reading a file takes long."""
    assume_copying(10**12)
    yield
    assume_copying(0)


def content(number: int) -> bytes:
    start = 4 * (1000 + number)  # no group of file meta information
    return LARGE[start : start + SIZE]


@pytest.fixture
def files(tmp_path: Path) -> list[Any]:
    found = []
    for number in range(COUNT):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(part10(content(number), instance=f"1.2.{number}"))
        found.append(prepare(path).source)
    return found


def opened(known: KnownFile) -> GatheredSource:
    """A file that has been left open."""
    for _ in range(2):  # one of 128 is read
        job = read_ahead(known.path, known.stamp, known.meta.data_offset, may_stay=True)
        assert job is not None
        taken = job.take()
        if isinstance(taken, FilePart):
            return GatheredSource([taken], known.meta.sop_class_uid, known.meta.sop_instance_uid, IMPLICIT)
    raise AssertionError("both were read")


class Counting:
    """Stands in for who traces an association; `size` is how many of the bytes that it sends are in our memory."""

    def __init__(self, association: aiodicom.Association) -> None:
        self.size = 0
        association.transport.protocol.tracer = self

    def received(self, data: Any) -> None:
        pass

    def sent(self, data: Any) -> None:
        if not isinstance(data, FilePart):
            self.size += memoryview(data).nbytes


def in_memory(counted: list[Counting]) -> int:
    return sum(each.size for each in counted)


def has_room(association: aiodicom.Association) -> bool:
    """Whether the system has granted all the room that was asked for, and so takes files as a whole."""
    granted: int = socket_of(association).getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    return granted >= 2 * transport.NEAR_SEND_BUFFER


@pytest.mark.parametrize("room", [None, 40_000, 300_000], ids=["all at once", "a little at a time", "in parts"])
@pytest.mark.parametrize("maximum", [0, 16_384])
async def test_a_job_has_most_files_sent(files: list[Any], room: int | None, maximum: int) -> None:
    stored: list[bytes] = []
    counted: list[Counting] = []
    is_roomy = False
    heard = Heard()

    async def associate(contexts: Any) -> aiodicom.Association:
        nonlocal is_roomy
        association = await aiodicom.connect("127.0.0.1", listening.port, contexts=contexts, window=4)
        assert association.transport.sends_files
        is_roomy = has_room(association)
        if room is not None:
            socket_of(association).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        counted.append(Counting(association))
        return association

    async with server(stored, window=8, max_pdu=maximum).listen("127.0.0.1", 0) as listening:
        await soon(StoreJob(iter(files), associate, heard, window=4).run(asyncio.Event()))
    assert len(heard.stored) == COUNT
    assert stored == [content(number) for number in range(COUNT)]
    if room is None and is_roomy:
        assert in_memory(counted) < READ * SIZE


@pytest.mark.parametrize("is_direct", [True, False])
async def test_by_c_get(files: list[Any], is_direct: bool) -> None:
    counted: list[Counting] = []
    is_roomy = False
    scp = Server(window=8)

    @scp.on_c_get
    async def get(request: aiodicom.GetRequest) -> Any:
        nonlocal is_roomy
        is_roomy = has_room(request.association)
        if not is_direct:
            request.association.transport.sends_files = False
        counted.append(Counting(request.association))
        for file in files:
            yield file

    async with (
        scp.listen("127.0.0.1", 0) as listening,
        aiodicom.connect(
            "127.0.0.1", listening.port, contexts=[GET], receives=[(CT, [IMPLICIT])], window=8
        ) as association,
    ):
        retrieved = association.c_get(QUERY)
        found = {each.affected_sop_instance_uid: bytes(each.data) async for each in retrieved}
        assert retrieved.result is not None
        assert retrieved.result.completed == COUNT
    assert found == {f"1.2.{number}": content(number) for number in range(COUNT)}
    if is_roomy:
        assert (in_memory(counted) < READ * SIZE) == is_direct


async def test_by_c_move(files: list[Any]) -> None:
    stored: list[bytes] = []
    async with server(stored, window=4).listen("127.0.0.1", 0) as there:
        scp = Server(ae_title="ARCHIVE", destinations={"SINK": Destination("127.0.0.1", there.port)})

        @scp.on_c_move
        async def move(request: aiodicom.MoveRequest) -> Any:
            for file in files:
                yield file

        async with (
            scp.listen("127.0.0.1", 0) as listening,
            aiodicom.connect("127.0.0.1", listening.port, called_aet="ARCHIVE", contexts=[MOVE]) as association,
        ):
            result = await soon(association.c_move(QUERY, destination="SINK"))
            assert result.completed == COUNT
    assert sorted(stored) == sorted(map(content, range(COUNT)))


@pytest.mark.parametrize("is_direct", [True, False])
async def test_a_file_that_is_cut_short_ends_the_association(files: list[Any], is_direct: bool) -> None:
    """There is no other way to say so in the middle of a PDU."""
    stored: list[bytes] = []
    async with server(stored).listen("127.0.0.1", 0) as listening:
        association = await soon(connect(listening.port))
        source = opened(files[0])
        if not is_direct:
            association.transport.sends_files = False
        os.truncate(files[0].path, SIZE // 2)
        token = Token()
        assert begin_store(association, source, token)
        with pytest.raises(ConnectionLost, match=f"cut short to {SIZE // 2} bytes"):
            await soon(token)
        assert not association.is_open
        await association.wait_closed()
    assert stored == []


@pytest.mark.parametrize("is_traced", [False, True])
async def test_what_ends_it_is_told_where_all_is_traced(
    files: list[Any], is_traced: bool, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    stored: list[bytes] = []
    log = logging.getLogger("aiodicom")
    monkeypatch.setattr(log, "propagate", False)  # to who keeps what is logged, and by the error its file
    monkeypatch.setattr(log, "handlers", [logging.NullHandler()])
    request.addfinalizer(partial(log.setLevel, log.level))
    log.setLevel(logging.DEBUG if is_traced else logging.INFO)
    async with server(stored).listen("127.0.0.1", 0) as listening:
        association = await soon(connect(listening.port))
        token = Token()
        assert begin_store(association, opened(files[0]), token)
        await soon(token)
        source, token = opened(files[1]), Token()
        os.truncate(files[1].path, SIZE // 2)
        assert begin_store(association, source, token)
        with pytest.raises(ConnectionLost, match="cut short"):
            await soon(token)
        await association.wait_closed()
    assert stored == [content(0)]


async def test_what_was_paced_is_not_sent_so_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "unpace", lambda _connected: True)
    scp = server([])
    async with scp.listen("127.0.0.1", 0) as listening, connect(listening.port):
        (accepted,) = scp.associations
        accepted.transport.expect_objects()
        monkeypatch.setattr(transport, "unpace", lambda _connected: False)
        accepted.transport.expect_objects()
        assert not accepted.transport.sends_files


async def test_a_file_that_is_replaced_is_sent_as_it_was(files: list[Any]) -> None:
    stored: list[bytes] = []
    async with server(stored).listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        source = opened(files[0])
        os.replace(files[1].path, files[0].path)
        token = Token()
        assert begin_store(association, source, token)
        await soon(token)
    assert stored == [content(0)]


def segments(association: aiodicom.Association) -> int:
    """How many segments with data have left (tcpi_data_segs_out in Linux's include/uapi/linux/tcp.h)."""
    (sent,) = struct.unpack_from("I", socket_of(association).getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160), 156)
    assert isinstance(sent, int)
    return sent


async def test_the_pdus_of_a_file_share_segments(files: list[Any]) -> None:
    stored: list[bytes] = []
    async with (
        server(stored, max_pdu=16_384).listen("127.0.0.1", 0) as listening,
        connect(listening.port) as association,
    ):
        before = segments(association)
        token = Token()
        assert begin_store(association, opened(files[0]), token)
        await soon(token)
        if has_room(association):
            assert segments(association) - before < SIZE / 16_384 / 2
    assert stored == [content(0)]


async def test_a_peer_that_is_gone(files: list[Any]) -> None:
    scp = server([])
    async with scp.listen("127.0.0.1", 0) as listening:
        association = await soon(connect(listening.port))
        (accepted,) = scp.associations
        with borrowed(socket_of(accepted)) as theirs:
            theirs.shutdown(socket.SHUT_RDWR)
        token = Token()
        assert begin_store(association, opened(files[0]), token)
        with pytest.raises(ConnectionLost):
            await soon(token)
        await association.wait_closed()
