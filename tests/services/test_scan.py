"""What storescu finds in folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiodicom.net.sources import KnownFile
from aiodicom.part10.meta import encode_file_meta
from aiodicom.services.scan import Unusable, scan
from aiodicom.store.files import TEMPORARY_PREFIX

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def put(path: Path, uid: str = "1.2.3", sop_class: str = CT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_file_meta(sop_class, uid, EXPLICIT) + b"\x08\0\x05\0CS\0\0")
    return path


def test_folders_recursively_and_sorted(tmp_path: Path) -> None:
    names = ["b", "a/z", "a/b/c/d", "c/x", "a/b/a", "B", "a.dcm", "10", "9"]
    for number, name in enumerate(names):
        put(tmp_path / name, f"1.2.{number}")
    found = [entry.path for entry in scan([str(tmp_path)])]
    expected = ["10", "9", "B", "a/b/a", "a/b/c/d", "a/z", "a.dcm", "b", "c/x"]
    assert [os.path.relpath(path, tmp_path) for path in found] == expected


def test_what_is_found(tmp_path: Path) -> None:
    path = put(tmp_path / "a", "1.2.77")
    (found,) = scan([str(path)])
    assert isinstance(found, KnownFile)
    assert found.meta[:3] == (CT, "1.2.77", EXPLICIT)
    assert found.size == path.stat().st_size == found.meta.data_offset + 8


def test_what_is_still_being_received_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "in" / f"{TEMPORARY_PREFIX}0123-1.part")
    whole = put(tmp_path / "in" / "1.2.3.dcm")
    assert [entry.path for entry in scan([str(tmp_path)])] == [str(whole)]


def test_paths_in_the_order_given(tmp_path: Path) -> None:
    first, second = put(tmp_path / "b"), put(tmp_path / "a")
    assert [entry.path for entry in scan([str(first), str(second), str(first)])] == list(
        map(str, (first, second, first))
    )


@pytest.mark.parametrize(
    ("content", "broken"),
    [
        (b"", False),
        (b"text", False),
        (b"\x7fELF" + bytes(1000), False),
        (bytes(128) + b"DICM", True),
        (bytes(128) + b"DICM" + b"\2\0\1\0OB\0\0\xff\xff\xff\xff", True),
    ],
)
def test_what_cannot_be_sent(tmp_path: Path, content: bytes, broken: bool) -> None:
    (tmp_path / "a").write_bytes(content)
    put(tmp_path / "b")
    unusable, found = scan([str(tmp_path)])
    assert isinstance(unusable, Unusable)
    assert unusable.broken is broken
    assert isinstance(found, KnownFile)


def test_a_dicomdir_is_no_object(tmp_path: Path) -> None:
    put(tmp_path / "DICOMDIR", sop_class="1.2.840.10008.1.3.10")
    (entry,) = scan([str(tmp_path)])
    assert isinstance(entry, Unusable)
    assert "DICOMDIR" in entry.reason


def test_links_and_other_kinds_of_files(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "in" / "a")
    (tmp_path / "in" / "ring").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "broken").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "in" / "fifo")
    assert [os.path.basename(entry.path) for entry in scan([str(tmp_path / "in")])] == ["a", "link"]
    (tmp_path / "folder").symlink_to(tmp_path / "in")
    assert len(list(scan([str(tmp_path / "folder")]))) == 2


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a" / "x")
    put(tmp_path / "b")
    put(tmp_path / "c")
    open_file, list_folder = os.open, os.scandir

    def refuse_b(path: str, flags: int) -> int:
        if path.endswith("b"):
            raise PermissionError(13, "Permission denied", path)
        return open_file(path, flags)

    def refuse_a(path: str) -> object:
        if path.endswith("a"):
            raise PermissionError(13, "Permission denied", path)
        return list_folder(path)

    monkeypatch.setattr(os, "open", refuse_b)
    monkeypatch.setattr(os, "scandir", refuse_a)
    folder, file, found = scan([str(tmp_path)])
    assert folder == Unusable(str(tmp_path / "a"), "the folder cannot be read", True)
    assert file == Unusable(str(tmp_path / "b"), "Permission denied", True)
    assert isinstance(found, KnownFile)


def test_folders_deeper_than_the_interpreter_recurses(tmp_path: Path) -> None:
    # Names of one letter, so that 1,500 of them stay within the longest path that the system takes.
    folders = [str(tmp_path) + "/a" * depth for depth in range(1, 1501)]
    for folder in folders:
        os.mkdir(folder)
    file = put(Path(folders[-1]) / "f")
    try:
        assert len(list(scan([str(tmp_path)]))) == 1
    finally:
        file.unlink()
        for folder in reversed(folders):  # pytest's own clean-up recurses
            os.rmdir(folder)
