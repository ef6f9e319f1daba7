"""What a crash, a disk or somebody's hand can do to a shard, and what is left of it then."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aiodicom.router.queue import search, upkeep
from aiodicom.router.queue.objects import Failure, Selection, State
from aiodicom.router.queue.shard import Shard
from aiodicom.store.records import DamagedRecord
from tests.router.queue.objects import arrival, incoming, numbers, put, reclaim, sparse
from tests.router.queue.victim import content
from tests.store.held import failing_appends

INDEX = ("index.db", "index.db-wal", "index.db-shm")


def snapshot(folder: Path, kept: Path) -> None:
    """Keeps the index as it is now, as a machine that loses its cache may find it."""
    kept.mkdir(exist_ok=True)
    for name in INDEX:
        if (folder / name).exists():
            shutil.copy(folder / name, kept / name)


def restore(folder: Path, kept: Path) -> None:
    for name in INDEX:
        (folder / name).unlink(missing_ok=True)
        if (kept / name).exists():
            shutil.copy(kept / name, folder / name)


def segment_path(folder: Path, number: int) -> Path:
    (path,) = (folder / "segments").glob(f"{number:016x}-*.segment")
    return path


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_rows_that_a_crash_has_lost_come_back_from_the_segments(tmp_path: Path) -> None:
    folder, kept = tmp_path / "shard", tmp_path / "kept"
    shard = Shard(folder)
    put(shard, *map(incoming, range(5)))
    snapshot(folder, kept)
    put(shard, *map(incoming, range(5, 2000)))
    shard.note([], shard.claim("pacs", 7), [], 1.0)
    shard.close()
    restore(folder, kept)
    shard = Shard(folder)
    assert shard.findings == []
    # That some were delivered is lost with the rest: they are delivered again.
    assert numbers(shard, limit=5000) == list(range(2000))
    shard.close()


def test_what_was_written_and_got_no_rows_is_queued_after_a_crash(tmp_path: Path) -> None:
    shard = Shard(tmp_path)
    shard.write([arrival(incoming(number)) for number in range(3)])
    shard.close()
    shard = Shard(tmp_path)
    assert numbers(shard) == [0, 1, 2]
    shard.close()
    shard = Shard(tmp_path)
    assert numbers(shard) == [0, 1, 2]  # and once
    shard.close()


def remove(folder: Path) -> None:
    for name in INDEX:
        (folder / name).unlink(missing_ok=True)


def scribble(folder: Path) -> None:
    overwrite(folder / "index.db", 0, b"no database at all" * 10)


def cut_index(folder: Path) -> None:
    os.truncate(folder / "index.db", 5000)


@pytest.mark.parametrize("harm", [remove, scribble, cut_index])
def test_an_index_that_is_damaged_is_made_anew(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    shard = Shard(tmp_path)
    put(shard, *map(incoming, range(100)))
    shard.close()
    harm(tmp_path)
    try:
        shard = Shard(tmp_path)
        found = numbers(shard)
    except sqlite3.DatabaseError:  # found out when it is used: the next start knows
        shard.close()
        shard = Shard(tmp_path)
        found = numbers(shard)
    assert found == list(range(100))
    assert shard.generation >= 2
    put(shard, incoming(100))  # and its number is none of theirs
    shard.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_log_of_sqlite_that_is_damaged_anywhere(tmp_path: Path, seed: int) -> None:
    folder, kept = tmp_path / "shard", tmp_path / "kept"
    shard = Shard(folder)
    for number in range(0, 200, 20):
        put(shard, *map(incoming, range(number, number + 20)))
    snapshot(folder, kept)  # its log is there as long as it is open
    shard.close()
    restore(folder, kept)
    log = folder / "index.db-wal"
    chosen = random.Random(seed)
    at = chosen.randrange(log.stat().st_size)
    if seed % 2:
        os.truncate(log, at)
    else:
        overwrite(log, at, chosen.randbytes(100))
    shard = Shard(folder)
    assert numbers(shard) == list(range(200))
    shard.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_torn_tail_is_cut_and_reported(tmp_path: Path, seed: int) -> None:
    folder, kept = tmp_path / "shard", tmp_path / "kept"
    shard = Shard(folder)
    put(shard, *map(incoming, range(3)), data=b"x" * 20_000)
    snapshot(folder, kept)
    end = shard.log.end
    put(shard, *map(incoming, range(3, 6)), data=b"y" * 20_000)
    shard.close()
    restore(folder, kept)
    path = segment_path(folder, 1)
    os.truncate(path, random.Random(seed).randrange(end + 1, path.stat().st_size - 8192))
    shard = Shard(folder)
    (finding,) = shard.findings
    assert re.search(r"\d+ bytes at the end of segment 1 were not whole: cut off", finding)
    whole = numbers(shard)
    assert whole == list(range(len(whole)))
    assert 3 <= len(whole) < 6
    put(shard, incoming(9))
    shard.close()
    shard = Shard(folder)
    assert shard.findings == []
    assert numbers(shard) == [*whole, 9]
    shard.close()


@pytest.mark.parametrize("has_rows", [True, False])
def test_just_what_is_torn_is_cut(tmp_path: Path, *, has_rows: bool) -> None:
    # Not the zeros that fill the page of a group that is whole, whether that had its rows or not.
    shard = Shard(tmp_path)
    group = shard.write([arrival(incoming(number), b"x" * 9000) for number in range(2)])
    if has_rows:
        shard.commit(group, 0.0)
    shard.close()
    path = segment_path(tmp_path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:5000])  # the header of an object, and some of it
    shard = Shard(tmp_path)
    assert shard.findings == ["5000 bytes at the end of segment 1 were not whole: cut off"]
    assert path.read_bytes() == whole
    assert numbers(shard) == [0, 1]
    shard.close()


@pytest.mark.parametrize(("reached", "dead"), [(0, []), (4096, [1])])
def test_a_crash_while_two_groups_are_on_their_way(tmp_path: Path, reached: int, dead: list[int]) -> None:
    # The disk may have all of the second and nothing of the first, or a part: nobody was told Success for either.
    shard = Shard(tmp_path)
    put(shard, incoming(0))
    first, second = (shard.begin([arrival(incoming(number), b"x" * 9000)]) for number in (1, 2))
    for writing in (second, first):
        writing.append.job.run()
    for writing in (first, second):
        shard.end(writing, None)
    shard.close()
    begin, end = first.append.begin + reached, first.append.end
    overwrite(segment_path(tmp_path, 1), begin, bytes(end - begin))
    shard = Shard(tmp_path)
    assert len(shard.findings) == 1
    assert "damaged" in shard.findings[0]
    assert numbers(shard) == [0, 2]
    ways = search.listed(shard.rows, Selection(state=State.DEAD))
    assert [way.sop_instance_uid for way in ways] == [incoming(number).sop_instance_uid for number in dead]
    put(shard, incoming(3))
    shard.close()
    shard = Shard(tmp_path)
    assert shard.findings == []
    assert numbers(shard) == [0, 2, 3]
    shard.close()


def test_damage_amid_what_has_no_rows_is_a_dead_letter(tmp_path: Path) -> None:
    shard = Shard(tmp_path)
    group = shard.write([arrival(incoming(number), bytes([65 + number]) * 5000) for number in range(3)])
    shard.close()
    overwrite(segment_path(tmp_path, 1), group.stored[1].place.offset + 100, b"damage")
    shard = Shard(tmp_path)
    assert shard.findings == ["an object of 5000 bytes in segment 1 is damaged"]
    assert numbers(shard) == [0, 2]
    (way,) = search.listed(shard.rows, Selection(state=State.DEAD))
    assert way.steps[0].reason == "its bytes in the queue are damaged"
    with pytest.raises(DamagedRecord):
        shard.log.read(way.place)
    shard.close()


def test_a_damaged_header_costs_that_object_and_is_reported(tmp_path: Path) -> None:
    shard = Shard(tmp_path)
    ends = []
    for number in range(3):
        shard.write([arrival(incoming(number))])
        ends.append(shard.log.end)
    shard.close()
    overwrite(segment_path(tmp_path, 1), ends[0], b"damage")
    shard = Shard(tmp_path)
    assert shard.findings == [f"{ends[1] - ends[0]} bytes of segment 1 at {ends[0]} are damaged"]
    assert numbers(shard) == [0, 2]
    shard.close()


def test_a_segment_that_is_gone_is_reported(tmp_path: Path) -> None:
    shard = Shard(tmp_path, segment_size=1)
    put(shard, incoming(0), incoming(1))
    put(shard, incoming(2))
    shard.close()
    segment_path(tmp_path, 1).unlink()
    shard = Shard(tmp_path)
    assert shard.findings == ["segment 1 is gone, and with it 2 objects"]
    first, *_ = shard.claim("pacs", 3)
    with pytest.raises(FileNotFoundError):
        shard.log.read(first.place)
    shard.close()


def test_segments_go_when_nothing_in_them_is_needed(tmp_path: Path) -> None:
    shard = Shard(tmp_path, segment_size=1)  # each group has its own
    for number in range(4):
        put(shard, incoming(number))
    assert reclaim(shard) == 0
    first, second, third, _ = shard.claim("pacs", 4)
    shard.note([], [first], [Failure(third, "bad", None)], 1.0)
    assert reclaim(shard) == 1
    assert shard.log.segments == [2, 3, 4]
    shard.note([], [second], [], 1.0)
    assert reclaim(shard) == 1
    # A dead letter is kept until somebody drops it.
    shard.rows.change_selected(Selection(state=State.DEAD), State.DROPPED, 2.0)
    assert reclaim(shard) == 1
    assert shard.log.segments == [4]
    shard.close()
    shard = Shard(tmp_path)
    assert shard.findings == []
    shard.close()


def test_a_segment_that_is_being_sent_from_is_not_deleted(tmp_path: Path) -> None:
    shard = Shard(tmp_path, segment_size=1)
    put(shard, incoming(0))
    put(shard, incoming(1))
    lease, _ = shard.claim("pacs", 2)
    shard.rows.change_selected(Selection(object=lease.object), State.DROPPED, 1.0)
    assert reclaim(shard) == 0
    shard.give_back([lease])
    assert reclaim(shard) == 1
    shard.close()


def test_it_is_on_the_disk_that_a_segment_is_not_needed_before_it_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = Shard(tmp_path, segment_size=1)
    put(shard, incoming(0))
    put(shard, incoming(1))
    shard.note([], shard.claim("pacs", 1), [], 1.0)
    done: list[str] = []
    shard.rows.connection.set_trace_callback(done.append)
    monkeypatch.setattr(shard.log, "remove", lambda number: done.append(f"unlink {number}"))
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: done.append(f"fsync {os.readlink(f'/proc/self/fd/{descriptor}')}")
    )
    reclaim(shard)
    kept = [each for each in done if re.match(r"COMMIT|unlink|fsync", each)]
    assert kept == ["COMMIT", f"fsync {tmp_path}/index.db-wal", f"fsync {tmp_path}", "unlink 1", "COMMIT"]
    shard.close()


@pytest.mark.parametrize("is_unlinked", [False, True])
def test_a_crash_while_a_segment_is_deleted(tmp_path: Path, is_unlinked: bool) -> None:
    shard = Shard(tmp_path, segment_size=1)
    put(shard, incoming(0))
    put(shard, incoming(1))
    shard.note([], shard.claim("pacs", 1), [], 1.0)
    assert upkeep.begin_removing(shard.rows, [1, 2]) == [1]
    if is_unlinked:
        shard.log.remove(1)
    shard.close()
    shard = Shard(tmp_path)
    assert shard.findings == []
    assert shard.log.segments == [2]
    assert list(upkeep.segments_of(shard.rows)) == [2]
    assert numbers(shard) == [1]
    shard.close()


def sparse_shard(folder: Path) -> Shard:
    """One in ten objects of the first segment is needed."""
    shard = Shard(folder, segment_size=1)
    put(shard, *map(incoming, range(20)), data=b"z" * 3000)
    put(shard, incoming(99))
    leases = shard.claim("pacs", 20)
    shard.note([], [lease for number, lease in enumerate(leases) if number % 10], [], 1.0)
    shard.give_back(leases)
    return shard


def test_a_segment_that_holds_little_is_emptied(tmp_path: Path) -> None:
    shard = sparse_shard(tmp_path)
    found = sparse(shard)
    assert found is not None
    segment, positions = found
    assert segment == 1
    copied = shard.copy(segment, positions, 3000)
    assert copied.done == 1
    shard.commit_copy(copied, 2.0)
    shard.commit_copy(shard.copy(segment, positions[1:], 3000), 2.0)
    assert reclaim(shard) == 1
    assert sparse(shard) is None or sparse(shard) != found
    leases = shard.claim("pacs", 5)
    assert [shard.log.read(lease.place)[:1] for lease in leases] == [b"z", b"z", b"d"]
    shard.close()


def test_a_copy_that_a_crash_has_come_before_is_no_object_of_its_own(tmp_path: Path) -> None:
    shard = sparse_shard(tmp_path)
    found = sparse(shard)
    assert found is not None
    shard.copy(*found, 1 << 20)
    shard.close()
    shard = Shard(tmp_path)
    assert numbers(shard) == [0, 10, 99]
    shard.close()
    # Nor when no row is left at all.
    remove(tmp_path)
    shard = Shard(tmp_path)
    assert numbers(shard) == [*range(20), 99]
    shard.close()


def test_what_cannot_be_read_any_more_is_not_copied_and_dead(tmp_path: Path) -> None:
    shard = sparse_shard(tmp_path)
    (lease, *_) = leases = shard.claim("pacs", 2)
    shard.give_back(leases)
    overwrite(segment_path(tmp_path, 1), lease.place.offset + 100, b"damage")
    found = sparse(shard)
    assert found is not None
    copied = shard.copy(*found, 1 << 20)
    assert copied.unreadable == [lease.object]
    shard.commit_copy(copied, 2.0)
    assert shard.rows.counts()["pacs"][State.DEAD] == 1
    assert numbers(shard) == [10, 99]
    shard.close()


def test_a_disk_that_fails_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = Shard(tmp_path)
    put(shard, incoming(0))
    with monkeypatch.context() as patched:
        failing_appends(patched)
        with pytest.raises(OSError, match="Input/output error"):
            shard.write([arrival(incoming(1))])
    put(shard, incoming(2))
    assert numbers(shard) == [0, 2]
    shard.close()
    shard = Shard(tmp_path)  # nor does it come back
    assert shard.findings == []
    assert numbers(shard) == [0, 2]
    shard.close()


@pytest.mark.parametrize("seed", range(3))
def test_kill(tmp_path: Path, seed: int) -> None:
    """What was said to be queued is there and whole, or its delivery had begun; whenever the process dies."""
    chosen = random.Random(seed)
    said: list[bytes] = []
    for life in range(2):
        arguments = [sys.executable, "-m", "tests.router.queue.victim", tmp_path, str(2 * seed + life)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as victim:
            assert victim.stdout is not None
            said += [victim.stdout.readline() for _ in range(chosen.randrange(1, 600))]
            victim.send_signal(signal.SIGKILL)
            said += [line for line in victim.stdout.read().splitlines(True) if line.endswith(b"\n")]
    queued = {int(line[2:]) for line in said if line.startswith(b"+")}
    begun = {int(line[2:]) for line in said if line.startswith(b"-")}
    assert queued
    shard = Shard(tmp_path)
    assert shard.findings == []
    assert shard.generation == 3
    leases = shard.claim("pacs", 1_000_000)
    there = {int(lease.sop_instance_uid.rpartition(".")[2]): lease for lease in leases}
    assert len(there) == len(leases)
    assert queued - begun <= set(there)
    for number, lease in there.items():
        assert shard.log.read(lease.place) == content(number)
    shard.close()


def test_small_segments_that_are_full_hide_none_that_holds_little(tmp_path: Path) -> None:
    shard = sparse_shard(tmp_path)
    put(shard, *map(incoming, range(100, 105)), data=b"w" * 4000)
    put(shard, incoming(200))
    assert shard.sparsest() in (1, 2)  # the second has one object of eight bytes on its page
    assert shard.sparsest({1, 2}) is None
    shard.close()


def test_nobody_else_may_look_at_what_tells_of_patients(tmp_path: Path) -> None:
    shard = Shard(tmp_path / "queue" / "shard-000")
    put(shard, incoming(0))
    assert (tmp_path / "queue" / "shard-000").stat().st_mode & 0o077 == 0
    assert segment_path(tmp_path / "queue" / "shard-000", 1).stat().st_mode & 0o077 == 0
    shard.close()


def test_a_segment_that_was_sealed_stays_until_all_its_rows_are_there(tmp_path: Path) -> None:
    shard = Shard(tmp_path / "shard")
    try:
        groups = [shard.write([arrival(incoming(number), b"data")]) for number in range(2)]
        shard.commit(groups[0], 0.0)
        shard.note([], shard.claim("pacs", 1), [], 0.0)
        shard.seal()
        assert shard.begin_removing() == []  # the rows of the second one are on their way
        shard.commit(groups[1], 0.0)
        assert shard.begin_removing() == []
        shard.note([], shard.claim("pacs", 1), [], 0.0)
        assert shard.begin_removing() == [groups[0].segment]
    finally:
        shard.close()
