"""Lets a destination of a router be away for a day, and prints how that was.

    outage.py FOLDER SIDE BEFORE HOURS OBJECTS STEP

So many objects of SIDE x SIDE pixels are there before, and so many come within the hours, in which the clock goes by
steps of so many seconds; then the destination is back, and one more comes whenever it has had 25. Runs as a process of
its own: what it takes of memory is then the router's, whatever ran before. Router, sender and destination are in it,
with sockets, threads and a queue on the disk; the day is the event loop's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.router.config.reading import load
from aiodicom.router.observing import Observer
from aiodicom.router.router import Router
from tests.interop.objects import ct_data_set, ct_uid
from tests.ports import free_port
from tests.router.running import HEAD, store, write
from tests.simulation.clock import SimulatedLoop
from tests.simulation.growth import resident

_HOUR: Final = 3600.0
#: Seconds without anything for the clock to jump: it jumps a hundred times, and far.
_QUIET: Final = 0.02
#: Seconds of the day after which it is too late to send to the destination again.
_PATIENCE: Final = 2 * _HOUR
#: One comes meanwhile whenever so many have been delivered. Their numbers begin there.
_LIVE_EACH: Final = 25
_LIVE: Final = 10_000_000
#: Objects that an association brings, and those of a study.
_VISIT: Final = 50
_STUDY: Final = 100

_TEXT = """
destinations.pacs = {{ type = "dimse", host = "127.0.0.1", port = {port}, called_aet = "PACS" }}
---
[[routes]]
to = ["pacs"]
"""


class Watch(Observer):
    """Counts, and keeps nothing that grows with what waits."""

    def __init__(self) -> None:
        self.failures = 0
        self.dead = 0

    def failed(self, lease: Any, outcome: Any, is_dead: bool) -> None:
        self.failures += 1
        self.dead += is_dead


class Destination:
    """Once it is there it says when it is time for another object to come, and how many others have passed that one."""

    def __init__(self, kept: int, side: int) -> None:
        self._side = side
        self.server = aiodicom.Server()
        self.server.on_c_store(self._store)
        self._had: set[str] = set()
        self._kept = kept
        #: After how many an object was sent that came meanwhile, by its number.
        self._sent_at: dict[str, int] = {}
        #: How many came before each of them once it was there.
        self.waited: list[int] = []
        self.wanted: asyncio.Queue[int] = asyncio.Queue()
        self.is_asked = asyncio.Event()
        self.twice = 0
        self.all_had = asyncio.Event()
        self._began = self.seconds = 0.0

    def _store(self, request: aiodicom.StoreRequest) -> int:
        uid, now = request.affected_sop_instance_uid, time.monotonic()
        self._began = self._began or now
        self.is_asked.set()
        self.twice += uid in self._had
        self._had.add(uid)
        count = len(self._had)
        if uid in self._sent_at:
            self.waited.append(count - self._sent_at.pop(uid))
        if count % _LIVE_EACH == 0 and count < self._kept:
            self.wanted.put_nowait(count)
        self.seconds = now - self._began
        self._look_for_end()
        return 0

    def _look_for_end(self) -> None:
        if len(self._had) - len(self.waited) == self._kept and not self._sent_at:
            self.all_had.set()

    async def live(self, port: int) -> None:
        """Sends one whenever it is wanted, on an association that is there all the time."""
        number = _LIVE
        while True:
            await self.wanted.get()
            number += 1
            await bring(port, self._side, [number])
            if ct_uid(number) in self._had:  # before its sender was done
                self.waited.append(0)
                self._look_for_end()
            else:
                self._sent_at[ct_uid(number)] = len(self._had)


def image(side: int, number: int) -> Dataset:
    """A CT; a hundred are a study."""
    data_set = Dataset.from_bytes(ct_data_set(number, side)[0])
    data_set.StudyInstanceUID = f"1.2.3.{number // _STUDY}"
    return data_set


async def bring(port: int, side: int, numbers: Iterable[int]) -> None:
    """Sends objects on one association. Raises RuntimeError unless all are taken."""
    statuses = await store(port, (image(side, number) for number in numbers))
    if any(statuses):
        raise RuntimeError(f"not all objects were taken: {set(statuses)}")


class Day:
    """The router, and what comes to it."""

    def __init__(self, loop: SimulatedLoop, router: Router, watch: Watch, side: int) -> None:
        self._loop = loop
        self._side = side
        self._router = router
        self._watch = watch
        self._port = router.listeners.addresses[0][1]
        self._began = loop.time()
        self.came = 0

    async def bring(self, count: int) -> None:
        """So many more."""
        with self._loop.without_jumps():
            for first in range(self.came, self.came + count, _VISIT):
                await bring(self._port, self._side, range(first, min(first + _VISIT, self.came + count)))
        self.came += count

    async def pass_(self, seconds: float) -> None:
        """Returns so much later."""
        await asyncio.sleep(seconds)

    def _passed(self) -> float:
        return self._loop.time() - self._began

    async def hours(self, hours: int, count: int) -> list[dict[str, Any]]:
        """So many hours in which so many objects come, and how it was at the end of each."""
        found = [await self._now()]
        for hour in range(hours):
            visits = range(0, count // hours, _VISIT)
            for first in visits:
                await self.bring(min(_VISIT, count // hours - first))
                await self.pass_(_HOUR / len(visits) / 2)
            await self.pass_((hour + 1) * _HOUR - self._passed())
            found.append(await self._now())
        return found

    async def _now(self) -> dict[str, Any]:
        await self._router.queue.flush()
        gc.collect()
        counts = await self._router.queue.counts()
        return {
            "hours": self._passed() / _HOUR,
            "waiting": sum(sum(states.values()) for states in counts.values()),
            "bytes": resident(),
            "tried": self._watch.failures,
            "dead": self._watch.dead,
        }

    async def catch_up(self, port: int) -> dict[str, Any]:
        """The destination is back."""
        destination = Destination(self.came, self._side)
        back = self._loop.time()
        async with destination.server.listen("127.0.0.1", port):
            live = asyncio.create_task(destination.live(self._port))
            async with asyncio.timeout(_PATIENCE):
                await destination.is_asked.wait()
            hours = (self._loop.time() - back) / _HOUR
            with self._loop.without_jumps():
                await destination.all_had.wait()
            live.cancel()
        return {
            "hours": hours,
            "seconds": destination.seconds,
            "twice": destination.twice,
            "live": len(destination.waited),
            "live_waited": sorted(destination.waited),
        }


async def simulate(
    loop: SimulatedLoop, folder: Path, side: int, before: int, hours: int, objects: int
) -> dict[str, Any]:
    """The day, in a folder that is there."""
    port = free_port()
    path = write(folder, _TEXT.format(port=port), HEAD + 'durability = "written"\n')
    router, watch = Router(load(path), path=path, clocks=loop.clocks), Watch()
    router.observers.add(watch)
    async with router:
        day = Day(loop, router, watch, side)
        await day.bring(before)
        return {"day": await day.hours(hours, objects), "back": await day.catch_up(port)}


def main(folder: str, *numbers: int) -> None:
    *options, step = numbers
    loop = SimulatedLoop(step, _QUIET)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(simulate(loop, Path(folder), *options))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
