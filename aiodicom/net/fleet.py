"""Associations with one peer, from their opening to their end: kept while they are used and live."""

from __future__ import annotations

import asyncio
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from types import TracebackType
from typing import Any, Final, Self

from aiodicom.errors import AssociationClosed, LocalError, StatusError
from aiodicom.net.association import Association
from aiodicom.net.member import Member
from aiodicom.net.proposing import Context, Need, Proposals, pairs
from aiodicom.net.upkeep import Upkeep
from aiodicom.standard.uids import VERIFICATION

__all__ = ["Connect", "Fleet", "pool_closed"]

_log = logging.getLogger("aiodicom.pool")

#: Opens an association that proposes these presentation contexts.
Connect = Callable[[Sequence[Context]], Awaitable[Association]]

#: What is needed to ask whether an association lives, and the seconds until there is no answer.
_ECHO: Final = Need(VERIFICATION)
_CHECK_LIMIT: Final = 60.0


class Fleet(ABC):
    """The associations of a pool. Who gets a turn on which, and how many there are, is for the class below to say.

    Invariants: every task is in `_opening`, `_minding` or `_leaving`, and has ended when the pool is closed; a member
    is in `_members` until it `is_leaving`.
    """

    def __init__(
        self,
        connect: Connect,
        proposals: Proposals,
        upkeep: Upkeep,
        on_failure: Callable[[BaseException], None] | None,
    ) -> None:
        self._connect = connect
        self._proposals = proposals
        self._upkeep = upkeep
        self._shortest = upkeep.shortest
        self._on_failure = on_failure
        self._members: set[Member] = set()
        #: with when they were begun
        self._opening: dict[asyncio.Task[None], float] = {}
        #: what the pool itself does on an association, each with a turn
        self._minding: set[asyncio.Task[object]] = set()
        self._leaving: dict[asyncio.Task[None], Member] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        #: nothing is begun any more; nothing is finished either
        self._is_over = False
        self._is_aborted = False
        self._ending = asyncio.Event()
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

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._members)} open, {len(self._opening)} being opened>"

    # --- for the class below ----------------------------------------------------------------------------------------

    @abstractmethod
    def give(self, member: Member, error: BaseException | None = None) -> None:
        """Gives a turn back; `error` is what came of it."""

    @abstractmethod
    def _adjust(self) -> None:
        """Something has changed: there are turns to give out, or associations to open."""

    @abstractmethod
    def _contexts(self) -> Sequence[Context]:
        """What the next association proposes."""

    @abstractmethod
    def _on_opened(self, member: Member) -> None:
        """An association has been opened."""

    @abstractmethod
    def _on_refusal(self, error: Exception) -> None:
        """An association could not be opened."""

    @abstractmethod
    def _look_after(self, member: Member, now: float) -> None:
        """It is time to look at an association that is used."""

    @abstractmethod
    def _turn_away(self, error: Exception) -> None:
        """Everybody who waits gets this error."""

    # --- its beginning and end --------------------------------------------------------------------------------------

    async def close(self, timeout: float | None = None) -> None:
        """Begins nothing more, and releases each association when what runs on it has ended and it has been returned.

        Who waits for a turn gets `AssociationClosed`. What has not ended after `timeout` seconds is aborted, as by
        `terminate()`; None leaves it to the timeouts of the operations. Cancelled, the associations are aborted.
        """
        self._finish()
        for member in tuple(self._members):
            if not member.taken:
                self._retire(member)
        try:
            async with asyncio.timeout(timeout):
                await self._is_empty.wait()
        except TimeoutError:
            await self.terminate()
        except asyncio.CancelledError:
            self._abort()
            raise

    async def terminate(self) -> None:
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
        await (self.close() if error is None else self.terminate())

    async def _begin(self) -> Self:
        if self._loop is not None:
            raise LocalError("a pool is begun once: make another one")
        self._loop = asyncio.get_running_loop()
        return self

    def _finish(self) -> None:
        """Nothing is begun any more."""
        self._is_over = True
        self._ending.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._turn_away(pool_closed())
        for task in (*self._opening, *self._minding):
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

    # --- associations -----------------------------------------------------------------------------------------------

    def _begin_opening(self) -> None:
        assert self._loop is not None
        task = self._loop.create_task(self._open())
        self._opening[task] = self._now()
        task.add_done_callback(self._on_opening_ended)

    def _on_opening_ended(self, task: asyncio.Task[None]) -> None:
        """Cancelled before it began, nothing of it has run."""
        self._opening.pop(task, None)
        self._note_empty()

    async def _open(self) -> None:
        """Opens an association; the task of one in `_opening`."""
        task = asyncio.current_task()
        assert task is not None
        contexts = self._contexts()
        try:
            association = await self._connect(contexts)
            if not association.is_open:
                await association.release()  # raises why
                raise AssociationClosed("the peer released the association")
        except Exception as error:
            self._opening.pop(task, None)
            self._on_refusal(error)
        else:
            self._opening.pop(task, None)
            now = self._now()
            member = Member(association, pairs(contexts), now, self._upkeep.end(now))
            self._members.add(member)
            if self._is_over:
                self._retire(member)
            else:
                self._wake_at(min(member.ends, now + self._shortest))
                self._on_opened(member)

    def _retire(self, member: Member) -> None:
        """Takes an association out and releases it, once what runs on it has ended."""
        if member.is_leaving:
            return
        member.is_leaving = True
        self._members.discard(member)
        assert self._loop is not None
        self._leaving[self._loop.create_task(self._release(member))] = member

    def _spend(self, member: Member) -> None:
        """Gives out no more turns on an association, and releases it when all have been given back."""
        member.is_spent = True
        if not member.taken:
            self._retire(member)

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
        if self._is_over or when == math.inf:
            return
        if self._timer is not None:
            if self._wakes_at <= when:
                return
            self._timer.cancel()
        self._wakes_at = when
        self._timer = self._loop.call_at(when, self._sweep)

    def _sweep(self) -> None:
        """Releases what is old or has long been idle, and asks what may have died."""
        self._timer = None
        now = self._now()
        for member in tuple(self._members):
            if now >= member.ends:
                self._spend(member)
            elif not member.taken:
                self._keep(member, now)
            else:
                self._look_after(member, now)
            if not member.is_leaving and not member.is_spent:
                self._wake_at(member.ends)
        self._adjust()

    def _keep(self, member: Member, now: float) -> None:
        """Decides on an association that nobody uses."""
        release_at = self._upkeep.release_at(member.used)
        is_asked = self._upkeep.is_checking and member.meets(_ECHO)
        check_at = self._upkeep.check_at(member.heard) if is_asked else math.inf
        if not member.association.is_open or now >= release_at:
            self._retire(member)
        elif now < check_at:
            self._wake_at(min(release_at, check_at))
        else:
            assert self._loop is not None
            used = member.used
            member.taken += 1
            self._mind(member, self._check(member), lambda: self._on_checked(member, used))

    async def _check(self, member: Member) -> None:
        """Asks whether an association lives."""
        try:
            async with asyncio.timeout(_CHECK_LIMIT):
                await member.association.c_echo()
            member.is_proven = True
        except StatusError:
            pass  # it lives
        except Exception:
            member.association.abort()
            raise

    def _on_checked(self, member: Member, used: float) -> None:
        """To be asked is no use."""
        member.used = used
        if not member.taken:
            self._wake_at(self._upkeep.release_at(used))

    def _mind(self, member: Member, work: Coroutine[Any, Any, object], then: Callable[[], None] | None = None) -> None:
        """Does something on an association in a turn that has been taken, and gives it back."""
        assert self._loop is not None

        def end(task: asyncio.Task[object]) -> None:
            self._minding.discard(task)
            self.give(member, asyncio.CancelledError() if task.cancelled() else task.exception())
            if then is not None:
                then()

        task = self._loop.create_task(work)
        self._minding.add(task)
        task.add_done_callback(end)  # also when it is cancelled before it begins


def pool_closed() -> AssociationClosed:
    """What an operation gets when the pool is closed."""
    return AssociationClosed("the pool is closed: nothing more is begun")
