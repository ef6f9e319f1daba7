"""The storage SCP into a folder, driven as the engine drives it."""

from __future__ import annotations

import asyncio
import errno
import inspect
import io
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest

import aiodicom
from aiodicom.errors import StatusError
from aiodicom.services.storage import FolderStorage, StorageServer
from aiodicom.standard.status import Status
from aiodicom.store import files
from aiodicom.store._files import close_all
from aiodicom.store.files import Durability, PartialFile
from aiodicom.ul._pdu import Budget

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
LEVELS = list(Durability)
#: More than is kept in memory until it is complete, with any durability.
LARGE = 9 << 20


class Engine:
    """As much of a `Server` as a storage SCP sees."""

    def __init__(self, store: FolderStorage) -> None:
        self.body: Any = None
        self.handler: Any = None
        store.attach(self)  # type: ignore[arg-type]

    def on_c_store(self, *, body: Any) -> Callable[[Any], Any]:
        self.body = body

        def take(handler: Any) -> Any:
            self.handler = handler
            return handler

        return take

    def request(self, uid: str = "1.2.3", sop_class: str = CT, calling: str = "SENDER") -> SimpleNamespace:
        return SimpleNamespace(
            affected_sop_class_uid=sop_class,
            affected_sop_instance_uid=uid,
            context=SimpleNamespace(transfer_syntax=EXPLICIT),
            association=SimpleNamespace(
                calling_aet=calling,
                log=logging.getLogger("aiodicom").log,
                budget=Budget(1 << 30),
            ),
            expected_body_size=0,
            body=None,
        )

    def begin(self, *fragments: bytes, **arguments: str) -> SimpleNamespace:
        request = self.request(**arguments)
        request.body = self.body(request)
        for fragment in fragments:
            request.body.write(memoryview(fragment))
        return request

    async def answer(self, request: SimpleNamespace) -> Status:
        status = self.handler(request)
        return await status if inspect.isawaitable(status) else status

    async def store(self, *fragments: bytes, **arguments: str) -> Status:
        request = self.begin(*fragments, **arguments)
        request.body.finish()
        return await self.answer(request)


@pytest.mark.parametrize("durability", LEVELS)
@pytest.mark.parametrize(("size", "fragment"), [(200_000, 10), (200_000, 200_000), (LARGE, 65_536), (LARGE, LARGE)])
async def test_what_is_stored(tmp_path: Path, durability: Durability, size: int, fragment: int) -> None:
    body = b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + b"\xe0\x7f\x10\0OW\0\0" + size.to_bytes(4, "little") + bytes(size)
    store = FolderStorage(tmp_path, durability=durability)
    engine = Engine(store)
    fragments = [body[start : start + fragment] for start in range(0, len(body), fragment)]
    assert await engine.store(*fragments) is Status.SUCCESS
    await store.close()
    assert os.listdir(tmp_path) == ["1.2.3.dcm"]
    data = (tmp_path / "1.2.3.dcm").read_bytes()
    assert data.endswith(body)
    read = pydicom.dcmread(io.BytesIO(data))
    assert read.file_meta.SourceApplicationEntityTitle == "SENDER"
    assert read.file_meta.TransferSyntaxUID == EXPLICIT
    assert read.file_meta.MediaStorageSOPClassUID == CT
    assert read.file_meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert len(read.PixelData) == size
    assert (store.stored, store.lost) == (1, 0)


@pytest.mark.parametrize("durability", LEVELS)
@pytest.mark.parametrize(
    "uid", ["", ".", "..", "../1.2", "1.2/../3", "/etc/passwd", "1.2\0", "a.b", "1..2", "1." * 40, "1.2\n"]
)
async def test_a_uid_that_is_no_uid(tmp_path: Path, durability: Durability, uid: str) -> None:
    store = FolderStorage(tmp_path / "in", durability=durability)
    with pytest.raises(ValueError, match="not a UID"):
        Engine(store).begin(b"x", uid=uid)
    await store.close()
    assert os.listdir(tmp_path) == ["in"]
    assert os.listdir(tmp_path / "in") == []
    assert store.stored == 0


@pytest.mark.parametrize("durability", LEVELS)
@pytest.mark.parametrize("size", [0, 10, 2 << 20, LARGE])
async def test_an_interrupted_object_leaves_nothing(tmp_path: Path, durability: Durability, size: int) -> None:
    store = FolderStorage(tmp_path, durability=durability)
    request = Engine(store).begin(b"x" * size)
    request.body.abandon()
    await store.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("calling", ["", "ÄRZTE", "A\tB", "A\x7f", "A\\B", "A" * 17])
