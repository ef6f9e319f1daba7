"""C-GET as SCU: objects as the peer sends them (PS3.4 C.4.3)."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from aiodicom.net.answers import Answer, Later
from aiodicom.net.handlers import Handler
from aiodicom.net.iterating import Bell, Iteration
from aiodicom.net.responses import ResponseStream, check, dataset_of
from aiodicom.net.results import RetrieveResult, retrieve_result, tell_progress
from aiodicom.net.sinks import BodyChoice, Discarded
from aiodicom.standard.status import Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Set

    from aiodicom.dimse.events import AcceptedContext
    from aiodicom.dimse.messages import Request
    from aiodicom.net.association import Association
    from aiodicom.net.requests import StoreRequest
    from aiodicom.net.sinks import BodySink
    from aiodicom.net.sources import Source

__all__ = ["Retrieved"]

#: Objects that were refused which are remembered: a peer that does not stop may send any number.
_MOST_REFUSED: Final = 0xFFFF


class Retrieved:
    """The objects of a C-GET, as `Association.c_get` gives them: `StoreRequest`s in the order in which they come.

    To be iterated over, or entered first, as `Matches`. Each object's C-STORE is answered when the next one is asked
    for, with its `status` (Success unless you set another), so the peer sends no more than can be taken. What is no
    status is answered 0110H, and the log says why, as of what a handler returns. Left early, the object in hand is
    answered so too, C-CANCEL is sent, and what still comes is refused with A700H and thrown away: the association stays
    usable, as with `Matches`.

    The peer waits for `Timeouts.paused` at most until an object is taken, or the one in hand is done with; then the
    association is aborted.

    One C-GET at a time can be on an association: nothing says which one an object belongs to.
    """

    def __init__(
        self,
        association: Association,
        context: AcceptedContext,
        build: Callable[[int], Request],
        source: Source,
        body: BodyChoice,
        on_progress: Callable[[RetrieveResult], object] | None = None,
    ) -> None:
        self._association = association
        self._stream = ResponseStream(association, context, build)
        self._source = source
        self._objects = _Objects(association, body, self._stream.bell)
        self._on_progress = on_progress
        self._has_begun = False
        #: The numbers of the latest response; the final one's once the iteration has ended.
        self.result: RetrieveResult | None = None

    def __aiter__(self) -> AsyncIterator[StoreRequest]:
        return Iteration(self.__anext__, self._break_off)

    async def __anext__(self) -> StoreRequest:
        """Waits for the next object, and answers the one before.

        Raises `StatusError` for a failure (its ``response`` is the `RetrieveResult`), or the error that ended the
        association. A warning, such as B000H when some objects could not be sent, ends the iteration. A cancelled
        ``anext()`` loses nothing once the request is sent; before, nothing is asked.
        """
        if not self._has_begun:
            await self._begin()
        self._objects.answer()
        while not self._stream.is_left:
            if self._objects.waiting:
                return self._objects.take()
            if not self._stream.has_next:
                await self._stream.bell.wait()
                continue
            event = await self._stream.next()
            data_set = dataset_of(event, self._stream.transfer_syntax)
            self.result = retrieve_result(event.message, data_set)
            if event.is_final:
                self._leave()
                check(event.message, detail=self.result)
                raise StopAsyncIteration
            await tell_progress(self._on_progress, self.result)
        raise self._stream.ended()

    @property
    def refused(self) -> Set[str]:
        """The SOP Instance UIDs of the objects that were refused because they came when this was left.

        The peer may count them among those that have failed. No more are remembered than its counters go to.
        """
        return self._objects.refused

    async def cancel(self) -> RetrieveResult:
        """Sends C-CANCEL, waits for the final response and returns its numbers; nothing more is iterated over, also
        where another task does.

        Raises `StatusError` for a failure, or the error that ended the association. Cancelled, the engine reads to the
        end nevertheless.
        """
        await self._begin()
        self._leave()
        event = await self._stream.final()
        self.result = retrieve_result(event.message, dataset_of(event, self._stream.transfer_syntax))
        check(event.message, allowing_cancel=True, detail=self.result)
        return self.result

    async def _begin(self) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        performer = self._association.performer
        try:
            await performer.take_retrieval(Handler(self._objects.receive, False, self._objects.body))
        except BaseException:
            self._stream.cancel()
            raise
        # Nothing that the stream knows refers to this object: it would never be told that nobody has it any more.
        self._stream.on_end = performer.give_retrieval
        await self._stream.begin(self._source)

    def _leave(self) -> None:
        _leave(self._objects, self._stream)

    def _break_off(self) -> None:
        self._stream.break_off(has_more=bool(self._objects.waiting))
        self._objects.leave()

    @property
    def is_over(self) -> bool:
        """Whether the peer has said its last word, or will not say it any more."""
        return self._stream.done()

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def __del__(self) -> None:
        if self._has_begun and not self._stream.is_left:
            with suppress(RuntimeError):  # the loop is closed, and the association with it
                self._association.loop.call_soon_threadsafe(_leave, self._objects, self._stream)


def _leave(objects: _Objects, stream: ResponseStream) -> None:
    objects.leave()
    stream.leave()


class _Objects:
    """The objects that have come and are not answered.

    Invariants: `_in_hand` is what the user has; all others are `waiting`; once left there are none. While there are any
    the protocol knows since when nothing has been done with them.
    """

    def __init__(self, association: Association, body: BodyChoice, bell: Bell) -> None:
        self._time = association.loop.time
        self._protocol = association.performer.protocol
        self._body = body
        self._bell = bell
        self._is_left = False
        self.waiting: deque[tuple[StoreRequest, Later]] = deque()
        self._in_hand: tuple[StoreRequest, Later] | None = None
        self.refused: set[str] = set()

    def body(self, request: StoreRequest) -> BodySink:
        """Chooses where an object goes while it arrives."""
        return Discarded()(request) if self._is_left else self._body(request)

    def receive(self, request: StoreRequest) -> Later | Answer:
        """The handler of C-STORE, as long as the C-GET lasts: plain, for a task would cost as much as the rest."""
        if self._is_left:
            self._refuse(request)
            return Answer(Status.OUT_OF_RESOURCES, error_comment="nobody wants it any more")
        answered = Later()
        self.waiting.append((request, answered))
        if self._protocol.held_since is None:
            self._hold()
        if request.is_streamed:
            request.when_completed(self._hold)  # until then it is the peer who takes his time
        self._bell.ring()
        return answered

    def take(self) -> StoreRequest:
        """Hands out the object that came first."""
        self._in_hand = self.waiting.popleft()
        self._hold()
        return self._in_hand[0]

    def answer(self) -> None:
        """The user is done with the object in hand."""
        in_hand, self._in_hand = self._in_hand, None
        if in_hand is not None:
            self._hold()
            in_hand[1].give(in_hand[0].status, more=bool(self.waiting))  # what is no status fails, as a handler's does

    def leave(self) -> None:
        """The user wants no more."""
        self._is_left = True
        self.answer()
        while self.waiting:
            request, answered = self.waiting.popleft()
            self._refuse(request)
            answered.give(Status.OUT_OF_RESOURCES)
        self._hold()

    def _hold(self) -> None:
        """Something was done with the objects that are here, if there are any: the time for the next begins."""
        self._protocol.held_since = self._time() if self.waiting or self._in_hand is not None else None

    def _refuse(self, request: StoreRequest) -> None:
        """Remembers an object that nobody wants any more."""
        if len(self.refused) < _MOST_REFUSED:
            self.refused.add(request.affected_sop_instance_uid)
