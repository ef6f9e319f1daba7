"""The tables of the queue's index, and what everything that changes them has in common."""

from __future__ import annotations

import os
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from aiodicom.router.queue.bulk import execute_many, select_all, transaction
from aiodicom.router.queue.objects import Duplicates, Selection, State
from aiodicom.router.queue.schema import open_index

__all__ = ["DELIVERY", "MOST", "SIGN", "Found", "Tables"]

#: Deliveries that are changed, and objects that are looked at, in one transaction when there are many.
MOST: Final = 5_000
#: A digest of 64 bits is kept as SQLite's signed integers are.
SIGN: Final = 1 << 63
#: The columns of `Found`.
DELIVERY: Final = "object, number, destination, state"

#: Studies whose numbers are remembered.
_STUDIES: Final = 10_000

_CHANGE: Final = (
    "UPDATE deliveries SET state = ?, changed = ?, reason = coalesce(?, reason), due = ?, attempts = attempts + ?"
    " FROM (VALUES {rows}) k WHERE object = k.column1 AND number = k.column2"
)
#: The objects of which nothing is pending any more, by segment.
_ENDED: Final = (
    "SELECT segment, count(*) AS live, sum(size) AS bytes FROM objects WHERE id IN (VALUES {rows})"
    " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE object = id AND state < 5) GROUP BY segment"
)
_COUNTS: Final = (
    "INSERT INTO counts VALUES {rows} ON CONFLICT (destination, state) DO UPDATE SET number = number + excluded.number"
)
_SEGMENTS: Final = (
    "INSERT INTO segments (number, live, live_bytes, indexed) VALUES {rows} ON CONFLICT (number) DO UPDATE SET"
    " live = live + excluded.live, live_bytes = live_bytes + excluded.live_bytes,"
    " indexed = max(indexed, excluded.indexed)"
)


class Found(NamedTuple):
    """A delivery that is to be changed."""

    object: int
    number: int
    #: its word
    destination: int
    state: int


class Tables:
    """The index of one shard, for one thread at a time.

    Invariants: `counts` is what the deliveries of each destination and state are; a segment's `live` is how many of its
    objects have a pending delivery. Whoever changes a delivery does it by `change`, in a transaction.
    """

    def __init__(self, path: str | os.PathLike[str], duplicates: Duplicates = Duplicates.DROP_WAITING) -> None:
        self.connection = open_index(path)
        self.duplicates = duplicates
        self.remember_words()

    def close(self) -> None:
        """Closes the index."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing: see `bulk.transaction`."""
        try:
            with transaction(self.connection):
                yield
        except BaseException:
            self.remember_words()  # those that it gave are gone
            raise

    # Texts that come again and again have numbers: words, of which there are few, and studies.

    def remember_words(self) -> None:
        """Remembers the words of the tables, and those alone."""
        rows = self.connection.execute("SELECT id, text FROM words").fetchall()
        self.words: dict[str, int] = {text: id for id, text in rows}
        self.texts: dict[int, str] = dict(rows)
        self.studies: OrderedDict[str, int] = OrderedDict()
        held = self.connection.execute("SELECT destination FROM on_hold").fetchall()
        self.on_hold = {self.texts[word] for (word,) in held}

    def word(self, text: str) -> int:
        """Returns the number of a word, which it gets when it has none."""
        word = self.words.get(text)
        if word is None:
            cursor = self.connection.execute("INSERT INTO words (text) VALUES (?)", (text,))
            assert cursor.lastrowid is not None
            word = self.words[text] = cursor.lastrowid
            self.texts[word] = text
        return word

    def study(self, uid: str, patient: str) -> int:
        """Returns the number of a study, which it gets when it has none. They grow."""
        study = self.studies.get(uid)
        if study is not None:
            self.studies.move_to_end(uid)
            return study
        row = self.connection.execute("SELECT id FROM studies WHERE uid = ?", (uid,)).fetchone()
        if row is None:
            cursor = self.connection.execute("INSERT INTO studies (uid, patient) VALUES (?, ?)", (uid, patient))
            assert cursor.lastrowid is not None
            row = (cursor.lastrowid,)
        study = self.studies[uid] = int(row[0])
        if len(self.studies) > _STUDIES:
            self.studies.popitem(last=False)
        return study

    # Deliveries.

    def conditions(self, meant: Selection) -> tuple[str, list[Any]]:
        """Returns what SQL says of deliveries that are meant, but for their state, and its parameters."""
        conditions: list[str] = []
        parameters: list[Any] = []
        for condition, value in (
            ("object = ?", meant.object),
            ("number = ?", meant.number),
            ("destination = ?", None if meant.destination is None else self.words.get(meant.destination, -1)),
            (
                "object IN (SELECT id FROM objects WHERE study = (SELECT id FROM studies WHERE uid = ?))",
                meant.study_instance_uid,
            ),
        ):
            if value is not None:
                conditions.append(f" AND {condition}")
                parameters.append(value)
        return "".join(conditions), parameters

    def select(self, template: str, rows: Sequence[Sequence[Any]] | None = None, *before: Any) -> list[Found]:
        """Returns the deliveries that a statement for the columns `DELIVERY` selects."""
        return [Found(*row) for row in select_all(self.connection, DELIVERY, template, rows, *before)]

    def change(
        self,
        found: Sequence[Found],
        state: State,
        now: float,
        reason: str | None = None,
        due: float | None = None,
        attempts: int = 0,
    ) -> None:
        """Brings deliveries into a state, with `attempts` more. Objects of which nothing is pending then are not needed
        any more. The reason stays as it is where none is given.
        """
        if not found:
            return
        keys = [row[:2] for row in found]
        execute_many(self.connection, _CHANGE, keys, int(state), now, reason, due, attempts)
        counts: Counter[tuple[int, int]] = Counter()
        for _, _, destination, before in found:
            counts[destination, before] -= 1
            counts[destination, state] += 1
        self.count(counts)
        ended = sorted({row.object for row in found if row.state < State.DELIVERED})
        if state >= State.DELIVERED and ended:
            rows = select_all(self.connection, "segment, live, bytes", _ENDED, [(id,) for id in ended])
            self.weigh([(segment, -live, -size, 0) for segment, live, size in rows])

    def count(self, counts: Counter[tuple[int, int]]) -> None:
        """Adds to the numbers of deliveries, by the word of a destination and state."""
        execute_many(self.connection, _COUNTS, [(*key, number) for key, number in counts.items() if number])

    def weigh(self, rows: Iterable[tuple[int, int, int, int]]) -> None:
        """Adds to what is needed of segments: number, objects, bytes; and says up to where they have rows."""
        execute_many(self.connection, _SEGMENTS, list(rows))

    # Facts.

    def fact(self, name: str) -> float:
        """Returns a number that is remembered by its name, 0 at first."""
        row = self.connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return 0.0 if row is None else float(row[0])

    def remember(self, name: str, value: float) -> None:
        """Remembers a number by a name."""
        with self.transaction():
            self.connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
