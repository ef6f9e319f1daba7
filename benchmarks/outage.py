"""A destination that is away: what the router needs of memory meanwhile, and how it catches up when it is back.

What is kept is on the disk; so its number, not the hours, is what could fill memory. When the destination is back, it
gets what waits as fast as it takes it, while objects go on coming, which are not to wait for all that.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import uvloop

from benchmarks import forwarding
from benchmarks.bench import SMALL, Bench, Planned
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from benchmarks.loads import Load, load
from benchmarks.passing import Destination, pass_through, percentile
from benchmarks.processes import tree_bytes
from tests.ports import free_port

MEMORY, INTAKE, RATE = "MiB of the router", "taken per second", "caught up per second"
LIVE_P50, LIVE_P99, WHOLE = "live p50 ms", "live p99 ms", "all caught up ms"
#: MiB: 64 of the latest objects, 64 of the index's cache, which is full after some 150,000 objects, and the program.
_MOST = 224.0
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


def rows(bench: Bench) -> Iterator[Planned]:
    """The one row."""
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

    yield Planned(title, make, ("dimseblast",))
