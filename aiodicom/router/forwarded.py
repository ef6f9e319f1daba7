"""Who waits for Success until all destinations of an object have it: the durability `forwarded`."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiodicom.router.observing import Observer
from aiodicom.router.queue.objects import QueueUnavailable
from aiodicom.router.whereabouts import Whereabouts, whereabouts
from aiodicom.standard.status import Status

if TYPE_CHECKING:
    from aiodicom.router.outcomes import Outcome
    from aiodicom.router.queue.objects import Lease, Way

__all__ = ["Forwarding"]

_log = logging.getLogger("aiodicom.router")

#: Seconds between looks at what nobody has told of: what was dropped by people, or has expired, or came before, or is
#: delivered by another node.
_LOOK: Final = 1.0
#: Objects that are looked at each time, and the ways of each.
_MOST: Final = 100
_WAYS: Final = 20


class Findable(Protocol):
    """A queue, as far as this needs it."""

    async def find(self, **wanted: Any) -> list[Way]: ...


@dataclass(slots=True)
class _Waiting:
    sop_instance_uid: str
    left: int
    answer: asyncio.Future[Status]


class Forwarding(Observer):
    """Answers with success when every destination has an object, and with 0110H when one of them never will. What other
    nodes deliver that share the queue is seen there, within seconds.

    Whoever does not wait any longer, because the association has ended, changes nothing: the object stays queued.
    """

    def __init__(self, queue: Findable) -> None:
        self._queue = queue
        self._waiting: dict[int, _Waiting] = {}
        self._looking: asyncio.Task[None] | None = None

    def wait(self, object: int, sop_instance_uid: str, deliveries: int, answer: asyncio.Future[Status]) -> None:
        """Has `answer` get its result, for an object that was just queued, with so many deliveries; some of them, or
        all, may be duplicates of others that are on their way.
        """
        self._waiting[object] = _Waiting(sop_instance_uid, deliveries, answer)
        answer.add_done_callback(lambda _: self._waiting.pop(object, None))
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._keep_looking())

    def delivered(self, lease: Lease, size: int, seconds: float, reason: str) -> None:
        """One of the destinations has it."""
        self._one_less(lease)

    def dropped(self, lease: Lease) -> None:
        """One of them is not to have it."""
        self._one_less(lease)

    def _one_less(self, lease: Lease) -> None:
        waiting = self._waiting.get(lease.object)
        if waiting is None:
            return
        waiting.left -= 1
        if not waiting.left:
            _finish(waiting, Status.SUCCESS)

    def failed(self, lease: Lease, outcome: Outcome, is_dead: bool) -> None:
        """One of them has not, now or for ever."""
        waiting = self._waiting.get(lease.object)
        if waiting is not None and is_dead:
            _finish(waiting, Status.PROCESSING_FAILURE)

    async def _keep_looking(self) -> None:
        while self._waiting:
            await asyncio.sleep(_LOOK)
            try:
                await self.look()
            except QueueUnavailable:
                continue  # as is told elsewhere
            except Exception:
                _log.exception("it cannot be told what has become of objects whose senders wait for it")
        self._looking = None

    async def look(self) -> None:
        """Looks at those that have waited longest, and has others be looked at next time."""
        for object, waiting in list(self._waiting.items())[:_MOST]:
            ways = await self._queue.find(sop_instance_uid=waiting.sop_instance_uid, limit=_WAYS)
            ways = [way for way in ways if way.object <= object]
            match whereabouts(ways) if ways else Whereabouts.GIVEN_UP:
                case Whereabouts.QUEUED:
                    if self._waiting.pop(object, None) is not None:
                        self._waiting[object] = waiting
                case Whereabouts.DELIVERED:
                    _finish(waiting, Status.SUCCESS)
                case _:
                    _finish(waiting, Status.PROCESSING_FAILURE)

    async def close(self) -> None:
        """Looks no more."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking


def _finish(waiting: _Waiting, status: Status) -> None:
    if not waiting.answer.done():
        waiting.answer.set_result(status)
