"""Operations from their beginning to their end, and what is counted of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import TYPE_CHECKING, Any

from aiodicom.errors import AiodicomError, AssociationClosed, LocalError
from aiodicom.load.recorder import Recorder
from aiodicom.load.scu import Scu
from aiodicom.net.responses import check

if TYPE_CHECKING:
    from aiodicom.dimse.events import ResponseReceived
    from aiodicom.dimse.messages import Response
    from aiodicom.load.operations.operation import Operation, Outcome
    from aiodicom.net.association import Association
    from aiodicom.net.sources import DataSource

__all__ = ["Attempt", "Attempts", "Unfinished"]


class Unfinished(LocalError):
    """An operation that the end of the run came before."""


class Attempt:
    """One operation: what it is performed with, and the token of its response where it runs without a task."""

    __slots__ = ("_attempts", "operation", "planned", "scu", "sent", "source", "started")

    def __init__(self, attempts: Attempts, scu: Scu, operation: Operation, planned: float, started: float) -> None:
        self._attempts = attempts
        self.scu = scu
        self.operation = operation
        self.planned = planned
        self.started = started
        #: Bytes of data sets that have been sent, or were to be.
        self.sent = 0
        #: What it sends, once that is chosen.
        self.source: DataSource | None = None

    async def associate(self) -> Association:
        """Returns the SCU's association, opening one where there is none. Raises what `aiodicom.connect` does."""
        return await self.scu.associate()

    async def part(self, operation: Operation) -> Outcome:
        """Performs an operation that is a part of this one, and counts it. Raises what it fails of."""
        now = perf_counter()
        part = Attempt(self._attempts, self.scu, operation, now, now)
        try:
            outcome = await operation(part)
        except (AiodicomError, OSError, asyncio.CancelledError) as error:
            self._attempts.count_failure(part, error)
            raise
        self._attempts.count(part, outcome)
        return outcome

    # --- the token ----------------------------------------------------------------------------------------------------

    def done(self) -> bool:
        """It always wants to know."""
        return False

    def cancel(self) -> None:
        """Nothing was sent: who began it knows."""

    def exception(self) -> None:
        """It keeps none."""

    def set_result(self, event: ResponseReceived) -> None:
        """The response has come."""
        if event.message.status:
            self._attempts.answered(self, event.message)
        else:
            self._attempts.succeeded(self, perf_counter())

    def set_exception(self, error: BaseException) -> None:
        """No response will come."""
        self._attempts.failed(self, error)