async def test_an_ae_title_that_is_none_is_in_no_file(tmp_path: Path, calling: str) -> None:
    store = FolderStorage(tmp_path)
    assert await Engine(store).store(b"x", calling=calling) is Status.SUCCESS
    await store.close()
    assert "SourceApplicationEntityTitle" not in pydicom.filereader.read_file_meta_info(tmp_path / "1.2.3.dcm")


@pytest.mark.parametrize("durability", LEVELS)
async def test_each_object_is_a_line_at_info_without_its_uid(
    tmp_path: Path, durability: Durability, caplog: pytest.LogCaptureFixture
) -> None:
    store = FolderStorage(tmp_path, durability=durability)
    with caplog.at_level(logging.INFO, "aiodicom"):
        assert await Engine(store).store(b"x" * 10) is Status.SUCCESS
        await store.close()
    (record,) = caplog.records
    size = (tmp_path / "1.2.3.dcm").stat().st_size
    assert record.getMessage() == f"an object of {size} bytes was stored: status 0000H"


@pytest.mark.parametrize("durability", LEVELS)
async def test_the_same_instance_replaces(tmp_path: Path, durability: Durability) -> None:
    store = FolderStorage(tmp_path, durability=durability)
    engine = Engine(store)
    assert await engine.store(b"first") is Status.SUCCESS
    assert await engine.store(b"second") is Status.SUCCESS
    await store.close()
    assert os.listdir(tmp_path) == ["1.2.3.dcm"]


def failing(patched: pytest.MonkeyPatch, call: str, number: int) -> None:
    """Has this call of a commit, or any write, fail with that errno."""

    def write_all(_folder: int, held: list[Any], _sync: bool) -> list[int]:
        return [-number] * len(held)

    def close_all(descriptors: list[int], _sync: bool) -> list[int]:
        for descriptor in descriptors:
            os.close(descriptor)
        return [number] * len(descriptors)

    def rename_all(_folder: int, names: list[Any]) -> list[int]:
        return [number] * len(names)

    def write(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    patched.setattr(files, call, {"write_all": write_all, "close_all": close_all, "rename_all": rename_all}[call])
    if call == "write_all":
        patched.setattr(os, "write", write)


@pytest.mark.parametrize("call", ["write_all", "close_all", "rename_all"])
@pytest.mark.parametrize("durability", [Durability.WRITTEN, Durability.SYNCED])
async def test_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Durability, call: str
) -> None:
    store = FolderStorage(tmp_path, durability=durability)
    engine = Engine(store)
    with monkeypatch.context() as patched:
        failing(patched, call, errno.ENOSPC)
        with pytest.raises(OSError, match="No space"):
            await engine.store(b"x" * 70_000, b"y" * 70_000)
    assert await engine.store(b"x", uid="1.2.4") is Status.SUCCESS
    await store.close()
    assert os.listdir(tmp_path) == ["1.2.4.dcm"]
    assert store.stored == 1


async def test_received_answers_before_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_write, commit = threading.Event(), PartialFile.commit

    def held_up(file: PartialFile, durability: Durability) -> None:
        assert may_write.wait(60)
        commit(file, durability)

    monkeypatch.setattr(PartialFile, "commit", held_up)
    store = FolderStorage(tmp_path, durability=Durability.RECEIVED)
    engine = Engine(store)
    assert await engine.store(b"x" * 600_000) is Status.SUCCESS
    assert os.listdir(tmp_path) == []
    may_write.set()
    await store.close()
    assert os.listdir(tmp_path) == ["1.2.3.dcm"]


async def test_received_and_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = FolderStorage(tmp_path, durability=Durability.RECEIVED)
    failing(monkeypatch, "write_all", errno.ENOSPC)
    with caplog.at_level(logging.INFO, "aiodicom"):
        assert await Engine(store).store(b"x") is Status.SUCCESS
        await store.close()
    assert (store.stored, store.lost) == (0, 1)
    assert "lost an object of" in caplog.text
    assert "1.2.3" not in caplog.text
    assert os.listdir(tmp_path) == []


async def test_received_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_write, commit = threading.Event(), PartialFile.commit
    foreground = threading.current_thread()

    def held_up(file: PartialFile, durability: Durability) -> None:
        assert threading.current_thread() is foreground or may_write.wait(60)
        commit(file, durability)

    monkeypatch.setattr(PartialFile, "commit", held_up)
    monkeypatch.setattr("aiodicom.services.storage._BACKLOG", 1_000_000)
    store = FolderStorage(tmp_path, durability=Durability.RECEIVED)
    engine = Engine(store)
    for number in range(4):
        assert await engine.store(b"x" * 400_000, uid=f"1.2.{number}") is Status.SUCCESS
    assert sorted(os.listdir(tmp_path)) == ["1.2.2.dcm", "1.2.3.dcm"]
    may_write.set()
    await store.close()
    assert len(os.listdir(tmp_path)) == 4


