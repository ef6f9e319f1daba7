"""Threads that write files without the interpreter."""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from aiodicom.store._writers import AppendJob, FileJob, FoldersJob, Job, Writers, links_unnamed
from aiodicom.ul._pdu import Body

PAGE = 4096


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def on_pages(size: int, shift: int = 0) -> memoryview:
    """So many bytes that begin at a page, or `shift` bytes after one."""
    room = numpy.frombuffer(os.urandom(size + 2 * PAGE), numpy.uint8).copy()
    start = -room.ctypes.data % PAGE + shift
    return memoryview(room[start : start + size])


def done(writers: Writers, count: int) -> list[Job]:
    jobs: list[Job] = []
    while len(jobs) < count:
        assert select.select([writers], [], [], 60)[0]
        jobs += writers.collect()
    return jobs


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("way", [(), ("past_cache",), ("let_go",), ("past_cache", "let_go")])
@pytest.mark.parametrize("shift", [0, 8])
@pytest.mark.parametrize("size", [0, 1, PAGE - 1, PAGE, PAGE + 1, 20 * PAGE, 20 * PAGE + 513, 1_000_001])
def test_what_is_written_is_there(
    tmp_path: Path, folder: int, size: int, shift: int, way: tuple[str, ...], sync: bool
) -> None:
    data = on_pages(size, shift)
    job = FileJob(folder, b".part", (b"name",), data=data, sync=sync, **dict.fromkeys(way, True))
    job.run()
    assert job.result == 0
    assert os.listdir(tmp_path) == ["name"]
    assert (tmp_path / "name").read_bytes() == data


def test_what_the_engine_gathers_lies_on_pages() -> None:
    bodies = [Body(), Body(0, None, 100_000), Body(0, None, 1 << 20), Body(0, None, 8 << 20)]
    for body in bodies:
        body.write(bytes(70_000))
    for body in bodies:
        assert numpy.frombuffer(body, numpy.uint8).ctypes.data % PAGE == 0


@pytest.mark.parametrize("way", [(), ("past_cache",), ("let_go",)])
@pytest.mark.parametrize("limit", [0, 10, 10 * PAGE, 10 * PAGE + 10, 30 * PAGE + 10])
def test_a_file_that_the_system_refuses_leaves_nothing(
    tmp_path: Path, folder: int, limit: int, way: tuple[str, ...]
) -> None:
    (tmp_path / "name").write_bytes(b"old")
    job = FileJob(folder, b".part", (b"name",), data=on_pages(30 * PAGE + 20), **dict.fromkeys(way, True))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        job.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert job.result == errno.EFBIG
    assert os.listdir(tmp_path) == ["name"]
    assert (tmp_path / "name").read_bytes() == b"old"


