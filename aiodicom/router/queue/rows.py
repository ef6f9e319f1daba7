"""The rows of the queue: what there is to deliver, and what has become of it.

Nothing here knows segments, threads or clocks: it is told where bytes are and what time it is. Each call is one
transaction.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from aiodicom.router.queue.bulk import execute_many, select_all
from aiodicom.router.queue.objects import PENDING, Duplicates, Failure, Incoming, Lease, Selection, State
from aiodicom.router.queue.tables import DELIVERY, MOST, SIGN, Found, Tables
from aiodicom.store.segments import Place

__all__ = ["Rows", "Stored", "known_uids"]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[str]).decode

_OBJECTS: Final = "INSERT INTO objects VALUES {rows}"
_DELIVERIES: Final = (
    "INSERT INTO deliveries"
    " (object, number, destination, route, state, rank, study, expires, attempts, changed, reason, gathered)"
    " VALUES {rows}"
)

#: Whether objects have come before, by their UIDs as an array of JSON.
_KNOWN: Final = (
    "SELECT json_group_array(sop_instance) FROM objects WHERE sop_instance IN (SELECT value FROM json_each(?))"
)

#: The deliveries of other objects that are the same. CROSS JOIN has SQLite keep the order: what is asked for, the
#: objects with that UID, their deliveries.
_SAME: Final = (
    "SELECT a.column1 AS id, a.column2 AS number FROM (VALUES {rows}) a"
    " CROSS JOIN objects o ON o.sop_instance = a.column3 AND o.digest = a.column4 AND o.size = a.column5"
    " AND o.id != a.column1 CROSS JOIN deliveries d ON d.object = o.id"
    " AND d.destination = a.column6 AND d.route = a.column7 AND d.state IN "
)
_SAME_STATES: Final = {Duplicates.DROP_WAITING: "(0, 1, 2, 4)", Duplicates.DROP: "(0, 1, 2, 4, 5)"}

_LEASE: Final = (
    "object, number, route, rank, attempts, expires, number_of_study, uid, patient, sop_class, sop_instance,"
    " transfer_syntax, calling, called, peer, received, segment, offset, size, digest"
)
#: Those deliveries are chosen and sorted first, and then have their objects looked up.
_CLAIM: Final = (
    f"SELECT {_LEASE.replace('number_of_study', 'd.study AS number_of_study')} FROM"
    " (SELECT object, number, route, rank, attempts, expires, study"
    " FROM deliveries WHERE {where} ORDER BY {order} LIMIT ?) d CROSS JOIN objects o ON o.id = d.object"
    " CROSS JOIN studies s ON s.id = d.study"
)


def known_uids(connection: sqlite3.Connection, uids: Sequence[str]) -> set[str]:
    """Returns those of the SOP Instance UIDs that objects with rows have. Raises sqlite3.Error."""
    (found,) = connection.execute(_KNOWN, (_encode(uids).decode(),)).fetchone()
    return set(_decode(found))


class Stored(NamedTuple):
    """An object whose bytes are in a segment."""

    id: int
    incoming: Incoming
    place: Place
    #: Why it cannot be delivered: its deliveries are dead from the beginning.
    fault: str = ""
    #: What has become of deliveries before there were rows, by their numbers: `WAITING` or `DELIVERED`.
    states: Mapping[int, State] = MappingProxyType({})


class Rows(Tables):
    """Takes what comes in, gives what is to go out, and does with it what people want."""

    # What comes in.

    def insert(self, batch: Sequence[Stored], indexed: dict[int, int], now: float) -> set[int]:
        """Adds objects; `indexed` says up to where segments have rows then.

        Returns the objects of which nothing is queued, because all their deliveries are duplicates.
        """
        with self.transaction():
            return self._insert(batch, indexed, now)

    def note(
        self,
        batch: Sequence[Stored],
        indexed: dict[int, int],
        delivered: Sequence[Lease],
        failed: Sequence[Failure],
        now: float,
    ) -> set[int]:
        """Does `insert`, and notes what has become of deliveries, both or neither. What somebody has held or dropped
        meanwhile stays so, unless it was delivered.
        """
        with self.transaction():
            dropped = self._insert(batch, indexed, now) if batch else set()
            if delivered or failed:
                self._settle(delivered, failed, now)
        return dropped

    def _insert(self, batch: Sequence[Stored], indexed: dict[int, int], now: float) -> set[int]:
        again = self._again(batch)
        objects, deliveries = [], []
        counts: Counter[tuple[int, int]] = Counter()
        segments = {number: [0, 0] for number in indexed}
        dropped = set()
        for stored in batch:
            id, incoming, place, fault, states = stored
            study = self.study(incoming.study_instance_uid, incoming.patient_id)
            objects.append(self._object(stored, study))
            is_needed = is_new = False
            for number, delivery in enumerate(incoming.deliveries):
                destination, route = self.word(delivery.destination), self.word(delivery.route)
                state = states.get(number)
                if state is None:
                    state = State.DEAD if fault else State.GATHERING if delivery.group else State.WAITING
                    if (id, number) in again:
                        state = State.DUPLICATE
                is_needed = is_needed or state < State.DELIVERED
                is_new = is_new or state is not State.DUPLICATE
                attempts = int(state is State.DELIVERED)
                counts[destination, state] += 1
                rank, expires, group = -delivery.priority, delivery.expires, delivery.group
                row = id, number, destination, route, int(state), rank, study, expires, attempts, now, fault, group
                deliveries.append(row)
            if is_needed:
                weight = segments.setdefault(place.segment, [0, 0])
                weight[0] += 1
                weight[1] += place.size
            if not is_new and incoming.deliveries:
                dropped.add(id)
        execute_many(self.connection, _OBJECTS, objects)
        execute_many(self.connection, _DELIVERIES, deliveries)
        self.count(counts)
        self.weigh((number, live, size, indexed.get(number, 0)) for number, (live, size) in segments.items())
        return dropped

    def _object(self, stored: Stored, study: int) -> tuple[Any, ...]:
        incoming, place = stored.incoming, stored.place
        return (
            stored.id,
            incoming.sop_instance_uid,
            study,
            incoming.series_instance_uid,
            self.word(incoming.sop_class_uid),
            self.word(incoming.transfer_syntax),
            incoming.calling_aet,
            incoming.called_aet,
            incoming.peer,
            incoming.received,
            place.segment,
            place.offset,
            place.size,
            place.digest - SIGN,
        )

    def _again(self, batch: Sequence[Stored]) -> set[tuple[int, int]]:
        """The deliveries of which the same is on its way already, or has been made: object and number."""
        states = _SAME_STATES.get(self.duplicates)
        if states is None:
            return set()
        found: set[tuple[int, int]] = set()
        seen: set[tuple[Any, ...]] = set()
        asked = []
        for id, incoming, place, _, known in batch:
            for number, delivery in enumerate(incoming.deliveries):
                words = self.word(delivery.destination), self.word(delivery.route)
                same = incoming.sop_instance_uid, place.digest - SIGN, place.size, *words
                state = known.get(number)
                if state is not None:  # it is none itself
                    if state is State.WAITING or self.duplicates is Duplicates.DROP:
                        seen.add(same)
                elif same in seen:
                    found.add((id, number))
                else:
                    seen.add(same)
                    asked.append((id, number, *same))
        rows = select_all(self.connection, "id, number", _SAME + states, asked)
        return found.union((id, number) for id, number in rows)

    def known(self, ids: Sequence[int]) -> set[int]:
        """Returns those of the objects that have rows."""
        template = "SELECT id FROM objects WHERE id IN (VALUES {rows})"
        return {id for (id,) in select_all(self.connection, "id", template, [(id,) for id in ids])}

    # What goes out.

    def claim(self, destination: str, limit: int, leased: Iterable[int] = (), *, newest: bool = False) -> list[Lease]:
        """Returns up to `limit` waiting deliveries for a destination: by priority, then by study, as they have come.

        None of the objects `leased`. `newest`: of the study that has come last, and so of what is not yet in arrears.
        """
        word = self.words.get(destination)
        if word is None or destination in self.on_hold or limit < 1:
            return []
        where = "destination = ? AND state = 0 AND object NOT IN (SELECT value FROM json_each(?))"
        order = "rank, study, object"
        parameters: list[Any] = [word, f"[{','.join(map(str, leased))}]"]
        if newest:
            ranks = f"SELECT rank FROM deliveries WHERE {where} ORDER BY rank LIMIT 1"
            first = self.connection.execute(ranks, parameters).fetchone()
            if first is None:
                return []
            where += " AND rank = ?"
            order = "study DESC, object"
            parameters += first
        template = _CLAIM.format(where=where, order=order)
        found = select_all(self.connection, _LEASE, template, None, *parameters, limit)
        leases = [self._lease(destination, row) for row in found]
        leases.sort(key=_newest_first if newest else _in_order)
        return leases

    def _lease(self, destination: str, row: Sequence[Any]) -> Lease:
        id, number, route, rank, attempts, expires, study, study_uid, patient, sop_class, uid, syntax = row[:12]
        calling, called, peer, received, segment, offset, size, digest = row[12:]
        return Lease(
            id,
            number,
            destination,
            self.texts[route],
            -rank,
            attempts,
            expires,
            self.texts[sop_class],
            uid,
            self.texts[syntax],
            study,
            study_uid,
            patient,
            calling,
            called,
            peer,
            received,
            Place(segment, offset, size, digest + SIGN),
        )

    def _settle(self, delivered: Sequence[Lease], failed: Sequence[Failure], now: float) -> None:
        self.change(self._of(delivered), State.DELIVERED, now, attempts=1)
        for lease, reason, retry_at, counts, ends_as in failed:
            found = self._of([lease])
            if ends_as is not State.DELIVERED:
                found = [row for row in found if row.state == State.WAITING]
            state = ends_as or (State.DEAD if retry_at is None else State.DELAYED)
            self.change(found, state, now, reason, retry_at, attempts=int(counts))

    def _of(self, leases: Sequence[Lease]) -> list[Found]:
        template = (
            f"SELECT {DELIVERY} FROM (VALUES {{rows}}) k"
            " CROSS JOIN deliveries ON object = k.column1 AND number = k.column2"
        )
        return self.select(template, [lease[:2] for lease in leases])

    def complete(self, route: str, group: str, now: float) -> set[str]:
        """Has what waits for the rest of a group, by a route, wait for its turn; at most 5,000 deliveries at a time.

        Returns their destinations; call it again until there are none.
        """
        template = f"SELECT {DELIVERY} FROM deliveries WHERE state = 4 AND gathered = ? AND route = ? LIMIT {MOST}"
        with self.transaction():
            found = self.select(template, None, group, self.words.get(route, -1))
            self.change(found, State.WAITING, now)
        return {self.texts[row.destination] for row in found}

    def gathering(self, after: int, limit: int = MOST) -> list[tuple[int, str, str, str]]:
        """Returns what waits for its group: object, route, group, SOP Instance UID; objects with numbers above `after`,
        of all their deliveries one for each route.
        """
        template = (
            "SELECT DISTINCT d.object, d.route, d.gathered, o.sop_instance FROM deliveries d"
            " CROSS JOIN objects o ON o.id = d.object"
            f" WHERE d.state = 4 AND d.object > ? ORDER BY d.object LIMIT {limit:d}"
        )
        rows = select_all(self.connection, "object, route, gathered, sop_instance", template, None, after)
        return [(object, self.texts[route], group, uid) for object, route, group, uid in rows]

    # What people want done.

    def change_selected(self, meant: Selection, state: State, now: float, reason: str | None = None) -> int:
        """Holds, releases, retries or drops what is pending of what is meant, as `state` says. At most 5,000 at a time.

        Returns how many have been changed; call it again until that is 0. What is retried after its death has not been
        tried yet.
        """
        with self.transaction():
            found = self._selected(meant, state)
            self.change(found, state, now, reason)
            if state is State.WAITING:
                dead = [row[:2] for row in found if row.state == State.DEAD]
                template = (
                    "UPDATE deliveries SET attempts = 0 FROM (VALUES {rows}) k"
                    " WHERE object = k.column1 AND number = k.column2"
                )
                execute_many(self.connection, template, dead)
        return len(found)

    def _selected(self, meant: Selection, other_than: State) -> list[Found]:
        conditions, parameters = self.conditions(meant)
        found: list[Found] = []
        for state in PENDING:  # each has an index of its own
            if state is not other_than and meant.state in (None, state):
                template = f"SELECT {DELIVERY} FROM deliveries WHERE state = {state:d}{conditions}"
                found += self.select(f"{template} LIMIT {MOST - len(found)}", None, *parameters)
        return found

    def hold_destination(self, destination: str, now: float) -> None:
        """Has nothing more be claimed for a destination; what comes for it waits."""
        with self.transaction():
            self.connection.execute("INSERT OR IGNORE INTO on_hold VALUES (?, ?)", (self.word(destination), now))
        self.on_hold.add(destination)

    def release_destination(self, destination: str) -> None:
        """Ends that."""
        with self.transaction():
            self.connection.execute("DELETE FROM on_hold WHERE destination = ?", (self.words.get(destination),))
        self.on_hold.discard(destination)

    def counts(self) -> dict[str, dict[State, int]]:
        """Returns how many deliveries there are, by destination and state. Reads a row for each."""
        found: dict[str, dict[State, int]] = {}
        rows = self.connection.execute("SELECT destination, state, number FROM counts WHERE number").fetchall()
        for destination, state, number in rows:
            found.setdefault(self.texts[destination], {})[State(state)] = number
        return found


def _in_order(lease: Lease) -> tuple[int, int, int]:
    return -lease.priority, lease.study, lease.object


def _newest_first(lease: Lease) -> tuple[int, int]:
    return -lease.study, lease.object
