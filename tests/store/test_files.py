"""Files appear whole or not at all, whatever happens on the way."""

from __future__ import annotations

import errno
import gc
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from aiodicom.store.files import TEMPORARY_PREFIX, Folder
from tests.store.held import failing

FRAGMENT = 64 * 1024


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path))


@pytest.mark.parametrize("sizes", [[], [0], [5, 7], [FRAGMENT], [10, 3 * FRAGMENT, 0, 7], [3] * 99])
def test_what_was_written_is_there(tmp_path: Path, sizes: list[int]) -> None:
    fragments = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    with Folder(tmp_path) as folder:
        partial = folder.create("a.dcm")
        for fragment in fragments:
            partial.write(memoryview(fragment))
        assert partial.size == sum(sizes)
        assert "a.dcm" not in names(tmp_path)
        partial.commit()
    assert names(tmp_path) == ["a.dcm"]
    assert (tmp_path / "a.dcm").read_bytes() == b"".join(fragments)


def test_a_borrowed_view_is_not_kept(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        partial = folder.create("a")
        scratch = bytearray(b"first")
        with memoryview(scratch) as view:
            partial.write(view)
        scratch[:] = b"other"
        scratch += b"the view is released: the buffer can grow"
        partial.commit()
    assert (tmp_path / "a").read_bytes() == b"first"


def test_what_is_held_is_written_when_it_must_be(tmp_path: Path) -> None:
    content = bytearray(b"x" * 100_000)
    with Folder(tmp_path) as folder:
        read, kept, dropped = folder.create("read"), folder.create("kept"), folder.create("dropped")
        for partial in (read, kept, dropped):
            partial.hold(memoryview(content))
            assert partial.size == 100_000
        assert names(tmp_path) == []
        with os.fdopen(read.open_reader(), "rb") as reader:
            assert reader.read() == b""  # the descriptors share their position
            reader.seek(0)
            assert reader.read() == content
        read.commit()
        kept.commit()
        dropped.discard()
        content += b"all have let go of it"
    assert names(tmp_path) == ["kept", "read"]
    assert (tmp_path / "kept").read_bytes() == b"x" * 100_000


@pytest.mark.parametrize("size", [0, 10, 2 * FRAGMENT])
def test_discard_leaves_nothing(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with Folder(tmp_path) as folder:
        partial = folder.create("a")
        partial.write(b"x" * size)
        partial.discard()
        partial.discard()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_one_that_is_forgotten_leaves_nothing(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        partial = folder.create("a")
        partial.write(b"x" * 2 * FRAGMENT)
        assert len(names(tmp_path)) == 1
        del partial
        gc.collect()
        assert names(tmp_path) == []


def test_the_same_name_again_replaces_atomically(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        first, second = folder.create("a"), folder.create("a")
        first.write(b"1" * 2 * FRAGMENT)
        second.write(b"2" * 3 * FRAGMENT)
        first.commit()
        with open(tmp_path / "a", "rb") as reader:
            second.commit()
            assert reader.read() == b"1" * 2 * FRAGMENT  # who had it open still reads the old one, whole
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"2" * 3 * FRAGMENT


def test_a_symbolic_link_of_that_name_is_replaced_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").symlink_to(outside)
    with Folder(tmp_path / "in") as folder:
        partial = folder.create("a")
        partial.write(b"new")
        partial.commit()
    assert outside.read_bytes() == b"precious"
    assert not (tmp_path / "in" / "a").is_symlink()


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/b", "../a", "/etc/x", "a\0b", f"{TEMPORARY_PREFIX}a"])
def test_names_that_are_no_file_in_the_folder(tmp_path: Path, name: str) -> None:
    with Folder(tmp_path) as folder, pytest.raises(ValueError, match="not the name"):
        folder.create(name)
    assert names(tmp_path) == []


def test_the_folder_is_made(tmp_path: Path) -> None:
    with Folder(tmp_path / "x" / "y") as folder:
        folder.create("a").commit()
    assert names(tmp_path / "x" / "y") == ["a"]


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(OSError, match="x"):
        Folder(tmp_path / "x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        Folder(tmp_path / "x")


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:1000]))
    head, body = os.urandom(3000), os.urandom(FRAGMENT)
    with Folder(tmp_path) as folder:
        partial = folder.create("a")
        partial.write(head)
        partial.write(body)
        partial.write(body)
        partial.write(head)
        partial.commit()
    assert (tmp_path / "a").read_bytes() == head + body + body + head


class FullDisk:
    """os.write of a disk with room for `room` bytes: short writes, then ENOSPC."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        taken = bytes(data)[: self.room]
        if data and not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(taken)
        return self._write(fd, taken)


@pytest.mark.parametrize("room", [0, 10, FRAGMENT, 2 * FRAGMENT + 1])
def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    (tmp_path / "a").write_bytes(b"old")
    FullDisk(monkeypatch, room)
    with Folder(tmp_path) as folder:
        partial = folder.create("a")

        def receive() -> None:
            for _ in range(3):
                partial.write(b"x" * FRAGMENT)
            partial.commit()

        with pytest.raises(OSError, match="No space") as failure:
            receive()
        assert failure.value.errno == errno.ENOSPC
        assert names(tmp_path) == ["a"]
        partial.discard()
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_failing_commit_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Folder(tmp_path) as folder:
        partial = folder.create("a")
        partial.hold(memoryview(b"x"))
        with monkeypatch.context() as patched:
            failing(patched, errno.EIO)
            with pytest.raises(OSError, match="Input/output"):
                partial.commit()
        assert names(tmp_path) == []
        folder.create("b").commit()
    assert names(tmp_path) == ["b"]


def test_a_file_that_the_system_refuses_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    # A limit of this process is what the kernel enforces without a full disk: a short write, then EFBIG.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Folder(tmp_path) as folder:
        large = folder.create("large")
        large.hold(memoryview(b"x" * 100_000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                large.commit()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert names(tmp_path) == []


def test_leftovers_of_an_interrupted_process_are_removed(tmp_path: Path) -> None:
    script = (
        "import os, sys; from aiodicom.store.files import Folder; partial = Folder(sys.argv[1]).create('a');"
        "partial.write(b'x' * 1000000); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60)
    (left,) = names(tmp_path)
    assert left.startswith(TEMPORARY_PREFIX)
    (tmp_path / "whole.dcm").write_bytes(b"kept")
    (tmp_path / f"{TEMPORARY_PREFIX}notes").write_bytes(b"kept: not a name of ours")
    with Folder(tmp_path):
        assert names(tmp_path) == [f"{TEMPORARY_PREFIX}notes", "whole.dcm"]


def test_files_that_another_process_is_writing_stay(tmp_path: Path) -> None:
    # Locks of a folder belong to the descriptor: another Folder of this process is as good as another process.
    with Folder(tmp_path) as first:
        partial = first.create("a")
        partial.write(b"x" * 2 * FRAGMENT)
        with Folder(tmp_path) as second:
            partial.commit()
            second.create("b").commit()
    assert names(tmp_path) == ["a", "b"]


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr("fcntl.flock", no_locks)
    left = tmp_path / f"{TEMPORARY_PREFIX}x.part"
    left.write_bytes(b"may be somebody's")
    with Folder(tmp_path) as folder:
        folder.create("a").commit()
    assert left.exists()


def test_a_folder_that_is_made_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    path = tmp_path / "a" / "b" / "c"
    Folder(path).close()
    assert sorted(synced) == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    synced.clear()
    Folder(path).close()
    assert synced == []