def appended(path: Path, at: int, parts: list[bytes | memoryview], flags: int = 0, **options: bool) -> int:
    """Has parts appended to a file; returns the errno."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags)
    try:
        job = AppendJob(descriptor, at, parts, **options)
        job.run()
        return job.result
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("flags", [0, os.O_DIRECT])
@pytest.mark.parametrize("at", [0, PAGE, 3 * PAGE])
def test_what_is_appended_is_there(tmp_path: Path, at: int, flags: int, sync: bool) -> None:
    where_it_is, elsewhere = on_pages(5 * PAGE), on_pages(2 * PAGE, 8)
    parts = [b"x" * 100, b"", bytes(PAGE - 100), where_it_is, elsewhere, on_pages(PAGE)[:10], bytes(PAGE - 10)]
    assert appended(tmp_path / "log", at, parts, flags, sync=sync) == 0
    assert (tmp_path / "log").read_bytes() == bytes(at) + b"".join(parts)


@pytest.mark.parametrize("at", [0, 8])
def test_what_is_no_page_goes_through_the_cache(tmp_path: Path, at: int) -> None:
    assert appended(tmp_path / "log", at, [b"some", b"bytes"], os.O_DIRECT) == 0
    assert (tmp_path / "log").read_bytes() == bytes(at) + b"somebytes"


def test_more_pieces_than_a_call_of_the_system_takes(tmp_path: Path) -> None:
    parts: list[bytes | memoryview] = [part for _ in range(1100) for part in (on_pages(PAGE), b"y" * PAGE)]
    assert appended(tmp_path / "log", 0, parts, os.O_DIRECT) == 0
    assert (tmp_path / "log").read_bytes() == b"".join(parts)


@pytest.mark.parametrize("limit", [0, 10, 3 * PAGE, 3 * PAGE + 10])
def test_an_append_that_ends_early_goes_on_until_it_is_refused(tmp_path: Path, limit: int) -> None:
    parts = [on_pages(2 * PAGE), b"x" * 2 * PAGE]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        result = appended(tmp_path / "log", 0, parts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result == errno.EFBIG
    assert (tmp_path / "log").read_bytes() == b"".join(parts)[:limit]


def test_a_file_that_cannot_be_made(tmp_path: Path, folder: int) -> None:
    (tmp_path / ".part").write_bytes(b"somebody's")
    job = FileJob(folder, b".part", (b"name",), data=b"x")
    job.run()
    assert job.result == errno.EEXIST
    assert os.listdir(tmp_path) == [".part"]


def test_a_file_that_cannot_be_synced(tmp_path: Path, folder: int) -> None:
    os.mkfifo(tmp_path / ".part")
    fifo = os.open(tmp_path / ".part", os.O_RDWR)
    job = FileJob(folder, b".part", (b"name",), file=fifo, sync=True)
    job.run()
    assert job.result == errno.EINVAL
    assert os.listdir(tmp_path) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fifo)


def test_sub_folders(tmp_path: Path, folder: int) -> None:
    jobs = [FileJob(folder, b".part", (b"a", b"b", name), data=name) for name in (b"first", b"second")]
    for job in jobs:
        job.run()
        assert job.result == 0
        assert [os.readlink(f"/proc/self/fd/{each}") for each in job.folders] == [f"{tmp_path}/a", f"{tmp_path}/a/b"]
    assert sorted(os.listdir(tmp_path / "a" / "b")) == ["first", "second"]
    descriptors = jobs[0].folders
    del job, jobs[0]
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


@pytest.mark.parametrize("path", [(b"link", b"name"), (b"dir", b"link", b"name"), (b"file", b"name")])
def test_no_folder_in_the_place_of_one(tmp_path: Path, folder: int, path: tuple[bytes, ...]) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "dir").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "dir" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    job = FileJob(folder, b".part", path, data=b"x")
    job.run()
    assert job.result == errno.ENOTDIR
    assert sorted(tmp_path.rglob("*")) == before


def test_folders_are_synced_each_by_itself(folder: int) -> None:
    read, write = os.pipe()
    job = FoldersJob([folder, read, -1, folder])
    job.run()
    assert job.results == [0, errno.EINVAL, errno.EBADF, 0]
    os.close(read)
    os.close(write)


def test_threads_do_what_they_are_given(tmp_path: Path, folder: int) -> None:
    writers = Writers(3)
    data = bytearray(os.urandom(100_000))
    given = []
    for number in range(50):
        given.append(FileJob(folder, b".%d" % number, (b"%d" % number,), data=memoryview(data), past_cache=True))
        writers.give(given[-1])
    finished = done(writers, 50)
    assert set(finished) == set(given)
    assert {job.result for job in given} == {0}
    data += b"all have let go of it"
    assert len(os.listdir(tmp_path)) == 50
    assert writers.collect() == []
    writers.close()
    writers.close()


def test_signals_are_not_for_them(folder: int) -> None:
    before = set(os.listdir("/proc/self/task"))
    writers = Writers(1)
    writers.give(FoldersJob([folder]))
    (thread,) = set(os.listdir("/proc/self/task")) - before
    status = Path(f"/proc/self/task/{thread}/status").read_text()
    (blocked,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk"))
    assert blocked >> (signal.SIGTERM - 1) & 1
    done(writers, 1)
    writers.close()


def test_who_forgets_them_waits_for_what_was_given(tmp_path: Path, folder: int) -> None:
    writers = Writers(2)
    for number in range(20):
        writers.give(FileJob(folder, b".%d" % number, (b"%d" % number,), data=bytes(100_000)))
    del writers
    assert len(os.listdir(tmp_path)) == 20


def test_no_threads() -> None:
    with pytest.raises(ValueError, match="0 threads"):
        Writers(0)


def test_arguments_that_are_none(folder: int) -> None:
    # What was not made closes nothing: descriptor 0, for instance.
    standard_input = os.fstat(0)
    with pytest.raises(TypeError):
        Writers("many")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        FileJob(folder, "name", (b"name",))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        FileJob(folder, b"name", (b"name",), data=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no name"):
        FileJob(folder, b"name", ())
    assert os.fstat(0) == standard_input


@pytest.mark.parametrize("path", [(b"name",), (b"sub", b"name")])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_file_without_a_name_gets_one(
    tmp_path: Path, folder: int, path: tuple[bytes, ...], before: bytes | None
) -> None:
    if not links_unnamed(folder, b".part"):
        pytest.skip("the file system has no unnamed files")
    place = tmp_path.joinpath(*map(os.fsdecode, path))
    if before is not None:
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(before)
    data = on_pages(20 * PAGE + 7)
    job = FileJob(folder, b".part", path, data=data, unnamed=True, past_cache=True, sync=True)
    job.run()
    assert job.result == 0
    assert place.read_bytes() == data
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [place]
    assert place.stat().st_nlink == 1


def test_a_file_without_a_name_that_fails_leaves_nothing(tmp_path: Path, folder: int) -> None:
    (tmp_path / "name").mkdir()
    job = FileJob(folder, b".part", (b"name",), data=b"x", unnamed=True)
    job.run()
    assert job.result == (errno.EISDIR if links_unnamed(folder, b".other") else errno.EOPNOTSUPP)
    assert os.listdir(tmp_path) == ["name"]


def test_where_there_are_no_files_without_a_name() -> None:
    processes = os.open("/proc", os.O_RDONLY)
    try:
        assert not links_unnamed(processes, b".part")
    finally:
        os.close(processes)
