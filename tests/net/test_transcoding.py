"""Objects that are brought into what the peer has accepted, on their way to it, as far as a policy allows."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest

import aiodicom
from aiodicom.errors import ContextNotAccepted, LocalError, PixelDataError, StatusError
from aiodicom.net import reencoding, transcoding
from aiodicom.net.codec_threads import CodecThreads, codec_threads
from aiodicom.net.transcoding import NATIVE, Transcoding, alternatives, sendable
from aiodicom.pixels.encapsulation import encapsulate
from aiodicom.pixels.recoding import LOSSY, carries
from aiodicom.pixels.recoding import RECOMPRESSION as RECOMPRESSED
from aiodicom.standard.transfer_syntaxes import SHORT_NAMES
from tests.pixels.images import data_set, describe, image

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = SHORT_NAMES["explicit-le"]
JPEG_LS = SHORT_NAMES["jpeg-ls-lossless"]
HTJ2K = SHORT_NAMES["htj2k-lossless"]
BASELINE = SHORT_NAMES["jpeg-baseline"]
RECOMPRESSION = SHORT_NAMES["jpeg-xl-recompression"]


def ct(syntax: str = EXPLICIT, kind: str = "12 of 16", uid: str = "1.2.3") -> aiodicom.Dataset:
    made = data_set(describe(kind), image(kind).tobytes(), EXPLICIT, SOPClassUID=CT, SOPInstanceUID=uid)
    return aiodicom.transcode(made, syntax)


def corrupt(syntax: str = JPEG_LS) -> aiodicom.Dataset:
    made = ct(syntax)
    encapsulate([bytes(made.frames[0].encoded)[:60]]).put_into(made)
    return made


class Archive:
    """A server that accepts some transfer syntaxes, and the objects that it has got."""

    def __init__(self, *syntaxes: str, **options: Any) -> None:
        self.objects: list[tuple[str, aiodicom.Dataset]] = []
        self.server = aiodicom.Server(contexts=aiodicom.Support({}, syntaxes), **options)
        self.server.on_c_store(self.keep)

    def keep(self, request: aiodicom.StoreRequest) -> None:
        kept = aiodicom.Dataset.from_bytes(bytes(request.data), request.context.transfer_syntax)
        self.objects.append((request.affected_sop_instance_uid, kept))


@asynccontextmanager
async def pool_to(*syntaxes: str, **options: Any) -> AsyncIterator[tuple[Archive, aiodicom.Pool]]:
    archive = Archive(*syntaxes)
    async with (
        archive.server.listen("127.0.0.1", 0) as listening,
        aiodicom.Pool("127.0.0.1", listening.port, contexts=(), check=None, **options) as pool,
    ):
        yield archive, pool


# --- policies ---------------------------------------------------------------------------------------------------------


def test_what_may_be_sent_by_each_policy() -> None:
    everything = set(SHORT_NAMES.values())
    lossless = everything - LOSSY
    for own in everything:
        assert sendable(own, Transcoding.NEVER) == (own,)
        decompressed = sendable(own, Transcoding.DECOMPRESS_ONLY)
        assert decompressed[0] == own
        assert set(decompressed) == {own, *NATIVE}
        without_loss = sendable(own, Transcoding.LOSSLESS)
        assert without_loss[0] == own
        assert len(set(without_loss)) == len(without_loss)
        kept = {each for each in everything if carries(each, own)} | {RECOMPRESSED}
        if own == RECOMPRESSED:
            kept |= {BASELINE, SHORT_NAMES["jpeg-extended"]}
        assert lossless - {RECOMPRESSED} <= set(without_loss) <= lossless | kept
        with_loss = sendable(own, Transcoding.LOSSY)
        assert with_loss[: len(without_loss)] == without_loss
        assert set(with_loss) >= LOSSY
    for own in ("1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.94", "1.2.3.4"):
        assert sendable(own, Transcoding.LOSSY) == (own,)


def test_without_the_library_of_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what can be done is offered."""
    monkeypatch.setattr(transcoding, "find_spec", lambda _: None)
    for cached in (alternatives, sendable):
        cached.cache_clear()
    try:
        assert sendable(JPEG_LS, Transcoding.LOSSY) == (JPEG_LS,)
        own = {SHORT_NAMES["rle-lossless"], SHORT_NAMES["deflated-frames"], SHORT_NAMES["encapsulated"]}
        assert set(sendable(EXPLICIT, Transcoding.LOSSY)) == {*NATIVE, *own}
    finally:
        for cached in (alternatives, sendable):
            cached.cache_clear()


async def test_no_such_policy() -> None:
    async with pool_to(EXPLICIT) as (_, pool), pool.acquire(CT) as association:
        with pytest.raises(LocalError, match="no policy of transcoding: one of never, decompress-only"):
            await association.c_store(ct(), transcode="sometimes")
    with pytest.raises(LocalError, match="no policy"):
        aiodicom.Pool("127.0.0.1", 104, transcode="lossless!")
    with pytest.raises(LocalError, match="no policy"):
        aiodicom.Server(transcode="all")


