"""Segments: what is written together, what a crash or a disk leaves, what cannot be taken for a record."""

from __future__ import annotations

import mmap
import os
import random
from pathlib import Path
from typing import Any

import pytest

from aiodicom.store import segments
from aiodicom.store._writers import AppendJob
from aiodicom.store.records import DamagedRecord, Gap, Record, encode_header
from aiodicom.store.segments import Entry, Place, SegmentLog
from tests.store.held import failing_appends

PAGE = 4096


def on_pages(data: bytes) -> memoryview:
    """The data in memory that lies on pages, as that of large data sets does."""
    view = memoryview(mmap.mmap(-1, len(data)))
    view[:] = data
    return view.toreadonly()


def entries(count: int, seed: int, first: int = 1) -> list[Entry]:
    """Of all sizes and in all kinds of memory."""
    chosen = random.Random(seed)
    sizes = [0, 1, 15, 16, 100, PAGE - 1, PAGE, 60_000, 1 << 16, (1 << 16) + 1, 200_000, 5 << 20]
    found = []
    for id in range(first, first + count):
        data = chosen.randbytes(chosen.choice(sizes[:-1] if chosen.random() < 0.95 else sizes))
        kept: bytes | memoryview = on_pages(data) if data and chosen.random() < 0.5 else data
        found.append(Entry(id, chosen.randbytes(chosen.choice([0, 1, 300, 5000])), kept))
    return found


