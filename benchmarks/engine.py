"""The engine's first figures, in less time; python -m benchmarks has more rows, and aims higher."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator

from benchmarks import contenders as c
from benchmarks.bench import LARGE, Bench, Planned
from benchmarks.clients import to_default, to_sink
from benchmarks.command import main
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from benchmarks.disk import NORMAL, PRESERVING, stored
from benchmarks.loads import PER_CPU, PER_SECOND
from benchmarks.many import between_ours
from benchmarks.processes import timed
from benchmarks.servers import Figures, discarded, echo, few, opened


def import_time(runs: int) -> Metrics:
    """Milliseconds of a whole `python -c`, and how many more it takes with aiodicom; is numpy loaded then?

    aiodicom imports what it gives when that is asked for first, so what a program needs is in a figure of its own.
    """
    without = "import asyncio, ssl, uvloop"
    bare = f"{without}; import aiodicom"
    times: dict[str, list[float]] = {code: [] for code in (without, bare, f"{bare}; aiodicom.connect, aiodicom.Server")}
    for _ in range(runs):
        for code, seconds in times.items():
            seconds.append(timed([sys.executable, "-c", code], timeout=30, environment=c.environment()).seconds)
    rounds = list(zip(*times.values(), strict=True))
    check = "import aiodicom, sys; aiodicom.connect, aiodicom.Server; print(int('numpy' in sys.modules))"
    numpy = timed([sys.executable, "-c", check], timeout=30, environment=c.environment()).stdout
    return {
        "ms in all": 1e3 * statistics.median(imported for _, imported, _ in rounds),
        "ms of aiodicom": 1e3 * statistics.median(imported - base for base, imported, _ in rounds),
        "ms with connect and Server": 1e3 * statistics.median(used - base for base, _, used in rounds),
        "numpy loaded": float(numpy),
    }


def imported(runs: int) -> Planned:
    title = "import aiodicom"

    def make() -> Row:
        metrics = (
            Metric("ms in all", higher=False, digits=1),
            Metric("ms of aiodicom", higher=False, digits=1),
            Metric("ms with connect and Server", higher=False, digits=1),
            Metric("numpy loaded", higher=False),
        )
        targets = Target("ms of aiodicom", 30.0, None), Target("numpy loaded", 0.0, None)
        return Row(title, metrics, (Contender(title, lambda: import_time(runs), ours=True),), title, targets)

    return Planned(title, make)


def rows(bench: Bench) -> Iterator[Planned]:
    size = bench.size
    both = Figures(share=1.0)
    yield echo(bench, size((100, 1000), (50, 200)), both._replace(per_cpu=2.5, per_second=1.8))
    stores = size((10, 200), (10, 20))
    yield discarded(bench, stores, LARGE, both._replace(per_cpu=1.5, per_second=1.2))
    cycles = both._replace(per_cpu=5.0, per_second=8.0, of_orthanc=0.5)
    yield opened(bench, size((20, 200), (20, 20)), cycles)
    yield few(bench, "C-ECHO", "echo", size((10, 100), (2, 50)))
    yield few(bench, "C-STORE 525 kB discarded", "store", size((10, 40), (2, 10)), LARGE)
    yield to_sink(bench, size(500, 60), LARGE, 1.3)
    yield to_default(bench, size(500, 60))
    count = size(5000, 1000)
    yield between_ours(bench, count, seconds=3.0 * count / 5000, server_kib=16.0, client_kib=16.0)
    yield imported(size(21, 7))
    # Last: the system still writes these gigabytes to the disk while what follows is measured.
    written = [Target(*figure, peer) for peer in (NORMAL, PRESERVING) for figure in ((PER_SECOND, 1.0), (PER_CPU, 1.5))]
    yield stored(bench, "written", stores, tuple(written))


if __name__ == "__main__":
    sys.exit(main("python -m benchmarks.engine", __doc__, (rows,)))
