"""A log of segments: files that are only appended to, and deleted when nobody needs anything in them any more.

    log = SegmentLog("segments")
    places = log.append([Entry(1, b"what it is", data), ...])      # all on the disk when it returns
    log.read(places[0])

What is given together costs one fdatasync. Data that lies on pages goes to the disk from where it is, past the page
cache; the rest is copied together first. The log alone says what there is: after a crash, `records` finds all that was
on the disk, and what was not whole.

Nothing here knows an event loop: all calls block. `append` is for one thread; reading is for any.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from aiodicom.store.files import make_folder, sync_folder
from aiodicom.store.records import (
    ALIGNMENT,
    HEADER_SIZE,
    MOST_META,
    PAGE,
    DamagedRecord,
    Gap,
    Record,
    digest_of,
    encode_header,
    is_whole,
    round_up,
    scan,
)

__all__ = ["Entry", "Place", "SegmentLog"]

#: Bytes of what is copied together before it is written.
_STAGING: Final = 4 << 20
#: From this size on, data that lies on pages is written from there.
_LARGE: Final = 64 << 10
#: How many pieces of memory one call of the system takes: IOV_MAX is 1024.
_MOST_PIECES: Final = 512

_NAME: Final = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.segment")
_APPEND: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

# Replaced by tests that have a disk fail.
_write_pieces = os.pwritev
_sync_data = getattr(os, "fdatasync", os.fsync)


class Entry(NamedTuple):
    """What is to be appended."""

    id: int
    #: Up to 64 KiB that say what the data is.
    meta: bytes
    data: bytes | memoryview


class Place(NamedTuple):
    """Where data is."""

    segment: int
    #: bytes from the beginning of the segment
    offset: int
    #: bytes
    size: int
    digest: int


class SegmentLog:
    """Segments in a folder, which it creates when it is missing. Each number is used once, by one process.

    An append that fails raises OSError, and nothing of it is there: what may have reached the disk is cut off, and the
    segment is not used any more, because a disk that could not sync once may say that it has while it has not. The next
    append begins another segment.

    Without `is_synced`, what is appended survives the process, but perhaps not the machine.

    Invariants: `_descriptor` is the segment that is appended to, or -1; up to `_end` of it is on the disk. The segments
    in `_keys` have a file each.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, segment_size: int = 64 << 20, is_synced: bool = True
    ) -> None:
        self.path = os.fspath(directory)
        make_folder(self.path)
        #: Bytes from which on a segment is not appended to any more. Deleting a larger one may hold up the disk for as
        #: long as many syncs.
        self.segment_size = segment_size
        self._is_synced = is_synced
        self._keys = {
            int(match[1], 16): int(match[2], 16) for name in os.listdir(self.path) if (match := _NAME.fullmatch(name))
        }
        self._current = max(self._keys, default=0)
        self._descriptor = -1
        self._end = 0
        self._staging = memoryview(mmap.mmap(-1, _STAGING))

    @property
    def current(self) -> int:
        """The segment that is appended to, or the last one that was; 0 when there has been none."""
        return self._current

    @property
    def end(self) -> int:
        """Bytes of the current segment that are on the disk."""
        return self._end

    @property
    def is_open(self) -> bool:
        """Whether the current segment will be appended to."""
        return self._descriptor >= 0

    @property
    def segments(self) -> list[int]:
        """The segments that there are, the oldest first."""
        return sorted(self._keys)

    def begin_after(self, number: int) -> None:
        """Makes the next segments have numbers above `number`, which others have known."""
        self._current = max(self._current, number)

    def append(self, entries: Sequence[Entry]) -> list[Place]:
        """Appends data, and returns where it is when all is on the disk. Raises OSError, ValueError for too much
        meta.
        """
        for entry in entries:
            if len(entry.meta) > MOST_META:
                raise ValueError(f"{len(entry.meta)} bytes are too many to say what the data is")
        if self._descriptor < 0 or self._end >= self.segment_size:
            self._begin_segment()
        key = self._keys[self._current]
        writing = _Writing(self._descriptor, self._end, self._staging)
        places = []
        try:
            for entry in entries:
                offset, digest = writing.add(key, entry)
                places.append(Place(self._current, offset, len(entry.data), digest))
            end = writing.finish()
            if self._is_synced:
                _sync_data(self._descriptor)
        except BaseException:
            self._give_up()
            raise
        self._end = end
        return places

    def seal(self) -> None:
        """Has the next append begin a segment."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def open(self, segment: int) -> int:
        """Returns a descriptor to read a segment by, the caller's own. Raises OSError, FileNotFoundError if it is
        gone.
        """
        key = self._keys.get(segment)
        if key is None:
            raise FileNotFoundError(2, "the segment is gone", f"{self.path}/{segment:016x}")
        return os.open(self._path(segment, key), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def read(self, place: Place) -> bytes:
        """Returns data. Raises OSError, DamagedRecord when it is not what was written."""
        descriptor = self.open(place.segment)
        try:
            data = os.pread(descriptor, place.size, place.offset)
        finally:
            os.close(descriptor)
        if len(data) != place.size or digest_of(data) != place.digest:
            raise DamagedRecord(errno.EIO, f"{place.size} bytes at {place.offset} of segment {place.segment:x}")
        return data

    def records(self, segment: int, start: int = 0) -> Iterator[tuple[Record | Gap, bool]]:
        """Goes through what a segment holds from `start` on, where a record begins or has ended.

        With each record comes whether its data is whole. Raises OSError.
        """
        key = self._keys[segment]
        descriptor = self.open(segment)
        try:
            for found in scan(descriptor, key, start, os.fstat(descriptor).st_size):
                yield found, isinstance(found, Record) and is_whole(descriptor, found)
        finally:
            os.close(descriptor)

    def headers(self, segment: int, start: int = 0) -> Iterator[Record | Gap]:
        """As `records`, and looks at no data."""
        key = self._keys[segment]
        descriptor = self.open(segment)
        try:
            yield from scan(descriptor, key, start, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def size(self, segment: int) -> int:
        """Bytes of the file of a segment. Raises OSError."""
        return os.stat(self._path(segment, self._keys[segment])).st_size

    def cut(self, segment: int, size: int) -> None:
        """Cuts a segment that is not appended to, and has that on the disk. Raises OSError."""
        descriptor = os.open(self._path(segment, self._keys[segment]), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, segment: int) -> None:
        """Deletes a segment; who has it open can read on. Raises OSError."""
        if segment == self._current:
            self.seal()
        os.unlink(self._path(segment, self._keys[segment]))
        del self._keys[segment]

    def close(self) -> None:
        """Nothing more is appended."""
        self.seal()

    def _begin_segment(self) -> None:
        self.seal()
        number, key = self._current + 1, secrets.randbits(64)
        path = self._path(number, key)
        descriptor = os.open(path, _APPEND, 0o600)
        try:
            sync_folder(self.path)
        except BaseException:
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(path)
            raise
        self._keys[number] = key
        self._current, self._descriptor, self._end = number, descriptor, 0
        _pass_cache(descriptor)

    def _give_up(self) -> None:
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._end)
        self.seal()

    def _path(self, segment: int, key: int) -> str:
        return f"{self.path}/{segment:016x}-{key:016x}.segment"


class _Writing:
    """What is appended together, from `at` on, a multiple of a page.

    Invariants: `_pieces` are whole pages, to be written at `_written`, but for what was copied last: that is in
    `_staging` from `_begun` to `_used`. `_at` is where the next byte goes.
    """

    def __init__(self, descriptor: int, at: int, staging: memoryview) -> None:
        self._descriptor = descriptor
        self._staging = staging
        self._pieces: list[memoryview] = []
        self._begun = self._used = 0
        self._written = self._at = at

    def add(self, key: int, entry: Entry) -> tuple[int, int]:
        """Takes a record; returns where its data begins, and its digest."""
        view = memoryview(entry.data).cast("B")
        digest = digest_of(view)
        self._pad(ALIGNMENT)
        at, offset = self._at, self._at + HEADER_SIZE + len(entry.meta)
        whole = 0
        if len(view) >= _LARGE and not _address(view) % PAGE:
            whole = len(view) & -PAGE
            offset = round_up(offset, PAGE)
        self._copy(encode_header(key, entry.id, entry.meta, offset - at, len(view), digest))
        self._copy(entry.meta)
        if whole:
            self._pad(PAGE)
            self._take(view[:whole])
        self._copy(view[whole:])
        return offset, digest

    def finish(self) -> int:
        """Writes what has not been written, and returns where that ends, on a page."""
        self._pad(PAGE)
        self._flush()
        return self._at

    def _copy(self, data: bytes | memoryview) -> None:
        done = 0
        while done < len(data):
            if self._used == len(self._staging):
                self._flush()
            size = min(len(data) - done, len(self._staging) - self._used)
            self._staging[self._used : self._used + size] = data[done : done + size]
            self._used += size
            self._at += size
            done += size

    def _pad(self, multiple: int) -> None:
        self._copy(bytes(-self._at % multiple))

    def _take(self, view: memoryview) -> None:
        self._end_copied()
        self._pieces.append(view)
        self._at += len(view)
        if len(self._pieces) >= _MOST_PIECES:
            self._flush()

    def _end_copied(self) -> None:
        if self._begun < self._used:
            self._pieces.append(self._staging[self._begun : self._used])
            self._begun = self._used

    def _flush(self) -> None:
        self._end_copied()
        pieces, self._pieces = self._pieces, []
        self._begun = self._used = 0
        at, self._written = self._written, self._at
        while pieces:
            done = self._write(pieces, at)
            at += done
            while pieces and done >= len(pieces[0]):
                done -= len(pieces.pop(0))
            if pieces and done:
                pieces[0] = pieces[0][done:]
                if done % PAGE:
                    _use_cache(self._descriptor)

    def _write(self, pieces: list[memoryview], at: int) -> int:
        try:
            return _write_pieces(self._descriptor, pieces, at)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        # What the file system wants the memory and the sizes to be a multiple of is more than a page.
        _use_cache(self._descriptor)
        return _write_pieces(self._descriptor, pieces, at)


def _address(view: memoryview) -> int:
    import numpy as np

    return int(np.frombuffer(view, np.uint8).__array_interface__["data"][0])


def _pass_cache(descriptor: int) -> None:
    """From here on the disk takes data from where it is, if the file system has that."""
    import fcntl

    if hasattr(os, "O_DIRECT"):
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_DIRECT)


def _use_cache(descriptor: int) -> None:
    import fcntl

    fcntl.fcntl(descriptor, fcntl.F_SETFL, 0)
