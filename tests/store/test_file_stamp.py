"""Which file it is, and in what state: the same as `os.stat` tells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiodicom.store._files import file_stamp


def told(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns


def test_of_a_path_and_of_an_open_file(tmp_path: Path) -> None:
    path = tmp_path / "gr\u00f6\u00dfe"
    path.write_bytes(b"12345")
    with path.open("rb") as file:
        stamps = [file_stamp(each) for each in (path, os.fspath(path), os.fsencode(path), file.fileno())]
    assert stamps == [told(path.stat())] * 4
    path.write_bytes(b"123456")
    assert file_stamp(path) == told(path.stat()) != stamps[0]


def test_of_none(tmp_path: Path) -> None:
    path = tmp_path / "none"
    with pytest.raises(FileNotFoundError) as caught:
        file_stamp(path)
    assert caught.value.filename == path
    with pytest.raises(OSError, match="descriptor"):
        file_stamp(-1)
    with pytest.raises(TypeError):
        file_stamp(None)  # type: ignore[arg-type]
