"""The format of a segment: records one after another, each of which says how long it is and proves what it holds.

A record is a header, what its writer has to say of the data (`meta`), and the data. It begins on a multiple of
`ALIGNMENT` right behind the one before it; or, where that is the end of what was written together or the data is to lie
on pages, on the next page. What is between is zero.

    offset  size
    0       4     magic
    4       4     bytes of the meta
    8       8     id
    16      8     bytes of the data
    24      8     digest of the data
    32      4     where the data begins, from the beginning of the header
    36      4     zero
    40      8     digest of the header without this, and of the meta

Numbers are little endian. Digests are XXH3 of 64 bits: 30 GB/s on one core where CRC-32 is 1.5, and good enough to tell
that a disk, a crash or a bug changed something; they are no proof against who wants to deceive. That of a header has
the segment's random key as its seed, so that no data that a peer sends can be taken for a record.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from xxhash import xxh3_64, xxh3_64_intdigest

__all__ = [
    "ALIGNMENT",
    "HEADER_SIZE",
    "MOST_META",
    "PAGE",
    "DamagedRecord",
    "Gap",
    "Record",
    "digest_of",
    "encode_header",
    "is_whole",
    "read_record",
    "round_up",
    "scan",
]

_HEADER: Final = struct.Struct("<4sIQQQI4xQ")
_MAGIC: Final = b"aDR1"

HEADER_SIZE: Final = _HEADER.size
#: Bytes: what disks are written in, without reading what was there.
PAGE: Final = 4096
#: Bytes: where records may begin.
ALIGNMENT: Final = 16
#: Bytes: the longest meta.
MOST_META: Final = 1 << 16

#: Bytes from which on xxhash lets go of the interpreter's lock; and bytes up to which that is not worth while: to get
#: it back beside a busy event loop may take a hundred times as long as to hold it for so many.
_HELD_UP: Final = 64 << 10
_HOLDING: Final = 1 << 20

#: Bytes of data that are read at a time to be checked.
_CHUNK: Final = 4 << 20


class DamagedRecord(OSError):
    """The bytes of a record are not those that were written: EIO."""


class Record(NamedTuple):
    """A record in its file."""

    #: where its header begins, in bytes from the beginning of the file
    at: int
    id: int
    meta: bytes
    #: where its data begins, and how many bytes it is
    offset: int
    size: int
    digest: int

    @property
    def end(self) -> int:
        """Where the next record may begin."""
        return round_up(self.offset + self.size, ALIGNMENT)


class Gap(NamedTuple):
    """Bytes that are no record where there should be one."""

    at: int
    end: int
    #: Whether no record follows.
    is_tail: bool


def round_up(value: int, multiple: int) -> int:
    """Returns the first multiple of `multiple`, a power of two, that is not below `value`."""
    return (value + multiple - 1) & -multiple


def digest_of(data: bytes | memoryview) -> int:
    """Returns the digest of data, 64 bits."""
    if not _HELD_UP < len(data) <= _HOLDING:
        return xxh3_64_intdigest(data)
    view = memoryview(data)
    digest = xxh3_64()
    for at in range(0, len(view), _HELD_UP):
        digest.update(view[at : at + _HELD_UP])
    return digest.intdigest()


def encode_header(key: int, id: int, meta: bytes, data_at: int, size: int, digest: int) -> bytes:
    """Returns the header of a record of the segment with this key."""
    fields = _HEADER.pack(_MAGIC, len(meta), id, size, digest, data_at, 0)[:-8]
    return fields + struct.pack("<Q", xxh3_64_intdigest(fields + meta, key))


def read_record(descriptor: int, key: int, at: int) -> Record | None:
    """Returns the record whose header is at `at`, or None where there is no header that is whole.

    Its data is not looked at. Raises OSError.
    """
    read = os.pread(descriptor, PAGE, at)
    if len(read) < HEADER_SIZE or not read.startswith(_MAGIC):
        return None
    _, meta_size, id, size, digest, data_at, check = _HEADER.unpack_from(read)
    if meta_size > MOST_META or data_at < HEADER_SIZE + meta_size:
        return None
    end = HEADER_SIZE + meta_size
    if end > len(read):
        read = os.pread(descriptor, end, at)
    meta = read[HEADER_SIZE:end]
    if xxh3_64_intdigest(read[: HEADER_SIZE - 8] + meta, key) != check:
        return None
    return Record(at, id, meta, at + data_at, size, digest)


def scan(descriptor: int, key: int, start: int, end: int) -> Iterator[Record | Gap]:
    """Goes through the records between `start`, where one begins, and `end`; their data is not looked at.

    Raises OSError.
    """
    at = start
    while at < end:
        record = read_record(descriptor, key, at)
        if record is None and at % PAGE:
            # The end of what was written together, or of what is whole.
            boundary = min(round_up(at, PAGE), end)
            if not any(os.pread(descriptor, boundary - at, at)):
                at = boundary
                continue
        if record is not None and record.offset + record.size <= end:
            yield record
            at = record.end
            continue
        found = _next_record(descriptor, key, at, end)
        yield Gap(at, found, found == end)
        at = found


def _next_record(descriptor: int, key: int, after: int, end: int) -> int:
    """Where the next page is with which a whole record begins; `end` if none does."""
    for at in range(round_up(after + 1, PAGE), end, PAGE):
        record = read_record(descriptor, key, at)
        if record is not None and record.offset + record.size <= end:
            return at
    return end


def is_whole(descriptor: int, record: Record) -> bool:
    """Whether the data of a record is what was written. Reads all of it; what the disk cannot read (EIO) is not whole.

    Raises OSError.
    """
    digest = xxh3_64()
    offset, rest = record.offset, record.size
    while rest:
        try:
            read = os.pread(descriptor, min(rest, _CHUNK), offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        if not read:
            return False
        digest.update(read)
        offset += len(read)
        rest -= len(read)
    return digest.intdigest() == record.digest
