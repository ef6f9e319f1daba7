"""A pool of associations with one peer."""

from __future__ import annotations

import asyncio
import functools
import os
import ssl as tls
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from random import random
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, cast

from aiodicom.dimse.events import Timeouts
from aiodicom.dimse.messages import CStoreRSP
from aiodicom.errors import LocalError
from aiodicom.net._invoking import StoreRequest
from aiodicom.net.association import Association
from aiodicom.net.connect import ContextProposal, connect, listed_contexts
from aiodicom.net.handlers import Handlers
from aiodicom.net.member import Member
from aiodicom.net.operations import sop_class_of
from aiodicom.net.pooled import Acquiring, Lent, PooledMatches, PooledRetrieved, Responses
from aiodicom.net.pooling import AssociationPool, NoTurn
from aiodicom.net.proposing import Need, Proposals
from aiodicom.net.responses import Token
from aiodicom.net.results import RetrieveResult
from aiodicom.net.retry import Retry
from aiodicom.net.sinks import BodyChoice
from aiodicom.net.sources import DataSource, Storable, prepare
from aiodicom.net.suboperations import MoveOriginator
from aiodicom.net.transcoding import Transcoding, policy_of, sendable
from aiodicom.net.tuning import MOST_WINDOW, Choice
from aiodicom.net.upkeep import Upkeep
from aiodicom.standard.models import InformationModel, StudyRoot
from aiodicom.standard.uids import VERIFICATION
from aiodicom.ul.extended import ApplicationInformation
from aiodicom.ul.pdu import MOST_CONTEXTS, SOPClassCommonExtendedNegotiation, UserIdentity

if TYPE_CHECKING:
    from aiodicom.net.operations import Identifier

__all__ = ["Pool"]

P = ParamSpec("P")
Result = TypeVar("Result")

_ECHO: Final = Need(VERIFICATION)


# --- methods of an association as those of a pool ---------------------------------------------------------------------


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

        return await pool.perform(call, need=need(*arguments, **options), size=size, is_repeatable=is_repeatable)

    operate.__doc__ = f"""{(method.__doc__ or "").partition(chr(10) * 2)[0].strip()}

        `Association.{name}` on one of the associations. Raises what that and `perform` raise. Cancelled while it waits
        for its turn, nothing has happened; cancelled later, its association is not used again.
        """
    return operate


def _to_move(query: object, destination: str, model: InformationModel | str = StudyRoot, **_: object) -> Need:
    return Need(sop_class_of(model, "move"))


def _normalized(sop_class_uid: str, *_: object, abstract_syntax: str | None = None, **__: object) -> Need:
    return Need(abstract_syntax or sop_class_uid)


@functools.lru_cache(maxsize=MOST_CONTEXTS)
def _to_store(sop_class_uid: str, transfer_syntax: str, policy: Transcoding) -> Need:
    """What a data set needs that is encoded: the same object each time, which is found met sooner."""
    return Need(sop_class_uid, sendable(transfer_syntax, policy), True)


