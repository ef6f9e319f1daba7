"""What is done to the rows from time to time, by whichever node comes to it first, so that they do not grow for ever.

Each call is of one transaction, which the caller makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.router.queue.objects import State
from aiodicom.router.queue.postgres.rows import finish
from aiodicom.router.queue.tables import MOST

if TYPE_CHECKING:
    from asyncpg import Connection  # type: ignore[import-untyped]

__all__ = [
    "Bytes",
    "begin_removing",
    "expire",
    "forget",
    "forget_removed",
    "forget_retired",
    "is_first",
    "orphans",
    "retired",
    "sum_up",
    "waiting",
    "wake",
]

#: Of the advisory lock that the node has which does this at the moment.
_LOCK: Final = 0x61694449434F4E

#: Objects whose bytes are deleted at a time.
_REMOVED: Final = 1_000


class Bytes(NamedTuple):
    """Where the bytes of an object are: the node that has put them, and their number with it."""

    node: int
    number: int


async def is_first(connection: Connection) -> bool:
    """Whether no other node is at it, until the transaction ends."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK))


async def wake(connection: Connection, longest: float) -> list[str]:
    """Has those wait again that are due, and those that are delayed by more than `longest` seconds, which nobody has
    asked for: the clock was set back. At most 5,000 at a time; returns their destinations.
    """
    rows = await connection.fetch(
        "UPDATE deliveries d SET state = 0, due = NULL, changed = clock() FROM (SELECT object, number FROM deliveries"
        f" WHERE state = 1 AND (due <= clock() OR due > clock() + $1) LIMIT {MOST:d} FOR UPDATE SKIP LOCKED) k"
        " WHERE d.object = k.object AND d.number = k.number RETURNING d.destination",
        longest,
    )
    return sorted({row["destination"] for row in rows})


async def waiting(connection: Connection, destinations: list[str]) -> list[str]:
    """Returns those of the destinations for which something waits."""
    rows = await connection.fetch(
        "SELECT name FROM unnest($1::text[]) name WHERE EXISTS (SELECT FROM deliveries"
        " WHERE destination = name AND state = 0 AND node IS NULL)",
        destinations,
    )
    return [row["name"] for row in rows]


async def expire(connection: Connection) -> int:
    """Gives up what has not been delivered in time, at most 5,000 at a time; returns how many."""
    late = "expires IS NOT NULL AND state < 5 AND expires <= clock()"
    found = await connection.fetch(f"SELECT DISTINCT object FROM deliveries WHERE {late} LIMIT {MOST:d}")
    if not found:
        return 0
    objects = [row["object"] for row in found]
    await connection.execute("SELECT FROM objects WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE", objects)
    changed = await connection.fetch(
        f"UPDATE deliveries SET state = $2, node = NULL, changed = clock() WHERE object = ANY($1::bigint[]) AND {late}"
        " RETURNING 1",
        objects,
        int(State.EXPIRED),
    )
    await finish(connection, objects)
    return len(changed)


async def forget(connection: Connection, seconds: float, after: int, limit: int = MOST) -> int:
    """Forgets objects that came so many seconds ago and have nothing pending, of `limit` objects with numbers above
    `after`. Returns the number to go on after: 0, from the beginning, when there are no more.
    """
    looked_at = await connection.fetch(
        "SELECT id, study, received < clock() - $1"
        " AND NOT EXISTS (SELECT FROM deliveries WHERE object = o.id AND state < 5) AS is_old"
        " FROM objects o WHERE id > $2 ORDER BY id LIMIT $3",
        seconds,
        after,
        limit,
    )
    gone = [row["id"] for row in looked_at if row["is_old"]]
    if gone:
        await connection.execute("DELETE FROM deliveries WHERE object = ANY($1::bigint[])", gone)
        await connection.execute("DELETE FROM objects WHERE id = ANY($1::bigint[])", gone)
        await connection.execute(
            "DELETE FROM studies s WHERE id = ANY($1::bigint[])"
            " AND NOT EXISTS (SELECT FROM objects WHERE study = s.id)",
            list({row["study"] for row in looked_at if row["is_old"]}),
        )
    return int(looked_at[-1]["id"]) if len(looked_at) == limit else 0


async def sum_up(connection: Connection) -> None:
    """Sums up what has been counted."""
    await connection.execute(
        "WITH counted AS (DELETE FROM counts RETURNING *) INSERT INTO counts"
        " SELECT destination, state, sum(number) FROM counted GROUP BY destination, state HAVING sum(number) <> 0"
    )


async def begin_removing(connection: Connection) -> list[Bytes]:
    """Returns bytes that are to be deleted, at most 1,000 at a time.

    That is on the disk when the transaction, which must wait for it, has been committed; and with it everything by
    which they are not needed any more: or else a crash could bring back rows whose bytes are gone.
    """
    rows = await connection.fetch(
        "UPDATE unneeded u SET is_removed = true FROM (SELECT node, number FROM unneeded ORDER BY node, number"
        f" LIMIT {_REMOVED:d} FOR UPDATE SKIP LOCKED) k WHERE u.node = k.node AND u.number = k.number"
        " RETURNING u.node, u.number"
    )
    return [Bytes(row["node"], row["number"]) for row in rows]


async def forget_removed(connection: Connection, removed: list[Bytes]) -> None:
    """Forgets bytes that have been deleted."""
    await connection.execute(
        "DELETE FROM unneeded u USING unnest($1::bigint[], $2::bigint[]) k (node, number)"
        " WHERE u.node = k.node AND u.number = k.number",
        [node for node, _ in removed],
        [number for _, number in removed],
    )


async def retired(connection: Connection) -> int | None:
    """Returns a node that is none any more and whose bytes have not been looked at."""
    found = await connection.fetchval("SELECT node FROM retired ORDER BY since LIMIT 1")
    return None if found is None else int(found)


async def orphans(connection: Connection, node: int, numbers: list[int]) -> list[Bytes]:
    """Returns those bytes of a node that have no rows. Of one that is none any more: none can come."""
    rows = await connection.fetch(
        "SELECT there FROM unnest($2::bigint[]) there"
        " WHERE NOT EXISTS (SELECT FROM objects WHERE node = $1 AND number = there)",
        node,
        numbers,
    )
    return [Bytes(node, row["there"]) for row in rows]


async def forget_retired(connection: Connection, node: int) -> None:
    """Its bytes have been looked at."""
    await connection.execute("DELETE FROM retired WHERE node = $1", node)
