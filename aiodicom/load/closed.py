"""The closed-loop driver: every association has one request outstanding, and the next goes when that is answered.

A closed loop finds out how much a server does when it is never idle. Its latencies are those of a saturated server, and
they grow with the number of associations: nothing here models how requests arrive in life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING, Final

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from aiodicom.errors import AiodicomError
from aiodicom.services.stopping import Interrupted, unless_stopped

if TYPE_CHECKING:
    from aiodicom.load.supply import Supply
    from aiodicom.net.association import Association

__all__ = ["ClosedLoop"]


#: Associations that are being opened at a time; a listen queue (4,096 by default) holds so many easily.
_OPENING: Final = 512

#: Latencies from 1 microsecond to 1 hour, to three digits.
_HIGHEST: Final = 3600 * 1_000_000


class ClosedLoop:
    """C-ECHO and C-STORE in turn on each of many associations.

    `connect` opens one association, with the contexts of `supply`, whose objects are stored. Half of the associations
    begin with C-ECHO, the others with C-STORE.
    """

    def __init__(self, connect: Callable[[], Awaitable[Association]], supply: Supply, *, associations: int) -> None:
        self._connect = connect
        self._supply = supply
        self._wanted = associations
        #: associations that are open (those that were released at the end count on), and the most that were at once
        self.open = 0
        self.peak = 0
        #: associations that have been opened, and the seconds that this took
        self.opened = 0
        self.opening_seconds = 0.0
        self.echoes = 0
        self.objects = 0
        #: bytes of the data sets stored
        self.bytes = 0
        #: associations that could not be opened or ended badly, and requests that failed
        self.failures = 0
        self.first_failure: BaseException | None = None
        #: of C-ECHO and C-STORE together, in microseconds
        self.latencies = HdrHistogram(1, _HIGHEST, 3)
        self._begun = 0.0
        self._ended = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of load so far."""
        return (self._ended or perf_counter()) - self._begun if self._begun else 0.0

    def milliseconds(self, percentile: float) -> float:
        """The latency that `percentile` per cent of the requests did not exceed; 0 while there are none."""
        return float(self.latencies.get_value_at_percentile(percentile)) / 1000 if self.echoes + self.objects else 0.0

    async def run(self, seconds: float, stop: asyncio.Event) -> None:
        """Opens the associations, loads them for `seconds` or until `stop`, and releases them.

        Faults of the peer are counted, not raised. Cancelling it aborts the associations.
        """
        begun = perf_counter()
        gate = asyncio.Semaphore(_OPENING)
        opened = await asyncio.gather(*(self._open(gate, stop) for _ in range(self._wanted)))
        self.opening_seconds = perf_counter() - begun
        associations = [association for association in opened if association is not None]
        try:
            if not stop.is_set():
                self._begun = perf_counter()
                deadline = self._begun + seconds
                async with asyncio.TaskGroup() as group:
                    for number, association in enumerate(associations):
                        group.create_task(self._load(association, deadline, number % 2, stop))
                self._ended = perf_counter()
            await asyncio.gather(*(self._release(association) for association in associations if association.is_open))
        except BaseException:
            for association in associations:
                association.abort()
            raise

    async def _open(self, gate: asyncio.Semaphore, stop: asyncio.Event) -> Association | None:
        async with gate:
            try:
                association = await unless_stopped(stop, self._connect())
            except (AiodicomError, OSError) as error:
                self._fail(error)
                return None
            except Interrupted:
                return None
        self.opened += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        return association

    async def _load(self, association: Association, deadline: float, turn: int, stop: asyncio.Event) -> None:
        record = self.latencies.record_value
        now = perf_counter()
        while now < deadline and not stop.is_set():
            begun = now
            try:
                if turn:
                    instance = self._supply.next()
                    await association.c_store(instance.source)
                    self.objects += 1
                    self.bytes += instance.size
                else:
                    await association.c_echo()
                    self.echoes += 1
            except (AiodicomError, OSError) as error:
                self._fail(error)
                if not association.is_open:
                    self.open -= 1
                    return
            turn = not turn
            now = perf_counter()
            record(max(1, round((now - begun) * 1_000_000)))

    async def _release(self, association: Association) -> None:
        try:
            await association.release()
        except (AiodicomError, OSError) as error:
            self._fail(error)
            self.open -= 1

    def _fail(self, error: BaseException) -> None:
        self.failures += 1
        self.first_failure = self.first_failure or error
