"""The proxy over loopback: bytes pass untouched, either way to an end, at the pace of who is slower."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom.errors import AssociationAborted, StatusError
from aiodicom.load.recording.objects import ObjectFolder
from aiodicom.load.recording.proxy import RecordingProxy, Titles
from aiodicom.load.recording.recording import Files, Recording
from aiodicom.load.recording.trace import (
    AssociationRecord,
    EndRecord,
    Head,
    OperationRecord,
    Record,
    TraceWriter,
    read_trace,
)
from tests.net.hostile import echo, proposal, until
from tests.ports import free_port

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
PATIENCE = 20.0

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Recorded:
    """A proxy that listens on `port`, and what it has recorded."""

    def __init__(self, proxy: RecordingProxy, records: list[Record], port: int) -> None:
        self.proxy = proxy
        self.records = records
        self.port = port

    @property
    def ends(self) -> list[str]:
        return [record.how for record in self.records if isinstance(record, EndRecord)]


@asynccontextmanager
async def recorded(port: int, **options: Any) -> AsyncIterator[Recorded]:
    """A proxy to this port of loopback, for at most `PATIENCE`."""
    async with asyncio.timeout(PATIENCE):
        records: list[Record] = []
        proxy = RecordingProxy("127.0.0.1", port, records.append, Titles(are_recorded=True), **options)
        ((_, listening),) = await proxy.listen("127.0.0.1", 0)
        try:
            yield Recorded(proxy, records, listening)
        finally:
            await proxy.close()


@asynccontextmanager
async def behind(script: Script) -> AsyncIterator[int]:
    """A server behind the proxy that does this with each connection; its port."""
    done: list[asyncio.Task[Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in done:
            task.cancel()
        await asyncio.gather(*done, return_exceptions=True)
        await server.wait_closed()


@pytest.mark.parametrize("prefix", [b"", b"\x16\x03\x01", proposal() + echo()], ids=["noise", "tls", "dicom"])
async def test_bytes_pass_untouched_both_ways(prefix: bytes) -> None:
    there, back = prefix + os.urandom(3_000_001), os.urandom(2_000_003)
    arrived = asyncio.get_running_loop().create_future()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(back[:1000])
        arrived.set_result(await reader.read(-1))
        # The other half is open still.
        writer.write(back[1000:])
        writer.write_eof()
        await writer.drain()
        await asyncio.get_running_loop().create_future()

    async with behind(script) as port, recorded(port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(there)
        writer.write_eof()
        assert await reader.read(-1) == back
        assert await arrived == there
        writer.close()
        await writer.wait_closed()
        await proxy.proxy.drain(PATIENCE)
        assert proxy.proxy.counts.bytes == len(there) + len(back)
        assert proxy.proxy.counts.encrypted == prefix.startswith(b"\x16\x03")
        assert proxy.proxy.counts.not_understood == (not prefix.startswith(b"\x16\x03"))


async def test_who_is_slower_sets_the_pace() -> None:
    go_on = asyncio.Event()
    size = 64 << 20

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        while await reader.read(1 << 20):
            pass

    async with behind(script) as port, recorded(port) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(bytes(size))
        before = -1
        # Until nothing moves any more: what then waits on the way is all that there is room for.
        while before != proxy.proxy.counts.bytes:
            before = proxy.proxy.counts.bytes
            await asyncio.sleep(0.05)
        assert 0 < before < size / 2
        go_on.set()
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await proxy.proxy.drain(PATIENCE)
        assert proxy.proxy.counts.bytes == size


async def test_what_passes_is_recorded() -> None:
    server = aiodicom.Server()
    server.on_c_store(lambda request: aiodicom.Status.OUT_OF_RESOURCES if len(request.data) > 1000 else None)
    async with server.listen("127.0.0.1", 0) as listening, recorded(listening.port) as proxy:
        contexts: list[Any] = [aiodicom.VERIFICATION, (CT, [IMPLICIT])]
        async with aiodicom.connect(
            "127.0.0.1", proxy.port, calling_aet="CT1", called_aet="PACS", contexts=contexts, window=8
        ) as association:
            await association.c_echo()
            for size in (100, 100_000):
                with suppress(StatusError):
                    await association.c_store(
                        bytes(size), sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax=IMPLICIT
                    )
        await proxy.proxy.drain(PATIENCE)
        opened, *operations, ended = proxy.records
        assert isinstance(opened, AssociationRecord)
        assert (opened.calling, opened.called, opened.result) == ("CT1", "PACS", "accepted")
        assert opened.window == (8, 1)
        assert [
            (each.service, each.request_bytes, each.status) for each in operations if isinstance(each, OperationRecord)
        ] == [("C-ECHO", 0, "0000"), ("C-STORE", 100, "0000"), ("C-STORE", 100_000, "A700")]
        assert isinstance(ended, EndRecord)
        assert ended.how == "released"
        counts = proxy.proxy.counts
        assert (counts.connections, counts.associations, counts.operations) == (1, 1, 3)


async def test_an_abort_arrives() -> None:
    server = aiodicom.Server()
    server.on_c_echo(lambda request: request.association.abort())
    async with server.listen("127.0.0.1", 0) as listening, recorded(listening.port) as proxy:
        association = await aiodicom.connect("127.0.0.1", proxy.port)
        with pytest.raises(AssociationAborted):
            await association.c_echo()
        await association.wait_closed()
        await proxy.proxy.drain(PATIENCE)
        assert proxy.ends == ["aborted by the acceptor"]


async def test_no_pacs() -> None:
    async with recorded(free_port()) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with suppress(ConnectionError):
            assert not await reader.read()
        writer.transport.abort()
        assert proxy.proxy.counts.unreachable == 1
        assert not proxy.records


async def test_it_ends_amid_connections() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with behind(script) as port, recorded(port) as proxy:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(proposal())
        await until(lambda: proxy.proxy.counts.bytes > 0)
        await proxy.proxy.drain(0.01)
        await proxy.proxy.close()
        assert proxy.ends == ["connection lost"]
        writer.transport.abort()


async def test_objects_are_kept_for_who_asks(tmp_path: Path) -> None:
    folder = ObjectFolder(tmp_path / "objects")
    received: list[bytes] = []
    server = aiodicom.Server()
    server.on_c_store(lambda request: received.append(bytes(request.data)))
    data = aiodicom.Dataset(SOPClassUID=CT, SOPInstanceUID="1.2.3", PatientName="DOE^JOHN").to_bytes(IMPLICIT)
    async with server.listen("127.0.0.1", 0) as listening, recorded(listening.port, keep=folder.open) as proxy:
        async with aiodicom.connect("127.0.0.1", proxy.port, contexts=[(CT, [IMPLICIT])]) as association:
            for uid in ("1.2.3", "1.2.4"):
                await association.c_store(data, sop_class_uid=CT, sop_instance_uid=uid, transfer_syntax=IMPLICIT)
        await proxy.proxy.drain(PATIENCE)
        files = [record.file for record in proxy.records if isinstance(record, OperationRecord)]
    folder.close()
    assert files == ["000001.dcm", "000002.dcm"]
    assert received == [data, data]
    kept = aiodicom.dcmread(tmp_path / "objects" / files[0])
    assert (kept.PatientName, kept.file_meta.MediaStorageSOPInstanceUID) == ("DOE^JOHN", "1.2.3")
    assert (folder.written, folder.failed) == (2, 0)


async def test_a_recording_is_two_files_without_titles_and_instances(tmp_path: Path) -> None:
    files = Files.of(tmp_path / "monday.toml")
    assert files == Files.of(tmp_path / "monday") == Files(tmp_path / "monday.toml", tmp_path / "monday.jsonl")
    server = aiodicom.Server()
    server.on_c_store(lambda request: None)
    async with server.listen("127.0.0.1", 0) as listening:
        recording = Recording("127.0.0.1", listening.port, files)
        ((_, port),) = await recording.listen("127.0.0.1", 0)
        for title in ("CT1", "MR1", "CT1"):
            async with aiodicom.connect(
                "127.0.0.1", port, calling_aet=title, contexts=[(CT, [IMPLICIT])]
            ) as association:
                await association.c_store(
                    bytes(8), sop_class_uid=CT, sop_instance_uid="1.2.345.6", transfer_syntax=IMPLICIT
                )
        await recording.drain(PATIENCE)
        await recording.close()
    head, *records = read_trace(files.trace)
    assert isinstance(head, Head)
    assert [record.calling for record in records if isinstance(record, AssociationRecord)] == ["AE1", "AE3", "AE1"]
    said = files.trace.read_text() + files.scenario.read_text()
    assert not [secret for secret in ("CT1", "MR1", "1.2.345.6") if secret in said]
    assert 'trace = "monday.jsonl"' in said


async def test_a_full_disk_is_no_business_of_those_who_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_self: object, _record: Record) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with aiodicom.Server().listen("127.0.0.1", 0) as listening:
        recording = Recording("127.0.0.1", listening.port, Files.of(tmp_path / "day"))
        ((_, port),) = await recording.listen("127.0.0.1", 0)
        monkeypatch.setattr(TraceWriter, "write", full)
        async with aiodicom.connect("127.0.0.1", port) as association:
            await association.c_echo()
        await recording.drain(PATIENCE)
        with pytest.raises(OSError, match="No space left"):
            await recording.close()
    assert [record.message for record in caplog.records if record.name == "aiodicom.record"] == [
        f"nothing more is recorded: [Errno 28] No space left on device: '{tmp_path / 'day.jsonl'}'"
    ]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{}", "line 1: not of a trace"),
        ('{"what": "end", "association": 1, "at_s": 1, "how": "released"}', "line 1: not of a trace"),
        ('{"what": "recording", "format": 2}', "a trace of format 2; this aiodicom reads 1"),
        ('{"what": "recording"}\n{"what": "end"}', "line 2: not of a trace"),
    ],
)
def test_what_is_no_trace(text: str, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as error:
        list(read_trace(path))
    assert wrong in str(error.value)
