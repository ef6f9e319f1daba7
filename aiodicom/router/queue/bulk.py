"""Many rows with few calls of SQLite.

Each step of a statement lets go of the interpreter's lock and takes it again, which beside a busy event loop may take
milliseconds each time. So rows go in by statements for hundreds of rows, and come out as one row of JSON.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final

import msgspec

__all__ = ["Row", "execute_many", "select_all", "transaction"]

Row = Sequence[Any]

#: Rows of a statement; below that, powers of two, so that few statements are prepared.
_MOST: Final = 256

_decode = msgspec.json.Decoder(list[list[Any]]).decode


@functools.lru_cache(512)
def _statement(template: str, columns: int, rows: int) -> str:
    row = f"({','.join('?' * columns)})"
    return template.replace("{rows}", ",".join([row] * rows))


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    at = 0
    while at < len(rows):
        size = min(_MOST, 1 << ((len(rows) - at).bit_length() - 1))
        yield rows[at : at + size]
        at += size


def execute_many(connection: sqlite3.Connection, template: str, rows: Sequence[Row], *before: Any) -> None:
    """Executes a statement with rows for its ``{rows}``; `before` are the parameters in front of these."""
    for chunk in _chunks(rows):
        statement = _statement(template, len(chunk[0]), len(chunk))
        connection.execute(statement, (*before, *chain.from_iterable(chunk)))


def select_all(
    connection: sqlite3.Connection, columns: str, template: str, rows: Sequence[Row] | None = None, *before: Any
) -> list[list[Any]]:
    """Returns the columns of ``SELECT columns template``; with `rows`, for each of these in its ``{rows}``."""
    found: list[list[Any]] = []
    # The limit has SQLite keep the order in which the rows come out.
    outer = f"SELECT json_group_array(json_array({columns})) FROM ({template})"
    for chunk in (None,) if rows is None else _chunks(rows):
        if chunk is None:
            cursor = connection.execute(outer, before)
        else:
            statement = _statement(outer, len(chunk[0]), len(chunk))
            cursor = connection.execute(statement, (*before, *chain.from_iterable(chunk)))
        found += _decode(cursor.fetchone()[0])
    return found


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
