"""A pool of associations with one peer."""

from __future__ import annotations

import os
import ssl as tls
from collections.abc import Iterable
from types import TracebackType
from typing import Any, cast

from aiodicom.dimse.events import Timeouts
from aiodicom.dimse.messages import CEchoRSP, CStoreRSP
from aiodicom.errors import LocalError
from aiodicom.net.association import Association
from aiodicom.net.connect import ContextProposal, connect
from aiodicom.net.pooling import AssociationPool, Member
from aiodicom.net.sources import Storable
from aiodicom.net.suboperations import MoveOriginator
from aiodicom.net.tuning import MOST_WINDOW, Choice
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul.pdu import UserIdentity

__all__ = ["Acquiring", "Pool"]


class Pool(AssociationPool):
    """Associations with the SCP at `host` and `port`, or behind the unix socket `path`, for operations from many tasks.

    To be entered, which drains it at the end (left by an exception it closes it); or awaited, and drained or closed by
    hand. An association is opened when an operation would have to wait without it, up to `size`; kept for others;
    released when it has been idle for `idle` seconds (None: kept); and replaced when it has ended. One on which a
    timeout has passed, or on which an operation was cancelled, is not used again.

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
        # Each time that it is awaited, it opens another association.
        connecting = connect(
            host,
            port,
            path=path,
            calling_aet=calling_aet,
            called_aet=called_aet,
            contexts=contexts,
            max_pdu=max_pdu,
            window=MOST_WINDOW if window == "auto" else window,
            ssl=ssl,
            server_hostname=server_hostname,
            local_addr=local_addr,
            user_identity=user_identity,
            timeouts=timeouts,
        )
        super().__init__(lambda: connecting, size=size, window=window, max_waiting=max_waiting, wait=wait, idle=idle)

    async def c_echo(self) -> CEchoRSP:
        """Verifies that the peer answers: `Association.c_echo` on one of the associations.

        Raises what that and `perform` raise. Cancelled while it waits for its turn, nothing has happened; cancelled
        later, its association is not used again.
        """
        return await self.perform(lambda association: association.c_echo())

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
        """Has the peer store a composite SOP instance: `Association.c_store` on one of the associations.

        Raises what that and `perform` raise. Cancelled while it waits for its turn, nothing has happened; cancelled
        later, its association is not used again, and aborted if the data set was still on its way.
        """
        return await self.perform(
            lambda association: association.c_store(
                source,
                priority=priority,
                sop_class_uid=sop_class_uid,
                sop_instance_uid=sop_instance_uid,
                transfer_syntax=transfer_syntax,
                move_originator=move_originator,
            ),
            size=_size(source),
        )

    def acquire(self) -> Acquiring:
        """One of the associations for oneself: `async with pool.acquire() as association`.

        Nothing else is on it until the block is left; then it refuses further use. What ended or was left by
        cancellation is not used again.

        Entering raises, when no association is open, why none could be opened; `DeadlineExceeded` when none is free
        within `wait` seconds; `LocalError` when too many wait, `AssociationClosed` when the pool is closed. Cancelled
        meanwhile, nothing has happened.
        """
        return Acquiring(self)


class Acquiring:
    """What `Pool.acquire()` returns: an association to be entered."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._member: Member | None = None
        self._lent: _Lent | None = None

    async def __aenter__(self) -> Association:
        if self._member is not None:
            raise LocalError("this association has been acquired already: call acquire() again")
        self._member = await self._pool.take(is_whole=True)
        self._lent = _Lent(self._member.association)
        return cast(Association, self._lent)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._member is not None
        assert self._lent is not None
        self._lent.association = None
        member, self._member = self._member, None
        self._pool.give(member, error)


class _Lent:
    """An association while it is lent; afterwards it refuses further use, and so do methods that were taken from it."""

    __slots__ = ("association",)

    def __init__(self, association: Association) -> None:
        self.association: Association | None = association

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._mine(), name)
        if not callable(value):
            return value

        def call(*arguments: Any, **options: Any) -> Any:
            return getattr(self._mine(), name)(*arguments, **options)

        return call

    def _mine(self) -> Association:
        if self.association is None:
            raise LocalError("this association has been returned to its pool: acquire one again")
        return self.association

    def __repr__(self) -> str:
        return "<an association that has been returned>" if self.association is None else repr(self.association)


def _size(source: Storable) -> int:
    """About how many bytes are sent for it, as far as that is known before it is opened."""
    if isinstance(source, str | os.PathLike):
        try:
            return os.stat(source).st_size
        except OSError:
            return 0  # whoever opens it says so
    return len(source) if isinstance(source, bytes | bytearray) else int(getattr(source, "nbytes", 0))
