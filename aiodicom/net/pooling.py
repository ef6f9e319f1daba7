"""Turns on several associations: opened as they are needed, kept, replaced when they die."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar

from aiodicom.errors import AssociationClosed, DeadlineExceeded, LocalError, StatusError
from aiodicom.net.association import Association
from aiodicom.net.tuning import PATIENCE, Choice, Tuner

__all__ = ["AssociationPool", "Member"]

_log = logging.getLogger("aiodicom.pool")

Result = TypeVar("Result")

#: How many other operations must have been answered for an association that has never answered anything to be stalled.
_OVERTAKEN: Final = 8


class Member:
    """An association of a pool, and what it is doing.

    Invariants: `taken` turns on it are taken, all of them when it is lent as a whole; `is_listed` while it is among
    those that have turns left; once `is_leaving`, nobody gets another turn on it.
    """

    __slots__ = (
        "association",
        "begun",
        "granted",
        "is_leaving",
        "is_lent",
        "is_listed",
        "is_proven",
        "is_withdrawn",
        "mark",
        "size",
        "taken",
        "used",
        "why",
    )

    def __init__(self, association: Association, now: float) -> None:
        self.association = association
        #: the window that the peer has granted, 0 for any
        self.granted = association.window
        self.taken = 0
        self.is_lent = False
        self.is_listed = False
        self.is_leaving = False
        #: when its last turn was given back
        self.used = now
        #: whether it has ever answered. Until then, while turns are taken: when the first began, the bytes of all,
        #: and how many operations the pool had completed at the first
        self.is_proven = False
        self.begun: float | None = None
        self.size = 0
        self.mark = 0
        #: aborted because it answered nothing
        self.is_withdrawn = False
        #: what was raised when it ended, if that is known
        self.why: BaseException | None = None


class _Waiter(NamedTuple):
    """Who waits for a turn, or for a whole association."""

    future: asyncio.Future[Member]
    is_whole: bool


class AssociationPool:
    """Up to `size` associations, each opened by `open_association()` when an operation would have to wait without it.

    `window`: how many operations each has outstanding at most, as far as the peer grants that. Either may be "auto".
    `wait`: the seconds that an operation waits for its turn at most, and `max_waiting` how many do. `idle`: the seconds
    after which an association that nobody needs is released. `on_failure` hears why an association could not be opened
    or how it ended, but not of refusals by which "auto" finds out how many the peer takes.

    Where the peer takes no more associations, those that it has taken go on, and more are tried later.

    Invariants: nobody waits while there is a turn for whoever waits longest; every task is in `_opening` or `_leaving`,
    and has ended when the pool is closed.
    """

    def __init__(
        self,
        open_association: Callable[[], Awaitable[Association]],
        *,
        size: Choice,
        window: Choice,
        max_waiting: int,
        wait: float | None,
        idle: float | None,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        if size != "auto" and size < 1:
            raise LocalError(f"a pool of {size} associations is none: at least 1, or 'auto'")
        if window != "auto" and not 1 <= window <= 0xFFFF:
            raise LocalError(f"a window of {window} is none for a pool: 1 to 65535, or 'auto'")
        self._open_association = open_association
        self._is_searching = size == "auto"
        self._tuner = Tuner(size, window)
        self._max_waiting = max_waiting
        self._wait = wait
        self._idle = idle
        self._on_failure = on_failure
        self._members: set[Member] = set()
        #: those with turns left, the next one to use at the end
        self._listed: deque[Member] = deque()
        #: the window by which they were listed
        self._window = self._tuner.window
        self._waiters: deque[_Waiter] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._leaving: dict[asyncio.Task[None], Member] = {}
        #: how many operations have succeeded
        self._completed = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        #: nothing is begun any more; nothing is finished either
        self._is_over = False
        self._is_aborted = False
        self._is_empty = asyncio.Event()

    # --- what it is -------------------------------------------------------------------------------------------------

    @property
    def open(self) -> int:
        """How many associations are open."""
        return len(self._members)

    @property
    def opening(self) -> int:
        """How many associations are being opened."""
        return len(self._opening)

    @property
    def concurrency(self) -> int:
        """How many operations are wanted outstanding; "auto" changes it as they complete."""
        now = 0.0 if self._loop is None else self._loop.time()
        return self._tuner.associations(now) * self._tuner.window

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._members)} open, {len(self._opening)} being opened>"

    # --- operations -------------------------------------------------------------------------------------------------

    async def perform(self, operation: Callable[[Association], Awaitable[Result]], *, size: int = 0) -> Result:
        """Calls `operation(association)`, one operation, when there is a turn for it, and returns what it returns.

        `size` is about how many bytes it sends. When the association answers nothing at all while others are answered,
        it is aborted and `operation` is called once more, with another one.

        Raises what `operation` raises; when no association is open, why none could be opened; `DeadlineExceeded` when
        there is no turn within `wait` seconds; `LocalError` when too many wait, `AssociationClosed` when the pool is.
        Cancelled before there is a turn, nothing has happened; cancelled later, `operation` is, and the association is
        released without being used again.
        """
        is_again = False
        while True:
            member = self._take_now(False) or await self.take()
            begun = self._now()
            if not member.is_proven:
                self._watch(member, begun, size)
            try:
                result = await operation(member.association)
            except BaseException as error:
                member.is_proven |= isinstance(error, StatusError)
                self.give(member, error)
                if member.is_withdrawn and isinstance(error, AssociationClosed) and not is_again:
                    is_again = True
                    continue
                raise
            self._completed += 1
            member.is_proven = True
            self._tuner.completed(begun, self._now(), size)
            self.give(member)
            return result

    def _take_now(self, is_whole: bool) -> Member | None:
        """Takes a turn if there is one and nobody waits for it."""
        if self._loop is None:
            raise LocalError("the pool is not in use yet: `async with` it, or await it")
        if self._is_over:
            raise _closed()
        return None if self._waiters else self._pick(is_whole)

    async def take(self, *, is_whole: bool = False) -> Member:
        """Waits for a turn on an association, or for one that nobody else uses; to be given back by `give`.

        Raises as `perform` does. Cancelled, none is taken.
        """
        member = self._take_now(is_whole)
        if member is not None:
            return member
        loop = self._loop
        assert loop is not None
        if len(self._waiters) >= self._max_waiting:
            raise LocalError(f"{len(self._waiters):,} operations wait for the pool already: begin fewer at a time")
        waiter = _Waiter(loop.create_future(), is_whole)
        self._waiters.append(waiter)
        self._adjust()
        try:
            async with asyncio.timeout(self._wait) as limit:
                return await waiter.future
        except BaseException as error:
            future = waiter.future
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give(future.result())  # the turn came at the moment of the cancellation
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
                self._adjust()  # it may have been in the way of others
            if isinstance(error, TimeoutError) and limit.expired() and self._wait is not None:
                raise DeadlineExceeded("free association of the pool", self._wait) from None
            raise

    def give(self, member: Member, error: BaseException | None = None) -> None:
        """Gives a turn back; `error` is what came of it."""
        member.taken -= 1
        member.is_lent = False
        member.used = self._now()
        if not member.taken:
            member.begun, member.size = None, 0
        if not member.is_leaving:
            if not member.association.is_open:
                member.why = error
                self._retire(member)
            elif (error is not None and not isinstance(error, Exception)) or (self._is_over and not member.taken):
                # Cancelled, its response may still be on the way: that turn is not free.
                self._retire(member)
            elif not member.is_listed:
                member.is_listed = True
                self._listed.append(member)
        self._adjust()

    # --- its beginning and end --------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Begins nothing more, and releases each association when what runs on it has ended.

        Who waits for a turn gets `AssociationClosed`. Cancelled, the associations are aborted.
        """
        try:
            self._finish()
            for member in tuple(self._members):
                if not member.taken:
                    self._retire(member)
            await self._is_empty.wait()
        except asyncio.CancelledError:
            self._abort()
            raise

    async def close(self) -> None:
        """Aborts the associations; what runs on them raises `AssociationClosed`. Cancelled, they are aborted too."""
        self._finish()
        self._abort()
        await self._is_empty.wait()

    def __await__(self) -> Generator[Any, None, Self]:
        return self._begin().__await__()

    async def __aenter__(self) -> Self:
        return await self._begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await (self.drain() if error is None else self.close())

    async def _begin(self) -> Self:
        if self._loop is not None:
            raise LocalError("a pool is begun once: make another one")
        self._loop = asyncio.get_running_loop()
        return self

    def _finish(self) -> None:
        """Nothing is begun any more."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._fail_waiters(_closed())
        for task in self._opening:
            task.cancel()
        self._note_empty()

    def _abort(self) -> None:
        self._is_aborted = True
        for member in tuple(self._members):
            self._retire(member)
        for member in self._leaving.values():
            member.association.abort()

    def _note_empty(self) -> None:
        if self._is_over and not (self._members or self._opening or self._leaving):
            self._is_empty.set()

    # --- turns ------------------------------------------------------------------------------------------------------

    def _pick(self, is_whole: bool) -> Member | None:
        """Takes a turn if there is one."""
        listed = self._listed
        for _ in range(len(listed)):
            member = listed.pop()
            if member.is_leaving or not member.association.is_open:
                member.is_listed = False
                self._retire(member)
            elif is_whole and member.taken:
                listed.appendleft(member)
            elif not self._has_turns(member):
                member.is_listed = False
            else:
                member.taken += 1
                member.is_lent = is_whole
                # To the other end: operations spread over the associations.
                member.is_listed = self._has_turns(member)
                if member.is_listed:
                    listed.appendleft(member)
                return member
        return None

    def _has_turns(self, member: Member) -> bool:
        return not member.is_lent and member.taken < min(self._window, member.granted or self._window)

    def _adjust(self) -> None:
        """Gives out the turns that there are, and has as many associations as are wanted and needed."""
        now = self._now()
        wanted = self._tuner.associations(now)
        if self._window != self._tuner.window:
            self._window = self._tuner.window
            for member in self._members:
                if not member.is_listed and self._has_turns(member):
                    member.is_listed = True
                    self._listed.appendleft(member)
        if len(self._members) > wanted:
            idle = [member for member in self._members if not member.taken]
            for member in idle[: len(self._members) - wanted]:
                self._retire(member)
        while self._waiters:
            waiter = self._waiters[0]
            if not waiter.future.done():
                found = self._pick(waiter.is_whole)
                if found is None:
                    break
                waiter.future.set_result(found)
            self._waiters.popleft()
        if self._waiters and not self._is_over:
            there = len(self._members) + len(self._opening) + sum(m.association.is_open for m in self._leaving.values())
            for _ in range(min(wanted - there, len(self._waiters) - len(self._opening))):
                assert self._loop is not None
                self._opening.add(self._loop.create_task(self._open()))
        self._tuner.placed(now, is_complete=len(self._members) == wanted and not self._opening)
        if self._timer is None and self._members and self._idle is not None:
            self._wake_at(now + self._idle)

    def _fail_waiters(self, error: Exception) -> None:
        while self._waiters:
            future = self._waiters.popleft().future
            if not future.done():
                future.set_exception(error)

    # --- associations -----------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Opens an association; the task of one in `_opening`."""
        task = asyncio.current_task()
        assert task is not None
        try:
            association = await self._open_association()
            if not association.is_open:
                await association.release()  # raises why
                raise AssociationClosed("the peer released the association")
        except Exception as error:
            self._opening.discard(task)
            self._on_refusal(error)
        except BaseException:
            self._opening.discard(task)
            self._note_empty()
            raise
        else:
            self._opening.discard(task)
            member = Member(association, self._now())
            self._members.add(member)
            if self._is_over:
                self._retire(member)
            else:
                self._tuner.opened(len(self._members), member.granted, member.used)
                member.is_listed = True
                self._listed.append(member)
                self._adjust()

    def _on_refusal(self, error: Exception) -> None:
        """An association could not be opened."""
        if not (self._is_searching and (self._members or self._opening)):
            self._report(error)
        self._tuner.refused(len(self._members), self._now())
        if not self._members and not self._opening:
            self._fail_waiters(error)
        self._adjust()

    def _retire(self, member: Member) -> None:
        """Takes an association out and releases it, once what runs on it has ended."""
        if member.is_leaving:
            return
        member.is_leaving = True
        self._members.discard(member)
        assert self._loop is not None
        self._leaving[self._loop.create_task(self._release(member))] = member

    async def _release(self, member: Member) -> None:
        task = asyncio.current_task()
        assert task is not None
        is_over = not member.association.is_open
        failure: BaseException | None = None
        try:
            await member.association.release()
        except Exception as error:
            failure = error
        finally:
            del self._leaving[task]
            self._note_empty()
        if is_over and failure is None:
            failure = member.why or AssociationClosed("the peer released the association")
        if isinstance(failure, Exception) and not (member.is_withdrawn or self._is_aborted):
            self._report(failure)
        self._adjust()

    def _report(self, error: BaseException) -> None:
        _log.info("an association of the pool failed: %s", error)
        if self._on_failure is not None:
            self._on_failure(error)

    # --- time -------------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    def _wake_at(self, when: float) -> None:
        assert self._loop is not None
        if self._is_over:
            return
        if self._timer is not None:
            if self._wakes_at <= when:
                return
            self._timer.cancel()
        self._wakes_at = when
        self._timer = self._loop.call_at(when, self._sweep)

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

    def _sweep(self) -> None:
        """Releases what has long been idle, and aborts what answers nothing."""
        self._timer = None
        now = self._now()
        for member in tuple(self._members):
            if not member.taken:
                if not member.association.is_open or (self._idle is not None and now >= member.used + self._idle):
                    self._retire(member)
                elif self._idle is not None:
                    self._wake_at(member.used + self._idle)
            elif not member.is_proven and member.begun is not None:
                if self._is_overtaken(member) and self._tuner.is_stalled(member.begun, now, member.size):
                    member.is_withdrawn = True
                    self._retire(member)
                    member.association.abort()
                    self._tuner.refused(len(self._members), now)
                else:
                    self._wake_at(max(member.begun, now - PATIENCE / 2) + PATIENCE)
        self._adjust()


def _closed() -> AssociationClosed:
    return AssociationClosed("the pool is closed: nothing more is begun")
