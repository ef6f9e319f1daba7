"""A shard of the queue: its bytes, its rows, and that they agree, whatever happens.

The segments are what lasts: an object is on the disk, with all that its rows say, when `write` returns, by one
fdatasync for all that were written together. Its rows are committed without waiting for the disk (`commit`, or `note`
together with what has become of it meanwhile). What has no rows when the process or the machine dies gets them from the
segments, whose records know more than `Segment.indexed` says. What is lost for good is that something was delivered: it
is delivered again.

A segment is deleted when no object in it is needed, and when that is on the disk.

For two threads: what writes to segments (`write`, `copy`, their beginnings and ends, `known`, `seal`) is for one,
everything else for the other, but `make_next`, `remove`, `positions` and `read`.
Nothing here asks what time it is.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from aiodicom.router.queue.objects import Duplicates, Failure, Incoming, Lease, State
from aiodicom.router.queue.ownership import Ownership
from aiodicom.router.queue.rows import Rows, Stored, known_uids
from aiodicom.router.queue.schema import open_to_read, sync_index
from aiodicom.router.queue.upkeep import (
    Segment,
    begin_removing,
    forget_segments,
    give_up,
    move,
    segments_of,
)
from aiodicom.store.records import DamagedRecord, Gap, Record
from aiodicom.store.segments import Append, Entry, Place, SegmentLog

__all__ = ["Arrival", "Copied", "Group", "Read", "Shard", "Writing", "encode_meta"]

_log = logging.getLogger(__name__)

#: Bits of an object's number that count within a generation.
_COUNTED: Final = 40
#: Records that get their rows in one transaction after a crash.
_BATCH: Final = 1000
#: A segment of which less than this part is needed is copied together with others.
_SPARSE: Final = 0.5

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Incoming).decode


def encode_meta(incoming: Incoming) -> bytes:
    """Returns what is kept with the bytes of an object. Raises ValueError for what is no text."""
    return _encode(incoming)


class Arrival(NamedTuple):
    """An object to be queued."""

    incoming: Incoming
    #: What `encode_meta` has made of that.
    meta: bytes
    data: bytes | memoryview


class Writing(NamedTuple):
    """Objects on their way to the disk."""

    append: Append
    stored: list[Stored]


class Group(NamedTuple):
    """Objects that were written together."""

    stored: list[Stored]
    segment: int
    #: Up to where the segment is on the disk.
    end: int
    #: The SOP Instance UIDs among theirs that objects with rows have; None where that is not known.
    known: Set[str] | None = frozenset()
    #: What was leased of them before they have rows, by object and number.
    leases: Mapping[tuple[int, int], Lease] = MappingProxyType({})


class Read(NamedTuple):
    """Records of a segment, to be copied."""

    source: int
    #: How many of the positions have been done.
    done: int
    entries: list[Entry]
    #: Objects whose bytes cannot be read there.
    unreadable: list[int]


class Copied(NamedTuple):
    """Objects that were copied from a segment that holds few."""

    source: int
    #: How many of the positions have been done.
    done: int
    moved: list[tuple[int, Place]]
    #: Objects whose bytes cannot be read there.
    unreadable: list[int]
    segment: int
    end: int


class Shard:
    """Opens the shard in a folder, adopts what its last owner has left, and brings rows and segments together.

    Raises ShardInUse, OSError, sqlite3.Error. What was found broken is in `findings`, and logged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        duplicates: Duplicates = Duplicates.DROP_WAITING,
        segment_size: int = 64 << 20,
        is_synced: bool = True,
        now: float = 0.0,
    ) -> None:
        self._owner = Ownership(path)
        try:
            self.path = self._owner.path
            #: What was not as it should be when it was opened, for people.
            self.findings: list[str] = []
            self.log = SegmentLog(f"{self.path}/segments", segment_size=segment_size, is_synced=is_synced)
            self._index = f"{self.path}/index.db"
            self.rows = self._open_rows(duplicates)
            try:
                self._recover(now)
                (highest,) = self.rows.connection.execute("SELECT coalesce(max(id), 0) FROM objects").fetchone()
                self._owner.begin(max(self._owner.generation, highest >> _COUNTED) + 1)
                #: For the thread that writes.
                self._seen = open_to_read(self._index)
            except BaseException:
                self.rows.close()
                raise
        except BaseException:
            self._owner.release()
            raise
        self._counted = 0
        #: The segments before this have all their rows.
        self._committed = self.log.current + 1
        #: The last segment that was sealed before it was full, and its bytes.
        self._sealed = (0, 0)
        #: By destination, and then by object and number.
        self._leases: dict[str, dict[tuple[int, int], Lease]] = {}

    @property
    def generation(self) -> int:
        """How many owners the shard has had, this one included."""
        return self._owner.generation

    def close(self) -> None:
        """Lets others have the shard. What is leased waits again."""
        self.log.close()
        self._seen.close()
        self.rows.close()
        self._owner.release()

    # In.

    def write(self, arrivals: Sequence[Arrival]) -> Group:
        """Has objects on the disk, and looks whether they have come before. Raises OSError; then none of them is."""
        writing = self.begin(arrivals)
        writing.append.job.run()
        return self.end(writing, self.known(writing))

    def begin(self, arrivals: Sequence[Arrival]) -> Writing:
        """Begins that: its job is to be run, and then it is to be given to `end`, in the order of the beginning, with
        what was `known` meanwhile. Raises OSError.
        """
        first = (self.generation << _COUNTED) + self._counted
        self._counted += len(arrivals)
        entries = [Entry(id, arrival.meta, arrival.data) for id, arrival in enumerate(arrivals, first)]
        append = self.log.begin(entries)
        stored = [
            Stored(entry.id, arrival.incoming, place)
            for entry, arrival, place in zip(entries, arrivals, append.places, strict=True)
        ]
        return Writing(append, stored)

    def end(self, writing: Writing, known: Set[str] | None) -> Group:
        """Returns what is on the disk then. Raises OSError."""
        append, stored = writing
        self.log.finish(append)
        return Group(stored, append.target.number, append.end, known)

    def make_next(self) -> None:
        """Has a segment ready for what comes after the current one. Raises OSError."""
        self.log.make_next()

    def known(self, writing: Writing) -> Set[str] | None:
        """Returns the SOP Instance UIDs among theirs that objects with rows have; None where that is not known."""
        if self.rows.duplicates is Duplicates.FORWARD:
            return frozenset()
        try:
            return known_uids(self._seen, [stored.incoming.sop_instance_uid for stored in writing.stored])
        except sqlite3.Error:  # as whoever writes rows will hear
            return None

    def commit(self, group: Group, now: float) -> set[int]:
        """Gives what was written its rows, in the order of writing; returns the objects that were not queued, as
        duplicates.

        Raises sqlite3.Error: then nobody is to be told that they are queued.
        """
        return self.note([group], (), (), now)

    def note(
        self, groups: Sequence[Group], delivered: Sequence[Lease], failed: Sequence[Failure], now: float
    ) -> set[int]:
        """Gives groups their rows, as `commit` does, and says what has become of leases, which have ended then.

        What was leased before it has rows and is not settled yet stays leased. Raises sqlite3.Error: then all is as it
        was before.
        """
        leases = {key: lease for group in groups for key, lease in group.leases.items()}
        ended = {key for lease in delivered if (key := lease[:2]) in leases}
        stored = [_with_states(each, leases, ended) for group in groups for each in group.stored]
        rest = [lease for lease in delivered if lease[:2] not in ended]
        with self.noticing_damage():
            dropped = self.rows.note(stored, _indexed(groups), rest, failed, now)
        for key, lease in leases.items():
            if key not in ended:
                self._leases.setdefault(lease.destination, {})[key] = lease
        self.give_back([*rest, *(failure.lease for failure in failed)])
        if groups:
            self._committed = max(group.segment for group in groups)
        return dropped

    # Out.

    def claim(self, destination: str, limit: int, *, newest: bool = False) -> list[Lease]:
        """Leases up to `limit` deliveries: see `Rows.claim`."""
        leases = self._leases.setdefault(destination, {})
        with self.noticing_damage():
            found = self.rows.claim(destination, limit, [object for object, _ in leases], newest=newest)
        leases.update((lease[:2], lease) for lease in found)
        return found

    def give_back(self, leases: Sequence[Lease]) -> None:
        """Ends leases without saying what has become of the deliveries: they wait."""
        for lease in leases:
            self._leases.get(lease.destination, {}).pop(lease[:2], None)

    def sync(self) -> None:
        """Has on the disk what was committed, which otherwise waits for the next checkpoint. For any thread. Raises
        OSError.
        """
        sync_index(self._index)

    # Segments that are not needed.

    def begin_removing(self) -> list[int]:
        """Notes which segments are to be deleted, those of which nothing is needed, and returns them.

        Raises sqlite3.Error.
        """
        in_use = {lease.place.segment for leases in self._leases.values() for lease in leases.values()}
        numbers = [
            segment.number
            for segment in segments_of(self.rows).values()
            if segment.live <= 0 and self._is_whole(segment) and segment.number not in in_use
        ]
        if not numbers:
            return []
        with self.noticing_damage():
            return begin_removing(self.rows, numbers)

    def remove(self, numbers: Sequence[int]) -> None:
        """Deletes segments, once it is on the disk that nothing in them is needed: or else a crash could bring back
        rows whose bytes are gone. For any thread. Raises OSError.
        """
        self.sync()
        for number in numbers:
            with suppress(FileNotFoundError, KeyError):  # a crash has come between this and the next
                self.log.remove(number)

    def end_removing(self, numbers: Sequence[int]) -> None:
        """Forgets segments that have been deleted. Raises sqlite3.Error."""
        forget_segments(self.rows, numbers)

    def holds_little(self) -> bool:
        """Whether less than half of what is in the segment that is written to is needed."""
        segment = segments_of(self.rows).get(self.log.current)
        return self.log.is_open and segment is not None and segment.live_bytes < _SPARSE * segment.indexed

    def seal(self) -> None:
        """Has what comes next begin a segment."""
        self.log.seal()
        self._sealed = self.log.current, self.log.begun

    def _is_whole(self, segment: Segment) -> bool:
        """Whether a segment gets nothing more, and no rows of it are still on their way."""
        number, end = self._sealed
        return segment.number < self._committed or (segment.number == number and segment.indexed >= end)

    def sparsest(self, skipped: Set[int] = frozenset()) -> int | None:
        """Returns the segment that holds least of what is needed, of those that hold less than half."""
        there = set(self.log.segments) - skipped
        sparse = [
            segment
            for segment in segments_of(self.rows).values()
            if segment.live > 0
            and segment.live_bytes < _SPARSE * segment.indexed
            and self._is_whole(segment)
            and segment.number in there
        ]
        return min(sparse, key=lambda segment: segment.live_bytes).number if sparse else None

    def positions(self, segment: int) -> list[tuple[int, int]]:
        """Returns the objects in a segment and where their records are. For any thread. Raises OSError."""
        return [(found.id, found.at) for found in self.log.headers(segment) if isinstance(found, Record)]

    def read(self, segment: int, positions: Sequence[int], most: int) -> Read:
        """Reads records of a segment that are to be copied, about `most` bytes. For any thread. Raises OSError."""
        entries: list[Entry] = []
        unreadable: list[int] = []
        done = size = 0
        for at in positions:
            if size >= most:
                break
            done += 1
            record = next(self.log.headers(segment, at))
            if isinstance(record, Gap):  # it had a header a moment ago
                raise DamagedRecord(errno.EIO, f"no record at {at} of segment {segment:x}")
            try:
                data = self.log.read(Place(segment, record.offset, record.size, record.digest))
            except DamagedRecord:
                unreadable.append(record.id)
                continue
            entries.append(Entry(record.id, record.meta, data))
            size += len(data)
        return Read(segment, done, entries, unreadable)

    def begin_copy(self, read: Read) -> Append:
        """Begins to copy them to the end of the log, as `begin` does. Raises OSError."""
        return self.log.begin(read.entries)

    def end_copy(self, read: Read, append: Append) -> Copied:
        """Returns where they are when that is done. Raises OSError; then none is."""
        self.log.finish(append)
        moved = [(entry.id, place) for entry, place in zip(read.entries, append.places, strict=True)]
        return Copied(read.source, read.done, moved, read.unreadable, append.target.number, append.end)

    def copy(self, segment: int, positions: Sequence[int], most: int) -> Copied:
        """Copies records of a segment to the end of the log, about `most` bytes. Raises OSError; then nothing has
        been.
        """
        read = self.read(segment, positions, most)
        append = self.begin_copy(read)
        append.job.run()
        return self.end_copy(read, append)

    def commit_copy(self, copied: Copied, now: float) -> None:
        """Has the rows say where the copies are. Raises sqlite3.Error."""
        with self.noticing_damage():
            move(self.rows, copied.moved, copied.source, {copied.segment: copied.end})
            if copied.unreadable:
                _log.error("%d objects in segment %x cannot be read any more", len(copied.unreadable), copied.source)
                give_up(self.rows, copied.unreadable, now, "its bytes in the queue are damaged")

    # After a crash.

    @contextmanager
    def noticing_damage(self) -> Iterator[None]:
        """Notes when the index turns out to be damaged: then it is made anew at the next start."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                _log.critical("%s is damaged, and will be made anew at the next start: %s", self._index, error)
                os.close(os.open(f"{self._index}.damaged", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            raise

    def _open_rows(self, duplicates: Duplicates) -> Rows:
        mark = f"{self._index}.damaged"
        if not os.path.exists(mark):
            try:
                return Rows(self._index, duplicates)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
        self._find(f"{self._index} was damaged: it is made anew, and what was delivered may be delivered again")
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.replace(f"{self._index}{suffix}", f"{self._index}.broken{suffix}")
        with suppress(FileNotFoundError):
            os.unlink(mark)
        return Rows(self._index, duplicates)

    def _recover(self, now: float) -> None:
        known = segments_of(self.rows)
        removed = [segment.number for segment in known.values() if segment.is_removed]
        if removed:
            self.remove(removed)
            self.end_removing(removed)
        there = self.log.segments
        for segment in known.values():
            if segment.live and not segment.is_removed and segment.number not in there:
                self._find(f"segment {segment.number:x} is gone, and with it {segment.live} objects")
        self.log.begin_after(max(known, default=0))
        for number in there:
            start = known[number].indexed if number in known else 0
            if start < self.log.size(number):
                self._index_rest(number, start, now)

    def _index_rest(self, number: int, start: int, now: float) -> None:
        """Gives the records of a segment their rows, from `start` on, and cuts off what is not whole at its end."""
        whole_to = start
        #: Where what is not whole begins that nothing follows, if there is any.
        torn_from: int | None = None
        batch: list[Stored] = []
        #: What is not whole, and not followed yet by anything that is.
        torn: list[Stored] = []
        for found, is_whole in self.log.records(number, start):
            if is_whole:
                torn_from = None
            elif torn_from is None:
                torn_from = found.at
            if isinstance(found, Gap):
                if not found.is_tail:
                    self._find(f"{found.end - found.at} bytes of segment {number:x} at {found.at} are damaged")
                continue
            if is_whole:
                whole_to = found.end
            stored = self._stored(number, found)
            if stored is None:
                continue
            if not is_whole:
                torn.append(stored._replace(fault="its bytes in the queue are damaged"))
                continue
            for broken in torn:
                self._find(f"an object of {broken.place.size} bytes in segment {number:x} is damaged")
            batch += torn
            torn.clear()
            batch.append(stored)
            if len(batch) >= _BATCH:
                self._insert_missing(batch, {number: whole_to}, now)
                batch.clear()
        self._insert_missing(batch, {number: whole_to}, now)
        if torn_from is not None:
            rest = self.log.size(number) - torn_from
            self._find(f"{rest} bytes at the end of segment {number:x} were not whole: cut off")
            self.log.cut(number, torn_from)

    def _stored(self, segment: int, record: Record) -> Stored | None:
        try:
            incoming = _decode(record.meta)
        except msgspec.MsgspecError as error:
            self._find(f"a record of segment {segment:x} at {record.at} cannot be understood: {error}")
            return None
        return Stored(record.id, incoming, Place(segment, record.offset, record.size, record.digest))

    def _insert_missing(self, batch: Sequence[Stored], indexed: dict[int, int], now: float) -> None:
        known = self.rows.known([stored.id for stored in batch])
        missing = {stored.id: stored for stored in batch if stored.id not in known}
        if missing:
            _log.info("%d objects got their rows from a segment", len(missing))
        self.rows.insert(list(missing.values()), indexed, now)

    def _find(self, text: str) -> None:
        self.findings.append(text)
        _log.warning("the queue in %s: %s", self.path, text)


def _indexed(groups: Sequence[Group]) -> dict[int, int]:
    """Up to where segments have rows with these."""
    indexed: dict[int, int] = {}
    for group in groups:
        indexed[group.segment] = max(group.end, indexed.get(group.segment, 0))
    return indexed


def _with_states(stored: Stored, leases: Mapping[tuple[int, int], Lease], ended: Set[tuple[int, int]]) -> Stored:
    keys = [(number, (stored.id, number)) for number in range(len(stored.incoming.deliveries))]
    states = {number: State.DELIVERED if key in ended else State.WAITING for number, key in keys if key in leases}
    return stored._replace(states=states) if states else stored


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    name = getattr(error, "sqlite_errorname", "") or ""
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
