"""What people do with a queue, and ask of it."""

from __future__ import annotations

import asyncio
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from aiodicom.router.queue import search
from aiodicom.router.queue.objects import Selection, State, Way

if TYPE_CHECKING:
    from aiodicom.router.queue.shard import Shard

__all__ = ["ByHand", "ShardByHand"]

Result = TypeVar("Result")


class ByHand(ABC):
    """What people do with a queue, whatever keeps its rows. Changes are on the disk when people are told so."""

    async def hold(self, meant: Selection) -> int:
        """Has deliveries wait until they are released; a destination alone is held with all that will come for it.

        Returns how many have been.
        """
        if meant.destination is not None and meant == Selection(meant.destination):
            await self._hold_destination(meant.destination)
            return 0
        return await self._change(meant, State.HELD)

    async def release(self, meant: Selection) -> int:
        """Ends that."""
        if meant.destination is not None and meant == Selection(meant.destination):
            await self._release_destination(meant.destination)
        return await self._change(meant._replace(state=State.HELD), State.WAITING)

    async def retry(self, meant: Selection) -> int:
        """Has deliveries that are dead, and that are delayed, tried now; returns how many."""
        states = [state for state in (State.DEAD, State.DELAYED) if meant.state in (None, state)]
        return sum([await self._change(meant._replace(state=state), State.WAITING) for state in states])

    async def drop(self, meant: Selection, reason: str = "dropped") -> int:
        """Gives deliveries up that are pending; returns how many."""
        return await self._change(meant, State.DROPPED, reason)

    @abstractmethod
    async def _hold_destination(self, destination: str) -> None:
        """Nothing more is claimed for it."""

    @abstractmethod
    async def _release_destination(self, destination: str) -> None:
        """Ends that; what waited for it is told of by the change that follows."""

    @abstractmethod
    async def _change(self, meant: Selection, state: State, reason: str | None = None) -> int:
        """Gives deliveries another state; returns how many."""


class ShardByHand(ByHand):
    """The same, and what people ask, of a shard."""

    _shard: Shard

    @abstractmethod
    def now(self) -> float:
        """Returns the time of the queue's clock, in seconds."""

    @abstractmethod
    def _call(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """What the function returns, in the thread of the rows, which knows then what was settled before."""

    @abstractmethod
    def _all_wait_in_rows(self) -> None:
        """There may be something to claim of the rows for any destination."""

    async def _hold_destination(self, destination: str) -> None:
        await self._call(functools.partial(self._shard.rows.hold_destination, destination, self.now()))
        await self._sync()

    async def _release_destination(self, destination: str) -> None:
        await self._call(functools.partial(self._shard.rows.release_destination, destination))

    async def _change(self, meant: Selection, state: State, reason: str | None = None) -> int:
        change = functools.partial(self._shard.rows.change_selected, meant, state, self.now(), reason)
        changed = 0
        while step := await self._call(change):  # others have their turns between
            changed += step
        await self._sync()
        self._all_wait_in_rows()
        return changed

    async def _sync(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._shard.sync)

    async def counts(self) -> dict[str, dict[State, int]]:
        """Returns how many deliveries there are, by destination and state."""
        return await self._call(self._shard.rows.counts)

    async def find(self, **wanted: Any) -> list[Way]:
        """Looks for objects: see `search.find`."""
        return await self._call(functools.partial(search.find, self._shard.rows, **wanted))

    async def pending(self, meant: Selection, after: int = 0, limit: int = 100) -> list[Way]:
        """Lists what is pending: see `search.listed`."""
        return await self._call(functools.partial(search.listed, self._shard.rows, meant, after, limit))
