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
#: Objects that are measured.
_MEASURED: Final = 16_000


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


def insert(rows: Rows, first: int, count: int, group: int) -> list[float]:
    """Enqueues, and returns the seconds of each group."""
    took = []
    for at in range(first, first + count, group):
        batch = [stored(number) for number in range(at, min(at + group, first + count))]
        started = time.perf_counter()
        rows.insert(batch, {batch[-1].place.segment: 1}, 1.7e9)
        took.append(time.perf_counter() - started)
    return took


def deliver(rows: Rows, count: int) -> tuple[list[float], list[float]]:
    """Claims and settles; returns the seconds of each, of each group."""
    claiming, settling = [], []
    for _ in range(0, count, _GROUP):
        started = time.perf_counter()
        leases = rows.claim("pacs", _GROUP)
        claimed = time.perf_counter()
        rows.settle(leases, [], 1.7e9)
        claiming.append(claimed - started)
        settling.append(time.perf_counter() - claimed)
    return claiming, settling


def measure(folder: Path, rows: Rows, first: int) -> dict[str, float]:
    """Microseconds an object, the median of the groups; and the checkpoint that goes with them, which others don't
    wait for.
    """
    checkpoint(folder / "index.db")
    enqueued = insert(rows, first, _MEASURED, _GROUP)
    claimed, settled = deliver(rows, _MEASURED)
    started = time.perf_counter()
    checkpoint(folder / "index.db")
    took = {"enqueue": enqueued, "claim": claimed, "settle": settled}
    figures = {name: statistics.median(each) / _GROUP * 1e6 for name, each in took.items()}
    figures |= {f"{name}, mean": statistics.fmean(each) / _GROUP * 1e6 for name, each in took.items()}
    return figures | {"checkpoint": (time.perf_counter() - started) / _MEASURED * 1e6}


def depth(folder: Path, wanted: int) -> dict[str, dict[str, float]]:
    rows = Rows(folder / "index.db")
    try:
        # Once for what is prepared and faulted in at first.
        measure(folder, rows, 0)
        figures = {"0": measure(folder, rows, _MEASURED)}
        first = 2 * _MEASURED
        started = time.perf_counter()
        for at in range(first, first + wanted, 50_000):
            insert(rows, at, min(50_000, first + wanted - at), 1000)
            checkpoint(folder / "index.db")
        print(
            f"{wanted} rows in {time.perf_counter() - started:.0f} s, {os.path.getsize(folder / 'index.db') >> 20} MiB"
        )
        figures[str(wanted)] = measure(folder, rows, first + wanted)
        started = time.perf_counter()
        rows.counts()
        figures[str(wanted)]["counts"] = (time.perf_counter() - started) * 1e6
        return figures
    finally:
        rows.close()


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
        figures = depth(folder, options.rows)
        found["microseconds an object"] = figures
        empty, deep = figures.values()
        print(f"{'microseconds an object':24} {'empty':>8} {options.rows:>12,}")
        for name, value in deep.items():
            before = empty.get(name)
            print(f"{name:24} {before or 0:8.1f} {value:12.1f}" + (f" {value / before:6.2f} x" if before else ""))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
