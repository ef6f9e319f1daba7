"""The bytes of a data set are touched once: every buffer that holds some is looked at, where its memory is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest

import aiodicom
from aiodicom.net import sources
from aiodicom.net.loops import resources_of
from aiodicom.net.sources import CHUNK, GatheredSource
from aiodicom.store.spool import SpoolFile
from tests.net.recording import Recording
from tests.net.sides import CT_UIDS, LARGE, connect, part10, soon

#: Of one fragment, of several, of several chunks. Up to 8 KiB it costs less to copy a data set than to write it apart.
SIZES = [9_000, 500_000, len(LARGE)]
#: What goes in front of each P-DATA-TF's bytes (PS3.8 9.3.5), and more than a C-STORE-RQ's command set has.
HEADER, COMMAND = 12, 300


class Memory:
    """Some memory, and whether others are within it."""

    def __init__(self, buffer: Any) -> None:
        self.start = address_of(buffer)
        self.end = self.start + memoryview(buffer).nbytes

    def __contains__(self, buffer: Any) -> bool:
        start = address_of(buffer)
        return self.start <= start and start + memoryview(buffer).nbytes <= self.end


def address_of(buffer: Any) -> int:
    return int(numpy.frombuffer(buffer, "u1").__array_interface__["data"][0])


def data_sent(writes: Sequence[Sequence[Any]], memory: Sequence[Memory]) -> bytes:
    """The bytes that were written out of `memory`; beside them there are headers and a command set only."""
    buffers = [buffer for buffers in writes for buffer in buffers]
    lent = [buffer for buffer in buffers if any(buffer in each for each in memory)]
    beside = sum(map(len, buffers)) - sum(map(len, lent))
    assert beside <= HEADER * len(lent) + COMMAND
    return b"".join(lent)


def discarding() -> aiodicom.Server:
    server = aiodicom.Server()
    server.on_c_store(lambda _request: None, body=aiodicom.Discarded())
    return server


@pytest.mark.parametrize("size", SIZES)
async def test_memory_is_sent_from_where_it_is(size: int) -> None:
    data = bytearray(LARGE[:size])
    async with discarding().listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        writes = Recording(association).writes
        await soon(association.c_store(data, **CT_UIDS))
        assert data_sent(writes, [Memory(data)]) == data


@pytest.mark.parametrize("size", SIZES)
async def test_parts_in_memory_are_sent_from_where_they_are(size: int) -> None:
    parts = [bytearray(LARGE[:1000]), bytearray(LARGE[1000:size]), bytearray(LARGE[size : size + 20])]
    source = GatheredSource([memoryview(part) for part in parts], *CT_UIDS.values())
    async with discarding().listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        writes = Recording(association).writes
        await soon(association.c_store(source))
        assert data_sent(writes, [Memory(part) for part in parts]) == b"".join(parts)


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_is_read_once_and_sent_from_there(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "object.dcm"
    path.write_bytes(part10(LARGE[:size]))
    read: list[memoryview] = []
    read_cached = sources.read_cached

    def reading(descriptor: int, wanted: int, offset: int) -> memoryview | None:
        data = read_cached(descriptor, wanted, offset)
        assert data is not None, "what has just been written is in the page cache"
        read.append(data)
        return data

    monkeypatch.setattr(sources, "read_cached", reading)
    async with discarding().listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        writes = Recording(association).writes
        await soon(association.c_store(path))
        assert data_sent(writes, [Memory(data) for data in read]) == LARGE[:size]
    assert sum(map(len, read)) == size
    assert max(map(len, read)) <= CHUNK


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_forwarded_leaves_from_where_it_arrived(size: int) -> None:
    router = aiodicom.Server()
    forwarded: list[bytes] = []
    async with discarding().listen("127.0.0.1", 0) as next_hop, connect(next_hop.port) as onward:
        writes = Recording(onward).writes

        @router.on_c_store
        async def forward(request: aiodicom.StoreRequest) -> aiodicom.Status:
            response = await onward.c_store(request.data, **CT_UIDS)
            forwarded.append(data_sent(writes, [Memory(request.data)]))
            return response.status

        async with router.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
            await soon(association.c_store(LARGE[:size], **CT_UIDS))
    assert forwarded == [LARGE[:size]]


@pytest.mark.parametrize("size", SIZES)
async def test_a_sink_is_lent_what_was_read_from_the_socket(size: int) -> None:
    scratch = Memory(resources_of(asyncio.get_running_loop()).scratch)
    received: list[bytes] = []

    class Sink:
        def write(self, view: memoryview) -> None:
            assert view in scratch
            received.append(bytes(view))

        def finish(self) -> None:
            pass

        def abandon(self) -> None:
            pass

    server = aiodicom.Server()
    server.on_c_store(lambda _request: None, body=lambda _request: Sink())
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        await soon(association.c_store(LARGE[:size], **CT_UIDS))
    assert b"".join(received) == LARGE[:size]


async def test_a_file_is_written_from_what_was_read_from_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = Memory(resources_of(asyncio.get_running_loop()).scratch)
    written: list[int] = []
    write = SpoolFile.write

    def writing(self: SpoolFile, view: memoryview) -> None:
        assert view in scratch
        written.append(len(view))
        write(self, view)

    monkeypatch.setattr(SpoolFile, "write", writing)
    server = aiodicom.Server()
    kept: list[bytes] = []
    server.on_c_store(lambda request: kept.append(bytes(request.data)), body=aiodicom.Spooled(above=0))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        await soon(association.c_store(LARGE, **CT_UIDS))
    assert kept == [LARGE]
    assert sum(written) == len(LARGE)