def records_of(log: SegmentLog, segment: int, start: int = 0) -> list[tuple[int, bytes, bool]]:
    """The records of a segment, with their meta and whether they are whole; gaps left out."""
    found = log.records(segment, start)
    return [(each.id, each.meta, is_whole) for each, is_whole in found if isinstance(each, Record)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("through_cache", [False, True])
def test_what_was_appended_is_read(
    tmp_path: Path, seed: int, through_cache: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if through_cache:
        monkeypatch.setattr(segments, "_pass_cache", lambda _: None)
    log = SegmentLog(tmp_path, segment_size=200_000)
    given: list[Entry] = []
    places: list[Place] = []
    for group in range(8):
        some = entries(random.Random(seed + group).randrange(1, 12), seed + group, len(given) + 1)
        places += log.append(some)
        given += some
    assert [log.read(place) for place in places] == [bytes(entry.data) for entry in given]
    log.close()
    again = SegmentLog(tmp_path)
    assert len(again.segments) > 1
    found = [record for segment in again.segments for record in records_of(again, segment)]
    assert found == [(entry.id, entry.meta, True) for entry in given]


def test_a_group_is_one_job_that_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []

    def make(*given: Any, sync: bool) -> AppendJob:
        made.append(sync)
        return AppendJob(*given, sync=sync)

    monkeypatch.setattr(segments, "AppendJob", make)
    for is_synced in (True, False):
        log = SegmentLog(tmp_path, is_synced=is_synced)
        log.append(entries(50, 1))
        log.close()
    assert made == [True, False]


def test_what_failed_is_not_there_and_its_segment_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = SegmentLog(tmp_path)
    log.append([Entry(1, b"first", b"x" * 100)])
    first, end = log.current, log.end
    with monkeypatch.context() as patched:
        failing_appends(patched)
        with pytest.raises(OSError, match="Input/output error"):
            log.append([Entry(2, b"lost", b"y" * 100_000)])
    assert log.size(first) == end
    (place,) = log.append([Entry(3, b"third", b"z" * 100)])
    assert place.segment == first + 1
    assert [records_of(log, segment) for segment in log.segments] == [[(1, b"first", True)], [(3, b"third", True)]]
    log.close()


def test_what_was_begun_behind_what_failed_is_not_there_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = SegmentLog(tmp_path)
    log.append([Entry(1, b"first", b"x" * 100)])
    end = log.end
    with monkeypatch.context() as patched:
        failing_appends(patched)
        lost = log.begin([Entry(2, b"lost", b"y" * 100_000)])
    behind = log.begin([Entry(3, b"behind", b"z" * 100)])
    for append in (behind, lost):  # in whatever order the disk has them
        append.job.run()
    with pytest.raises(OSError, match="Input/output error"):
        log.finish(lost)
    (place,) = log.append([Entry(4, b"fourth", b"z" * 100)])
    with pytest.raises(OSError, match="Input/output error"):
        log.finish(behind)
    assert log.size(1) == end
    assert place.segment == 2
    assert [records_of(log, segment) for segment in log.segments] == [[(1, b"first", True)], [(4, b"fourth", True)]]
    log.close()


def test_appends_go_on_side_by_side(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, segment_size=50_000)
    given = [Entry(number, b"", bytes([number]) * 20_000) for number in range(1, 8)]
    begun = [log.begin([entry]) for entry in given]
    for append in reversed(begun):
        append.job.run()
    for append in begun:
        log.finish(append)
    assert [log.read(append.places[0]) for append in begun] == [entry.data for entry in given]
    assert [[id for id, _, _ in records_of(log, segment)] for segment in log.segments] == [[1, 2, 3], [4, 5, 6], [7]]
    log.close()


def test_the_next_segment_is_made_before_it_is_needed(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, segment_size=50_000)
    assert log.must_have_next
    log.make_next()
    assert not log.must_have_next
    log.append([Entry(1, b"", b"x" * 20_000)])
    assert not log.wants_next
    log.append([Entry(2, b"", b"x" * 20_000)])
    assert log.wants_next
    log.make_next()
    assert not log.wants_next
    assert log.segments == [1]
    log.close()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("seed", range(6))
def test_a_tail_cut_anywhere_leaves_what_was_whole(tmp_path: Path, seed: int) -> None:
    log = SegmentLog(tmp_path)
    given = entries(12, seed)
    ends = []
    for entry in given:
        log.append([entry])
        ends.append(log.end)
    log.close()
    cut = random.Random(seed).randrange(ends[0], ends[-1])
    log.cut(1, cut)
    again = SegmentLog(tmp_path)
    found = records_of(again, 1)
    assert [id for id, _, is_whole in found if is_whole] == [
        record.id for record, _ in again.records(1) if isinstance(record, Record) and record.offset + record.size <= cut
    ]
    whole = sum(end <= cut for end in ends)
    assert [id for id, _, _ in found][:whole] == [entry.id for entry in given[:whole]]
    assert len(found) <= whole + 1  # the last one may lack but what fills its page


@pytest.mark.parametrize("seed", range(6))
def test_damage_anywhere_costs_that_record_alone(tmp_path: Path, seed: int) -> None:
    log = SegmentLog(tmp_path)
    given = entries(12, seed)
    places = [log.append([entry])[0] for entry in given]
    log.close()
    headers = [record for record in log.headers(1) if isinstance(record, Record)]
    chosen = random.Random(seed)
    broken = chosen.choice([record for record in headers[:-1] if record.size])
    at = chosen.choice([broken.at + chosen.randrange(48 + len(broken.meta)), broken.offset + broken.size // 2])
    (path,) = tmp_path.iterdir()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x40]))
    whole = [id for id, _, is_whole in records_of(log, 1) if is_whole]
    assert whole == [entry.id for entry in given if entry.id != broken.id]
    assert [isinstance(found, Gap) and found.is_tail for found, _ in log.records(1)].count(True) == 0
    for entry, place in zip(given, places, strict=True):
        if entry.id != broken.id:
            assert log.read(place) == bytes(entry.data)
        elif at >= broken.offset:
            with pytest.raises(DamagedRecord):
                log.read(place)


def test_data_of_a_peer_is_never_taken_for_a_record(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path)
    forged = encode_header(0, 666, b"forged", 64, 0, 0).ljust(PAGE, b"\0")
    log.append([Entry(1, b"", on_pages(forged * 40))])
    log.append([Entry(2, b"", b"")])
    log.close()
    # Where the reader has lost its way, it looks at each page.
    (path,) = tmp_path.iterdir()
    with path.open("r+b") as file:
        file.write(bytes(64))
    assert records_of(log, 1) == [(2, b"", True)]


def test_numbers_are_not_used_again(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path)
    log.append([Entry(1, b"", b"")])
    log.remove(1)
    with pytest.raises(FileNotFoundError, match="gone"):
        log.open(1)
    log.close()
    again = SegmentLog(tmp_path)
    again.begin_after(7)
    (place,) = again.append([Entry(2, b"", b"")])
    assert place.segment == 8
    again.close()


def test_who_reads_a_segment_can_go_on_when_it_is_removed(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path)
    (place,) = log.append([Entry(1, b"", b"x" * 100)])
    descriptor = log.open(place.segment)
    log.remove(place.segment)
    assert os.pread(descriptor, place.size, place.offset) == b"x" * 100
    os.close(descriptor)


def test_too_much_meta_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path)
    with pytest.raises(ValueError, match="too many"):
        log.append([Entry(1, b"", b"x"), Entry(2, bytes(65537), b"x")])
    assert log.segments == []
