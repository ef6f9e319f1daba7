"""Where received data sets go: memory, files, streams, sinks of the handler's own."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationAborted, ConnectionLost, LocalError, StatusError
from aiodicom.net.loops import SCRATCH_SIZE
from tests.net.sides import (
    CT_UIDS,
    DATA,
    LARGE,
    Requestor,
    connect,
    fragments,
    soon,
    store,
    store_command,
    until,
)


class Sink:
    """Remembers what it is told."""

    def __init__(self, fails_in: str = "", error: Exception | None = None) -> None:
        self.calls: list[str] = []
        self.data = b""
        self._fails_in = fails_in
        self._error = error or OSError(errno.ENOSPC, "full")

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name == self._fails_in:
            raise self._error

    def write(self, view: memoryview) -> None:
        self.data += view
        self._called("write")

    def finish(self) -> None:
        self._called("finish")

    def abandon(self) -> None:
        self._called("abandon")


@pytest.mark.parametrize(("size", "in_file"), [(0, False), (1000, False), (1002, True), (300_000, True)])
async def test_spooled_in_memory_and_in_a_file_above_a_size(size: int, in_file: bool, tmp_path: Any) -> None:
    server = aiodicom.Server()
    files: list[Any] = []

    @server.on_c_store(body=aiodicom.Spooled(above=1000, directory=tmp_path))
    async def keep(request: aiodicom.StoreRequest) -> None:
        await asyncio.sleep(0)
        assert request.data == LARGE[:size]
        assert request.data.readonly
        assert request.data.contiguous
        files.append(request.file)
        if request.file is not None:
            assert request.file.read() == LARGE[:size]
            assert list(tmp_path.iterdir()) == []  # it has no name

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        for _ in range(2):
            await association.c_store(LARGE[:size], **CT_UIDS)
    assert [file is not None and file.closed for file in files] == [in_file] * 2


async def test_after_a_large_data_set_the_next_goes_to_a_file_from_its_first_byte(tmp_path: Any) -> None:
    server = aiodicom.Server()
    choose, at_first_byte, in_file = aiodicom.Spooled(above=1000, directory=tmp_path), [], []

    def body(request: aiodicom.StoreRequest) -> Any:
        sink = choose(request)
        sink.write(b"x")
        at_first_byte.append(sink.spilled is not None)
        return sink

    @server.on_c_store(body=body)
    async def keep(request: aiodicom.StoreRequest) -> None:
        assert request.data == b"x" + LARGE[: len(request.data) - 1]
        in_file.append(request.file is not None)

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        for size in (500, 5000, 5000, 500, 500):
            await association.c_store(LARGE[:size], **CT_UIDS)
    assert at_first_byte == [False, False, True, True, False]
    assert in_file == [False, True, True, True, False]


async def test_a_spool_that_cannot_be_made_is_answered(tmp_path: Any) -> None:
    server = aiodicom.Server()
    server.on_c_store(lambda request: None, body=aiodicom.Spooled(above=100, directory=tmp_path / "none"))
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(StatusError) as failure:
            await association.c_store(LARGE[:1000], **CT_UIDS)
        assert failure.value.status == 0x0110
        assert (await association.c_store(DATA, **CT_UIDS)).status == 0


async def test_discarded() -> None:
    server = aiodicom.Server()

    @server.on_c_store(body=aiodicom.Discarded())
    def forget(request: aiodicom.StoreRequest) -> None:
        assert request.file is None
        with pytest.raises(LocalError):
            _ = request.data
        with pytest.raises(LocalError):
            aiter(request)

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        assert (await association.c_store(LARGE, **CT_UIDS)).status == 0


async def test_a_sink_of_ones_own() -> None:
    server = aiodicom.Server()
    sinks: list[Sink] = []

    def choose(request: aiodicom.StoreRequest) -> Sink:
        assert request.affected_sop_instance_uid == "1.2.3"
        sinks.append(Sink())
        return sinks[-1]

    @server.on_c_store(body=choose)
    def keep(request: aiodicom.StoreRequest) -> None:
        assert request.body is sinks[-1]

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        await association.c_store(LARGE, **CT_UIDS)
    (sink,) = sinks
    assert sink.data == LARGE
    assert set(sink.calls[:-1]) == {"write"}
    assert sink.calls[-1] == "finish"


@pytest.mark.parametrize(("place", "status"), [("factory", 0xA700), ("write", 0xA700), ("finish", 0xA700)])
@pytest.mark.parametrize("size", [10, 400_000])
async def test_a_sink_that_fails_is_answered_and_the_association_lives(
    place: str, status: int, size: int, caplog: Any
) -> None:
    server = aiodicom.Server()
    sinks: list[Sink] = []
    handled = 0

    def choose(request: aiodicom.StoreRequest) -> Sink:
        if place == "factory" and request.message_id == 1:
            raise OSError(errno.ENOSPC, "DOE^JOHN")
        sinks.append(Sink(place if request.message_id == 1 else ""))
        return sinks[-1]

    @server.on_c_store(body=choose)
    def keep(request: aiodicom.StoreRequest) -> None:
        nonlocal handled
        handled += 1

    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        with pytest.raises(StatusError) as failure:
            await soon(association.c_store(LARGE[:size], **CT_UIDS))
        assert failure.value.status == status
        assert "DOE" not in (failure.value.error_comment or "")
        assert (await association.c_store(LARGE[:size], **CT_UIDS)).status == 0
    assert handled == 1
    assert sinks[-1].data == LARGE[:size]
    if place != "factory":
        assert sinks[0].calls[-1] == "abandon"
        assert sinks[0].calls.count("abandon") == 1
        assert sinks[0].calls.count("write") == 1 or place == "finish"


@pytest.mark.parametrize("how", ["reset", "abort", "garbage"])
async def test_a_data_set_that_will_not_come_abandons_the_sink(how: str) -> None:
    server = aiodicom.Server()
    sink = Sink()

    @server.on_c_store(body=lambda request: sink)
    def keep(request: aiodicom.StoreRequest) -> None:
        raise AssertionError("it is not whole")

    async with server.listen("127.0.0.1", 0) as listening, await Requestor.connect(listening.port) as requestor:
        await requestor.pdu()
        requestor.send(store_command(), fragments(LARGE[:5000], last=False))
        await until(lambda: len(sink.data) == 5000)
        if how == "reset":
            requestor.reset()
        else:
            requestor.send(b"\x07\0\0\0\0\4\0\0\0\0" if how == "abort" else b"GET / HTTP/1.1\r\n")
        await until(lambda: "abandon" in sink.calls)
        await requestor.close()
        await until(lambda: not server.associations)
    assert sink.calls.count("abandon") == 1
    assert "finish" not in sink.calls


async def test_fragments_are_streamed_while_the_rest_is_not_yet_sent() -> None:
    server = aiodicom.Server()
    received: list[bytes] = []

    @server.on_c_store(body=aiodicom.Streamed())
    async def take(request: aiodicom.StoreRequest) -> int:
        async for fragment in request:
            received.append(fragment)  # noqa: PERF401 (each as it comes)
        return 0xB000

    async with server.listen("127.0.0.1", 0) as listening, await Requestor.connect(listening.port) as requestor:
        await requestor.pdu()
        requestor.send(store_command())
        for start in range(0, 5000, 1000):
            requestor.send(fragments(LARGE[start : start + 1000], last=False))
            await until(lambda start=start: len(b"".join(received)) == start + 1000)
        requestor.send(fragments(LARGE[5000:5500]))
        answer: Any = await requestor.message()
        assert answer.status == 0xB000
        requestor.send(store(2, data=b""))
        answer = await requestor.message()
        assert answer.message_id_being_responded_to == 2
    assert b"".join(received) == LARGE[:5500]


@pytest.mark.parametrize("outcome", ["returns", "raises"])
async def test_a_streaming_handler_may_end_early(outcome: str) -> None:
    server = aiodicom.Server()
    ended = asyncio.Event()

    @server.on_c_store(body=aiodicom.Streamed(high=1000))
    async def take(request: aiodicom.StoreRequest) -> int:
        await anext(aiter(request))
        ended.set()
        if outcome == "raises":
            raise ValueError
        return 0xB006

    async with server.listen("127.0.0.1", 0) as listening, await Requestor.connect(listening.port) as requestor:
        await requestor.pdu()
        requestor.send(store_command(), fragments(LARGE[:5000], last=False))
        await soon(ended.wait())
        requestor.send(fragments(LARGE))
        answer: Any = await requestor.message()
        assert answer.status == (0xB006 if outcome == "returns" else 0x0110)
        requestor.send(store(2))
        answer = await requestor.message()
        assert answer.message_id_being_responded_to == 2


async def test_reading_pauses_at_the_high_water_mark_and_goes_on() -> None:
    server = aiodicom.Server()
    high = 100_000
    may_take = asyncio.Event()
    received = bytearray()
    most = 0

    @server.on_c_store(body=aiodicom.Streamed(high=high))
    async def take(request: aiodicom.StoreRequest) -> None:
        nonlocal most
        await may_take.wait()
        async for fragment in request:
            body: Any = request.body
            most = max(most, body._size + len(fragment))
            received.extend(fragment)

    data = LARGE * 8  # more than the sockets' buffers hold
    async with server.listen("127.0.0.1", 0) as listening, connect(listening.port) as association:
        sending = asyncio.create_task(association.c_store(data, **CT_UIDS))
        (accepted,) = server.associations
        protocol: Any = accepted._protocol  # type: ignore[attr-defined]
        await until(lambda: protocol.paused_since is not None and association._protocol.blocked_since is not None)
        assert not sending.done()
        may_take.set()
        assert (await soon(sending)).status == 0
    assert received == data
    assert high <= most <= high + SCRATCH_SIZE


@pytest.mark.parametrize("how", ["reset", "abort", "ours"])
async def test_a_stream_whose_association_dies_raises_in_the_iteration(how: str, caplog: Any) -> None:
    server = aiodicom.Server()
    received = asyncio.Event()
    outcome: list[BaseException] = []

    @server.on_c_store(body=aiodicom.Streamed())
    async def take(request: aiodicom.StoreRequest) -> None:
        try:
            async for _ in request:
                received.set()
        except BaseException as error:
            outcome.append(error)
            raise

    async with server.listen("127.0.0.1", 0) as listening, await Requestor.connect(listening.port) as requestor:
        await requestor.pdu()
        requestor.send(store_command(), fragments(DATA, last=False))
        await soon(received.wait())
        if how == "reset":
            requestor.reset()
        elif how == "abort":
            requestor.send(b"\x07\0\0\0\0\4\0\0\0\0")
        else:
            next(iter(server.associations)).abort()
        await until(lambda: outcome)
        await requestor.close()
    assert [type(error) for error in outcome] == [ConnectionLost]
    assert "C-STORE failed" not in caplog.text
    assert server.counters.operations == 0


async def test_a_streaming_handler_that_does_something_else_is_cancelled() -> None:
    server = aiodicom.Server()
    busy, cancelled = asyncio.Event(), asyncio.Event()

    @server.on_c_store(body=aiodicom.Streamed())
    async def take(request: aiodicom.StoreRequest) -> None:
        await anext(aiter(request))
        busy.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with server.listen("127.0.0.1", 0) as listening, await Requestor.connect(listening.port) as requestor:
        await requestor.pdu()
        requestor.send(store_command(), fragments(DATA, last=False))
        await soon(busy.wait())
        requestor.reset()
        await soon(cancelled.wait())


async def test_a_sender_learns_of_an_abort_in_the_middle_of_its_data_set() -> None:
    server = aiodicom.Server()
    server.on_c_store(take_all, body=aiodicom.Streamed())
    async with server.listen("127.0.0.1", 0) as listening:
        association = await connect(listening.port)
        with pytest.raises(AssociationAborted):
            await asyncio.gather(association.c_store(LARGE * 2, **CT_UIDS), abort_when_open(server))
        await association.wait_closed()


async def take_all(request: aiodicom.StoreRequest) -> None:
    async for _ in request:
        pass


async def abort_when_open(server: aiodicom.Server) -> None:
    await until(lambda: any(each.is_open for each in server.associations))
    for each in list(server.associations):
        each.abort()
