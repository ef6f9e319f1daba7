"""How many operations to have outstanding: found by hill climbing on what gets done.

A `Tuner` has no clock and no sockets. It is told the time and what has been completed, opened and refused, and says how
many associations are wanted, and how many operations on each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = ["FIRST_ASSOCIATIONS", "FIRST_WINDOW", "MOST_ASSOCIATIONS", "MOST_WINDOW", "PATIENCE", "Choice", "Tuner"]

#: A number, or for it to be found.
Choice: TypeAlias = int | Literal["auto"]

#: With how many associations the search begins, and where it ends. A peer's queue of connections that it has not
#: accepted yet often has no more than 50 places: that is why they are not opened all at once.
FIRST_ASSOCIATIONS: Final = 32
MOST_ASSOCIATIONS: Final = 64
#: The window that is proposed where it is to be found, and with how much of what is granted the search begins.
MOST_WINDOW: Final = 32
FIRST_WINDOW: Final = 8

#: What an operation counts beside the bytes of its data set. Goodput is operations where objects are small, bytes where
#: they are large.
_OPERATION: Final = 65536

#: Seconds until something is tried again that has brought nothing, or was refused; doubled each time up to the second.
_REST: Final = (3.0, 30.0)
_BACKOFF: Final = (5.0, 60.0)

#: Seconds that a new association has for its first answer when others are answered, and how many times as long as they
#: need.
PATIENCE: Final = 3.0
_SLOWER: Final = 10.0


class _Move(NamedTuple):
    """A step of the search."""

    #: "associations" or "window"
    what: str
    #: the new number over the old one
    factor: float
    #: the least goodput, over that before, with which it is kept
    gain: float


#: At first in strides, the window before the associations, since it costs the peer less.
_STRIDES: Final = (_Move("window", 2.0, 1.2), _Move("associations", 2.0, 1.2))
#: Then, every now and then, a step.
_STEPS: Final = (
    _Move("associations", 1.25, 1.05),
    _Move("window", 1.25, 1.05),
    _Move("associations", 0.8, 0.98),
    _Move("window", 0.8, 0.98),
)


class Tuner:
    """Says how many associations are wanted, and what window.

    Goodput is measured in epochs: an epoch has as many operations as are wanted outstanding, all begun when everything
    wanted was in place. By Little's law it is their work, over the time that they took together, times their number at
    once; so a level is judged as soon as its first operations are answered. A step up is kept on gain. Without gain it
    is measured once more, as new connections are slow at first, then taken back, and after some rest another step is
    tried. A refusal sets a ceiling, which is tried again later.

    Invariants: what is wanted stays within the bounds; a step is on trial while `_move` is set, and began at `_before`.
    """

    __slots__ = (
        "_arrived",
        "_associations",
        "_backoff",
        "_before",
        "_busy",
        "_ceiling",
        "_completed",
        "_goodput",
        "_granted",
        "_is_doubted",
        "_is_striding",
        "_move",
        "_moves",
        "_rest",
        "_rest_until",
        "_retry_at",
        "_searched",
        "_since",
        "_usual_busy",
        "_usual_work",
        "_work",
        "window",
    )

    def __init__(self, associations: Choice, window: Choice) -> None:
        self._associations = FIRST_ASSOCIATIONS if associations == "auto" else associations
        #: Operations wanted outstanding on each association.
        self.window = 1 if window == "auto" else window
        #: what a peer has granted last; until then the window is 1
        self._granted = 0
        self._searched = {
            name for name, choice in (("associations", associations), ("window", window)) if choice == "auto"
        }
        self._moves: Iterator[_Move] = itertools.chain(_STRIDES, itertools.cycle(_STEPS))
        self._is_striding = True
        #: the step on trial, the goodput and the numbers before it, and whether it has failed once
        self._move: _Move | None = None
        self._goodput = 0.0
        self._before = (0, 0)
        self._is_doubted = False
        self._rest, self._rest_until = _REST[0], 0.0
        #: how many associations the peer takes, as far as we know, and when to try more
        self._ceiling: int | None = None
        self._backoff, self._retry_at = _BACKOFF[0], 0.0
        #: the epoch: since when all is in place; operations, their work, and the seconds that they took together
        self._since: float | None = None
        self._completed, self._work, self._busy = 0, 0, 0.0
        #: the same of all operations ever
        self._usual_work, self._usual_busy = 0, 0.0
        #: when the first association was opened since the number that is wanted has changed
        self._arrived: float | None = None

    # --- what is wanted ---------------------------------------------------------------------------------------------

    def associations(self, now: float) -> int:
        """Returns how many associations are wanted."""
        return self._associations if self._ceiling is None else min(self._associations, self._allowed(now))

    def _allowed(self, now: float) -> int:
        if self._ceiling is None:
            return MOST_ASSOCIATIONS
        more = max(1, self._ceiling // 2) if now >= self._retry_at else 0
        return (
            min(self._ceiling + more, MOST_ASSOCIATIONS) if "associations" in self._searched else self._ceiling + more
        )

    def is_stalled(self, begun: float, now: float, size: int) -> bool:
        """Whether operations with `size` bytes, the first on their association and begun then, are unanswered for much
        longer than others take: some servers accept associations and leave them alone until others end.
        """
        if not self._usual_work:
            return False
        usual = self._usual_busy / self._usual_work * (size + _OPERATION)
        return now - begun > PATIENCE + _SLOWER * usual

    # --- what happens -----------------------------------------------------------------------------------------------

    def opened(self, count: int, window: int, now: float) -> None:
        """An association has been opened, so that there are `count`; the peer has granted a window on it (0: any)."""
        if self._ceiling is not None and count > self._ceiling:
            # The peer takes more than it seemed: when several are opened, answers come in any order.
            self._ceiling, self._backoff = count, _BACKOFF[0]
            if "associations" in self._searched:
                self._associations = max(self._associations, count)
            elif count >= self._associations:
                self._ceiling = None
        if self._arrived is None:
            self._arrived = now
        if not self._granted and "window" in self._searched:
            self.window = FIRST_WINDOW
        self._granted = window or MOST_WINDOW
        if window:
            self.window = min(self.window, window)

    def refused(self, count: int, now: float) -> None:
        """The peer took no further association beside `count` open ones."""
        self._ceiling = max(1, count)
        if now >= self._retry_at:  # else it is one of several refused together
            self._retry_at = now + self._backoff
            self._backoff = min(2 * self._backoff, _BACKOFF[1])
        if "associations" in self._searched:
            self._associations = self._ceiling
            self._move = self._since = self._arrived = None  # what was on trial is not what there is

    def placed(self, now: float, *, is_complete: bool) -> None:
        """Whether all associations that are wanted are open, and no more."""
        if not is_complete:
            self._since = None
        elif self._since is None:
            # Those that are opened for a level come one soon after the other, and begin at once.
            self._begin(now if self._arrived is None else self._arrived)

    def completed(self, begun: float, now: float, size: int) -> None:
        """An operation with `size` bytes of data set, begun then, has succeeded."""
        work, busy = size + _OPERATION, now - begun
        self._usual_work += work
        self._usual_busy += busy
        if self._since is None or begun < self._since or not self._searched:
            return
        self._completed += 1
        self._work += work
        self._busy += busy
        outstanding = self._associations * self.window
        # A stride is long enough to be judged by half of them.
        if self._completed >= (outstanding // 2 if self._is_striding else outstanding):
            goodput = outstanding * self._work / max(self._busy, 1e-9)
            self._begin(now)
            self._judge(goodput, now)

    # --- the search -------------------------------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        """Begins an epoch."""
        self._since = now
        self._completed, self._work, self._busy = 0, 0, 0.0

    def _judge(self, goodput: float, now: float) -> None:
        """Decides on the step that is on trial, and on the next one."""
        move, self._move = self._move, None
        if move is not None and goodput < move.gain * self._goodput:
            if not self._is_doubted:
                self._move, self._is_doubted = move, True
                return
            self._set(*self._before)
            if not self._is_striding:
                self._rest_until = now + self._rest
                self._rest = min(2 * self._rest, _REST[1])
                return
        else:
            self._goodput = goodput
            if move is not None:
                self._rest = _REST[0]
                if self._try(move, now):
                    return
        if now >= self._rest_until:
            self._try_next(now)

    def _try_next(self, now: float) -> None:
        for move in itertools.islice(self._moves, len(_STRIDES) + len(_STEPS)):
            if self._is_striding and move in _STEPS:
                # Found, for the time being.
                self._is_striding = False
                self._rest_until = now + self._rest
                return
            if self._try(move, now):
                return

    def _try(self, move: _Move, now: float) -> bool:
        """Puts a step on trial; false when there is no such step from here."""
        before = self._associations, self.window
        if move.what == "window":
            value, most = self.window, min(self._granted or 1, MOST_WINDOW)
        else:
            value, most = self._associations, self._allowed(now)
        if move.factor > 1:
            wanted = min(max(value + 1, int(value * move.factor)), most)
        else:
            wanted = max(min(value - 1, int(value * move.factor)), 1)
        is_one = wanted > value if move.factor > 1 else wanted < value
        if not is_one or move.what not in self._searched:
            return False
        self._before, self._move, self._is_doubted = before, move, False
        self._set(*((before[0], wanted) if move.what == "window" else (wanted, before[1])))
        return True

    def _set(self, associations: int, window: int) -> None:
        if associations != self._associations:
            self._since = self._arrived = None  # until they are in place
        self._associations, self.window = associations, window
