"""The rows of the queue: what there is to deliver, and what has become of it.

Each call is of one transaction, which the caller makes. The order in which rows are locked is always the same: nodes,
studies, objects by their numbers, deliveries, groups.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiodicom.router.queue.objects import PENDING, Duplicates, Failure, Incoming, Lease, Selection, State
from aiodicom.router.queue.postgres.nodes import is_there
from aiodicom.router.queue.tables import MOST, SIGN
from aiodicom.store.segments import Place

if TYPE_CHECKING:
    from asyncpg import Connection, Record  # type: ignore[import-untyped]

__all__ = [
    "Inserted",
    "Put",
    "change_selected",
    "claim",
    "conditions_of",
    "counts",
    "finish",
    "hold_destination",
    "insert",
    "on_hold",
    "place_of",
    "release_destination",
    "settle",
]

#: Characters of a reason that are kept.
_LONGEST: Final = 1000

_OBJECTS: Final = (
    "INSERT INTO objects (node, number, size, digest, sop_class, sop_instance, transfer_syntax, study, series, calling,"
    " called, peer, received)"
    " SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[],"
    " $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::float8[]) RETURNING number, id"
)
_DELIVERIES: Final = (
    "INSERT INTO deliveries (object, number, destination, route, state, rank, study, expires, gathered, changed)"
    " SELECT *, clock() FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::int[], $6::int[],"
    " $7::bigint[], $8::float8[], $9::text[])"
)
_GROUPS: Final = (
    "INSERT INTO groups (route, name, first, last) SELECT *, clock(), clock() FROM unnest($1::text[], $2::text[])"
    " ON CONFLICT (route, name) DO UPDATE SET last = excluded.last"
)
#: The deliveries of objects that are there which are the same.
_SAME: Final = (
    "SELECT DISTINCT k.at FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[])"
    " k (at, sop_instance, digest, size, destination, route)"
    " JOIN objects o ON o.sop_instance = k.sop_instance AND o.digest = k.digest AND o.size = k.size"
    " JOIN deliveries d ON d.object = o.id AND d.destination = k.destination AND d.route = k.route"
    " WHERE d.state = ANY($7::int[])"
)
_SAME_STATES: Final = {
    Duplicates.FORWARD: (),
    Duplicates.DROP_WAITING: (0, 1, 2, 4),
    Duplicates.DROP: (0, 1, 2, 4, 5),
}

_CLAIM: Final = """
WITH chosen AS (
    SELECT object, number FROM deliveries
    WHERE destination = $2 AND state = 0 AND node IS NULL {condition}
        AND NOT EXISTS (SELECT FROM on_hold WHERE destination = $2)
    ORDER BY {order} LIMIT $3 FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE deliveries d SET node = $1 FROM chosen c WHERE d.object = c.object AND d.number = c.number RETURNING d.*
)
SELECT d.object, d.number, d.route, d.rank, d.attempts, d.expires, o.sop_class, o.sop_instance, o.transfer_syntax,
    d.study, s.uid, s.patient, o.calling, o.called, o.peer, o.received, o.node, o.number AS place, o.size, o.digest
