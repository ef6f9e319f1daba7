"""Looks for objects in the rows, and tells their ways: where they were to go, and what has become of that."""

from __future__ import annotations

from typing import Any, Final

from aiodicom.router.queue.bulk import select_all
from aiodicom.router.queue.objects import PENDING, Selection, State, Step, Way
from aiodicom.router.queue.tables import SIGN, Tables
from aiodicom.store.segments import Place

__all__ = ["find", "listed"]

_COLUMNS: Final = (
    "id, class, sop_instance, syntax, uid, series, patient, calling, called, peer, received, segment, offset, size,"
    " digest"
)
_OBJECTS: Final = (
    "SELECT o.id, c.text AS class, o.sop_instance, t.text AS syntax, s.uid, o.series, s.patient, o.calling, o.called,"
    " o.peer, o.received, o.segment, o.offset, o.size, o.digest FROM objects o"
    " JOIN studies s ON s.id = o.study JOIN words c ON c.id = o.sop_class JOIN words t ON t.id = o.transfer_syntax"
)
_STEP: Final = "object, number, destination, route, state, priority, attempts, reason, changed, due"
_STEPS: Final = (
    "SELECT object, number, d.text AS destination, r.text AS route, state, -rank AS priority, attempts, reason,"
    " changed, due FROM deliveries JOIN words d ON d.id = destination JOIN words r ON r.id = route"
    " WHERE object IN (VALUES {rows}) ORDER BY object, number"
)


def find(
    tables: Tables,
    *,
    sop_instance_uid: str | None = None,
    study_instance_uid: str | None = None,
    patient_id: str | None = None,
    limit: int = 100,
) -> list[Way]:
    """Returns the ways of objects with all of these, of the last `limit` that came. Nothing given finds nothing."""
    conditions: list[str] = []
    parameters: list[str] = []
    for condition, value in (
        ("o.sop_instance = ?", sop_instance_uid),
        ("o.study = (SELECT id FROM studies WHERE uid = ?)", study_instance_uid),
        ("o.study IN (SELECT id FROM studies WHERE patient = ?)", patient_id),
    ):
        if value is not None:
            conditions.append(condition)
            parameters.append(value)
    if not conditions:
        return []
    where = f"{_OBJECTS} WHERE {' AND '.join(conditions)} ORDER BY o.id DESC LIMIT {limit:d}"
    return _ways(tables, select_all(tables.connection, _COLUMNS, where, None, *parameters))


def listed(tables: Tables, meant: Selection, after: int = 0, limit: int = 100) -> list[Way]:
    """Returns the ways of objects that have pending deliveries which `meant` means: dead letters, what is held, what
    waits. In the order of their numbers, from above `after` on.
    """
    conditions, parameters = tables.conditions(meant)
    objects: set[int] = set()
    for state in PENDING:  # each has an index of its own
        if meant.state in (None, state):
            template = f"SELECT object FROM deliveries WHERE state = {state:d}{conditions} AND object > ?"
            template += f" ORDER BY object LIMIT {limit:d}"
            rows = select_all(tables.connection, "object", template, None, *parameters, after)
            objects.update(id for (id,) in rows)
    ids = [(id,) for id in sorted(objects)[:limit]]
    where = f"{_OBJECTS} WHERE o.id IN (VALUES {{rows}}) ORDER BY o.id"
    return _ways(tables, select_all(tables.connection, _COLUMNS, where, ids))


def _ways(tables: Tables, objects: list[list[Any]]) -> list[Way]:
    steps: dict[int, list[Step]] = {row[0]: [] for row in objects}
    for id, number, destination, route, state, *rest in select_all(
        tables.connection, _STEP, _STEPS, [(row[0],) for row in objects]
    ):
        steps[id].append(Step._make((number, destination, route, State(state), *rest)))
    ways = []
    for *known, segment, offset, size, digest in objects:
        ways.append(Way._make((*known, Place(segment, offset, size, digest + SIGN), tuple(steps[known[0]]))))
    return ways