@pytest.mark.parametrize(
    ("own", "accepted", "least"),
    [
        (EXPLICIT, JPEG_LS, Transcoding.LOSSLESS),
        (JPEG_LS, EXPLICIT, Transcoding.DECOMPRESS_ONLY),
        (JPEG_LS, HTJ2K, Transcoding.LOSSLESS),
        (EXPLICIT, SHORT_NAMES["htj2k-lossy"], Transcoding.LOSSY),
        (JPEG_LS, SHORT_NAMES["jpeg-2000-lossy"], Transcoding.LOSSY),
    ],
)
async def test_a_policy_is_kept(own: str, accepted: str, least: Transcoding, tmp_path: Path) -> None:
    path = tmp_path / "ct"
    made = ct(own)
    aiodicom.dcmwrite(path, made)
    policies = list(Transcoding)
    for policy in policies:
        async with pool_to(accepted, transcode=policy) as (archive, pool):
            if policies.index(policy) < policies.index(least):
                with pytest.raises(ContextNotAccepted):
                    await pool.c_store(path)
                assert archive.objects == []
                continue
            await pool.c_store(path)
            ((uid, received),) = archive.objects
            assert received.transfer_syntax == accepted
            if accepted in LOSSY:
                assert uid == received.SOPInstanceUID != "1.2.3"
                assert received.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3"
                # Tried again, it is the same instance.
                await pool.c_store(path)
                assert archive.objects[1][0] == uid
            else:
                assert uid == received.SOPInstanceUID == "1.2.3"
                assert numpy.array_equal(received.frames[0].to_numpy(), image("12 of 16"))


async def test_what_is_accepted_goes_as_it_stands_even_if_it_is_corrupt() -> None:
    made = corrupt()
    async with pool_to(JPEG_LS, EXPLICIT) as (archive, pool):
        await pool.c_store(made)
    assert archive.objects[0][1].to_bytes() == made.to_bytes()


async def test_what_is_preferred() -> None:
    """The same stream before any other, then what is not compressed, then the rest."""
    jpeg = ct(BASELINE, "8")
    stream = bytes(jpeg.frames[0].encoded)
    everything = [*SHORT_NAMES.values()]
    contexts = [(CT, [each]) for each in everything if each != BASELINE]
    archive = Archive(*everything)
    async with (
        archive.server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect("127.0.0.1", listening.port, contexts=contexts) as association,
    ):
        await association.c_store(jpeg)
        await association.c_store(ct(BASELINE, "8"), transcode="decompress-only")
    (_, first), (_, second) = archive.objects
    assert (first.transfer_syntax, bytes(first.frames[0].encoded)) == (SHORT_NAMES["jpeg-extended"], stream)
    assert second.transfer_syntax == EXPLICIT
    async with pool_to(RECOMPRESSION) as (archive, pool):
        await pool.c_store(jpeg)
    back = aiodicom.transcode(archive.objects[0][1], BASELINE)
    assert bytes(back.frames[0].encoded) == stream


# --- what goes wrong --------------------------------------------------------------------------------------------------


async def test_a_corrupt_frame_is_not_sent_and_the_association_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "corrupt"
    aiodicom.dcmwrite(path, corrupt())
    async with pool_to(EXPLICIT, size=1) as (archive, pool):
        for source in (corrupt(), path, path.read_bytes()):
            with pytest.raises(PixelDataError, match=r"frames\[0\]"):
                await pool.c_store(source)
        await pool.c_store(ct(JPEG_LS))
        assert pool.open == 1
    assert len(archive.objects) == 1


async def test_what_cannot_be_names_the_reason() -> None:
    made = data_set(describe("32"), image("32").tobytes(), EXPLICIT, SOPClassUID=CT, SOPInstanceUID="1.2")
    async with pool_to(JPEG_LS) as (archive, pool):
        with pytest.raises(LocalError, match="no samples of 32 bits allocated"):
            await pool.c_store(made)
    assert archive.objects == []


@pytest.mark.parametrize("own", [EXPLICIT, JPEG_LS])
async def test_a_large_file(own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reencoding, "IN_MEMORY", 1000)
    path = tmp_path / "large"
    aiodicom.dcmwrite(path, ct(own))
    async with pool_to(HTJ2K) as (archive, pool):
        await pool.c_store(path)
    assert numpy.array_equal(archive.objects[0][1].frames[0].to_numpy(), image("12 of 16"))


