"""The functions that perform a peer's requests."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar, overload

from aiodicom.dimse.messages import (
    CEchoRQ,
    CFindRQ,
    CGetRQ,
    CMoveRQ,
    CStoreRQ,
    NActionRQ,
    NCreateRQ,
    NDeleteRQ,
    NEventReportRQ,
    NGetRQ,
    NSetRQ,
    Request,
)
from aiodicom.errors import LocalError
from aiodicom.net.answers import Answer, Reply
from aiodicom.net.finding import Match, send_matches
from aiodicom.net.requests import (
    CancellableRequest,
    EchoRequest,
    FindRequest,
    GetRequest,
    MoveRequest,
    NActionRequest,
    NCreateRequest,
    NDeleteRequest,
    NEventReportRequest,
    NGetRequest,
    NSetRequest,
    RetrieveRequest,
    StoreRequest,
)
from aiodicom.net.sinks import BodyChoice, BodySink, Discarded, Spooled, Streamed
from aiodicom.net.starting import TaskStarter
from aiodicom.net.suboperations import Destinations, perform_get, perform_move
from aiodicom.net.transcoding import Transcoding, policy_of
from aiodicom.standard.models import normalized_sop_classes, operation_of
from aiodicom.standard.status import Status
from aiodicom.standard.uids import VERIFICATION, storage_sop_classes

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.net.outbox import Outbox
    from aiodicom.net.results import RetrieveResult
    from aiodicom.net.sources import Storable, SubOperation

__all__ = ["EchoHandler", "Handler", "Handlers", "Refusal", "StoreHandler", "is_asynchronous"]

Outcome: TypeAlias = Answer | Status | int | None

_Request = TypeVar("_Request")
_Result = TypeVar("_Result")
_One = Callable[[_Request], _Result | Awaitable[_Result]]
_Many = Callable[[_Request], AsyncIterable[_Result] | Iterable[_Result]]

EchoHandler = _One[EchoRequest, Outcome]
StoreHandler = _One[StoreRequest, Outcome]
CancelHandler = Callable[[CancellableRequest], object]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Echo = TypeVar("_Echo", bound=EchoHandler)
_Store = TypeVar("_Store", bound=StoreHandler)
_Find = TypeVar("_Find", bound=_Many[FindRequest, Match])
_Get = TypeVar("_Get", bound=_Many[GetRequest, "Storable | SubOperation"])
_Move = TypeVar("_Move", bound=_Many[MoveRequest, "Storable | SubOperation"])
_RelayGet = TypeVar("_RelayGet", bound=_Many[GetRequest, "RetrieveResult"])
_RelayMove = TypeVar("_RelayMove", bound=_Many[MoveRequest, "RetrieveResult"])
_Cancel = TypeVar("_Cancel", bound=CancelHandler)
_NGet = TypeVar("_NGet", bound=_One[NGetRequest, "Outcome | Dataset"])
_NSet = TypeVar("_NSet", bound=_One[NSetRequest, "Outcome | Dataset"])
_NAction = TypeVar("_NAction", bound=_One[NActionRequest, "Outcome | Dataset"])
_NCreate = TypeVar("_NCreate", bound=_One[NCreateRequest, "Outcome | Dataset"])
_NDelete = TypeVar("_NDelete", bound=_One[NDeleteRequest, Outcome])
_NEventReport = TypeVar("_NEventReport", bound=_One[NEventReportRequest, "Outcome | Dataset"])
#: Runs a handler that yields, and returns the final response.
Driver = Callable[[Callable[[Any], Any], Any, "Outbox"], Coroutine[Any, Any, Reply]]


_OPERATIONS: dict[type[Request], str] = {CFindRQ: "C-FIND", CGetRQ: "C-GET", CMoveRQ: "C-MOVE"}
_NORMALIZED = {NGetRQ, NSetRQ, NActionRQ, NCreateRQ, NDeleteRQ, NEventReportRQ}


class Handler(NamedTuple):
    """One handler, and what the engine has to know of it."""

    function: Callable[[Any], Any]
    is_asynchronous: bool
    #: Chooses the sink of the data set; None for requests that have none.
    body: Callable[[Any], BodySink] | None = None
    #: For handlers that yield.
    driver: Driver | None = None
    #: Where it is for: the SOP classes, or meta SOP classes, of its contexts; None for all that the standard has.
    abstract_syntaxes: frozenset[str] | None = None


class Refusal(NamedTuple):
    """A request of the peer's that was answered with a failure, though no handler has said so by what it returns."""

    association: Association
    message: Request
    status: Status
    #: What the handler has raised, or the sink of the data set; None where the protocol did not let the request through
    #: to a handler, such as for a role that the peer has not, or a UID that is none.
    error: BaseException | None = None


RefusalHandler = Callable[[Refusal], object]
_Refusal = TypeVar("_Refusal", bound=RefusalHandler)