async def test_syncs_are_shared_and_off_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop_thread, begun, may_end = threading.current_thread(), threading.Event(), threading.Event()
    batches: list[int] = []

    def sync(descriptors: list[int], _sync: bool) -> list[int]:
        assert threading.current_thread() is not loop_thread
        batches.append(len(descriptors))
        begun.set()
        assert may_end.wait(60)
        return close_all(descriptors, False)

    monkeypatch.setattr(files, "close_all", sync)
    store = FolderStorage(tmp_path, durability=Durability.SYNCED)
    engine = Engine(store)
    first = asyncio.create_task(engine.store(b"x"))
    assert await asyncio.to_thread(begun.wait, 60)
    storing = [first, *(asyncio.create_task(engine.store(b"x", uid=f"1.3.{number}")) for number in range(100))]
    await asyncio.sleep(0)
    assert not any(task.done() for task in storing)
    may_end.set()
    assert await asyncio.gather(*storing) == [Status.SUCCESS] * 101
    await store.close()
    # What comes while the disk works waits and goes together, 64 at most.
    assert batches == [1, 64, 36]
    assert len(os.listdir(tmp_path)) == 101


@pytest.mark.parametrize("fails", [False, True])
async def test_the_association_ends_during_a_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    loop = asyncio.get_running_loop()
    syncing, may_end = asyncio.Event(), threading.Event()

    def sync(descriptors: list[int], _sync: bool) -> list[int]:
        loop.call_soon_threadsafe(syncing.set)
        assert may_end.wait(60)
        close_all(descriptors, False)
        return [errno.EIO if fails else 0] * len(descriptors)

    monkeypatch.setattr(files, "close_all", sync)
    store = FolderStorage(tmp_path, durability=Durability.SYNCED)
    engine = Engine(store)
    request = engine.begin(b"x")
    request.body.finish()
    handling = asyncio.create_task(engine.answer(request))
    await syncing.wait()
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    request.body.abandon()  # whoever cleans up after an association: the object is the handler's
    may_end.set()
    await store.close()
    assert os.listdir(tmp_path) == ([] if fails else ["1.2.3.dcm"])
    assert ("after its association had ended" in caplog.text) is fails


# ------------------------------------------------------------------------------------------- behind the real engine


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (errno.ENOSPC, 0xA700),
        (errno.EDQUOT, 0xA700),
        (errno.EMFILE, 0xA700),
        (errno.EIO, 0x0110),
        (errno.EROFS, 0x0110),
    ],
)
@pytest.mark.parametrize("size", [100, 3_000_000])
@pytest.mark.parametrize("durability", [Durability.WRITTEN, Durability.SYNCED])
async def test_what_the_peer_hears_of_a_disk_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Durability, size: int, number: int, status: int
) -> None:
    server = StorageServer(FolderStorage(tmp_path, durability=durability))
    kind = {"sop_class_uid": CT, "transfer_syntax": EXPLICIT}
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[(CT, [EXPLICIT])]) as association,
    ):
        with monkeypatch.context() as patched:
            failing(patched, "write_all", number)
            with pytest.raises(StatusError) as refused:
                await association.c_store(bytes(size), sop_instance_uid="1.2.3", **kind)
        assert refused.value.status == status
        assert os.strerror(number) not in (refused.value.error_comment or "")
        assert (await association.c_store(bytes(size), sop_instance_uid="1.2.4", **kind)).status == 0
        assert os.listdir(tmp_path) == ["1.2.4.dcm"]


async def test_an_association_that_is_aborted_in_the_middle(tmp_path: Path) -> None:
    server = StorageServer(FolderStorage(tmp_path))
    async with server.listen("127.0.0.1", 0) as listening:
        association = await aiodicom.connect("127.0.0.1", listening.port, contexts=[(CT, [EXPLICIT])])
        storing = asyncio.create_task(
            association.c_store(bytes(50_000_000), sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax=EXPLICIT)
        )
        while not os.listdir(tmp_path):  # noqa: ASYNC110 (its first fragments make the temporary file)
            await asyncio.sleep(0)
        storing.cancel()
        await asyncio.wait((storing,))
        await association.wait_closed()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("durability", LEVELS)
async def test_a_handler_of_your_own(tmp_path: Path, durability: Durability) -> None:
    store = FolderStorage(tmp_path, durability=durability)
    server = aiodicom.Server()

    @server.on_c_store(body=store.body)
    async def keep(request: aiodicom.StoreRequest) -> Status:
        return await store.keep(request)

    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=[(CT, [EXPLICIT])]) as association,
    ):
        await association.c_store(b"x", sop_class_uid=CT, sop_instance_uid="1.2.3", transfer_syntax=EXPLICIT)
    await store.close()
    assert os.listdir(tmp_path) == ["1.2.3.dcm"]
    assert store.stored == 1
