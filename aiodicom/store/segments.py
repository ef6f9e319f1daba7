"""A log of segments: files that are only appended to, and deleted when nobody needs anything in them any more.

    log = SegmentLog("segments")
    places = log.append([Entry(1, b"what it is", data), ...])      # all on the disk when it returns
    log.read(places[0])

What is given together costs one fdatasync. Data that lies on pages goes to the disk from where it is, past the page
cache; the rest is copied together first. The log alone says what there is: after a crash, `records` finds all that was
on the disk, and what was not whole.

Nothing here knows an event loop. Calls block, but for `begin` and `finish`. Appending is for one thread; reading is for
any.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from aiodicom.store._writers import AppendJob
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

__all__ = ["Append", "Entry", "Place", "SegmentLog"]

#: From this size on, data that lies on pages is written from there.
_LARGE: Final = 64 << 10
_ZEROS: Final = bytes(PAGE)

_NAME: Final = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.segment")
_APPEND: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


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


class Append(NamedTuple):
    """What is appended together, on its way to the disk."""

    #: To be run, or given to `Writers`.
    job: AppendJob
    #: Where the data is when that is done.
    places: list[Place]
    #: Where it begins and ends, in bytes from the beginning of the segment.
    begin: int
    end: int
    target: _Target


class _Target:
    """A segment that is appended to, or was and still is on its way to the disk."""

    __slots__ = ("at", "descriptor", "end", "has_failed", "is_sealed", "key", "number", "running")

    def __init__(self, number: int, key: int, descriptor: int) -> None:
        self.number = number
        self.key = key
        self.descriptor = descriptor
        #: Where the next append begins; and bytes that are on the disk.
        self.at = self.end = 0
        #: Appends on their way.
        self.running = 0
        self.is_sealed = descriptor < 0
        self.has_failed = False

    def let_go(self) -> None:
        """Closes the file when nothing more happens to it; what may have reached it of what failed is cut off."""
        if not self.is_sealed or self.running or self.descriptor < 0:
            return
        if self.has_failed:
            with suppress(OSError):
                os.ftruncate(self.descriptor, self.end)
        os.close(self.descriptor)
        self.descriptor = -1


class SegmentLog:
    """Segments in a folder, which it creates when it is missing. Each number is used once, by one process.

    An append that fails raises OSError, and nothing of it is there: what may have reached the disk is cut off, and the
    segment is not used any more, because a disk that could not sync once may say that it has while it has not. The next
    append begins another segment.

    Without `is_synced`, what is appended survives the process, but perhaps not the machine.

    `begin` and `finish` are for who does not want to wait: what `begin` returns has its job run by others, several at a
    time, and is given to `finish` in the order of the beginning. `make_next` has the file of the next segment ready, so
    that `begin` does not wait for the disk.

    Invariants: `_target` is the segment that is appended to, or the last one that was. The segments in `_keys` have a
    file each, and so has `_next`.
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
        self._target = _Target(max(self._keys, default=0), 0, -1)
        self._next: _Target | None = None

    @property
    def current(self) -> int:
        """The segment that is appended to, or the last one that was; 0 when there has been none."""
        return self._target.number

    @property
    def end(self) -> int:
        """Bytes of the current segment that are on the disk."""
        return self._target.end

    @property
    def begun(self) -> int:
        """Bytes of the current segment that are on the disk, or on their way there."""
        return self._target.at

    @property
    def is_open(self) -> bool:
        """Whether the current segment will be appended to."""
        return not self._target.is_sealed

    @property
    def wants_next(self) -> bool:
        """Whether it is time for `make_next`."""
        return self._next is None and self.is_open and self._target.at >= self.segment_size // 2

    @property
    def must_have_next(self) -> bool:
        """Whether `begin` would have to make the file of a segment."""
        return self._next is None and not self._has_room

    @property
    def _has_room(self) -> bool:
        return self.is_open and self._target.at < self.segment_size

    @property
    def segments(self) -> list[int]:
        """The segments that there are, the oldest first."""
        return sorted(self._keys)

    def begin_after(self, number: int) -> None:
        """Makes the next segments have numbers above `number`, which others have known. For the beginning."""
        if number > self._target.number:
            self._target = _Target(number, 0, -1)

    def append(self, entries: Sequence[Entry]) -> list[Place]:
        """Appends data, and returns where it is when all is on the disk. Raises OSError, ValueError for too much
        meta.
        """
        append = self.begin(entries)
        append.job.run()
        self.finish(append)
        return append.places

    def begin(self, entries: Sequence[Entry]) -> Append:
        """Begins to append data. Raises OSError where a segment is to be made and cannot be, ValueError for too much
        meta.
        """
        for entry in entries:
            if len(entry.meta) > MOST_META:
                raise ValueError(f"{len(entry.meta)} bytes are too many to say what the data is")
        if not self._has_room:
            self._begin_segment()
        target = self._target
        layout = _Layout(target.at)
        places = []
        for entry in entries:
            offset, digest = layout.add(target.key, entry)
            places.append(Place(target.number, offset, len(entry.data), digest))
        begin, end = target.at, layout.end()
        job = AppendJob(target.descriptor, begin, layout.parts, sync=self._is_synced)
        target.at = end
        target.running += 1
        return Append(job, places, begin, end, target)

    def finish(self, append: Append) -> None:
        """Ends an append whose job is done. Raises OSError; then nothing of it is there, nor of what was begun after
        it in the same segment.
        """
        target, error = append.target, append.job.result
        target.running -= 1
        if error or target.has_failed:
            target.has_failed = target.is_sealed = True
        else:
            target.end = append.end
        target.let_go()
        if target.has_failed:
            number = error or errno.EIO
            raise OSError(number, os.strerror(number))

    def seal(self) -> None:
        """Has the next append begin a segment."""
        self._target.is_sealed = True
        self._target.let_go()

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
        if segment == self._target.number:
            self.seal()
        os.unlink(self._path(segment, self._keys[segment]))
        del self._keys[segment]

    def make_next(self) -> None:
        """Makes the file of the next segment, for any thread, but not while `begin` is called. Raises OSError."""
        number, key = self._target.number + 1, secrets.randbits(64)
        path = self._path(number, key)
        descriptor = os.open(path, _APPEND, 0o600)
        try:
            sync_folder(self.path)
        except BaseException:
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(path)
            raise
        _pass_cache(descriptor)
        self._next = _Target(number, key, descriptor)

    def close(self) -> None:
        """Nothing more is appended."""
        self.seal()
        if self._next is not None:
            os.close(self._next.descriptor)
            with suppress(OSError):
                os.unlink(self._path(self._next.number, self._next.key))
            self._next = None

    def _begin_segment(self) -> None:
        self.seal()
        if self._next is None:
            self.make_next()
        assert self._next is not None
        self._target, self._next = self._next, None
        self._keys[self._target.number] = self._target.key

    def _path(self, segment: int, key: int) -> str:
        return f"{self.path}/{segment:016x}-{key:016x}.segment"