class Handlers:
    """The handlers of one side of an association, and what starts the asynchronous ones.

    A `Server` is one. Requestors give one to `connect()` for what the peer may ask of them: N-EVENT-REPORT, or C-STORE.
    Each method registers a function for a kind of request, in place of the one before; as a decorator it gives the
    function back. Functions are plain or ``async``; what takes long, or waits, has to be ``async``.

    Unless it says otherwise a handler returns a `Status` or a number, None for success, or an `Answer`. One that raises
    `OperationRefused` is answered with what that says. Anything else raised is answered 0110H (C-FIND, C-GET, C-MOVE:
    C000H) with the number under which the log has the exception, or A700H when the system is out of resources. A
    handler is cancelled when its association ends.
    """

    def __init__(
        self,
        *,
        destinations: Destinations | None = None,
        pending_interval: float = 0.5,
        transcode: Transcoding | str = Transcoding.LOSSLESS,
    ) -> None:
        #: Where C-MOVE can send to: `Destination` by AE title, or a function, plain or ``async``, of the AE title and
        #: the association that asks, which returns one, or None for an unknown title.
        self.destinations: Destinations = {} if destinations is None else destinations
        #: The least time between two pending responses to a C-GET or C-MOVE, in seconds.
        self.pending_interval = pending_interval
        #: What may be done to objects of C-GET and C-MOVE that the receiver does not accept as they are: `transcode` of
        #: `Association.c_store`.
        self.transcoding = policy_of(transcode)
        #: The handlers by the kinds of their requests: always this dictionary, as associations hold it.
        self.by_kind: dict[type[Request], Handler] = {}
        self._reported: set[str] = set()
        self.cancel_handler: CancelHandler | None = None
        self.refusal_handler: RefusalHandler | None = None
        self.starter = TaskStarter()

    def handler_of(self, kind: type[Request]) -> Handler | None:
        """Returns the handler for this kind of request. Associations look where this does, and don't call it."""
        return self.by_kind.get(kind)

    def sop_classes(self) -> frozenset[str]:
        """The SOP classes of the standard whose operations have handlers, those that C-GET sends, and Verification."""
        classes = {VERIFICATION, *self._reported}
        if self.by_kind.keys() & {CStoreRQ, CGetRQ}:
            classes |= storage_sop_classes()
        for kind, handler in self.by_kind.items():
            if handler.abstract_syntaxes is not None:
                classes |= handler.abstract_syntaxes
            elif kind in _OPERATIONS:
                classes |= operation_of(_OPERATIONS[kind])
            elif kind in _NORMALIZED:
                classes |= normalized_sop_classes()
        return frozenset(classes)

    def limit(self, kind: type[Request], abstract_syntaxes: frozenset[str], reported: Iterable[str] = ()) -> None:
        """Says that the handler of a kind of request is only for contexts of these, and that events are reported in
        contexts of `reported`.
        """
        handler = self.by_kind[kind]
        self._reported.update(reported)
        self._register(kind, handler.function, handler._replace(abstract_syntaxes=abstract_syntaxes))

    def on_c_echo(self, function: _Echo) -> _Echo:
        """Registers who answers C-ECHO. Without one it is answered with success."""
        return self._set(CEchoRQ, function, has_body=False)

    @overload
    def on_c_store(self, function: _Store, *, body: BodyChoice | None = None) -> _Store: ...

    @overload
    def on_c_store(self, *, body: BodyChoice | None = None) -> Callable[[_Store], _Store]: ...

    def on_c_store(self, function: Any = None, *, body: BodyChoice | None = None) -> Any:
        """Registers who answers C-STORE.

        `body` chooses where the data set goes while it arrives: `Spooled` (memory, and a file when it is large) unless
        another is given: `Streamed`, `Discarded`, or any function of a `StoreRequest` that returns a `BodySink`.
        """
        if function is None:
            return lambda decorated: self.on_c_store(decorated, body=body)
        _check(function)
        if isinstance(body, Streamed) and not is_asynchronous(function):
            raise LocalError("a handler that streams has to be `async def`")
        return self._register(CStoreRQ, function, Handler(function, is_asynchronous(function), body or Spooled()))

    def on_c_find(self, function: _Find) -> _Find:
        """Registers who answers C-FIND: a generator function, plain or ``async``, that yields a data set for each
        match, or ``(Status.PENDING_WARNING, data set)`` where optional keys were not supported (PS3.4 C.4.1).

        Each yield waits while the peer takes less than is sent. When the peer cancels, ``asyncio.CancelledError`` is
        raised where the function waits, or it is closed where it has yielded, and FE00H is answered.
        """
        return self._set(CFindRQ, function, driver=send_matches)

    def on_c_get(self, function: _Get) -> _Get:
        """Registers who answers C-GET: a generator function, plain or ``async``, that yields what is to be sent: what
        `Association.c_store` takes, or a `SubOperation`. The engine sends it on the same association.

        Ends with success, B000H when some sub-operations failed or had warnings, A702H when all failed, FE00H when the
        peer has cancelled (PS3.4 C.4.3).
        """
        return self._set(CGetRQ, function, driver=self._get)

    def on_c_get_relayed(self, function: _RelayGet) -> _RelayGet:
        """Registers who has somebody else perform C-GET, in place of `on_c_get`: as `on_c_move_relayed`. The function
        sends what that one has sent, on the association that asks, between the responses.
        """
        return self._set(CGetRQ, function, driver=_relay)

    def on_c_move(self, function: _Move) -> _Move:
        """Registers who answers C-MOVE: as `on_c_get`, but the engine sends to the server's destination of that name,
        on several associations at once. A destination that is unknown is answered A801H before the function is called
        (PS3.4 C.4.2).
        """
        return self._set(CMoveRQ, function, driver=self._move)

    def on_c_move_relayed(self, function: _RelayMove) -> _RelayMove:
        """Registers who has somebody else perform C-MOVE, in place of `on_c_move`: a generator function, plain or
        ``async``, that yields the responses of that one: those that are pending as they come, and the final one last.
        """
        return self._set(CMoveRQ, function, driver=_relay)

    def on_c_cancel(self, function: _Cancel) -> _Cancel:
        """Registers who hears of a C-CANCEL for a request that is being performed, before the engine ends its handler:
        a plain function of that request.
        """
        _check(function)
        if is_asynchronous(function):
            raise LocalError("a handler of C-CANCEL is a plain function: the request's own handler is cancelled")
        self.cancel_handler = function
        return function

    def on_refusal(self, function: _Refusal) -> _Refusal:
        """Registers who hears of each `Refusal`, a plain function; of what comes to no handler, nobody else hears."""
        _check(function)
        if is_asynchronous(function):
            raise LocalError("who hears of refusals is a plain function: the peer has its answer")
        self.refusal_handler = function
        return function

    def on_n_get(self, function: _NGet) -> _NGet:
        """Registers who answers N-GET: returns the data set of the attributes asked for, or a status."""
        return self._set(NGetRQ, function)

    def on_n_set(self, function: _NSet) -> _NSet:
        """Registers who answers N-SET: may return a data set with what the attributes have become."""
        return self._set(NSetRQ, function)

    def on_n_action(self, function: _NAction) -> _NAction:
        """Registers who answers N-ACTION: may return a data set, the action reply."""
        return self._set(NActionRQ, function)

    def on_n_create(self, function: _NCreate) -> _NCreate:
        """Registers who answers N-CREATE: may return a data set with what the attributes have become. Under a SOP
        Instance UID that is none (PS3.5 9.1) nothing is to be created: that is answered 0117H without it.
        """
        return self._set(NCreateRQ, function)

    def on_n_delete(self, function: _NDelete) -> _NDelete:
        """Registers who answers N-DELETE."""
        return self._set(NDeleteRQ, function)

    def on_n_event_report(self, function: _NEventReport) -> _NEventReport:
        """Registers who answers N-EVENT-REPORT: may return a data set, the event reply."""
        return self._set(NEventReportRQ, function)

    async def _get(self, function: Callable[[Any], Any], request: GetRequest, outbox: Outbox) -> Reply:
        return await perform_get(function, request, outbox, self.pending_interval, self.transcoding)

    async def _move(self, function: Callable[[Any], Any], request: MoveRequest, outbox: Outbox) -> Reply:
        return await perform_move(function, request, outbox, self.pending_interval, self.transcoding, self.destinations)

    def _set(
        self,
        kind: type[Request],
        function: _Function,
        *,
        has_body: bool = True,
        driver: Driver | None = None,
    ) -> _Function:
        _check(function)
        body = Spooled() if has_body else None
        return self._register(
            kind, function, Handler(function, driver is not None or is_asynchronous(function), body, driver)
        )

    def _register(self, kind: type[Request], function: _Function, handler: Handler) -> _Function:
        self.by_kind[kind] = handler
        return function


async def _relay(function: Callable[[Any], Any], request: RetrieveRequest, outbox: Outbox) -> Reply:
    # Imported when it is first needed: few servers pass anything on.
    from aiodicom.net.relaying import relay_retrieval

    return await relay_retrieval(function, request, outbox)


def _check(function: object) -> None:
    if not callable(function) or isinstance(function, (Discarded, Spooled, Streamed)):
        raise LocalError(
            f"{function!r} is no function that could be a handler (where data sets go is said by body=...)"
        )


def is_asynchronous(function: Callable[..., Any]) -> bool:
    """Whether calling this gives a coroutine; also for objects with an ``async def __call__``."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
