"""Many files on the disk at once, without holding up the event loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiodicom.store import committer
from aiodicom.store._writers import FoldersJob, Job, Writers
from aiodicom.store.committer import Committer
from aiodicom.store.files import Folder, PartialFile
from tests.store.held import failing, holding

FRAGMENT = 64 * 1024
SYNC = pytest.mark.parametrize("sync", [False, True])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with Folder(tmp_path) as folder:
        yield folder


def held(folder: Folder, name: str, size: int = FRAGMENT) -> PartialFile:
    file = folder.create(name)
    file.hold(memoryview(b"x" * size))
    return file


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path))


@SYNC
async def test_many_at_once(tmp_path: Path, folder: Folder, sync: bool) -> None:
    commits = Committer(folder)
    waiting = []
    for number in range(200):
        if number % 2:
            file = held(folder, str(number))
        else:
            file = folder.create(str(number))
            file.write(b"x" * FRAGMENT)
        waiting.append(commits.commit(file, sync=sync))
    assert commits.running == 64
    await asyncio.gather(*waiting)
    assert commits.running == 0
    await commits.close()
    assert names(tmp_path) == sorted(map(str, range(200)))
    assert {entry.stat().st_size for entry in os.scandir(tmp_path)} == {FRAGMENT}


@SYNC
async def test_closing_waits_for_all(tmp_path: Path, folder: Folder, sync: bool) -> None:
    commits = Committer(folder)
    for number in range(100):
        commits.commit(held(folder, str(number)), sync=sync)
    await commits.close()
    assert len(names(tmp_path)) == 100


async def test_nothing_was_given(folder: Folder) -> None:
    await Committer(folder).close()


@SYNC
async def test_one_that_fails_fails_alone(tmp_path: Path, folder: Folder, sync: bool) -> None:
    (tmp_path / "in the way").write_bytes(b"kept")
    commits = Committer(folder)
    paths = [(), ("..",), ("in the way", "d"), (), ("x", "y")]
    waiting = [commits.commit(held(folder, name), path, sync=sync) for name, path in zip("abcde", paths, strict=True)]
    kinds = [type(failure) for failure in await asyncio.gather(*waiting, return_exceptions=True)]
    assert kinds == [type(None), ValueError, NotADirectoryError, type(None), type(None)]
    await commits.close()
    assert names(tmp_path) == ["a", "d", "in the way", "x"]


async def test_a_file_that_the_system_refuses_leaves_nothing(tmp_path: Path, folder: Folder) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    commits = Committer(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        large = commits.commit(held(folder, "large", 100_000))
        await commits.commit(held(folder, "small", 1000))
        with pytest.raises(OSError, match="File too large"):
            await large
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await commits.close()
    assert names(tmp_path) == ["small"]


class Synced(FoldersJob):
    """Remembers which folders are to be synced, and fails for some of them."""

    batches: list[list[str]] = []
    failing = ""

    def __init__(self, descriptors: list[int]) -> None:
        self.paths = [os.readlink(f"/proc/self/fd/{each}") for each in descriptors]
        self.batches.append(self.paths)

    @property
    def results(self) -> list[int]:
        assert super().results == [0] * len(self.paths)
        return [errno.EIO if path.endswith(self.failing) else 0 for path in self.paths]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> type[Synced]:
    monkeypatch.setattr(committer, "FoldersJob", Synced)
    monkeypatch.setattr(Synced, "batches", [])
    monkeypatch.setattr(Synced, "failing", "nothing")
    return Synced


async def test_folders_are_synced_once_for_all_and_the_deepest_first(
    tmp_path: Path, folder: Folder, synced: type[Synced], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "z").mkdir()
    made = holding(monkeypatch)
    commits = Committer(folder)
    paths = [(), ("b",), ("x", "c"), ("x", "y", "d"), ("x", "y", "e")]
    first = [commits.commit(held(folder, "a"), path, sync=True) for path in paths]
    (writers,) = made
    writers.let()
    await asyncio.sleep(0)  # the descriptor is readable
    await asyncio.sleep(0)
    assert names(tmp_path) == ["a", "b", "x", "z"]
    assert [type(job) for job in writers.given] == [Synced]
    # What gets its name while the folders are synced may have come too late for that.
    second = commits.commit(held(folder, "z"), ("z", "z"), sync=True)
    file = writers.given.pop()
    syncing = writers.given.pop()
    writers.given.append(file)
    writers.let()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (tmp_path / "z" / "z").exists()
    assert not writers.given
    assert not any(each.done() for each in [*first, second])
    writers.given.append(syncing)
    writers.let()
    await asyncio.gather(*first)
    assert not second.done()
    writers.let()
    await second
    await commits.close()
    root = os.fspath(tmp_path)
    assert synced.batches == [[f"{root}/x/y", f"{root}/x", root], [f"{root}/z", root]]


@pytest.mark.parametrize(("broken", "fails"), [("/x", [False, True, False]), ("", [True, True, True])])
async def test_a_failed_sync_of_a_folder_fails_what_is_below(
    tmp_path: Path, folder: Folder, synced: type[Synced], broken: str, fails: list[bool]
) -> None:
    synced.failing = broken
    commits = Committer(folder)
    paths = [(), ("x", "y", "b"), ("z", "c")]
    waiting = [commits.commit(held(folder, "a"), path, sync=True) for path in paths]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(outcome, OSError) for outcome in outcomes] == fails
    synced.failing = "nothing"
    await commits.commit(held(folder, "later"), sync=True)
    await commits.close()
    assert (tmp_path / "x" / "y" / "b").exists()  # it is whole, but may not survive a crash


@SYNC
@pytest.mark.parametrize("fails", [False, True])
async def test_nobody_waits_any_more(
    tmp_path: Path,
    folder: Folder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    sync: bool,
    fails: bool,
) -> None:
    if fails:
        failing(monkeypatch, errno.EIO)
    made = holding(monkeypatch)
    commits = Committer(folder)
    commits.commit(held(folder, "a"), sync=sync).cancel()
    closing = asyncio.create_task(commits.close())
    with caplog.at_level(logging.ERROR):
        while not closing.done():
            made[0].let()
            await asyncio.sleep(0)
    assert names(tmp_path) == ([] if fails else ["a"])
    assert ("after its association had ended" in caplog.text) is fails


@SYNC
async def test_without_a_thread_it_is_done_all_the_same(
    tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch, sync: bool
) -> None:
    class Threadless(Writers):
        def give(self, job: Job) -> None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(committer, "Writers", Threadless)
    commits = Committer(folder)
    await asyncio.gather(*(commits.commit(held(folder, str(number)), sync=sync) for number in range(100)))
    await commits.close()
    assert len(names(tmp_path)) == 100


async def test_out_of_descriptors(tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> tuple[int, int]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    commits = Committer(folder)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pipe", none_left)
        with pytest.raises(OSError, match="Too many open files"):
            commits.commit(held(folder, "a"))
    await commits.commit(held(folder, "b"))
    await commits.close()
    assert names(tmp_path) == ["b"]