class _Layout:
    """What is appended together, part after part, from `at` on, a multiple of a page."""

    __slots__ = ("at", "parts")

    def __init__(self, at: int) -> None:
        self.at = at
        self.parts: list[bytes | memoryview] = []

    def add(self, key: int, entry: Entry) -> tuple[int, int]:
        """Takes a record; returns where its data begins, and its digest."""
        view = memoryview(entry.data).cast("B")
        size = len(view)
        digest = digest_of(view)
        self._pad(ALIGNMENT)
        begin, offset = self.at, self.at + HEADER_SIZE + len(entry.meta)
        is_large = size >= _LARGE and not _address(view) % PAGE
        if is_large:
            offset = round_up(offset, PAGE)
        self.parts += encode_header(key, entry.id, entry.meta, offset - begin, size, digest), entry.meta
        self.at += HEADER_SIZE + len(entry.meta)
        if is_large:
            self._pad(PAGE)
            whole = size & -PAGE
            self.parts += view[:whole], view[whole:]
        else:
            self.parts.append(view)
        self.at += size
        return offset, digest

    def end(self) -> int:
        """Returns where it ends, on a page."""
        self._pad(PAGE)
        return self.at

    def _pad(self, multiple: int) -> None:
        if short := -self.at % multiple:
            self.parts.append(_ZEROS[:short])
            self.at += short


def _address(view: memoryview) -> int:
    import numpy as np

    return int(np.frombuffer(view, np.uint8).__array_interface__["data"][0])


def _pass_cache(descriptor: int) -> None:
    """From here on the disk takes data from where it is, if the file system has that."""
    import fcntl

    if hasattr(os, "O_DIRECT"):
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_DIRECT)
