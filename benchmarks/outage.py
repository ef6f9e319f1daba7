"""A destination that is away: what the router needs of memory meanwhile, and how it catches up when it is back.

What is kept is on the disk; so its number, not the hours, is what could fill memory. When the destination is back, it
gets what waits as fast as it takes it, while objects go on coming, which are not to wait for all that. The same with a
whole day's back-off, trials and upkeep between, in simulated time, in which router, sender and destination are one
process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import uvloop

from benchmarks import contenders as c
from benchmarks import forwarding
from benchmarks.bench import SMALL, Bench, Planned
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from benchmarks.loads import Load, load
from benchmarks.passing import Destination, pass_through, percentile
from benchmarks.processes import tree_bytes
from tests.ports import free_port

MEMORY, INTAKE, RATE = "MiB of the router", "taken per second", "caught up per second"
LIVE_P50, LIVE_P99, WHOLE = "live p50 ms", "live p99 ms", "all caught up ms"
GROWTH, TRIED, OTHERS = "MiB more from hour 2 to 24", "tried in a day", "others before one that comes (p99)"
#: MiB: 64 of the latest objects, 8 of the index's cache, and the program.
_MOST = 160.0
#: MiB in 22 hours: what allocators leave behind, of 200 or more that have come.
_FLAT = 4.0
#: So that it is tried again at once when it is back.
_EAGER = 'breaker = { pause = "500ms" }\nretry = { first = "100ms", most = "500ms" }'


def catch_up(work: Load, live: int, folder: Path) -> Metrics:
    """What is kept grows to thrice the load; then the destination is there, and so many more come meanwhile."""
    port = free_port()
    kept = work.associations * work.operations
    with forwarding.ours(destination=_EAGER)(folder, port) as router:
        for _ in range(2):
            work.on(router.port)
        taken = work.on(router.port)["steady_ops_per_s"]
        memory = tree_bytes(router.pid) / (1 << 20)
        destination = Destination()
        sending = pass_through(
            router.port,
            port,
            associations=4,
            count=live,
            side=SMALL.side,
            rate=50.0,
            destination=destination,
            others=3 * kept,
        )
        passed = uvloop.run(sending)
    began, ended = min(destination.first.values()), max(destination.last.values())
    meanwhile = [each.first_out - each.last_in for each in passed if began <= each.last_in]
    return {
        MEMORY: memory,
        INTAKE: taken,
        RATE: len(destination.last) / (ended - began),
        LIVE_P50: percentile(meanwhile, 50),
        LIVE_P99: percentile(meanwhile, 99),
        WHOLE: (ended - began) * 1e3,
    }


def day(before: int, come: int, folder: Path) -> Metrics:
    """A day without the destination, and its end. Raises CalledProcessError."""
    options = map(str, (folder, SMALL.side, before, 24, come, 20))
    command = [sys.executable, "-m", "tests.simulation.outage", *options]
    done = subprocess.run(command, cwd=c.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found = json.loads(done.stdout)
    hours, back = found["day"], found["back"]
    return {
        MEMORY: hours[24]["bytes"] / (1 << 20),
        GROWTH: (hours[24]["bytes"] - hours[2]["bytes"]) / (1 << 20),
        TRIED: hours[24]["tried"],
        RATE: hours[24]["waiting"] / back["seconds"],
        OTHERS: percentile(back["live_waited"], 99) / 1e3,  # which are no seconds
    }


def rows(bench: Bench) -> Iterator[Planned]:
    """What is kept, and the hours."""
    yield _kept(bench)
    yield _simulated(bench)


def _simulated(bench: Bench) -> Planned:
    title = "9 kB all day to a destination that was away, in simulated time, all in one process"

    def make() -> Row:
        size = bench.size((20_000, 24_000), (7_500, 240))
        who = (Contender(forwarding.OURS, bench.in_folder(partial(day, *size)), ours=True),)
        metrics = (
            Metric(MEMORY, higher=False),
            Metric(GROWTH, higher=False, digits=1),
            Metric(TRIED, higher=False),
            Metric(RATE),
            Metric(OTHERS, higher=False),
        )
        return Row(title, metrics, who, forwarding.OURS, (Target(GROWTH, _FLAT, None),))

    return Planned(title, make)


def _kept(bench: Bench) -> Planned:
    title = "9 kB to a destination that was away, with 50 a second that come meanwhile"

    def make() -> Row:
        work = load(bench, "store", *bench.size((10, 800), (4, 25)), SMALL)
        who = (Contender(forwarding.OURS, bench.in_folder(partial(catch_up, work, bench.size(150, 20))), ours=True),)
        metrics = (
            Metric(MEMORY, higher=False),
            Metric(INTAKE),
            Metric(RATE),
            *(Metric(name, higher=False, digits=1) for name in (LIVE_P50, LIVE_P99, WHOLE)),
        )
        return Row(title, metrics, who, forwarding.OURS, (Target(MEMORY, _MOST, None),))

    return Planned(title, make, ("dimseblast",))
