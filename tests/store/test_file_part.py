"""Files that are left open instead of read, where reading is slow: they are looked at when it is their turn."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aiodicom.errors import LocalError
from aiodicom.store._files import FilePart, assume_copying, file_stamp, read_ahead
from aiodicom.ul._pdu import encode_data

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are read")
SIZE = 300_000
#: How many of them there are in a row; one of 128 is read all the same.
COUNT = 30


@pytest.fixture(autouse=True)
def slow() -> Iterator[None]:
    assume_copying(10**9)
    yield
    assume_copying(0)


@pytest.fixture
def path(tmp_path: Path) -> str:
    made = tmp_path / "file"
    made.write_bytes(os.urandom(SIZE))
    return os.fspath(made)


def parts(path: str, offset: int = 0, *, may_stay: bool = True) -> list[memoryview | FilePart]:
    found = []
    for _ in range(COUNT):
        job = read_ahead(path, file_stamp(path), offset, may_stay=may_stay)
        assert job is not None
        taken = job.take()
        assert taken is not None
        assert job.is_taken
        assert job.take() is None
        found.append(taken)
    return found


def part(path: str, offset: int = 0) -> FilePart:
    return next(each for each in parts(path, offset) if isinstance(each, FilePart))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def descriptors_of(path: str) -> int:
    links = (f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd"))
    return sum(os.path.exists(link) and os.path.realpath(link) == path for link in links)


def test_most_are_left_open_and_hold_what_the_file_does(path: str) -> None:
    before = descriptors()
    found = parts(path, 3)
    opened = [each for each in found if isinstance(each, FilePart)]
    assert COUNT - 1 <= len(opened) <= COUNT
    assert descriptors() == before + len(opened)
    for each in found:
        assert bytes(memoryview(each)) == Path(path).read_bytes()[3:]
        assert memoryview(each).readonly
    del found, opened, each
    assert descriptors() == before


def test_none_where_the_file_has_to_be_read(path: str) -> None:
    assert not any(isinstance(each, FilePart) for each in parts(path, may_stay=False))


def test_none_where_reading_is_fast(path: str) -> None:
    assume_copying(1)
    job = read_ahead(path, file_stamp(path), 0, may_stay=True)
    assert job is not None
    assert isinstance(job.take(), memoryview)


def test_what_nobody_takes_is_closed(path: str) -> None:
    before = descriptors()
    jobs = [read_ahead(path, file_stamp(path), 0, may_stay=True) for _ in range(10)]
    while not all(job is not None and job.is_read for job in jobs):
        pass
    assert descriptors() >= before + 9
    del jobs
    assert descriptors() == before


@pytest.mark.parametrize("is_taken", [False, True])
def test_what_is_garbage_is_closed(path: str, is_taken: bool) -> None:
    before = descriptors()
    for _ in range(10):
        job = read_ahead(path, file_stamp(path), 0, may_stay=True)
        assert job is not None
        while not job.is_read:
            pass
        cycle: list[object] = [job.take() if is_taken else job]  # which is older than what it is in
        cycle.append(cycle)
        del cycle, job
        gc.collect()
        assert descriptors() == before


def test_parts_of_parts(path: str) -> None:
    whole, content = part(path, 10), Path(path).read_bytes()[10:]
    assert (len(whole), whole.nbytes, whole.offset, whole.is_deferred) == (SIZE - 10, SIZE - 10, 10, True)
    middle = whole[1000:5000]
    assert (len(middle), middle.offset) == (4000, 1010)
    assert bytes(memoryview(middle[100:])) == content[1100:5000]
    assert bytes(memoryview(whole[len(whole) :])) == b""
    assert bytes(memoryview(whole[7:3])) == b""
    with pytest.raises(ValueError, match="one piece"):
        whole[::2]


def test_a_file_that_has_been_cut_short(path: str) -> None:
    whole = part(path)
    os.truncate(path, SIZE // 2)
    assert len(bytes(memoryview(whole[: SIZE // 2]))) == SIZE // 2
    for _ in range(2):
        with pytest.raises(LocalError, match=f"cut short to {SIZE // 2} bytes"):
            memoryview(whole)


def test_threads_that_look_at_once(path: str) -> None:
    content, views = Path(path).read_bytes(), []
    for _ in range(50):
        whole = part(path)
        with ThreadPoolExecutor(3) as threads:
            views += threads.map(lambda _, whole=whole: memoryview(whole), range(3))
    assert all(bytes(view) == content for view in views)


@pytest.mark.parametrize("name", [None, "another"])
def test_what_is_written_to_before_it_is_taken(path: str, name: str | None) -> None:
    """It is no more what was looked at; which name it has makes no difference."""
    for overwritten in (False, True):
        job = None
        while job is None or not descriptors_of(path):  # one of 128 is read
            job = read_ahead(path, file_stamp(path), 0, may_stay=True)
            assert job is not None
            while not job.is_read:
                pass
        if name is not None:
            os.rename(path, path + name)
            path += name
        if overwritten:
            with open(path, "r+b") as file:
                file.write(b"other")
        assert (job.take() is None) == overwritten


@pytest.mark.parametrize("fragment", [16_378, 131_066, SIZE])
def test_fragments_are_made_without_looking(path: str, fragment: int) -> None:
    content = Path(path).read_bytes()
    whole = part(path)
    os.truncate(path, 0)  # whoever looks now is told
    pieces = encode_data(3, whole, fragment, True)
    assert all(isinstance(each, FilePart) for each in pieces[1::2])
    Path(path).write_bytes(content)
    assert b"".join(pieces) == b"".join(encode_data(3, content, fragment, True))


def test_a_file_that_somebody_has_a_lease_on_is_not_waited_for(path: str) -> None:
    stamp = file_stamp(path)
    told = signal.signal(signal.SIGIO, signal.SIG_IGN)  # by which the system asks for it
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        began = time.monotonic()
        job = read_ahead(path, stamp, 0, may_stay=True)
        assert time.monotonic() - began < 1  # it would be /proc/sys/fs/lease-break-time, 45 seconds
    finally:
        os.close(file)
        signal.signal(signal.SIGIO, told)
    assert job is not None
    assert job.take() is not None
