"""The tables of the queue's index, and how they are opened.

Every index grows at its end and shrinks at its beginning, or is next to what came before (UIDs of one study begin
alike): of ten million rows, few pages are touched. What has been delivered is in no index but those that it is looked
for by.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Final

from aiodicom.store.files import sync_folder

__all__ = ["checkpoint", "open_index", "open_to_read", "sync_index"]

_VERSION: Final = 1

#: Bytes of pages that SQLite keeps in memory; the system caches more of them.
_CACHE: Final = 8 << 20
#: Bytes of SQLite's log from which on its writer has to wait for a moment, so that it can begin from the start.
_LONG_LOG: Final = 64 << 20

_TABLES: Final = """
CREATE TABLE words (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE studies (id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, patient TEXT NOT NULL);
CREATE INDEX studies_of_patient ON studies (patient);
CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    sop_instance TEXT NOT NULL,
    study INTEGER NOT NULL,
    series TEXT NOT NULL,
    sop_class INTEGER NOT NULL,
    transfer_syntax INTEGER NOT NULL,
    calling TEXT NOT NULL,
    called TEXT NOT NULL,
    peer TEXT NOT NULL,
    received REAL NOT NULL,
    segment INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    size INTEGER NOT NULL,
    digest INTEGER NOT NULL
);
CREATE INDEX objects_by_uid ON objects (sop_instance);
CREATE INDEX objects_of_study ON objects (study);
CREATE TABLE deliveries (
    object INTEGER NOT NULL,
    number INTEGER NOT NULL,
    destination INTEGER NOT NULL,
    route INTEGER NOT NULL,
    state INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    study INTEGER NOT NULL,
    expires REAL,
    due REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    changed REAL NOT NULL,
    gathered TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (object, number)
) WITHOUT ROWID;
CREATE INDEX waiting ON deliveries (destination, rank, study, object) WHERE state = 0;
CREATE INDEX delayed ON deliveries (due) WHERE state = 1;
CREATE INDEX held ON deliveries (destination, object) WHERE state = 2;
CREATE INDEX dead ON deliveries (destination, object) WHERE state = 3;
CREATE INDEX gathering ON deliveries (gathered, route, object) WHERE state = 4;
CREATE INDEX expiring ON deliveries (expires) WHERE expires IS NOT NULL AND state < 5;
CREATE TABLE counts (
    destination INTEGER NOT NULL, state INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (destination, state)
) WITHOUT ROWID;
CREATE TABLE segments (
    number INTEGER PRIMARY KEY,
    live INTEGER NOT NULL,
    live_bytes INTEGER NOT NULL,
    indexed INTEGER NOT NULL,
    is_removed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE on_hold (destination INTEGER PRIMARY KEY, since REAL NOT NULL);
CREATE TABLE facts (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
"""


def open_index(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """Opens the index, and makes its tables when it is new. Raises sqlite3.Error; DatabaseError when it is damaged.

    A commit does not wait for the disk: the segments alone have to last. A checkpoint does, so that what is there after
    a crash is some earlier state, and whole. Checkpoints are made by whoever runs them, never by a commit.
    """
    if sqlite3.sqlite_version_info < (3, 38):
        raise sqlite3.NotSupportedError(f"SQLite {sqlite3.sqlite_version} is too old for the queue: it needs 3.38")
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA busy_timeout = 10000")
        connection.execute(f"PRAGMA cache_size = -{_CACHE >> 10}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
        elif version != _VERSION:
            raise sqlite3.NotSupportedError(f"{os.fspath(path)} was made by another version of aiodicom ({version})")
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """Opens the index once more, for a thread that only reads what is committed. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA busy_timeout = 1000")
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def checkpoint(path: str | os.PathLike[str], least: int = 0) -> None:
    """Brings what was committed from SQLite's log into its file, and has both on the disk, once it is `least` bytes.

    Raises sqlite3.Error, OSError.

    For any thread: commits go on meanwhile, but for a moment when the log has become long.
    """
    log = f"{os.fspath(path)}-wal"
    if os.path.getsize(log) < least:
        return
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA busy_timeout = 1000")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if os.path.getsize(log) > _LONG_LOG:
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    finally:
        connection.close()


def sync_index(path: str | os.PathLike[str]) -> None:
    """Has everything on the disk that has been committed. For any thread; commits go on meanwhile. Raises OSError."""
    descriptor = os.open(f"{os.fspath(path)}-wal", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(os.path.dirname(path))
