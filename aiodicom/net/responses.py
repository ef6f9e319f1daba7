"""Responses to what we have asked for: one that is waited for, or many that are iterated over."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from aiodicom.dimse.events import AcceptedContext, ResponseReceived
from aiodicom.dimse.messages import CFindRSP, Request, Response
from aiodicom.errors import DecodeError, LocalError, StatusError
from aiodicom.net._data_sets import decode_data_set
from aiodicom.net.iterating import Bell, Iteration, broken_off
from aiodicom.standard.status import Status, StatusCategory
from aiodicom.store.spool import SpoolFile
from aiodicom.ul._pdu import Body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.net.sources import Source

__all__ = ["Matches", "ResponseStream", "Token", "check", "dataset_of", "is_failure"]

#: While so many bytes or responses wait to be taken, nothing more is read; beyond the first many more only while
#: another operation waits on the same association.
_HIGH: Final = 1 << 20
_MOST_HIGH: Final = 64 << 20
#: What a response is counted as, beside its data set.
_OVERHEAD: Final = 1024


class Token(Protocol):
    """Who waits for the responses to a request: a future, or a `ResponseStream`."""

    def done(self) -> bool:
        """Whether nothing more is wanted."""

    def cancel(self) -> object:
        """The request was not sent."""

    def exception(self) -> BaseException | None:
        """Why no response will come."""

    def set_result(self, event: ResponseReceived, /) -> None:
        """The final response."""

    def set_exception(self, error: Any, /) -> None:
        """No response will come."""


def is_failure(status: Status) -> bool:
    """Whether a status is neither success nor a warning."""
    # 0 is success, as a rule.
    return bool(status) and status.category not in (StatusCategory.SUCCESS, StatusCategory.WARNING)


def check(response: Response, *, allowing_cancel: bool = False, detail: object = None) -> None:
    """Raises `StatusError` for a status that is neither success nor a warning."""
    status = response.status
    if not is_failure(status) or (allowing_cancel and status.category is StatusCategory.CANCEL):
        return
    comment = f": {response.error_comment}" if response.error_comment else ""
    text = f"{response.SERVICE} failed with status {status:04X}H ({status.name_in(response.SERVICE)}){comment}"
    raise StatusError(status, text, response.error_comment, detail or response)


def dataset_of(event: ResponseReceived, transfer_syntax: str) -> Dataset | None:
    """Returns the data set of a response in the transfer syntax of its context, None where there is none. Raises
    `DecodeError`, and what the sink raised.
    """
    if not event.message.has_data_set:
        return None
    body = event.body
    if not isinstance(body, Body):
        raise body.error or LocalError("the data set of the response was not kept")
    data: memoryview | Body = body.spilled.map() if isinstance(body.spilled, SpoolFile) else body
    if isinstance(body.spilled, SpoolFile):
        body.spilled.file.close()  # the map stays
    return decode_data_set(data, transfer_syntax, True)


class ResponseStream:
    """The responses to one C-FIND, C-GET or C-MOVE, in their order: the token of its operation.

    Invariants: while reading is paused for it, `_events` has something; once it `is_left`, nothing is kept any more.
    """

    def __init__(self, association: Association, context: AcceptedContext, build: Callable[[int], Request]) -> None:
        self._association = association
        self._context = context
        self._build = build
        self._message_id = 0
        self._is_sent = False
        self._events: deque[ResponseReceived] = deque()
        self._size = 0
        self._high = _HIGH
        self._final: ResponseReceived | None = None
        self._error: BaseException | None = None
        #: Whether nobody wants any more of it.
        self.is_left = False
        self._is_broken_off = False
        #: Rings with every response, at the end, and when it is left.
        self.bell = Bell(association.loop)
        #: Told once the operation is over.
        self.on_end: Callable[[], None] = _nothing

    @property
    def has_next(self) -> bool:
        """Whether `next()` need not wait."""
        return bool(self._events) or self.done()

    @property
    def transfer_syntax(self) -> str:
        """The transfer syntax of the data sets."""
        return self._context.transfer_syntax

    async def begin(self, source: Source) -> None:
        """Sends the request, when it is its turn."""
        self._association.invoker.follow(self)
        await self._association.invoker.begin(self._context, self._request, source, self)
        self._is_sent = True
        if self.is_left:
            self._stop()

    def _request(self, message_id: int) -> Request:
        self._message_id = message_id
        return self._build(message_id)

    async def next(self) -> ResponseReceived:
        """Waits for the next response; the final one is given again and again. Raises why there is none, and `ended()`
        once this is left.

        Cancelling it loses nothing.
        """
        while not self._events:
            if self.is_left:
                raise self.ended()
            if self._final is not None:
                return self._final
            if self._error is not None:
                raise self._error
            await self.bell.wait()
        event = self._events.popleft()
        self._size -= _size(event)
        if self._size <= self._high // 2:
            self._association.transport.resume_reading(self)
        return event

    async def final(self) -> ResponseReceived:
        """Waits for the final response, whether or not this is left. Raises why there is none.

        Cancelling it changes nothing.
        """
        while self._final is None:
            if self._error is not None:
                raise self._error
            await self.bell.wait()
        return self._final

    def make_room(self) -> None:
        """Has more read than is taken: another operation waits for this one to end."""
        self._high = _MOST_HIGH
        if self._size < self._high:
            self._association.transport.resume_reading(self)

    def leave(self) -> None:
        """Wants no more: sends C-CANCEL unless the final response is there, and drops what comes. Harmless when
        repeated.
        """
        if self.is_left:
            return
        self.is_left = True
        self._events.clear()
        self._size = 0
        self.bell.ring()
        self._stop()

    def break_off(self, *, has_more: bool = False) -> None:
        """Leaves it because something has come between, unless the final response was all that was still to come;
        `has_more`: it is not.
        """
        if has_more or self._events or not self.done():
            self._is_broken_off = self._is_broken_off or not self.is_left
            self.leave()

    def ended(self) -> Exception:
        """What who asks for more is told once this is left."""
        return broken_off() if self._is_broken_off else StopAsyncIteration()

    def _stop(self) -> None:
        if self.done():
            return
        self._association.transport.resume_reading(self)
        if self._is_sent:  # else `begin()` says so when it is
            self._association.invoker.cancel(self._context, self._message_id)

    # --- the association's side --------------------------------------------------------------------------------------

    def on_pending(self, event: ResponseReceived) -> None:
        """A pending response."""
        if self.is_left:
            return
        self._events.append(event)
        self._size += _size(event)
        if self._size >= self._high:
            self._association.transport.pause_reading(self)
        self.bell.ring()

    def done(self) -> bool:
        """Whether the operation is over."""
        return self._final is not None or self._error is not None

    def exception(self) -> BaseException | None:
        """Why the operation has ended without a final response."""
        return self._error

    def cancel(self) -> None:
        """The request was not sent."""
        if not self.done():
            self.set_exception(LocalError("the request was not sent"))

    def set_result(self, event: ResponseReceived) -> None:
        """The final response."""
        self._final = event
        self._end()

    def set_exception(self, error: BaseException) -> None:
        """No more responses will come."""
        self._error = error
        self._end()

    def _end(self) -> None:
        self._association.invoker.unfollow(self)
        self.on_end()
        self.bell.ring()


def _nothing() -> None:
    pass


def _size(event: ResponseReceived) -> int:
    return _OVERHEAD + (event.body.total if isinstance(event.body, Body) else 0)


class Matches:
    """The matches of a C-FIND (PS3.4 C.4.1), as `Association.c_find` gives them: data sets, as they come.

    To be iterated over, or entered first::

        async with association.c_find(query) as matches:
            async for match in matches:
                ...

    The request is sent on entering, or when the first match is asked for. Left early (a ``break``, the end of the
    block, an exception, a cancellation), C-CANCEL is sent and the engine reads to the end: the association stays
    usable, unless the peer has not ended within `Timeouts.dimse`; then it is aborted. Without a block that happens when
    an ``async for`` waits for a match and is cancelled, or gets an error, and else as soon as nothing refers to this
    object any more. While matches are not taken, the peer is held up.
    """

    def __init__(
        self,
        association: Association,
        context: AcceptedContext,
        build: Callable[[int], Request],
        source: Source,
    ) -> None:
        self._stream = ResponseStream(association, context, build)
        self._loop = association.loop
        self._source = source
        self._has_begun = False
        #: The final response, once it is there.
        self.response: CFindRSP | None = None
        #: Whether the peer has said that it does not support optional keys of the query (FF01H).
        self.keys_unsupported = False

    def __aiter__(self) -> AsyncIterator[Dataset]:
        return Iteration(self.__anext__, self._stream.break_off)

    async def __anext__(self) -> Dataset:
        """Waits for the next match.

        Raises `StatusError` for a failure, `DecodeError` for a match that is no data set, or the error that ended the
        association. A cancelled ``anext()`` loses nothing once the request is sent; before, nothing is asked.
        """
        await self._begin()
        event = await self._stream.next()
        if event.is_final:
            assert isinstance(event.message, CFindRSP)
            self.response = event.message
            check(event.message)
            raise StopAsyncIteration
        self.keys_unsupported |= event.message.status is Status.PENDING_WARNING
        match = dataset_of(event, self._stream.transfer_syntax)
        if match is None:
            raise DecodeError("a pending response to C-FIND without an identifier")
        return match

    async def cancel(self) -> CFindRSP:
        """Sends C-CANCEL, waits for the final response and returns it; nothing more is iterated over, also where
        another task does.

        A peer may have ended with success before it heard of that. Raises `StatusError` for a failure, or the error
        that ended the association. Cancelled, the engine reads to the end nevertheless.
        """
        await self._begin()
        self._stream.leave()
        event = await self._stream.final()
        assert isinstance(event.message, CFindRSP)
        self.response = event.message
        check(event.message, allowing_cancel=True)
        return event.message

    @property
    def is_over(self) -> bool:
        """Whether the peer has said its last word, or will not say it any more."""
        return self._stream.done()

    async def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            await self._stream.begin(self._source)

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.leave()

    def __del__(self) -> None:
        if self._has_begun and not self._stream.done():
            with suppress(RuntimeError):  # the loop is closed, and the association with it
                self._loop.call_soon_threadsafe(self._stream.leave)
