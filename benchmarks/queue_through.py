"""What goes through the router's queue in a second, and how long it stays there, beside the disk's own fdatasync.

    python -m benchmarks.queue_through [--seconds 5] [--folder DIR] [--json FILE]

Objects are enqueued, claimed, read and settled in one process, without associations: first as fast as that goes, with
as many on their way as ten associations have, then at half that rate, at random moments as senders have them. The time
in the queue ends when the object could be sent. The disk is asked the same before and after: one write of such an
object to a file that grows, and fdatasync.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from aiodicom.router.queue.local import LocalQueue, QueueSettings
from benchmarks.queue_depth import incoming


def fdatasyncs(folder: Path, data: memoryview, count: int) -> list[float]:
    """Seconds for a write and an fdatasync, each."""
    took = []
    descriptor = os.open(folder / "probe", os.O_RDWR | os.O_CREAT)
    try:
        for number in range(count):
            started = time.perf_counter()
            os.pwrite(descriptor, data, number * len(data))
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
        os.unlink(folder / "probe")
    return took


class Through:
    """A queue with a sender and a destination that take no time."""

    def __init__(self, queue: LocalQueue, data: memoryview) -> None:
        self._queue = queue
        self._data = data
        self._arrived: dict[str, float] = {}
        self._sent = 0
        #: Seconds from the last byte in to the first byte out.
        self.stayed: list[float] = []
        self._empty = asyncio.Event()

    async def receive(self) -> None:
        one = incoming(self._sent)
        self._sent += 1
        self._arrived[one.sop_instance_uid] = time.perf_counter()
        await self._queue.enqueue(one, self._data)

    async def send(self) -> None:
        """Sends what there is, until it is cancelled."""
        while True:
            leases = await self._queue.claim("pacs", 32)
            if not leases:
                told = asyncio.Event()
                self._queue.listen("pacs", told.set)
                await told.wait()
            for lease in leases:
                source = self._queue.source(lease)
                if source.at_once() is None:
                    async for _ in source.chunks(1):
                        pass
                source.close()
                self.stayed.append(time.perf_counter() - self._arrived.pop(lease.sop_instance_uid))
            self._queue.delivered(*leases)
            if not self._arrived:
                self._empty.set()

    async def drained(self) -> None:
        self._empty.clear()
        if self._arrived:
            await self._empty.wait()
        await self._queue.flush()


async def as_fast_as_it_goes(through: Through, seconds: float, senders: int) -> float:
    """Objects a second."""
    started = time.perf_counter()
    end = started + seconds

    async def sender() -> None:
        while time.perf_counter() < end:
            await through.receive()

    await asyncio.gather(*[sender() for _ in range(senders)])
    await through.drained()
    return len(through.stayed) / (time.perf_counter() - started)


async def at_rate(through: Through, seconds: float, rate: float) -> None:
    chosen = random.Random(1)
    receiving = set()
    started = time.perf_counter()
    due = 0.0
    while due < seconds:
        await asyncio.sleep(max(0.0, started + due - time.perf_counter()))
        task = asyncio.create_task(through.receive())
        receiving.add(task)
        task.add_done_callback(receiving.discard)
        due += chosen.expovariate(rate)
    await through.drained()


async def measure(folder: Path, size: int, senders: int, seconds: float) -> dict[str, float]:
    data = memoryview(mmap.mmap(-1, size))  # on pages, as what the network has gathered
    data[:] = os.urandom(size)
    figures: dict[str, float] = {}
    disk = fdatasyncs(folder, data, 50)
    for name in ("fast", "half"):
        queue = await LocalQueue.open(folder / name, QueueSettings(history=1e18))
        through = Through(queue, data)
        sending = asyncio.create_task(through.send())
        if name == "fast":
            used = time.process_time()
            figures["objects/s"] = await as_fast_as_it_goes(through, seconds, senders)
            figures["CPU us an object"] = (time.process_time() - used) / len(through.stayed) * 1e6
        else:
            await at_rate(through, seconds, figures["objects/s"] / 2)
            stayed = statistics.quantiles(through.stayed, n=100)
            figures |= {"in queue p50 ms": stayed[49] * 1e3, "in queue p99 ms": stayed[98] * 1e3}
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await queue.close()
    disk = statistics.quantiles(disk + fdatasyncs(folder, data, 50), n=100)
    return figures | {"fdatasync p50 ms": disk[49] * 1e3, "fdatasync p99 ms": disk[98] * 1e3}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, metavar="S", help="of each measurement")
    parser.add_argument("--folder", help="where the files go while it runs")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    # The event loop and two threads share the interpreter: whoever waits for it gets it sooner.
    sys.setswitchinterval(0.0005)
    found = {}
    for size, senders in ((9_000, 100), (525_000, 10)):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            found[size] = uvloop.run(measure(Path(folder), size, senders, options.seconds))
        print(f"{size} bytes: " + ", ".join(f"{name} {value:.4g}" for name, value in found[size].items()))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
