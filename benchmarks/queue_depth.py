"""What the router's queue costs when it is empty, and when it is deep.

    python -m benchmarks.queue_depth [--rows 10000000] [--folder DIR] [--json FILE]

Rows are put in by the queue's own index, with places in segments that are not there; then objects are enqueued,
claimed and settled beside them, in the batches that the router makes. Ten million rows take some five minutes and 5 GB.
With `--synced` objects are also written to segments and synced, 9 kB and 525 kB each.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from aiodicom.router.queue.objects import Delivery, Incoming
from aiodicom.router.queue.rows import Rows, Stored
from aiodicom.router.queue.schema import checkpoint
from aiodicom.router.queue.shard import Arrival, Shard, encode_meta
from aiodicom.store.segments import Place

#: Objects of a study.
_STUDY: Final = 500
#: Objects that are enqueued in one group, and claimed in one.
_GROUP: Final = 32
#: Groups that are measured.
_GROUPS: Final = 500


def incoming(number: int) -> Incoming:
    study = f"1.2.826.0.1.3680043.10.1.{number // _STUDY + 10**12}"
    return Incoming(
        "1.2.840.10008.5.1.4.1.1.2",
        f"{study}.1.{number % _STUDY}",
        "1.2.840.10008.1.2.1",
        study,
        f"{study}.1",
        f"PATIENT{number // _STUDY}",
        "CT1",
        "ROUTER",
        "192.0.2.1",
        1.7e9 + number / 1000,
        (Delivery("pacs", "everything"),),
    )


def stored(number: int) -> Stored:
    segment, place = divmod(number, 20_000)
    digest = number * 0x9E3779B97F4A7C15 % (1 << 64)
    return Stored(number + 1, incoming(number), Place(segment + 1, place * 12_288, 9_000, digest))


class Measured:
    """An index that is measured, and the seconds that each group took."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.path = folder / "index.db"
        self.rows = Rows(self.path)
        #: objects that were enqueued
        self.count = 0
        self.took: dict[str, list[float]] = {"enqueue": [], "claim": [], "settle": [], "checkpoint": []}

    def batch(self, count: int) -> list[Stored]:
        first, self.count = self.count, self.count + count
        return [stored(number) for number in range(first, self.count)]

    def insert(self, batch: list[Stored]) -> None:
        self.rows.insert(batch, {batch[-1].place.segment: 1}, 1.7e9)

    def fill(self, count: int) -> None:
        for number in range(0, count, 1000):
            self.insert(self.batch(min(1000, count - number)))
            if number % 50_000 == 0:
                checkpoint(self.path)
        checkpoint(self.path)

    def step(self) -> None:
        """A group comes, and one goes."""
        batch = self.batch(_GROUP)
        times = [time.perf_counter()]
        self.insert(batch)
        times.append(time.perf_counter())
        leases = self.rows.claim("pacs", _GROUP)
        times.append(time.perf_counter())
        self.rows.note([], {}, leases, [], 1.7e9)
        times.append(time.perf_counter())
        for name, (before, after) in zip(("enqueue", "claim", "settle"), pairwise(times), strict=True):
            self.took[name].append(after - before)

    def checkpoint(self) -> None:
        """What nobody waits for."""
        started = time.perf_counter()
        checkpoint(self.path)
        self.took["checkpoint"].append(time.perf_counter() - started)

    def forget(self) -> None:
        for each in self.took.values():
            each.clear()


def depth(folder: Path, wanted: int) -> tuple[dict[str, float], dict[str, float]]:
    """Microseconds an object of what is empty and what is deep, in turns, so that what drifts does for both."""
    empty, deep = Measured(folder / "empty"), Measured(folder / "deep")
    try:
        started = time.perf_counter()
        deep.fill(wanted)
        seconds = time.perf_counter() - started
        print(f"{wanted:,} rows in {seconds:.0f} s, {os.path.getsize(deep.path) >> 20} MiB")
        for number in range(2 * _GROUPS):
            for each in (empty, deep):
                each.step()
                if number % 50 == 49:
                    each.checkpoint()
            if number == _GROUPS - 1:  # what is prepared and faulted in at first
                empty.forget()
                deep.forget()
        return figures(empty), figures(deep)
    finally:
        empty.rows.close()
        deep.rows.close()


def figures(measured: Measured) -> dict[str, float]:
    found = {}
    for name, took in measured.took.items():
        objects = _GROUP * (50 if name == "checkpoint" else 1)
        found[name] = statistics.median(took) / objects * 1e6
        found[f"{name}, mean"] = statistics.fmean(took) / objects * 1e6
    return found


def synced(folder: Path, size: int, group: int, groups: int) -> float:
    """Objects a second that are written, synced and have their rows."""
    shard = Shard(folder / "shard")
    try:
        data = memoryview(mmap.mmap(-1, size))  # on pages, as what the network has gathered
        data[:] = os.urandom(size)
        started = time.perf_counter()
        for number in range(groups):
            arrivals = [
                Arrival(each, encode_meta(each), data)
                for each in map(incoming, range(number * group, (number + 1) * group))
            ]
            shard.commit(shard.write(arrivals), 1.7e9)
        return group * groups / (time.perf_counter() - started)
    finally:
        shard.close()
        shutil.rmtree(folder / "shard")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N", help="how deep the queue is to be")
    parser.add_argument("--synced", action="store_true", help="also what is written and synced")
    parser.add_argument("--folder", help="where the files go while it runs")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        if options.synced:
            for size, group, groups in ((9_000, 1, 300), (9_000, _GROUP, 200), (525_000, 1, 200), (525_000, 8, 100)):
                title = f"{size} bytes, {group} in a group, synced"
                found[title] = rate = synced(folder, size, group, groups)
                print(f"{title:40} {rate:8.0f} objects/s")
        empty, deep = depth(folder, options.rows)
        found["microseconds an object"] = {"0": empty, str(options.rows): deep}
        print(f"{'microseconds an object':24} {'empty':>8} {options.rows:>12,}")
        for name, value in deep.items():
            print(f"{name:24} {empty[name]:8.1f} {value:12.1f} {value / empty[name]:6.2f} x")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
