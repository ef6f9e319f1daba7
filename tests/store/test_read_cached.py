"""Files read from the page cache, into memory that is used again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from aiodicom.store._files import read_cached

CONTENT = bytes(range(256)) * 1024


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


def read(descriptor: int, size: int, offset: int) -> memoryview:
    view = read_cached(descriptor, size, offset)
    assert view is not None, "what has just been written is in the page cache"
    return view


def address_of(view: memoryview) -> int:
    return int(numpy.frombuffer(view, "u1").__array_interface__["data"][0])


@pytest.mark.parametrize(("size", "offset"), [(0, 0), (1, 255), (1000, 3), (1 << 16, 1), (len(CONTENT), 0)])
def test_what_is_there(descriptor: int, size: int, offset: int) -> None:
    view = read(descriptor, size, offset)
    assert view == CONTENT[offset : offset + size]
    assert view.readonly
    assert (view.format, view.nbytes) == ("B", size)


def test_what_is_not_there(descriptor: int) -> None:
    assert read_cached(descriptor, 2, len(CONTENT) - 1) is None
    assert read_cached(descriptor, len(CONTENT) + 1, 0) is None
    assert read_cached(-1, 1, 0) is None


def test_large_memory_is_used_again_when_nobody_looks_at_it(descriptor: int) -> None:
    first = read(descriptor, 100_000, 0)
    part = first[10:20]
    address = address_of(first)
    del first
    other = read(descriptor, 100_000, 1)
    assert address_of(other) != address
    assert part == CONTENT[10:20]
    del part
    again = read(descriptor, 100_000, 2)
    assert address_of(again) == address
    assert again == CONTENT[2:100_002]
