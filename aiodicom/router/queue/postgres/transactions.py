"""Transactions of storage commitment that nodes have begun, each seen to by one of them: statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aiodicom.router.queue.postgres.nodes import is_there

if TYPE_CHECKING:
    from asyncpg import Connection  # type: ignore[import-untyped]

__all__ = ["forget", "keep", "take"]

#: How many a node takes over at a time: the others have their share.
_MOST: Final = 100


async def keep(connection: Connection, node: int, uid: str, ae_title: str, content: bytes) -> None:
    """Notes one, and what it asks for. In a transaction. Raises NodeEnded."""
    await is_there(connection, node)
    await connection.execute(
        "INSERT INTO transactions VALUES ($2, $3, $4, $1)"
        " ON CONFLICT (uid, ae_title) DO UPDATE SET node = $1, content = $4",
        node,
        uid,
        ae_title,
        content,
    )


async def forget(connection: Connection, uid: str, ae_title: str) -> None:
    """Who has asked has been told."""
    await connection.execute("DELETE FROM transactions WHERE uid = $1 AND ae_title = $2", uid, ae_title)


async def take(connection: Connection, node: int) -> Sequence[bytes]:
    """Has a node see to what those have left that are none any more, 100 at a time; returns what is asked for. In a
    transaction. Raises NodeEnded.
    """
    await is_there(connection, node)
    rows = await connection.fetch(
        "UPDATE transactions t SET node = $1 FROM (SELECT uid, ae_title FROM transactions l"
        " WHERE NOT EXISTS (SELECT FROM nodes WHERE id = l.node)"
        f" ORDER BY uid LIMIT {_MOST:d} FOR UPDATE SKIP LOCKED) k"
        " WHERE t.uid = k.uid AND t.ae_title = k.ae_title RETURNING t.content",
        node,
    )
    return [bytes(row["content"]) for row in rows]
