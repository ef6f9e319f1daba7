"""A pool of associations with one peer."""

from __future__ import annotations

import asyncio
import functools
import os
import ssl as tls
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from random import random
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

from aiodicom.dimse.events import Timeouts
from aiodicom.dimse.messages import CStoreRSP
from aiodicom.errors import LocalError
from aiodicom.net.association import Association
from aiodicom.net.connect import ContextProposal, connect
from aiodicom.net.member import Member
from aiodicom.net.pooling import AssociationPool, NoTurn
from aiodicom.net.proposing import Need, Proposals
from aiodicom.net.retry import Retry
from aiodicom.net.sources import Storable, prepare
from aiodicom.net.suboperations import MoveOriginator
from aiodicom.net.tuning import MOST_WINDOW, Choice
from aiodicom.net.upkeep import Upkeep
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul.pdu import UserIdentity

__all__ = ["Acquiring", "Pool"]

P = ParamSpec("P")
Result = TypeVar("Result")

_ECHO: Final = Need(VERIFICATION)


def _operation(
    method: Callable[Concatenate[Association, P], Awaitable[Result]],
    need: Callable[..., Need],
    *,
    is_repeatable: bool,
    size: int | None = None,
) -> Callable[Concatenate[Pool, P], Coroutine[Any, Any, Result]]:
    """A method of `Association` as one of `Pool`, with the same arguments; `need(...)` is what it needs with those."""
    name = method.__name__

    @functools.wraps(method)
    async def operate(pool: Pool, /, *arguments: P.args, **options: P.kwargs) -> Result:
        def call(association: Association) -> Awaitable[Result]:
            return cast(Awaitable[Result], getattr(association, name)(*arguments, **options))

        return await pool.attempt(call, need(*arguments, **options), size=size, is_repeatable=is_repeatable)

    operate.__doc__ = f"""{(method.__doc__ or "").partition(chr(10))[0]}

        `Association.{name}` on one of the associations. Raises what that and `perform` raise. Cancelled while it waits
        for its turn, nothing has happened; cancelled later, its association is not used again.
        """
    return operate


