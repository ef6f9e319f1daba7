"""Who waits until all destinations of an object have it: answers of durability `forwarded`, storage commitment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiodicom.router.observing import Observer
from aiodicom.standard.status import Status

if TYPE_CHECKING:
    from aiodicom.router.outcomes import Outcome
    from aiodicom.router.queue.objects import Lease

__all__ = ["Forwarding"]


@dataclass(slots=True)
class _Waiting:
    left: int
    answer: asyncio.Future[Status]


class Forwarding(Observer):
    """Answers with success when every destination has an object, and with 0110H when one of them never will.

    Whoever does not wait any longer, because the association has ended, changes nothing: the object stays queued.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, _Waiting] = {}

    def wait(self, object: int, deliveries: int, answer: asyncio.Future[Status]) -> None:
        """Has `answer` get its result, for an object that was just queued, with so many deliveries."""
        self._waiting[object] = _Waiting(deliveries, answer)
        answer.add_done_callback(lambda _: self._waiting.pop(object, None))

    def delivered(self, lease: Lease, size: int, seconds: float, reason: str) -> None:
        """One of the destinations has it."""
        waiting = self._waiting.get(lease.object)
        if waiting is None:
            return
        waiting.left -= 1
        if not waiting.left and not waiting.answer.done():
            waiting.answer.set_result(Status.SUCCESS)

    def failed(self, lease: Lease, outcome: Outcome, is_dead: bool) -> None:
        """One of them has not, now or for ever."""
        waiting = self._waiting.get(lease.object)
        if waiting is not None and is_dead and not waiting.answer.done():
            waiting.answer.set_result(Status.PROCESSING_FAILURE)