class Attempts:
    """Begins operations and counts how they end.

    What happens for every operation of tens of thousands a second is written out here instead of asked of others.

    Invariants: `running` is the sum of what is running on each SCU.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        #: Told when an SCU could do another operation, and the time.
        self.on_free: Callable[[Scu, float], None] = _nobody
        #: Told when nothing runs any more.
        self.on_idle: Callable[[], None] = _nothing
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ending = False
        self._idle: asyncio.Future[None] | None = None
        #: Operations that have begun and not ended.
        self.running = 0

    def begin(self, scu: Scu, operation: Operation, planned: float, now: float) -> None:
        """Begins an operation that should have begun at `planned`."""
        self.running += 1
        scu.running += 1
        scu.begun += 1
        if scu.begun == scu.lasting:
            scu.is_used_up = True
        attempt = Attempt(self, scu, operation, planned, now)
        association = scu.association
        if association is not None:
            try:
                if operation.begin(association, attempt):
                    return
            except AssociationClosed:
                pass  # it is opened anew
            except AiodicomError as error:
                # Later: who is told that the SCU is free begins the next.
                self._loop.call_soon(self.failed, attempt, error)
                return
        self.spawn(self._perform(attempt))

    def succeeded(self, attempt: Attempt, now: float) -> None:
        """The response has come, and says success."""
        self.recorder.tally(attempt.operation.name).ended(attempt.planned, attempt.started, now, attempt.sent)
        self._ended(attempt.scu, now)

    def _ended(self, scu: Scu, now: float) -> None:
        scu.running -= 1
        self.running -= 1
        if scu.is_used_up or not self.running:
            self._over(scu, now)
        else:
            self.on_free(scu, now)

    def answered(self, attempt: Attempt, response: Response) -> None:
        """The response has come with another status than success."""
        try:
            check(response)
        except AiodicomError as error:
            self.failed(attempt, error)
        else:
            self.recorder.tally(attempt.operation.name).warned(attempt.planned, response.status)
            self.succeeded(attempt, perf_counter())

    def failed(self, attempt: Attempt, error: BaseException) -> None:
        """There was no success."""
        self.count_failure(attempt, error)
        attempt.scu.running -= 1
        self.running -= 1
        self._over(attempt.scu, perf_counter())

    def count(self, attempt: Attempt, outcome: Outcome) -> None:
        """Counts how one has ended that did not fail."""
        tally = self.recorder.tally(attempt.operation.name)
        if outcome.status:
            tally.warned(attempt.planned, outcome.status)
        if outcome.first_response is not None:
            tally.responded(attempt.planned, outcome.first_response)
        if outcome.matches:
            tally.matched(attempt.planned, outcome.matches)
        tally.ended(attempt.planned, attempt.started, perf_counter(), outcome.sent, outcome.received)

    def count_failure(self, attempt: Attempt, error: BaseException) -> None:
        """Counts what one has failed of."""
        if self._is_ending:
            error = Unfinished("the run ended before the operation did")
        name, now = attempt.operation.name, perf_counter()
        self.recorder.failed(name, attempt.planned, attempt.started, now, error, attempt.sent)

    def _over(self, scu: Scu, now: float) -> None:
        """One has ended, and with it perhaps an association, or all that was to be done."""
        if not scu.is_used_up:
            self._give_back(scu, now)
        else:
            scu.parked += 1
            if scu.running == 0 and not self._is_ending:
                self.spawn(self._renew(scu))
        if not self.running:
            self.on_idle()
            if self._idle is not None and not self._idle.done():
                self._idle.set_result(None)

    def _give_back(self, scu: Scu, now: float) -> None:
        """The SCU could do another operation, once it may associate again: none is to wait on it for what others could
        do.
        """
        if (wait := scu.not_before - now) > 0 and not self._is_ending:
            self._loop.call_later(wait, lambda: self.on_free(scu, perf_counter()))
        else:
            self.on_free(scu, now)

    async def _perform(self, attempt: Attempt) -> None:
        try:
            outcome = await attempt.operation(attempt)
        except (AiodicomError, OSError, asyncio.CancelledError) as error:
            self.failed(attempt, error)
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        self.count(attempt, outcome)
        self._ended(attempt.scu, perf_counter())

    async def _renew(self, scu: Scu) -> None:
        for _ in range(await scu.renew()):
            self._give_back(scu, perf_counter())

    def retire(self, scu: Scu) -> None:
        """An SCU is not wanted now: its association is released."""
        self.spawn(self._retire(scu))

    async def _retire(self, scu: Scu) -> None:
        if not scu.running:
            await scu.release()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs something beside the operations, which ends with them."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, seconds: float) -> None:
        """Waits so long at most until all that has begun has ended, and the associations are released that end with
        it.
        """
        deadline = self._loop.time() + seconds
        if self.running:
            self._idle = self._loop.create_future()
            await asyncio.wait((self._idle,), timeout=seconds)
        if not self.running and self._tasks:
            await asyncio.wait(self._tasks, timeout=deadline - self._loop.time())

    async def end(self) -> None:
        """Ends what still runs in tasks; what runs without ends with its association, and is counted as unfinished."""
        self._is_ending = True
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def _nothing() -> None:
    """Nobody wants to know."""


def _nobody(_scu: Scu, _now: float) -> None:
    """Wants to know nothing."""