class Pool(AssociationPool):
    """Associations with the SCP at `host` and `port`, or behind the unix socket `path`, for operations from many tasks.

    To be entered, which closes it at the end (left by an exception it terminates it); or awaited, and closed or
    terminated by hand. An association is opened when an operation would have to wait without it, up to `size`; kept for
    others; and replaced when it has ended. One on which a timeout has passed, or on which an operation was cancelled,
    is not used again.

    An association is released when it has been idle for `idle` seconds, and when it is `lifetime` seconds old, up to a
    fifth earlier by chance, as soon as nothing runs on it. Idle for `check` seconds, and again after as long, it is
    asked by C-ECHO whether it lives, if the peer accepts Verification, which is then proposed too. None switches each
    of them off.

    `contexts` are proposed by every association. What operations need besides is added as it turns up: a new
    association proposes what is known so far and the new presentation context, and those with fewer are released once
    they are idle. There are 128 at most; beyond, the one that was needed least recently is left out. For what the peer
    refuses, `ContextNotAccepted` is raised at once for the next 300 seconds, then the peer is asked again.

    `retry` says whether and when what has failed is tried again; None: never.

    `size` "auto" finds the number of associations by what gets done: more while that brings gain, fewer when the peer
    refuses them or when more bring none, from 32 up to 64. `window` "auto" does so for the operations outstanding on
    each association (PS3.7 D.3.3.3), up to 32. When the peer takes fewer associations than `size` (A-ASSOCIATE-RJ, or
    no answer), those that it has taken go on, and more are tried later.

    At most `max_waiting` operations wait for a turn, each for `wait` seconds at most (None: without end). The other
    arguments are those of `connect()`. Raises `LocalError` for arguments that can't be.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int = 104,
        *,
        size: Choice = 8,
        window: Choice = 1,
        max_waiting: int = 10_000,
        wait: float | None = 60.0,
        idle: float | None = 30.0,
        check: float | None = 60.0,
        lifetime: float | None = 3600.0,
        retry: Retry | None = None,
        path: str | os.PathLike[str] | None = None,
        calling_aet: str = "AIODICOM",
        called_aet: str = "ANY-SCP",
        contexts: Iterable[ContextProposal] = (VERIFICATION,),
        max_pdu: int = 131072,
        ssl: tls.SSLContext | None = None,
        server_hostname: str | None = None,
        local_addr: tuple[str, int] | None = None,
        user_identity: UserIdentity | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (immutable)
    ) -> None:
        self._retry = retry
        self._chance = random
        self._lent: set[Member] = set()
        upkeep = Upkeep(idle, check, lifetime)
        proposals = Proposals(contexts)
        if upkeep.is_checking:
            proposals.need(_ECHO)
        opening = functools.partial(
            connect,
            host,
            port,
            path=path,
            calling_aet=calling_aet,
            called_aet=called_aet,
            max_pdu=max_pdu,
            window=MOST_WINDOW if window == "auto" else window,
            ssl=ssl,
            server_hostname=server_hostname,
            local_addr=local_addr,
            user_identity=user_identity,
            timeouts=timeouts,
        )
        opening(contexts=proposals.contexts())  # raises for what can't be, and opens nothing
        super().__init__(
            lambda contexts: opening(contexts=contexts),
            proposals,
            size=size,
            window=window,
            max_waiting=max_waiting,
            wait=wait,
            upkeep=upkeep,
        )

    c_echo = _operation(Association.c_echo, lambda: _ECHO, size=0, is_repeatable=True)

    async def c_store(
        self,
        source: Storable,
        *,
        priority: int = 0,
        sop_class_uid: str | None = None,
        sop_instance_uid: str | None = None,
        transfer_syntax: str | None = None,
        move_originator: MoveOriginator | None = None,
    ) -> CStoreRSP:
        """Has the peer store a composite SOP instance (C-STORE, PS3.7 9.1.1).

        `Association.c_store` on one of the associations; the head of a file is read at once, to know the presentation
        context that it needs. Raises what that and `perform` raise. Cancelled while it waits for its turn, nothing has
        happened; cancelled later, its association is not used again, and aborted if the data set was still on its way.
        """
        prepared = prepare(source, sop_class_uid, sop_instance_uid, transfer_syntax)
        need = Need(prepared.sop_class_uid, prepared.transfer_syntaxes, prepared.is_encoded)
        return await self.attempt(
            lambda association: association.c_store(prepared.source, priority=priority, move_originator=move_originator),
            need,
            size=prepared.size,
            is_repeatable=True,
        )

    async def attempt(
        self,
        operation: Callable[[Association], Awaitable[Result]],
        need: Need | None = None,
        *,
        size: int | None = None,
        is_repeatable: bool = False,
    ) -> Result:
        """Has `operation` performed as `perform` does, and tries again as the pool's `Retry` says.

        `is_repeatable`: done twice, it comes to the same as done once. No turn is held in a pause. Raises what the last
        attempt has raised, also when the pool is closed meanwhile. Cancelled in a pause, nothing more happens.
        """
        retry = self._retry
        if retry is None:
            return await self.perform(operation, need=need, size=size)
        failures = 0
        while True:
            attempt = _Attempt(operation)
            try:
                return await self.perform(attempt, need=need, size=size)
            except NoTurn:
                raise
            except Exception as error:
                failures += 1
                pause = retry.pause(failures, self._chance())
                is_worthwhile = retry.is_worthwhile(error, is_begun=attempt.is_begun, is_repeatable=is_repeatable)
                if pause is None or not is_worthwhile or await self._ends_within(pause):
                    raise

    async def _ends_within(self, seconds: float) -> bool:
        """Waits so long; true as soon as the pool is closed."""
        try:
            async with asyncio.timeout(seconds):
                return await self._ending.wait()
        except TimeoutError:
            return False

    def acquire(self, abstract_syntax: str | None = None) -> Acquiring:
        """One of the associations for oneself, one with a presentation context of `abstract_syntax` if that is given.

        Either `async with pool.acquire() as association`, or `association = await pool.acquire()` and then
        `pool.release(association)`. Nothing else is on it until it is returned; then it refuses further use. What has
        ended, or has an operation in flight still, is not used again.

        Raises, when no association is open, why none could be opened; `ContextNotAccepted` when the peer refuses the
        abstract syntax; `DeadlineExceeded` when none is free within `wait` seconds; `LocalError` when too many wait,
        `AssociationClosed` when the pool is closed. Cancelled meanwhile, nothing has happened.
        """
        return Acquiring(self, None if abstract_syntax is None else Need(abstract_syntax))

    def release(self, association: Association) -> None:
        """Returns an association that was acquired by `await`. Raises `LocalError` for one that is not lent."""
        lent = cast(object, association)
        if not isinstance(lent, _Lent) or lent._member not in self._lent:
            raise LocalError("this association is not lent by this pool")
        self._take_back(lent, None)

    async def _lend(self, need: Need | None) -> _Lent:
        member = await self.take(need, is_whole=True)
        self._lent.add(member)
        return _Lent(member)

    def _take_back(self, lent: _Lent, error: BaseException | None) -> None:
        member, lent._member = lent._member, None
        assert member is not None
        self._lent.discard(member)
        if member.association.is_open and member.association.outstanding:
            error = asyncio.CancelledError()  # whatever the block was left by
        self.give(member, error)


class _Attempt:
    """An operation, and whether it was begun."""

    __slots__ = ("_operation", "is_begun")

    def __init__(self, operation: Callable[[Association], Awaitable[Any]]) -> None:
        self._operation = operation
        self.is_begun = False

    def __call__(self, association: Association) -> Awaitable[Any]:
        self.is_begun = True
        return self._operation(association)


class Acquiring:
    """What `Pool.acquire()` returns: an association to be awaited, or to be entered."""

    def __init__(self, pool: Pool, need: Need | None) -> None:
        self._pool = pool
        self._need = need
        self._lent: _Lent | None = None

    def __await__(self) -> Generator[Any, None, Association]:
        return cast(Generator[Any, None, Association], self._pool._lend(self._need).__await__())

    async def __aenter__(self) -> Association:
        if self._lent is not None:
            raise LocalError("this association has been acquired already: call acquire() again")
        self._lent = await self._pool._lend(self._need)
        return cast(Association, self._lent)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lent, self._lent = self._lent, None
        if lent is not None and lent._member is not None:  # else it was returned within the block
            self._pool._take_back(lent, error)


class _Lent:
    """An association while it is lent; afterwards it refuses further use, and so do methods that were taken from it."""

    __slots__ = ("_member",)

    def __init__(self, member: Member) -> None:
        self._member: Member | None = member

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._mine(), name)
        if not callable(value):
            return value

        def call(*arguments: Any, **options: Any) -> Any:
            return getattr(self._mine(), name)(*arguments, **options)

        return call

    def _mine(self) -> Association:
        if self._member is None:
            raise LocalError("this association has been returned to its pool: acquire one again")
        return self._member.association

    def __repr__(self) -> str:
        return "<an association that has been returned>" if self._member is None else repr(self._member.association)
