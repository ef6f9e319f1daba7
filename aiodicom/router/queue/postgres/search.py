"""Looks for objects in the rows, and tells their ways: where they were to go, and what has become of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from aiodicom.router.queue.objects import PENDING, Selection, State, Step, Way
from aiodicom.router.queue.postgres.rows import conditions_of, place_of

if TYPE_CHECKING:
    from asyncpg import Connection, Record  # type: ignore[import-untyped]

__all__ = ["find", "listed"]

_OBJECTS: Final = (
    "SELECT o.id, o.sop_class, o.sop_instance, o.transfer_syntax, s.uid, o.series, s.patient, o.calling, o.called,"
    " o.peer, o.received, o.node, o.number, o.size, o.digest FROM objects o JOIN studies s ON s.id = o.study"
)
_STEPS: Final = (
    "SELECT object, number, destination, route, state, -rank AS priority, attempts, reason, changed, due"
    " FROM deliveries WHERE object = ANY($1::bigint[]) ORDER BY object, number"
)


async def find(
    connection: Connection,
    *,
    sop_instance_uid: str | None = None,
    study_instance_uid: str | None = None,
    patient_id: str | None = None,
    limit: int = 100,
) -> list[Way]:
    """Returns the ways of objects with all of these, of the last `limit` that came. Nothing given finds nothing."""
    conditions: list[str] = []
    parameters: list[Any] = [limit]
    for condition, value in (
        ("o.sop_instance", sop_instance_uid),
        ("s.uid", study_instance_uid),
        ("s.patient", patient_id),
    ):
        if value is not None:
            parameters.append(value.replace("\0", "\ufffd"))
            conditions.append(f"{condition} = ${len(parameters)}")
    if not conditions:
        return []
    statement = f"{_OBJECTS} WHERE {' AND '.join(conditions)} ORDER BY o.id DESC LIMIT $1"
    return await _ways(connection, await connection.fetch(statement, *parameters))


async def listed(connection: Connection, meant: Selection, after: int = 0, limit: int = 100) -> list[Way]:
    """Returns the ways of objects that have pending deliveries which `meant` means: dead letters, what is held, what
    waits. In the order of their numbers, from above `after` on.
    """
    states = [int(state) for state in PENDING if meant.state in (None, state)]
    conditions, parameters = conditions_of(meant, states)
    parameters += after, limit
    statement = (
        f"{_OBJECTS} WHERE o.id IN (SELECT DISTINCT object FROM deliveries WHERE {conditions}"
        f" AND object > ${len(parameters) - 1} ORDER BY object LIMIT ${len(parameters)}) ORDER BY o.id"
    )
    return await _ways(connection, await connection.fetch(statement, *parameters))


async def _ways(connection: Connection, objects: Sequence[Record]) -> list[Way]:
    steps: dict[int, list[Step]] = {row["id"]: [] for row in objects}
    for object, number, destination, route, state, *rest in await connection.fetch(_STEPS, list(steps)):
        steps[object].append(Step._make((number, destination, route, State(state), *rest)))
    return [Way._make((*tuple(row)[:11], place_of(row, "number"), tuple(steps[row["id"]]))) for row in objects]