FROM claimed d JOIN objects o ON o.id = d.object JOIN studies s ON s.id = d.study ORDER BY {order_of_found}
"""
_CLAIM_FIRST: Final = _CLAIM.format(
    condition="", order="rank, study, object", order_of_found="d.rank, d.study, d.object, d.number"
)
_CLAIM_NEWEST: Final = _CLAIM.format(
    condition=(
        "AND rank = (SELECT rank FROM deliveries WHERE destination = $2 AND state = 0 AND node IS NULL"
        " ORDER BY rank LIMIT 1)"
    ),
    order="study DESC, object",
    order_of_found="d.study DESC, d.object, d.number",
)


class Put(NamedTuple):
    """An object whose bytes are in the store, under this number of the node."""

    number: int
    incoming: Incoming
    size: int
    digest: int


class Inserted(NamedTuple):
    """What has become of objects that were put, in their order."""

    objects: list[int]
    #: Those of which nothing is queued, because all their deliveries are duplicates.
    dropped: set[int]


def place_of(row: Record, number: str) -> Place:
    """Where the bytes of an object are: the node that has put them stands for the segment, their number for the
    offset.
    """
    return Place(row["node"], row[number], row["size"], row["digest"] + SIGN)


# What comes in.


async def insert(connection: Connection, node: int, batch: Sequence[Put], duplicates: Duplicates) -> Inserted:
    """Adds objects. Raises NodeEnded, and asyncpg.PostgresError for what cannot be rows."""
    await is_there(connection, node)
    studies = await _studies(connection, {put.incoming.study_instance_uid: put.incoming.patient_id for put in batch})
    again = await _again(connection, batch, duplicates)
    columns = [_object(put, studies[put.incoming.study_instance_uid]) for put in batch]
    rows = await connection.fetch(_OBJECTS, node, *zip(*columns, strict=True))
    ids = {row["number"]: row["id"] for row in rows}
    deliveries: list[tuple[Any, ...]] = []
    groups: set[tuple[str, str]] = set()
    dropped = set()
    at = 0
    for put in batch:
        id, incoming = ids[put.number], put.incoming
        is_needed = False
        for number, delivery in enumerate(incoming.deliveries):
            state = State.GATHERING if delivery.group else State.WAITING
            if at in again:
                state = State.DUPLICATE
            else:
                is_needed = True
                if delivery.group:
                    groups.add((delivery.route, delivery.group))
            where = delivery.destination, delivery.route, int(state), -delivery.priority
            study = studies[incoming.study_instance_uid]
            deliveries.append((id, number, *where, study, delivery.expires, delivery.group))
            at += 1
        if incoming.deliveries and not is_needed:
            dropped.add(id)
    if deliveries:
        await connection.execute(_DELIVERIES, *zip(*deliveries, strict=True))
    if dropped:
        await finish(connection, dropped)
    if groups:
        await connection.execute(_GROUPS, *zip(*sorted(groups), strict=True))
    return Inserted([ids[put.number] for put in batch], dropped)


async def _studies(connection: Connection, patients: dict[str, str]) -> dict[str, int]:
    """The numbers of studies, which grow: those that have none get one."""
    uids = sorted(patients)  # as all nodes do, so that none of two waits for the other
    find = "SELECT uid, id FROM studies WHERE uid = ANY($1::text[])"
    known = {row["uid"]: row["id"] for row in await connection.fetch(find, uids)}
    new = [uid for uid in uids if uid not in known]
    if new:
        await connection.execute(
            "INSERT INTO studies (uid, patient) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
            new,
            [patients[uid] for uid in new],
        )
        known.update((row["uid"], row["id"]) for row in await connection.fetch(find, new))
    return known


def _object(put: Put, study: int) -> tuple[Any, ...]:
    incoming = put.incoming
    return (
        put.number,
        put.size,
        put.digest - SIGN,
        incoming.sop_class_uid,
        incoming.sop_instance_uid,
        incoming.transfer_syntax,
        study,
        incoming.series_instance_uid,
        incoming.calling_aet,
        incoming.called_aet,
        incoming.peer,
        incoming.received,
    )


async def _again(connection: Connection, batch: Sequence[Put], duplicates: Duplicates) -> set[int]:
    """The deliveries of which the same is on its way already, or has been made; by their places in the batch."""
    if duplicates is Duplicates.FORWARD:
        return set()
    found: set[int] = set()
    seen: set[tuple[Any, ...]] = set()
    asked: list[tuple[Any, ...]] = []
    at = 0
    for put in batch:
        for delivery in put.incoming.deliveries:
            same = put.incoming.sop_instance_uid, put.digest - SIGN, put.size, delivery.destination, delivery.route
            if same in seen:
                found.add(at)
            else:
                seen.add(same)
                asked.append((at, *same))
            at += 1
    if asked:
        rows = await connection.fetch(_SAME, *zip(*asked, strict=True), _SAME_STATES[duplicates])
        found.update(row["at"] for row in rows)
    return found


# What goes out.


async def claim(connection: Connection, node: int, destination: str, limit: int, *, newest: bool) -> list[Lease]:
    """Leases up to `limit` waiting deliveries: by priority, then by study, as they have come. What others are claiming
    at the same moment is left to them. Raises NodeEnded.
    """
    await is_there(connection, node)
    rows = await connection.fetch(_CLAIM_NEWEST if newest else _CLAIM_FIRST, node, destination, limit)
    return [_lease(destination, row) for row in rows]


def _lease(destination: str, row: Record) -> Lease:
    return Lease(
        row["object"],
        row["number"],
        destination,
        row["route"],
        -row["rank"],
        row["attempts"],
        row["expires"],
        row["sop_class"],
        row["sop_instance"],
        row["transfer_syntax"],
        row["study"],
        row["uid"],
        row["patient"],
        row["calling"],
        row["called"],
        row["peer"],
        row["received"],
        place_of(row, "place"),
    )


async def settle(
    connection: Connection,
    node: int,
    delivered: Sequence[Lease],
    failed: Sequence[Failure],
    returned: Sequence[Lease],
) -> None:
    """Notes what has become of deliveries, and has those `returned` wait again. What was delivered is, whoever has
    leased it meanwhile; the rest stays as it is where this node has it no more. To do it twice changes nothing.

    Raises NodeEnded.
    """
    await is_there(connection, node)
    if returned:
        await _give_back(connection, node, returned)
    objects = {lease.object for lease in delivered} | {failure.lease.object for failure in failed}
    await _lock(connection, objects)
    if delivered:
        await connection.execute(
            "UPDATE deliveries d SET state = 5, node = NULL, due = NULL, changed = clock(), attempts = attempts + 1"
            " FROM unnest($1::bigint[], $2::int[]) k (object, number)"
            " WHERE d.object = k.object AND d.number = k.number AND d.state <> 5",
            [lease.object for lease in delivered],
            [lease.number for lease in delivered],
        )
    if failed:
        rows = [
            (
                lease.object,
                lease.number,
                State.DROPPED if is_dropped else State.DEAD if retry_at is None else State.DELAYED,
                text_of(reason)[:_LONGEST],
                retry_at,
                int(counts),
            )
            for lease, reason, retry_at, counts, is_dropped in failed
        ]
        await connection.execute(
            "UPDATE deliveries d SET state = k.state, node = NULL, reason = k.reason, due = k.due, changed = clock(),"
            " attempts = d.attempts + k.attempts"
            " FROM unnest($2::bigint[], $3::int[], $4::int[], $5::text[], $6::float8[], $7::int[])"
            " k (object, number, state, reason, due, attempts)"
            " WHERE d.object = k.object AND d.number = k.number AND d.node = $1 AND d.state = 0",
            node,
            *zip(*rows, strict=True),
        )
    await finish(connection, objects)


async def _give_back(connection: Connection, node: int, leases: Sequence[Lease]) -> None:
    await connection.execute(
        "UPDATE deliveries d SET node = NULL FROM unnest($2::bigint[], $3::int[]) k (object, number)"
        " WHERE d.object = k.object AND d.number = k.number AND d.node = $1",
        node,
        [lease.object for lease in leases],
        [lease.number for lease in leases],
    )


async def _lock(connection: Connection, objects: Collection[int]) -> None:
    """Has nobody else settle deliveries of these objects: of two that end its last ones, one has to see it."""
    statement = "SELECT FROM objects WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE"
    await connection.execute(statement, list(objects))


async def finish(connection: Connection, objects: Collection[int]) -> None:
    """Notes of which of these objects nobody needs the bytes any more. They are locked."""
    await connection.execute(
        "INSERT INTO unneeded (node, number) SELECT node, number FROM objects o WHERE id = ANY($1::bigint[])"
        " AND NOT EXISTS (SELECT FROM deliveries WHERE object = o.id AND state < 5) ON CONFLICT DO NOTHING",
        list(objects),
    )


# What people want done.


async def change_selected(connection: Connection, meant: Selection, state: State, reason: str | None) -> int:
    """Holds, releases, retries or drops what is pending of what is meant, as `state` says. At most 5,000 at a time.

    Returns how many have been changed; call it again until that is 0. What is retried after its death has not been
    tried yet.
    """
    states = [int(each) for each in PENDING if each is not state and meant.state in (None, each)]
    conditions, parameters = conditions_of(meant, states)
    statement = f"SELECT object, number FROM deliveries WHERE {conditions} LIMIT {MOST:d}"
    found = await connection.fetch(statement, *parameters)
    objects = {row["object"] for row in found}
    await _lock(connection, objects)
    changed = await connection.fetch(
        "UPDATE deliveries d SET state = $3, node = NULL, due = NULL, changed = clock(),"
        " reason = coalesce($4, reason), attempts = CASE WHEN state = 3 AND $3 = 0 THEN 0 ELSE attempts END"
        " FROM unnest($1::bigint[], $2::int[]) k (object, number)"
        " WHERE d.object = k.object AND d.number = k.number AND d.state = ANY($5::int[]) RETURNING 1",
        [row["object"] for row in found],
        [row["number"] for row in found],
        int(state),
        None if reason is None else text_of(reason)[:_LONGEST],
        states,
    )
    if state >= State.DELIVERED:
        await finish(connection, objects)
    return len(changed)


def conditions_of(meant: Selection, states: Sequence[int]) -> tuple[str, list[Any]]:
    """Returns the conditions for pending deliveries in some of these states that somebody means, and their
    parameters.
    """
    conditions = ["state < 5", "state = ANY($1::int[])"]
    parameters: list[Any] = [states]
    for condition, value in (
        ("object = {}", meant.object),
        ("number = {}", meant.number),
        ("destination = {}", meant.destination),
        (
            "object IN (SELECT o.id FROM objects o JOIN studies s ON s.id = o.study WHERE s.uid = {})",
            meant.study_instance_uid,
        ),
    ):
        if value is not None:
            parameters.append(value)
            conditions.append(condition.format(f"${len(parameters)}"))
    return " AND ".join(conditions), parameters


async def hold_destination(connection: Connection, destination: str) -> None:
    """Has nothing more be claimed for a destination; what comes for it waits."""
    await connection.execute("INSERT INTO on_hold VALUES ($1, clock()) ON CONFLICT DO NOTHING", destination)


async def release_destination(connection: Connection, destination: str) -> None:
    """Ends that."""
    await connection.execute("DELETE FROM on_hold WHERE destination = $1", destination)


async def on_hold(connection: Connection) -> list[str]:
    """Returns the destinations for which nothing is claimed."""
    return [row["destination"] for row in await connection.fetch("SELECT destination FROM on_hold ORDER BY 1")]


async def counts(connection: Connection) -> dict[str, dict[State, int]]:
    """Returns how many deliveries there are, by destination and state."""
    found: dict[str, dict[State, int]] = {}
    for row in await connection.fetch(
        "SELECT destination, state, sum(number)::bigint AS number FROM counts GROUP BY destination, state"
        " HAVING sum(number) <> 0"
    ):
        found.setdefault(row["destination"], {})[State(row["state"])] = row["number"]
    return found


def text_of(text: str) -> str:
    """A text that PostgreSQL can keep: without what UTF-8 has no place for, and NUL."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
