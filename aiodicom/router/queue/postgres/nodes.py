"""Who shares the queue: nodes, each with a row that says when it was last seen.

A node's leases are renewed by that one row. Whatever it commits, it commits only as long as the row is there (it locks
it for the time of the transaction); once somebody has deleted it, because its lease is over, nothing that is still on
its way from that node can change a thing. Then its deliveries wait again, and what it has put without rows is deleted.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncpg import Connection  # type: ignore[import-untyped]

__all__ = ["NodeEnded", "begin", "bury", "end", "is_there", "renew", "see"]


class NodeEnded(Exception):
    """The node has no row any more: the others have taken it for dead."""


async def begin(connection: Connection, name: str, lease: float) -> int:
    """Gives a node its row; returns its number."""
    statement = "INSERT INTO nodes (name, lease, seen) VALUES ($1, $2, clock()) RETURNING id"
    return int(await connection.fetchval(statement, name, lease))


async def see(connection: Connection, node: int) -> float:
    """Renews the leases of a node; returns the database's time. Raises NodeEnded."""
    seen = await connection.fetchval("UPDATE nodes SET seen = clock() WHERE id = $1 RETURNING seen", node)
    if seen is None:
        raise NodeEnded
    return float(seen)


async def is_there(connection: Connection, node: int) -> None:
    """Keeps a node from being ended while the transaction lasts. Raises NodeEnded."""
    if await connection.fetchval("SELECT id FROM nodes WHERE id = $1 FOR KEY SHARE", node) is None:
        raise NodeEnded


async def renew(connection: Connection, node: int, name: str, lease: float, held: Collection[tuple[int, int]]) -> int:
    """Gives a node another number: of what it had begun with the old one, whose outcome nobody knows, nothing more can
    be committed. The leases that it knows of go along, others end. Returns the number. In a transaction.
    """
    successor = await begin(connection, name, lease)
    await _end(connection, [node])
    await connection.execute(
        "UPDATE deliveries d SET node = $2 FROM unnest($3::bigint[], $4::int[]) k (object, number)"
        " WHERE d.node = $1 AND d.object = k.object AND d.number = k.number",
        node,
        successor,
        [object for object, _ in held],
        [number for _, number in held],
    )
    await connection.execute("UPDATE transactions SET node = $2 WHERE node = $1", node, successor)
    await _release(connection, [node])
    return successor


async def end(connection: Connection, node: int) -> None:
    """Ends a node that ends by itself. In a transaction."""
    await _end(connection, [node])
    await _release(connection, [node])


async def bury(connection: Connection, node: int) -> list[str]:
    """Ends the nodes that have not been seen for the time of their leases, but for `node`; returns their names. In a
    transaction.
    """
    late = await connection.fetch(
        "SELECT id, name FROM nodes WHERE seen + lease < clock() AND id <> $1 ORDER BY id FOR UPDATE SKIP LOCKED", node
    )
    ids = [row["id"] for row in late]
    if ids:
        await _end(connection, ids)
        await _release(connection, ids)
    return [row["name"] for row in late]


async def _end(connection: Connection, nodes: list[int]) -> None:
    """Waits for the transactions of these nodes."""
    await connection.execute("DELETE FROM nodes WHERE id = ANY($1::bigint[])", nodes)
    await connection.execute(
        "INSERT INTO retired SELECT unnest($1::bigint[]), clock() ON CONFLICT (node) DO UPDATE SET since = clock()",
        nodes,
    )


async def _release(connection: Connection, nodes: list[int]) -> None:
    await connection.execute("UPDATE deliveries SET node = NULL WHERE node = ANY($1::bigint[])", nodes)
