"""Series and studies that routes wait for: of whichever node the objects were, and complete once.

The row of a group says when its last object came. Who ends it deletes the row as it was when it looked: when one more
object has come since, or another node was first, there is no such row, and nothing happens.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.router.queue.tables import MOST

if TYPE_CHECKING:
    from asyncpg import Connection  # type: ignore[import-untyped]

__all__ = ["DueGroup", "Waiting", "complete", "due", "expect", "gathering", "performed", "release"]

#: Groups that are ended at a time.
_MOST: Final = 1_000

_ARRIVED: Final = (
    "SELECT o.sop_instance FROM deliveries d JOIN objects o ON o.id = d.object"
    " WHERE d.state = 4 AND d.gathered = g.name AND d.route = g.route"
)
_DUE: Final = f"""
SELECT * FROM (
    SELECT g.route, g.name, g.last, CASE
        WHEN s.route IS NULL AND g.last + $4 > clock() THEN NULL
        WHEN s.route IS NULL THEN 'nobody waits for it any more'
        WHEN g.last + s.quiet <= clock() THEN 'nothing has come for ' || s.quiet || ' s'
        WHEN g.first + s.most <= clock() THEN 'it has waited for ' || s.most || ' s'
        WHEN g.expected > 0 AND (SELECT count(DISTINCT sop_instance) FROM ({_ARRIVED}) arrived) >= g.expected
            THEN 'all ' || g.expected || ' instances are there'
        WHEN g.performed IS NOT NULL AND NOT EXISTS (SELECT unnest(g.performed) EXCEPT {_ARRIVED})
            THEN 'the performed procedure step has ended'
        END AS reason
    FROM groups g LEFT JOIN unnest($1::text[], $2::float8[], $3::float8[]) s (route, quiet, most) ON s.route = g.route
) looked_at WHERE reason IS NOT NULL LIMIT {_MOST:d}
"""


class Waiting(NamedTuple):
    """How long a route waits: after the last object of a group, and after its first, in seconds."""

    route: str
    quiet: float
    most: float


class DueGroup(NamedTuple):
    """A group that is complete."""

    route: str
    name: str
    #: When its last object came.
    last: float
    #: Why it is, for people.
    reason: str


async def due(connection: Connection, routes: Sequence[Waiting], otherwise: float) -> list[DueGroup]:
    """Returns what is complete, at most 1,000 at a time; what other routes have waited for, after so many seconds."""
    columns = ([each.route for each in routes], [each.quiet for each in routes], [each.most for each in routes])
    return [DueGroup(*row) for row in await connection.fetch(_DUE, *columns, otherwise)]


async def complete(connection: Connection, group: DueGroup) -> list[str] | None:
    """Has what waits for the rest of a group wait for its turn, as it was when it was due. Returns the destinations;
    None where another node was first, or one more object has come.
    """
    deleted = await connection.fetchval(
        "DELETE FROM groups WHERE route = $1 AND name = $2 AND last = $3 RETURNING true", *group[:3]
    )
    if deleted is None:
        return None
    return await release(connection, group.route, group.name)


async def release(connection: Connection, route: str, name: str) -> list[str]:
    """Has what waits for the rest of a group wait for its turn; returns the destinations."""
    rows = await connection.fetch(
        "UPDATE deliveries SET state = 0, changed = clock() WHERE state = 4 AND gathered = $2 AND route = $1"
        " RETURNING destination",
        route,
        name,
    )
    return sorted({row["destination"] for row in rows})


async def gathering(connection: Connection, after: int) -> list[tuple[int, str, str, str]]:
    """Returns what waits for its group: object, route, group, SOP Instance UID; objects with numbers above `after`."""
    rows = await connection.fetch(
        "SELECT DISTINCT d.object, d.route, d.gathered, o.sop_instance FROM deliveries d JOIN objects o"
        f" ON o.id = d.object WHERE d.state = 4 AND d.object > $1 ORDER BY d.object LIMIT {MOST:d}",
        after,
    )
    return [tuple(row) for row in rows]


async def expect(connection: Connection, expected: Collection[tuple[str, str, int]]) -> None:
    """Notes how many instances groups will have: route, group, number."""
    await connection.execute(
        "UPDATE groups g SET expected = k.expected FROM unnest($1::text[], $2::text[], $3::int[]) k"
        " (route, name, expected) WHERE g.route = k.route AND g.name = k.name AND g.expected < k.expected",
        *zip(*sorted(expected), strict=True),
    )


async def performed(connection: Connection, route: str, name: str, instances: Sequence[str]) -> None:
    """Notes that a performed procedure step has ended which made these instances of a group."""
    await connection.execute(
        "UPDATE groups SET performed = $3::text[] WHERE route = $1 AND name = $2", route, name, list(instances)
    )