# --- C-GET and C-MOVE -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["lossless", "never"])
async def test_sub_operations_of_c_get_and_c_move(policy: str) -> None:
    model = aiodicom.StudyRoot
    archive = Archive(HTJ2K)
    async with archive.server.listen("127.0.0.1", 0) as destination:
        server = aiodicom.Server(
            transcode=policy, destinations={"ARCHIVE": aiodicom.Destination("127.0.0.1", destination.port)}
        )

        @server.on_c_get
        @server.on_c_move
        async def give(request: Any) -> AsyncIterator[aiodicom.Dataset]:
            yield ct(JPEG_LS)

        assert model.get is not None
        assert model.move is not None
        contexts = [model.get, model.move]
        query = aiodicom.Dataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")
        async with (
            server.listen("127.0.0.1", 0) as listening,
            aiodicom.connect(
                "127.0.0.1", listening.port, contexts=contexts, receives=[(CT, [EXPLICIT])]
            ) as association,
        ):
            retrieved = association.c_get(query)
            if policy == "never":
                with pytest.raises(StatusError):
                    await anext(retrieved)
                with pytest.raises(StatusError):
                    await association.c_move(query, "ARCHIVE")
                return
            async for each in retrieved:
                received = each.dataset
                assert received is not None
                assert received.transfer_syntax == EXPLICIT
                assert numpy.array_equal(received.frames[0].to_numpy(), image("12 of 16"))
            result = await association.c_move(query, "ARCHIVE")
            assert (result.completed, result.failed) == (1, 0)
    assert [each.transfer_syntax for _, each in archive.objects] == [HTJ2K]


async def test_a_destination_with_a_policy_of_its_own() -> None:
    archive = Archive(SHORT_NAMES["htj2k-lossy"])
    async with archive.server.listen("127.0.0.1", 0) as destination:
        where = aiodicom.Destination("127.0.0.1", destination.port, transcode="lossy")
        server = aiodicom.Server(transcode="never", destinations={"FAR": where})

        @server.on_c_move
        async def give(request: Any) -> AsyncIterator[aiodicom.Dataset]:
            yield ct(JPEG_LS)

        assert aiodicom.StudyRoot.move is not None
        async with (
            server.listen("127.0.0.1", 0) as listening,
            aiodicom.connect("127.0.0.1", listening.port, contexts=[aiodicom.StudyRoot.move]) as association,
        ):
            result = await association.c_move(aiodicom.Dataset(QueryRetrieveLevel="STUDY"), "FAR")
    assert result.completed == 1
    assert archive.objects[0][1].LossyImageCompression == "01"


# --- the threads ------------------------------------------------------------------------------------------------------


async def test_codecs_run_beside_the_event_loop_some_at_a_time() -> None:
    threads = CodecThreads(2)
    loop = asyncio.get_running_loop()
    running, most, begun = 0, 0, 0
    lock, may_end, two_run = threading.Lock(), threading.Event(), asyncio.Event()

    def work() -> str:
        nonlocal running, most, begun
        with lock:
            running, begun = running + 1, begun + 1
            most = max(most, running)
            if running == 2:
                loop.call_soon_threadsafe(two_run.set)
        assert may_end.wait(60)
        with lock:
            running -= 1
        return threading.current_thread().name

    tasks = [asyncio.create_task(threads.run(work)) for _ in range(20)]
    await two_run.wait()
    # Who waits is in no queue of a thread, and can leave.
    assert begun == 2
    for task in tasks[10:]:
        task.cancel()
    await asyncio.sleep(0)
    may_end.set()
    names = await asyncio.gather(*tasks[:10])
    assert {name.rpartition("_")[0] for name in names} == {"aiodicom-codec"}
    assert (most, begun) == (2, 10)
    assert all(task.cancelled() for task in tasks[10:])


async def test_what_comes_of_work_that_nobody_waits_for_is_dropped() -> None:
    threads = CodecThreads(1)
    loop = asyncio.get_running_loop()
    begun, may_end, dropped = asyncio.Event(), threading.Event(), asyncio.Event()

    def work() -> str:
        loop.call_soon_threadsafe(begun.set)
        assert may_end.wait(60)
        return "made"

    def drop(made: str) -> None:
        assert made == "made"
        loop.call_soon_threadsafe(dropped.set)

    task = asyncio.create_task(threads.run(work, drop))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_end.set()
    await dropped.wait()
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0, drop)  # type: ignore[arg-type]


async def test_an_event_loop_has_one_set_of_threads() -> None:
    assert codec_threads() is codec_threads()
    assert await codec_threads().run(threading.get_ident) != threading.get_ident()


def test_threads_end_with_their_event_loop() -> None:
    async def use() -> set[threading.Thread]:
        before = set(threading.enumerate())
        await codec_threads().run(int)
        return {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("aiodicom-codec")}

    first = asyncio.run(use())
    assert first
    # Those of a loop that is closed are let go when another one needs some.
    asyncio.run(use())
    gc.collect()
    for thread in first:
        thread.join(60)
        assert not thread.is_alive()
