"""Files that a thread reads before it is their turn."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiodicom.errors import LocalError
from aiodicom.net.sources import AheadFile, AheadSource, FileSource, KnownFile, open_source
from aiodicom.store._files import file_stamp, read_ahead
from tests.interop import objects

SIZE = 100_000


@pytest.fixture
def path(tmp_path: Path) -> str:
    made = tmp_path / "file"
    made.write_bytes(os.urandom(SIZE))
    return os.fspath(made)


@pytest.mark.parametrize("pause", [0, 0.05])
def test_what_is_read_is_what_the_file_holds_and_given_out_once(path: str, pause: float) -> None:
    jobs = [read_ahead(path, file_stamp(path), offset) for offset in range(20)]
    time.sleep(pause)  # taken before it was read, and after
    for offset, job in enumerate(jobs):
        assert job is not None
        data = job.take()
        assert data is not None
        assert data.readonly
        assert bytes(data) == Path(path).read_bytes()[offset:]
        assert job.take() is None


def test_no_more_than_so_many_and_again_when_they_are_gone(path: str) -> None:
    for _ in range(3):
        jobs = [read_ahead(path, file_stamp(path), 0) for _ in range(40)]
        assert 0 < sum(job is not None for job in jobs) < 40
        del jobs


def test_not_what_has_changed_or_is_gone_or_has_nothing(path: str) -> None:
    stamp = file_stamp(path)
    assert read_ahead(path, stamp, SIZE) is None
    os.truncate(path, SIZE // 2)
    assert (job := read_ahead(path, stamp, 0)) is not None
    assert job.take() is None
    os.unlink(path)
    assert (job := read_ahead(path, stamp, 0)) is not None
    assert job.take() is None


def test_in_a_process_that_was_forked(path: str) -> None:
    program = f"""
import os
from aiodicom.store._files import file_stamp, read_ahead
path = {path!r}
jobs = [read_ahead(path, file_stamp(path), 0) for _ in range(10)]
child = os.fork()
assert all(len(job.take()) == {SIZE} for job in jobs)
jobs = [read_ahead(path, file_stamp(path), 0) for _ in range(10)]
assert all(len(job.take()) == {SIZE} for job in jobs)
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


@pytest.fixture
def known(tmp_path: Path) -> KnownFile:
    (made,) = objects.write_cts(tmp_path, 1, objects.SIZE)
    source = open_source(made.path)
    source.close()
    assert isinstance(source, FileSource)
    return source.known


def content(known: KnownFile) -> bytes:
    return Path(known.path).read_bytes()


def change(known: KnownFile) -> None:
    with open(known.path, "ab") as file:
        file.write(bytes(16))


async def test_a_source_gives_it_and_then_reads_the_file(known: KnownFile) -> None:
    file = AheadFile.reading(known)
    source = open_source(file)
    assert isinstance(source, AheadSource)
    data_set = content(known)[known.meta.data_offset :]
    given = source.at_once()
    assert given is not None
    assert b"".join(given) == data_set
    assert source.at_once() is None
    assert b"".join([bytes(chunk) async for chunk in source.chunks(2)]) == data_set
    source.close()


async def test_a_file_that_changed_before_it_was_read(known: KnownFile) -> None:
    late = open_source(AheadFile.reading(known))
    late.at_once()
    change(known)
    source = open_source(AheadFile.reading(known))
    assert isinstance(source, FileSource)
    assert source.size == known.size + 16 - known.meta.data_offset
    source.close()
    with pytest.raises(LocalError, match="changed"):
        [chunk async for chunk in late.chunks(2)]


async def test_a_file_that_changed_after_it_was_read_is_sent_as_it_was(known: KnownFile) -> None:
    data_set = content(known)[known.meta.data_offset :]
    file = AheadFile.reading(known)
    assert isinstance(file, AheadFile)
    while not file.ahead.is_read:  # noqa: ASYNC110 (a thread without events)
        await asyncio.sleep(0)
    change(known)
    given = open_source(file).at_once()
    assert given is not None
    assert b"".join(given) == data_set


def test_what_is_small_is_left_as_it_is(known: KnownFile) -> None:
    small = known._replace(stamp=known.stamp._replace(size=20_000))
    assert AheadFile.reading(small) is small
