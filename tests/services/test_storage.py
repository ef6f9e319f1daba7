"""The storage SCP into a folder, driven as the engine drives it."""

from __future__ import annotations

import asyncio
import errno
import inspect
import io
import logging
import os
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
from aiodicom.store import direct
from aiodicom.store._writers import FileJob
from aiodicom.store.files import Durability
from aiodicom.ul._pdu import Budget
from tests.store.held import failing, holding

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
                is_acceptor=True,
                calling_aet=calling,
                log=logging.getLogger("aiodicom").log,
                budget=Budget(1 << 30),
                transport=SimpleNamespace(turns=None),
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


@pytest.mark.parametrize("size", [70_000, 1_000_000])
@pytest.mark.parametrize("durability", [Durability.WRITTEN, Durability.SYNCED])
async def test_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Durability, size: int
) -> None:
    store = FolderStorage(tmp_path, durability=durability)
    engine = Engine(store)
    with monkeypatch.context() as patched:
        failing(patched, errno.ENOSPC)
        with pytest.raises(OSError, match="No space"):
            await engine.store(b"x" * size, b"y" * size)
    assert await engine.store(b"x", uid="1.2.4") is Status.SUCCESS
    await store.close()
    assert os.listdir(tmp_path) == ["1.2.4.dcm"]
    assert store.stored == 1


async def test_received_answers_before_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = holding(monkeypatch)
    store = FolderStorage(tmp_path, durability=Durability.RECEIVED)
    engine = Engine(store)
    assert await engine.store(b"x" * 600_000) is Status.SUCCESS
    assert os.listdir(tmp_path) == []
    made[0].let()
    await store.close()
    assert os.listdir(tmp_path) == ["1.2.3.dcm"]


async def test_received_and_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = FolderStorage(tmp_path, durability=Durability.RECEIVED)
    failing(monkeypatch, errno.ENOSPC)
    with caplog.at_level(logging.INFO, "aiodicom"):
        assert await Engine(store).store(b"x") is Status.SUCCESS
        await store.close()
    assert (store.stored, store.lost) == (0, 1)
    assert "lost an object of" in caplog.text
    assert "1.2.3" not in caplog.text
    assert os.listdir(tmp_path) == []


async def test_received_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = holding(monkeypatch)
    monkeypatch.setattr("aiodicom.services.storage._BACKLOG", 1_000_000)
    store = FolderStorage(tmp_path, durability=Durability.RECEIVED)
    engine = Engine(store)
    for number in range(4):
        assert await engine.store(b"x" * 400_000, uid=f"1.2.{number}") is Status.SUCCESS
    assert sorted(os.listdir(tmp_path)) == ["1.2.2.dcm", "1.2.3.dcm"]
    made[0].let()
    await store.close()
    assert len(os.listdir(tmp_path)) == 4


async def test_what_the_disk_does_not_take_goes_to_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = holding(monkeypatch)
    store = FolderStorage(tmp_path, durability=Durability.WRITTEN)
    engine = Engine(store)
    tasks = [asyncio.create_task(engine.store(b"x" * 100_000, uid=f"1.2.{number}")) for number in range(20)]
    await asyncio.sleep(0)
    files = [job for job in made[0].given if isinstance(job, FileJob)]
    assert [job.past_cache for job in files] == [True] * 16 + [False] * 4
    assert [job.let_go for job in files] == [False] * 16 + [True] * 4
    # The threads are busy: small ones don't wait for them.
    assert await engine.store(b"x" * 10_000, uid="1.3") is Status.SUCCESS
    assert os.listdir(tmp_path) == ["1.3.dcm"]
    assert not any(task.done() for task in tasks)
    made[0].let()
    assert await asyncio.gather(*tasks) == [Status.SUCCESS] * 20
    await store.close()
    assert len(os.listdir(tmp_path)) == 21


async def test_what_a_slow_disk_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "SLOW", -1.0)
    made = holding(monkeypatch)
    store = FolderStorage(tmp_path, durability=Durability.WRITTEN)
    engine = Engine(store)
    for batch, past_cache in enumerate([16, 1, 1]):
        tasks = [asyncio.create_task(engine.store(b"x" * 100_000, uid=f"1.{batch}.{number}")) for number in range(20)]
        await asyncio.sleep(0)
        assert sum(job.past_cache for job in made[0].given if isinstance(job, FileJob)) == past_cache
        made[0].let()
        assert await asyncio.gather(*tasks) == [Status.SUCCESS] * 20
    await store.close()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("durability", [Durability.WRITTEN, Durability.SYNCED])
async def test_the_association_ends_while_the_disk_works(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    durability: Durability,
    fails: bool,
) -> None:
    if fails:
        failing(monkeypatch, errno.EIO)
    made = holding(monkeypatch)
    store = FolderStorage(tmp_path, durability=durability)
    engine = Engine(store)
    request = engine.begin(b"x" * 100_000)
    request.body.finish()
    handling = asyncio.create_task(engine.answer(request))
    await asyncio.sleep(0)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    request.body.abandon()  # whoever cleans up after an association: the object is the handler's
    closing = asyncio.create_task(store.close())
    while not closing.done():
        made[0].let()
        await asyncio.sleep(0)
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
            failing(patched, number)
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
