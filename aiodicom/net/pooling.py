"""Turns on several associations: opened as they are needed, kept, replaced when they die."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from aiodicom.errors import AssociationClosed, ContextNotAccepted, DeadlineExceeded, LocalError, StatusError
from aiodicom.net._pooling import TurnsOfPool
from aiodicom.net.association import Association
from aiodicom.net.fleet import Connect, Fleet, pool_closed
from aiodicom.net.member import Member
from aiodicom.net.proposing import REFUSED_FOR, Context, Need, Proposals
from aiodicom.net.tuning import PATIENCE, Choice, Tuner
from aiodicom.net.unawaited import Withdrawn
from aiodicom.net.upkeep import Upkeep
from aiodicom.net.waiting import Queue, Wish
from aiodicom.ul.pdu import MOST_CONTEXTS

__all__ = ["AssociationPool", "NoTurn"]

Result = TypeVar("Result")

_ANY: Final = Wish(None, False)

#: Seconds that an association may take to be opened before those that do nothing, and have not what is waited for, are
#: released: some peers serve one at a time, and answer the next one only then.
_ANSWERED_WITHIN: Final = 1.0
#: How many other operations must have been answered for an association that has never answered anything to be stalled.
_OVERTAKEN: Final = 8


class NoTurn(DeadlineExceeded):
    """No turn came in time."""


class AssociationPool(TurnsOfPool, Fleet):
    """Up to `size` associations, each opened by `connect(contexts)` when an operation would have to wait without it.

    `window`: how many operations each has outstanding at most, as far as the peer grants that. Either may be "auto".
    `wait`: the seconds that an operation waits for its turn at most, and `max_waiting` how many do. `upkeep`: how long
    an association is kept. `on_failure` hears why an association could not be opened or how it ended, but not of
    refusals by which "auto" finds out how many the peer takes.

    Where the peer takes no more associations, those that it has taken go on, and more are tried later. What an
    operation needs and no association has proposed is added to `proposals`: another association is opened, or takes the
    place of one without it, one at a time. Turns that nobody waits for are given out and back by what is compiled.

    Invariants: nobody waits while there is a turn for whoever waits longest; who is in `_listed` had turns left when
    it was put there.
    """

    def __init__(
        self,
        connect: Connect,
        proposals: Proposals,
        *,
        size: Choice,
        window: Choice,
        max_waiting: int,
        wait: float | None,
        upkeep: Upkeep,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        if size != "auto" and size < 1:
            raise LocalError(f"a pool of {size} associations is none: at least 1, or 'auto'")
        if window != "auto" and not 1 <= window <= 0xFFFF:
            raise LocalError(f"a window of {window} is none for a pool: 1 to 65535, or 'auto'")
        if wait is not None and not wait >= 0:
            raise LocalError(f"nobody waits {wait!r} s for an association of a pool: 0 or more, or None for no limit")
        super().__init__(connect, proposals, upkeep, on_failure)
        self._is_searching = size == "auto"
        self._tuner = Tuner(size, window)
        self._max_waiting = max_waiting
        self._wait = wait
        #: those with turns left, the next one to use at the end
        self._listed: deque[Member] = deque()
        #: the window by which they were listed
        self._window = self._tuner.window
        self._queue = Queue()
        #: who is to be told when not all of those with turns are blocked
        self._held_up: list[Callable[[], object]] = []
        #: of which associations it is to be told when their peers take enough, once however often that was asked
        self._awaited: set[Member] = set()
        #: what all associations have, as far as that has been looked at since the last one was opened
        self._common: set[Need] = set()
        #: an association has been given up for one that is to propose more
        self._has_made_room = False
        #: how many operations have succeeded
        self._completed = 0
        #: how many associations there were when all that were wanted were there last, -1 while they are not
        self._settled = -1

    @property
    def concurrency(self) -> int:
        """How many operations are wanted outstanding; "auto" changes it as they complete."""
        now = 0.0 if self._loop is None else self._loop.time()
        return self._tuner.associations(now) * self._tuner.window

    # --- operations -------------------------------------------------------------------------------------------------

    async def perform(
        self,
        operation: Callable[[Association], Awaitable[Result]],
        *,
        need: Need | None = None,
        size: int | None = None,
    ) -> Result:
        """Calls `operation(association)`, one operation, when there is a turn for it, and returns what it returns.

        `need` is the presentation context that it needs, None where every association has it. `size` is about how many
        bytes it sends, for an operation that takes the peer no longer than that, and may be repeated: "auto" goes by
        these; and when the association answers nothing at all while others are answered, it is aborted and `operation`
        is called once more, with another one.

        Raises what `operation` raises; when no association is open, why none could be opened; `ContextNotAccepted` when
        the peer refuses what is needed; `DeadlineExceeded` when there is no turn within `wait` seconds; `LocalError`
        when too many wait, `AssociationClosed` when the pool is. Cancelled before there is a turn, nothing has
        happened; cancelled later, `operation` is, and the association is released without being used again.
        """
        wish = _ANY if need is None else Wish(need, False)
        is_again = False
        while True:
            member = self._take_now(wish) or await self._wait_for(wish)
            begun = self._now()
            if size is not None and not member.is_proven:
                self._watch(member, begun, size)
            try:
                result = await operation(member.association)
            except BaseException as error:
                member.is_proven |= isinstance(error, StatusError)
                self.give(member, error)
                is_withdrawn = member.is_withdrawn and isinstance(error, AssociationClosed)
                if is_withdrawn and size is not None and not is_again:
                    is_again = True
                    continue
                raise
            self._succeeded(member, begun, size)
            self.give(member)
            return result

    def when_ready(self, told: Callable[[], object]) -> None:
        """Has `told` called when the pool, which `is_blocked`, may be so no more."""
        if not self._held_up:
            for member in self._listed:
                if member not in self._awaited:
                    self._awaited.add(member)
                    member.association.when_drained(partial(self._on_drained, member))
        self._held_up.append(told)

    def _on_drained(self, member: Member) -> None:
        self._awaited.discard(member)
        self._tell_held_up()

    def _tell_held_up(self) -> None:
        """One of the associations with turns is blocked no more, or there is another one."""
        held_up, self._held_up = self._held_up, []
        for told in held_up:
            told()

    def _passed_on(self, member: Member, size: int | None, error: BaseException) -> BaseException:
        """What is told of an operation that `begin_now` began, for this error."""
        is_withdrawn = member.is_withdrawn and isinstance(error, AssociationClosed) and size is not None
        return Withdrawn(str(error)) if is_withdrawn else error

    async def take(self, need: Need | None = None, *, is_whole: bool = False) -> Member:
        """Waits for a turn on an association, or for one that nobody else uses; to be given back by `give`.

        Raises as `perform` does. Cancelled, none is taken.
        """
        wish = Wish(need, is_whole)
        return self._take_now(wish) or await self._wait_for(wish)

    def _why_none(self) -> Exception:
        """Why there are no turns at all."""
        if self._is_over:
            return pool_closed()
        return LocalError("the pool is not in use yet: `async with` it, or await it")

    async def _wait_for(self, wish: Wish) -> Member:
        """Waits for a turn."""
        loop = self._loop
        assert loop is not None
        if self._queue.count >= self._max_waiting:
            raise LocalError(f"{self._queue.count:,} operations wait for the pool already: begin fewer at a time")
        deadline = math.inf if self._wait is None else loop.time() + self._wait
        while True:
            if self._is_over:
                raise pool_closed()
            is_common = bool(self._members) if wish.need is None else self._is_common(wish.need)
            if wish.need is not None and not is_common:
                self._propose(wish.need)
            future: asyncio.Future[Member] = loop.create_future()
            waiter = self._queue.add(future, wish, deadline)
            self._wake_at(deadline)
            try:
                # With no turn left, on as many associations as are wanted, one who waits more changes nothing.
                if self._listed or not is_common or len(self._members) < self._tuner.associations(loop.time()):
                    self._adjust()
                member = await future
            except BaseException:
                if future.done() and not future.cancelled() and future.exception() is None:
                    self.give(future.result())  # the turn came at the moment of the cancellation
                elif self._queue.discard(waiter):
                    self._adjust()  # it may have been in the way of others
                raise
            if member.association.is_open:
                return member
            self.give(member)  # it ended at the moment when it was given

    def _no_turn(self) -> NoTurn:
        assert self._wait is not None
        return NoTurn("free association of the pool", self._wait)

    def _sweep(self) -> None:
        waits_until = self._queue.expire(self._now(), self._no_turn)
        super()._sweep()
        self._wake_at(waits_until)

    # --- turns ------------------------------------------------------------------------------------------------------

    def _list(self, member: Member) -> None:
        """There are turns on an association that had none."""
        member.is_listed = True
        self._listed.append(member)
        if self._held_up:
            self._tell_held_up()

    def _holds_up(self, wish: Wish) -> bool:
        """Whether nobody who came later is served first: who waits for a whole association would do so for ever."""
        return wish.is_whole and self._is_met(wish.need)

    def _adjust(self) -> None:
        """Gives out the turns that there are, and has as many associations as are wanted and needed."""
        now = self._now()
        wanted = self._tuner.associations(now)
        if self._window != self._tuner.window:
            self._window = self._tuner.window
            for member in self._members:
                if not member.is_listed and self._turns_of(member):
                    self._list(member)
        if len(self._members) > wanted:
            idle = [member for member in self._members if not member.taken]
            for member in idle[: len(self._members) - wanted]:
                self._retire(member)
        if self._queue.count and self._listed:
            self._queue.serve(self._pick, self._holds_up)
        if self._queue.count and not self._is_over:
            there = len(self._members) + len(self._opening)
            if self._leaving:
                there += sum(member.association.is_open for member in self._leaving.values())
            for _ in range(min(wanted - there, self._queue.count - len(self._opening))):
                self._begin_opening()
            if self._opening:
                self._make_way(now)
            elif there >= wanted:
                self._make_room()
        is_complete = len(self._members) == wanted and not self._opening
        self._settled = wanted if is_complete else -1
        self._tuner.placed(now, is_complete=is_complete)
        if self._members:
            self._wake_at(now + self._shortest)

    # --- associations, and what they propose ------------------------------------------------------------------------

    def _contexts(self) -> Sequence[Context]:
        # What is waited for longest is to be in it, however much has been asked for since.
        for need in reversed(self._queue.needs(MOST_CONTEXTS)):
            self._proposals.need(need)
        return self._proposals.contexts()

    def _on_opened(self, member: Member) -> None:
        self._has_made_room = False
        self._common.clear()
        self._tuner.opened(len(self._members), member.granted, member.opened)
        self._list(member)
        for wish in self._queue.wishes():
            if wish.need is not None and not self._is_met(wish.need) and (why := member.refuses(wish.need)):
                self._proposals.refuse(wish.need, why, member.opened + REFUSED_FOR)
                self._queue.fail(wish, ContextNotAccepted(wish.need.abstract_syntax, wish.need.transfer_syntax, why))
        self._adjust()
        for other in tuple(self._members):
            if other.proposed < member.proposed:
                other.is_outdated = True
                if not other.taken:
                    self._retire(other)

    def _on_refusal(self, error: Exception) -> None:
        if not (self._is_searching and (self._members or self._opening)):
            self._report(error)
        self._tuner.refused(len(self._members), self._now())
        if not self._opening:
            for wish in self._queue.wishes():
                # Where room was made in vain, no more is: what the others are doing goes on.
                if not self._members or (self._has_made_room and not self._is_met(wish.need)):
                    self._queue.fail(wish, error)
            self._has_made_room = False
        self._adjust()

    def _is_met(self, need: Need | None) -> bool:
        """Whether an open association has what is needed."""
        return any(member.meets(need) for member in self._members)

    def _is_common(self, need: Need) -> bool:
        """Whether there are associations, and all of them have what is needed."""
        if need not in self._common:
            if not all(member.meets(need) for member in self._members) or len(self._common) >= MOST_CONTEXTS:
                return False
            self._common.add(need)
        return bool(self._members)

    def _propose(self, need: Need) -> None:
        """Has what is needed proposed by the next association. Raises `ContextNotAccepted` for what the peer has
        refused lately.
        """
        if not self._is_met(need):
            now = self._now()
            for member in self._members:
                until = member.opened + REFUSED_FOR
                if until > now and (why := member.refuses(need)):
                    self._proposals.refuse(need, why, until)
            refusal = self._proposals.refusal(need, now)
            if refusal is not None:
                raise refusal
        self._proposals.need(need)

    def _make_room(self) -> None:
        """Where who has waited longest needs what an association hasn't, gives that up for one that proposes it: one
        at a time.
        """
        wish = self._queue.first
        if wish is None or wish.need is None or self._is_common(wish.need):
            return
        need = wish.need
        is_going = any(member.is_spent for member in self._members)
        if is_going or any(member.association.is_open for member in self._leaving.values()):
            return
        others = [member for member in self._members if not member.meets(need)]
        if others:
            self._has_made_room = True
            self._spend(min(others, key=lambda member: (member.is_lent, member.taken, member.used)))

    def _make_way(self, now: float) -> None:
        """Releases the associations that do nothing and have not what is waited for, where another one that is being
        opened is not answered.
        """
        wish = self._queue.first
        if wish is None or wish.need is None or self._is_met(wish.need):
            return
        patient_until = min(self._opening.values()) + _ANSWERED_WITHIN
        if now < patient_until:
            self._wake_at(patient_until)
            return
        for member in tuple(self._members):
            if not member.taken:
                self._retire(member)

    # --- associations that answer nothing ---------------------------------------------------------------------------

    def _watch(self, member: Member, now: float, size: int) -> None:
        """An operation begins on an association that has never answered anything."""
        if member.begun is None:
            member.begun, member.mark = now, self._completed
            self._wake_at(now + PATIENCE)
        member.size += size

    def _is_overtaken(self, member: Member) -> bool:
        """Whether others are answered: many have been meanwhile, or they have nothing left to do."""
        if self._completed - member.mark >= _OVERTAKEN:
            return True
        return any(other.is_proven and not other.taken for other in self._members)

    def _look_after(self, member: Member, now: float) -> None:
        """Aborts an association that answers nothing while others are answered."""
        if not member.is_proven and member.begun is not None:
            if self._is_overtaken(member) and self._tuner.is_stalled(member.begun, now, member.size):
                member.is_withdrawn = True
                self._retire(member)
                member.association.abort()
                self._tuner.refused(len(self._members), now)
            else:
                self._wake_at(max(member.begun, now - PATIENCE / 2) + PATIENCE)

    def _turn_away(self, error: Exception) -> None:
        for wish in self._queue.wishes():
            self._queue.fail(wish, error)
