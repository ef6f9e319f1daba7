"""What is done to the tables from time to time, so that neither they nor the segments grow for ever.

Each call is one transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from aiodicom.router.queue.bulk import execute_many, select_all
from aiodicom.router.queue.objects import State
from aiodicom.router.queue.tables import DELIVERY, MOST, Tables
from aiodicom.store.segments import Place

__all__ = [
    "Segment",
    "begin_removing",
    "expire",
    "forget",
    "forget_segments",
    "give_up",
    "live_in",
    "move",
    "segments_of",
    "wake",
]

_PENDING_OF: Final = "SELECT DISTINCT object FROM deliveries WHERE state < 5 AND object IN (VALUES {rows})"


def wake(tables: Tables, now: float, longest: float) -> set[str]:
    """Has those wait again that are due, and those that are delayed by more than `longest` seconds, which nobody has
    asked for: the clock was set back. At most 5,000 at a time; returns their destinations.
    """
    delayed = f"SELECT {DELIVERY} FROM deliveries WHERE state = 1 AND due"
    found = tables.select(f"{delayed} <= ? UNION ALL {delayed} > ? LIMIT {MOST}", None, now, now + longest)
    if found:
        with tables.transaction():
            tables.change(found, State.WAITING, now)
    return {tables.texts[row.destination] for row in found}


def expire(tables: Tables, now: float) -> int:
    """Gives up what has not been delivered in time, at most 5,000 at a time; returns how many."""
    # As the index has it.
    late = f"SELECT {DELIVERY} FROM deliveries WHERE expires IS NOT NULL AND state < 5 AND expires <= ? LIMIT {MOST}"
    found = tables.select(late, None, now)
    if found:
        with tables.transaction():
            tables.change(found, State.EXPIRED, now)
    return len(found)


def forget(tables: Tables, before: float, after: int, limit: int = 500) -> tuple[int, int]:
    """Forgets objects that came before a time and have nothing pending: looks at `limit` of them, those with the next
    numbers above `after`. Numbers grow as objects come.

    Returns up to which number it has looked at all that is old, and how many old ones it saw: with `limit` there may be
    more. What is still pending is passed over, for whoever begins again.
    """
    connection = tables.connection
    template = f"SELECT id, study, received FROM objects WHERE id > ? ORDER BY id LIMIT {limit:d}"
    looked_at = select_all(connection, "id, study, received", template, None, after)
    old = {id: study for id, study, received in looked_at if received < before}
    pending = {id for (id,) in select_all(connection, "object", _PENDING_OF, [(id,) for id in old])}
    gone = [(id,) for id in old if id not in pending]
    if gone:
        _delete(tables, gone, {old[id] for (id,) in gone})
    return max(old, default=after), len(old)


def _delete(tables: Tables, gone: Sequence[tuple[int]], studies: Iterable[int]) -> None:
    """Deletes objects, and those of their studies that have no others."""
    with tables.transaction():
        of_these = f"SELECT {DELIVERY} FROM deliveries WHERE object IN (VALUES {{rows}})"
        counts: Counter[tuple[int, int]] = Counter()
        counts.subtract((row.destination, row.state) for row in tables.select(of_these, gone))
        tables.count(counts)
        execute_many(tables.connection, "DELETE FROM deliveries WHERE object IN (VALUES {rows})", gone)
        execute_many(tables.connection, "DELETE FROM objects WHERE id IN (VALUES {rows})", gone)
        execute_many(
            tables.connection,
            "DELETE FROM studies WHERE id IN (VALUES {rows})"
            " AND NOT EXISTS (SELECT 1 FROM objects WHERE study = studies.id)",
            [(study,) for study in studies],
        )
    tables.studies.clear()


class Segment(NamedTuple):
    """What is known of a segment."""

    number: int
    #: Objects in it that are needed, and their bytes.
    live: int
    live_bytes: int
    #: Up to where its records have rows.
    indexed: int
    #: Whether it was to be deleted.
    is_removed: bool


def segments_of(tables: Tables) -> dict[int, Segment]:
    """Returns what is known of segments, by their numbers."""
    statement = "SELECT number, live, live_bytes, indexed, is_removed FROM segments ORDER BY number"
    rows = tables.connection.execute(statement).fetchall()
    return {row[0]: Segment._make((*row[:-1], bool(row[-1]))) for row in rows}


def begin_removing(tables: Tables, numbers: Sequence[int]) -> list[int]:
    """Notes that segments are to be deleted, if nothing in them is needed; returns those."""
    with tables.transaction():
        template = "SELECT number FROM segments WHERE live <= 0 AND number IN (VALUES {rows})"
        found = select_all(tables.connection, "number", template, [(number,) for number in numbers])
        execute_many(tables.connection, "UPDATE segments SET is_removed = 1 WHERE number IN (VALUES {rows})", found)
    return [number for (number,) in found]


def forget_segments(tables: Tables, numbers: Sequence[int]) -> None:
    """Forgets segments that have been deleted."""
    with tables.transaction():
        rows = [(number,) for number in numbers]
        execute_many(tables.connection, "DELETE FROM segments WHERE number IN (VALUES {rows})", rows)


def live_in(tables: Tables, segment: int, ids: Sequence[int]) -> set[int]:
    """Returns those of the objects that are in this segment, and needed."""
    template = "SELECT id FROM objects WHERE segment = ? AND id IN (VALUES {rows})"
    rows = select_all(tables.connection, "id", template, [(id,) for id in ids], segment)
    return {id for (id,) in select_all(tables.connection, "object", _PENDING_OF, rows)}


def move(tables: Tables, moved: Sequence[tuple[int, Place]], source: int, indexed: dict[int, int]) -> None:
    """Notes where objects of the segment `source` were copied to, those that are still needed."""
    segments = {number: [0, 0] for number in (*indexed, source)}
    with tables.transaction():
        still = live_in(tables, source, [id for id, _ in moved])
        for id, place in moved:
            if id in still:
                tables.connection.execute(
                    "UPDATE objects SET segment = ?, offset = ? WHERE id = ?", (place.segment, place.offset, id)
                )
                for number, sign in ((place.segment, 1), (source, -1)):
                    segments[number][0] += sign
                    segments[number][1] += sign * place.size
        tables.weigh((number, objects, size, indexed.get(number, 0)) for number, (objects, size) in segments.items())


def give_up(tables: Tables, ids: Sequence[int], now: float, reason: str) -> None:
    """Has everything be dead that is pending of objects whose bytes nobody can read."""
    template = f"SELECT {DELIVERY} FROM deliveries WHERE state IN (0, 1, 2, 4) AND object IN (VALUES {{rows}})"
    with tables.transaction():
        tables.change(tables.select(template, [(id,) for id in ids]), State.DEAD, now, reason)