class Pool(AssociationPool):
    """Associations with the SCP at `host` and `port`, or behind the unix socket `path`, for operations from many tasks.

    To be entered, which closes it at the end (left by an exception it terminates it); or awaited, and closed or
    terminated by hand. An association is opened when an operation would have to wait without it, up to `size`; kept for
    others; and replaced when it has ended. One on which a timeout has passed, or on which an operation was cancelled,
    is not used again.

    An association is released when it has been idle for `idle` seconds; and as soon as nothing runs on it, when it is
    `lifetime` seconds old, up to a fifth earlier by chance, or has had `operations`. Idle for `check` seconds, and
    again after as long, it is asked by C-ECHO whether it lives, if the peer accepts Verification, which is then
    proposed too. None switches each of them off.

    Every association proposes `contexts` and `receives`. What operations need besides is added as it turns up: a new
    association proposes what is known so far and the new presentation context, and those with fewer are released once
    they are idle. There are 128 at most; beyond, the one that was needed least recently is left out. For what the peer
    refuses, `ContextNotAccepted` is raised at once for the next 300 seconds, then the peer is asked again.

    `retry` says whether and when what has failed is tried again; None: never. `transcode` is what may be done to an
    object whose transfer syntax the peer does not accept, as for `Association.c_store`; what it may become is proposed.

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
        operations: int | None = None,
        retry: Retry | None = None,
        transcode: Transcoding | str = Transcoding.LOSSLESS,
        path: str | os.PathLike[str] | None = None,
        calling_aet: str = "AIODICOM",
        called_aet: str = "ANY-SCP",
        contexts: Iterable[ContextProposal] = (VERIFICATION,),
        receives: Iterable[ContextProposal] = (),
        max_pdu: int = 131072,
        ssl: tls.SSLContext | None = None,
        server_hostname: str | None = None,
        local_addr: tuple[str, int] | None = None,
        user_identity: UserIdentity | None = None,
        handlers: Handlers | None = None,
        require_user_identity_response: bool = False,
        roles: Mapping[str, tuple[bool, bool]] | None = None,
        extended_negotiation: Mapping[str, ApplicationInformation] | None = None,
        common_extended_negotiation: Iterable[SOPClassCommonExtendedNegotiation] = (),
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (immutable)
    ) -> None:
        self._retry = retry
        self._chance = random
        self._lent: set[Member] = set()
        upkeep = Upkeep(idle, check, lifetime, operations)
        given, received = listed_contexts(contexts, "contexts"), listed_contexts(receives, "receives")
        self._transcoding = policy_of(transcode)
        proposals = Proposals(given, reserved=len(received), transcoding=self._transcoding)
        if upkeep.is_checking:
            proposals.need(_ECHO)
        opening = functools.partial(
            connect,
            host,
            port,
            path=path,
            calling_aet=calling_aet,
            called_aet=called_aet,
            receives=received,
            max_pdu=max_pdu,
            window=MOST_WINDOW if window == "auto" else window,
            ssl=ssl,
            server_hostname=server_hostname,
            local_addr=local_addr,
            user_identity=user_identity,
            handlers=handlers,
            require_user_identity_response=require_user_identity_response,
            roles=roles,
            extended_negotiation=extended_negotiation,
            common_extended_negotiation=tuple(common_extended_negotiation),
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
        transcode: Transcoding | str | None = None,
        move_originator: MoveOriginator | None = None,
    ) -> CStoreRSP:
        """Has the peer store a composite SOP instance (C-STORE, PS3.7 9.1.1).

        `Association.c_store` on one of the associations; the head of a file is read at once, to know the presentation
        context that it needs. `transcode` is by default that of the pool, by which contexts are proposed. Raises what
        that and `perform` raise. Cancelled while it waits for its turn, nothing has happened; cancelled later, its
        association is not used again, and aborted if the data set was still on its way.
        """
        policy = policy_of(transcode or self._transcoding)
        prepared = prepare(source, sop_class_uid, sop_instance_uid, transfer_syntax, policy)
        need = Need(prepared.sop_class_uid, prepared.transfer_syntaxes, prepared.is_encoded)
        return await self.perform(
            lambda association: association.c_store(
                prepared.source,
                priority=priority,
                sop_class_uid=sop_class_uid,
                sop_instance_uid=sop_instance_uid,
                transcode=policy,
                move_originator=move_originator,
            ),
            need=need,
            size=prepared.size,
            is_repeatable=True,
        )

    def begin_store(
        self,
        source: DataSource,
        token: Token,
        *,
        priority: int = 0,
        move_originator: MoveOriginator | None = None,
    ) -> bool:
        """Begins C-STORE on one of the associations if it can be sent now; returns whether it was.

        See `begin_now`, by which `token` is told, and `aiodicom.net.unawaited.begin_store`. What fails is not tried
        again.
        """

        begin = StoreRequest(source, priority, move_originator).begin
        if source.is_encoded:
            need = _to_store(source.sop_class_uid, source.transfer_syntax, self._transcoding)
        else:
            need = Need(source.sop_class_uid, source.transfer_syntaxes(self._transcoding), False)
        return self.begin_now(begin, token, need=need, size=source.size)

    def c_find(
        self, query: Identifier, model: InformationModel | str = StudyRoot, *, priority: int = 0
    ) -> PooledMatches:
        """Asks for what matches a query (C-FIND, PS3.7 9.1.2): to be iterated over, or entered, as the `Matches` of
        `Association.c_find`.

        A turn on one of the associations is waited for when the first match is asked for, and given back when the final
        response is there, also when the iteration is left early.
        """
        need = Need(sop_class_of(model, "find"))
        return PooledMatches(self, need, lambda association: association.c_find(query, model, priority=priority))

    def c_get(
        self,
        query: Identifier,
        model: InformationModel | str = StudyRoot,
        *,
        priority: int = 0,
        body: BodyChoice | None = None,
        on_progress: Callable[[RetrieveResult], object] | None = None,
    ) -> PooledRetrieved:
        """Retrieves what an identifier names (C-GET, PS3.7 9.1.3): to be iterated over, or entered, as the `Retrieved`
        of `Association.c_get`.

        A turn on one of the associations is waited for when the first object is asked for, and given back when the
        final response is there, also when the iteration is left early.
        """
        need = Need(sop_class_of(model, "get"))
        return PooledRetrieved(
            self,
            need,
            lambda association: association.c_get(query, model, priority=priority, body=body, on_progress=on_progress),
        )

    c_move = _operation(Association.c_move, _to_move, is_repeatable=False)
    n_get = _operation(Association.n_get, _normalized, is_repeatable=True)
    n_set = _operation(Association.n_set, _normalized, is_repeatable=False)
    n_action = _operation(Association.n_action, _normalized, is_repeatable=False)
    n_create = _operation(Association.n_create, _normalized, is_repeatable=False)
    n_delete = _operation(Association.n_delete, _normalized, is_repeatable=False)
    n_event_report = _operation(Association.n_event_report, _normalized, is_repeatable=False)

    # --- again ------------------------------------------------------------------------------------------------------

    async def perform(
        self,
        operation: Callable[[Association], Awaitable[Result]],
        *,
        need: Need | str | None = None,
        size: int | None = None,
        is_repeatable: bool = False,
    ) -> Result:
        """Calls `operation(association)`, one operation, when there is a turn for it, and returns what it returns.

        `need` is the abstract syntax of the presentation context that it needs, or all that is to be known of it; None
        where every association has it. `size` is about how many bytes it sends, for an operation that takes the peer no
        longer than that, and may be repeated: "auto" goes by these; and when the association answers nothing at all
        while others are answered, it is aborted and `operation` is called once more, with another one.

        What fails is tried again as the pool's `Retry` says; `is_repeatable`: `operation` may be called again when it
        was begun, as done twice it comes to the same as done once. No turn is held in a pause.

        Raises what `operation` raised the last time; when no association is open, why none could be opened;
        `ContextNotAccepted` when the peer refuses what is needed; `DeadlineExceeded` when there is no turn within
        `wait` seconds; `LocalError` when too many wait, `AssociationClosed` when the pool is. Cancelled before there is
        a turn, nothing has happened; cancelled later, `operation` is, and the association is released without being
        used again.
        """
        if isinstance(need, str):
            need = Need(need)
        if self._retry is None:
            return await super().perform(operation, need=need, size=size)
        failures = 0
        while True:
            attempt = _Attempt(operation)
            try:
                return await super().perform(attempt, need=need, size=size)
            except Exception as error:
                failures += 1
                is_begun = attempt.is_begun
                if not await self.is_tried_again(error, failures, is_begun=is_begun, is_repeatable=is_repeatable):
                    raise

    async def is_tried_again(self, error: Exception, failures: int, *, is_begun: bool, is_repeatable: bool) -> bool:
        """Whether what has failed, for the `failures`th time, is tried again: after the pause that precedes that."""
        retry = self._retry
        if retry is None or isinstance(error, NoTurn):
            return False
        pause = retry.pause(failures, self._chance())
        if pause is None or not retry.is_worthwhile(error, is_begun=is_begun, is_repeatable=is_repeatable):
            return False
        try:
            async with asyncio.timeout(pause):
                await self._ending.wait()
        except TimeoutError:
            return True
        return False

    # --- lent, or held to the end -----------------------------------------------------------------------------------

    def acquire(self, abstract_syntax: str | None = None) -> Acquiring:
        """One of the associations for oneself, one with a presentation context of `abstract_syntax` if that is given.

        Either `async with pool.acquire() as association`, or `association = await pool.acquire()` and then
        `pool.release(association)`. Nothing else is on it until it is returned; then it refuses further use. What has
        ended, or has an operation in flight still, is not used again.

        What it gives stands for an `Association`, and is typed as one: it has all that one has. But it is no instance
        of that class, and cannot be entered by itself, for to end it is the pool's affair.

        Raises, when no association is open, why none could be opened; `ContextNotAccepted` when the peer refuses the
        abstract syntax; `DeadlineExceeded` when none is free within `wait` seconds; `LocalError` when too many wait,
        `AssociationClosed` when the pool is closed. Cancelled meanwhile, nothing has happened.
        """
        return Acquiring(self, None if abstract_syntax is None else Need(abstract_syntax))

    def release(self, association: Association) -> None:
        """Returns an association that was acquired by `await`. Raises `LocalError` for one that is not lent."""
        lent = cast(object, association)
        if not isinstance(lent, Lent) or lent.member not in self._lent:
            raise LocalError("this association is not lent by this pool")
        self.take_back(lent, None)

    async def lend(self, need: Need | None) -> Lent:
        """Waits for an association that nobody else uses; to be taken back."""
        member = await self.take(need, is_whole=True)
        self._lent.add(member)
        return Lent(member)

    def take_back(self, lent: Lent, error: BaseException | None) -> None:
        """Takes an association back that was used until there was this error."""
        member, lent.member = lent.member, None
        assert member is not None
        self._lent.discard(member)
        if member.association.is_open and member.association.outstanding:
            error = asyncio.CancelledError()  # whatever the block was left by
        self.give(member, error)

    def see_out(self, member: Member, responses: Responses) -> None:
        """Nobody wants the rest of these: cancels their operation, and gives its turn back at its end."""
        self._mind(member, responses.cancel())


class _Attempt:
    """An operation, and whether it was begun."""

    __slots__ = ("_operation", "is_begun")

    def __init__(self, operation: Callable[[Association], Awaitable[Any]]) -> None:
        self._operation = operation
        self.is_begun = False

    def __call__(self, association: Association) -> Awaitable[Any]:
        self.is_begun = True
        return self._operation(association)
