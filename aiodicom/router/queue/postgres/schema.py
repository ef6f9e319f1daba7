"""The tables in PostgreSQL, and how they come to be there.

They have a schema of their own, so that the database may be shared with others. Every index that claiming uses is of
what waits alone; `counts` is kept by a trigger, so that it is right whoever changes a delivery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodicom.errors import LocalError

if TYPE_CHECKING:
    from asyncpg import Connection  # type: ignore[import-untyped]

__all__ = ["SCHEMA", "WrongVersion", "ensure_schema"]

SCHEMA: Final = "aiodicom_router"
_VERSION: Final = 2

#: Of the advisory lock under which tables are made: nodes that start together do so one after the other.
_LOCK: Final = 0x61694449434F4D

_TABLES: Final = """
CREATE TABLE version (number int NOT NULL);

CREATE FUNCTION clock() RETURNS float8 LANGUAGE sql VOLATILE AS
    'SELECT extract(epoch FROM clock_timestamp())::float8';

-- A node, as long as it is alive: what it has leased, and what it has put, is its own by this row.
CREATE TABLE nodes (
    id bigserial PRIMARY KEY,
    name text NOT NULL,
    lease float8 NOT NULL,
    seen float8 NOT NULL
);
-- Nodes that are none any more: what they have put without rows is to be deleted.
CREATE TABLE retired (node bigint PRIMARY KEY, since float8 NOT NULL);

CREATE TABLE studies (id bigserial PRIMARY KEY, uid text NOT NULL UNIQUE, patient text NOT NULL);
CREATE INDEX studies_of_patient ON studies (patient);

CREATE TABLE objects (
    id bigserial PRIMARY KEY,
    -- Where the bytes are: the node that has put them, and their number with it.
    node bigint NOT NULL,
    number bigint NOT NULL,
    size bigint NOT NULL,
    digest bigint NOT NULL,
    sop_class text NOT NULL,
    sop_instance text NOT NULL,
    transfer_syntax text NOT NULL,
    study bigint NOT NULL REFERENCES studies,
    series text NOT NULL,
    calling text NOT NULL,
    called text NOT NULL,
    peer text NOT NULL,
    received float8 NOT NULL,
    UNIQUE (node, number)
);
CREATE INDEX objects_by_uid ON objects (sop_instance);
CREATE INDEX objects_of_study ON objects (study);
-- Bytes that nobody needs any more.
CREATE TABLE unneeded (
    node bigint NOT NULL, number bigint NOT NULL, is_removed bool NOT NULL DEFAULT false, PRIMARY KEY (node, number)
);

CREATE TABLE deliveries (
    object bigint NOT NULL REFERENCES objects,
    number int NOT NULL,
    destination text NOT NULL,
    route text NOT NULL,
    state int NOT NULL,
    rank int NOT NULL,
    study bigint NOT NULL,
    expires float8,
    due float8,
    attempts int NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT '',
    changed float8 NOT NULL,
    gathered text NOT NULL DEFAULT '',
    -- Who has leased it.
    node bigint,
    PRIMARY KEY (object, number)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX waiting ON deliveries (destination, rank, study, object) WHERE state = 0 AND node IS NULL;
CREATE INDEX leased ON deliveries (node) WHERE node IS NOT NULL;
CREATE INDEX delayed ON deliveries (due) WHERE state = 1;
CREATE INDEX pending ON deliveries (state, destination, object) WHERE state < 5;
CREATE INDEX gathering ON deliveries (gathered, route) WHERE state = 4;
CREATE INDEX expiring ON deliveries (expires) WHERE expires IS NOT NULL AND state < 5;

-- Series and studies that routes wait for. When the last object came, of whichever node, is known here.
CREATE TABLE groups (
    route text NOT NULL,
    name text NOT NULL,
    first float8 NOT NULL,
    last float8 NOT NULL,
    expected int NOT NULL DEFAULT 0,
    performed text[],
    PRIMARY KEY (route, name)
);
-- What senders have asked to be committed to, and not been told yet; `node` sees to it as long as it is one.
CREATE TABLE transactions (
    uid text NOT NULL, ae_title text NOT NULL, content bytea NOT NULL, node bigint NOT NULL, PRIMARY KEY (uid, ae_title)
);
CREATE TABLE on_hold (destination text PRIMARY KEY, since float8 NOT NULL);

-- What has been added to the numbers of deliveries, and taken from them; summed up now and then. Nobody waits for
-- anybody else to count.
CREATE TABLE counts (destination text NOT NULL, state int NOT NULL, number bigint NOT NULL);

CREATE FUNCTION count_new() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO counts SELECT destination, state, count(*) FROM new GROUP BY destination, state;
    RETURN NULL;
END $$;
CREATE FUNCTION count_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO counts SELECT destination, state, sum(n) FROM (
        SELECT destination, state, 1 AS n FROM new UNION ALL SELECT destination, state, -1 FROM old
    ) both_of_them GROUP BY destination, state HAVING sum(n) <> 0;
    RETURN NULL;
END $$;
CREATE FUNCTION count_old() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO counts SELECT destination, state, -count(*) FROM old GROUP BY destination, state;
    RETURN NULL;
END $$;
CREATE TRIGGER inserted AFTER INSERT ON deliveries REFERENCING NEW TABLE AS new
    FOR EACH STATEMENT EXECUTE FUNCTION count_new();
CREATE TRIGGER updated AFTER UPDATE ON deliveries REFERENCING NEW TABLE AS new OLD TABLE AS old
    FOR EACH STATEMENT EXECUTE FUNCTION count_changed();
CREATE TRIGGER deleted AFTER DELETE ON deliveries REFERENCING OLD TABLE AS old
    FOR EACH STATEMENT EXECUTE FUNCTION count_old();
"""


class WrongVersion(LocalError):
    """Another version of aiodicom has made the tables."""


async def ensure_schema(connection: Connection) -> None:
    """Makes the tables when they are missing; nodes that start together wait for each other.

    Raises WrongVersion, asyncpg.PostgresError.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if await connection.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.version") is None:
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            await connection.execute(_TABLES)
            await connection.execute("INSERT INTO version VALUES ($1)", _VERSION)
        version = await connection.fetchval("SELECT number FROM version")
        if version != _VERSION:
            raise WrongVersion(
                f"the tables of schema {SCHEMA} were made by another version of aiodicom ({version}, this one has"
                f" {_VERSION}): let that one deliver what is queued, or name another database"
            )
