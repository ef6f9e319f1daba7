"""What a pool hands out: an association for oneself, and operations whose responses are iterated over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, cast

from aiodicom.errors import LocalError
from aiodicom.net.association import Association
from aiodicom.net.iterating import Iteration, broken_off
from aiodicom.net.member import Member
from aiodicom.net.proposing import Need
from aiodicom.net.responses import Matches
from aiodicom.net.results import RetrieveResult
from aiodicom.net.retrieval import Retrieved

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.dimse.messages import CFindRSP
    from aiodicom.net.pool import Pool
    from aiodicom.net.requests import StoreRequest

__all__ = ["Acquiring", "Lent", "PooledMatches", "PooledRetrieved"]


class Acquiring:
    """What `Pool.acquire()` returns, to be awaited or to be entered: either gives a `Lent`, which is typed as what it
    stands for.
    """

    def __init__(self, pool: Pool, need: Need | None) -> None:
        self._pool = pool
        self._need = need
        self._lent: Lent | None = None

    def __await__(self) -> Generator[Any, None, Association]:
        return cast(Generator[Any, None, Association], self._pool.lend(self._need).__await__())

    async def __aenter__(self) -> Association:
        if self._lent is not None:
            raise LocalError("this association has been acquired already: call acquire() again")
        self._lent = await self._pool.lend(self._need)
        return cast(Association, self._lent)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lent, self._lent = self._lent, None
        if lent is not None and lent.member is not None:  # else it was returned within the block
            self._pool.take_back(lent, error)


class Lent:
    """Stands for an association while it is lent; afterwards it refuses further use, and so do methods that were taken
    from it. It is no `Association`, and has none of its special methods.
    """

    __slots__ = ("member",)

    def __init__(self, member: Member) -> None:
        self.member: Member | None = member

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._mine(), name)
        if not callable(value):
            return value

        def call(*arguments: Any, **options: Any) -> Any:
            return getattr(self._mine(), name)(*arguments, **options)

        return call

    def _mine(self) -> Association:
        if self.member is None:
            raise LocalError("this association has been returned to its pool: acquire one again")
        return self.member.association

    def __repr__(self) -> str:
        return "<an association that has been returned>" if self.member is None else repr(self.member.association)


class Responses(Protocol):
    """Those to one operation: `Matches`, or `Retrieved`."""

    def __aenter__(self) -> Awaitable[object]: ...

    def __anext__(self) -> Awaitable[Any]: ...

    @property
    def is_over(self) -> bool:
        """Whether the peer has said its last word, or will not say it any more."""

    async def cancel(self) -> object:
        """Sends C-CANCEL and waits for the end."""


Stream = TypeVar("Stream", bound=Responses)


class _Held(Generic[Stream]):
    """Responses to an operation on one of a pool's associations, on which it has a turn until the final one is there.

    Invariants: the turn is given back exactly once; nothing is tried again once there was an item, or once it is left.
    """

    def __init__(self, pool: Pool, need: Need, start: Callable[[Association], Stream]) -> None:
        self._pool = pool
        self._need = need
        self._start = start
        self._stream: Stream | None = None
        self._member: Member | None = None
        self._beginning = asyncio.Lock()
        self._is_left = False
        self._is_broken_off = False
        #: Whether nothing more is to be iterated over: what was asked for has come, or is not wanted.
        self._is_complete = False
        self._is_over = False
        self._is_answered = False
        self._failures = 0

    async def _next(self) -> Any:
        while not self._is_over:
            try:
                stream = await self._begin()
            except LocalError:
                if self._is_left:
                    break
                raise
            try:
                item = await stream.__anext__()
            except StopAsyncIteration:
                self._is_complete = self._is_complete or not self._is_left
                self._end(None)
                break
            except Exception as error:
                if not stream.is_over:  # an item that cannot be decoded, or who was told of progress: the peer goes on
                    self._break_off()
                    raise
                self._end(error)
                if self._is_answered or not await self._is_tried_again(error):
                    raise
            else:
                self._is_answered = True
                return item
        raise StopAsyncIteration if self._is_complete else broken_off()

    async def _begin(self) -> Stream:
        """Has the request sent, unless that has been done."""
        if self._stream is not None:
            return self._stream
        async with self._beginning:  # one task may iterate while another cancels
            while self._stream is None:
                if self._is_over:  # meanwhile
                    raise LocalError("this operation is over")
                try:
                    await self._send()
                except Exception as error:
                    if not await self._is_tried_again(error):
                        raise
        return self._stream

    async def _send(self) -> None:
        member = await self._pool.take(self._need)
        if self._is_left:  # meanwhile
            self._pool.give(member, None)
            raise LocalError("this operation is over")
        try:
            stream = self._start(member.association)
        except BaseException as error:
            self._pool.give(member, error)
            raise
        self._member, self._stream = member, stream
        try:
            await stream.__aenter__()
        except Exception as error:
            self._end(error)
            raise
        except BaseException:
            self._break_off()
            raise

    async def _cancel(self) -> Any:
        if self._is_broken_off:  # the pool has the turn till the end
            assert self._stream is not None
            return await self._stream.cancel()
        stream = None if self._is_over else await self._begin()
        # Who iterates meanwhile comes to the end before the turn can be given back.
        self._is_left = self._is_over = self._is_complete = True
        member, self._member = self._member, None
        if stream is None or member is None:
            raise LocalError("this operation is over")
        try:
            result = await stream.cancel()
        except Exception as error:
            self._pool.give(member, error)
            raise
        except BaseException:
            self._pool.see_out(member, stream)
            raise
        self._pool.give(member, None)
        return result

    async def _is_tried_again(self, error: Exception) -> bool:
        self._failures += 1
        is_worthwhile = True  # for who asks again after this was cancelled
        try:
            is_worthwhile = not self._is_left and await self._pool.is_tried_again(
                error, self._failures, is_begun=True, is_repeatable=True
            )
        finally:
            self._is_over = self._is_left or not is_worthwhile  # it may have been left meanwhile
            if not self._is_over:
                self._stream = None
        return not self._is_over

    def _end(self, error: BaseException | None) -> None:
        """The operation is over."""
        self._is_over = True
        if self._member is not None:
            member, self._member = self._member, None
            self._pool.give(member, error)

    def _leave(self) -> None:
        """Nobody wants the rest."""
        self._is_left = self._is_over = True
        if self._member is not None:
            assert self._stream is not None
            member, self._member = self._member, None
            self._pool.see_out(member, self._stream)

    def _break_off(self) -> None:
        """Something has come between: how the operation ends can still be asked for, by `cancel()`."""
        self._is_broken_off = self._is_broken_off or self._member is not None
        self._leave()

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_broken_off = False
        self._is_complete = True
        self._leave()

    def __del__(self) -> None:
        member, stream = self._member, self._stream
        if member is not None and stream is not None:
            with suppress(RuntimeError):  # the loop is closed, and the association with it
                member.association.loop.call_soon_threadsafe(self._pool.see_out, member, stream)


class PooledMatches(_Held[Matches]):
    """The matches of a C-FIND, as `Pool.c_find` gives them: `Matches` of one of the associations.

    The request is sent on entering, or when the first match is asked for. Left early (a ``break``, the end of the
    block, an exception, a cancellation), C-CANCEL is sent, and the association has the turn again when the peer has
    said the last word. Without a block that happens when it does with `Matches`.
    """

    def __aiter__(self) -> AsyncIterator[Dataset]:
        return Iteration(self.__anext__, self._break_off)

    async def __anext__(self) -> Dataset:
        """Waits for a turn, at first, and for the next match. Raises what that of `Matches` and `Pool.perform` raise.

        A cancelled ``anext()`` loses nothing; while it waits for its turn, nothing has happened.
        """
        return cast("Dataset", await self._next())

    @property
    def response(self) -> CFindRSP | None:
        """The final response, once it is there."""
        return None if self._stream is None else self._stream.response

    @property
    def keys_unsupported(self) -> bool:
        """Whether the peer has said that it does not support optional keys of the query (FF01H)."""
        return self._stream is not None and self._stream.keys_unsupported

    async def cancel(self) -> CFindRSP:
        """Sends C-CANCEL, waits for the final response and returns it, as `Matches.cancel` does. Cancelled, the pool
        waits for it.
        """
        return cast("CFindRSP", await self._cancel())


class PooledRetrieved(_Held[Retrieved]):
    """The objects of a C-GET, as `Pool.c_get` gives them: `Retrieved` of one of the associations.

    The request is sent on entering, or when the first object is asked for. Left early, C-CANCEL is sent, and the
    association has the turn again when the peer has said the last word. Without a block that happens when it does with
    `Matches`.
    """

    def __aiter__(self) -> AsyncIterator[StoreRequest]:
        return Iteration(self.__anext__, self._break_off)

    async def __anext__(self) -> StoreRequest:
        """Waits for a turn, at first, and for the next object, and answers the one before. Raises what that of
        `Retrieved` and `Pool.perform` raise.

        A cancelled ``anext()`` loses nothing; while it waits for its turn, nothing has happened.
        """
        return cast("StoreRequest", await self._next())

    @property
    def result(self) -> RetrieveResult | None:
        """The numbers of the latest response; the final one's once the iteration has ended."""
        return None if self._stream is None else self._stream.result

    async def cancel(self) -> RetrieveResult:
        """Sends C-CANCEL, waits for the final response and returns its numbers, as `Retrieved.cancel` does. Cancelled,
        the pool waits for it.
        """
        return cast(RetrieveResult, await self._cancel())
