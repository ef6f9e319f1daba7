"""The router beside others: objects that go on to a destination, from the first one in to the last one out.

python -m benchmarks.router
"""

from __future__ import annotations

import json
import os
import sys
import time
import timeit
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from aiodicom.dataset import Dataset
from benchmarks import contenders as c
from benchmarks import forwarding, outage, passing
from benchmarks.bench import LARGE, SMALL, Bench, Image, Planned
from benchmarks.command import main
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from benchmarks.loads import PER_CPU, PER_SECOND, Load, load
from benchmarks.micro.test_routing import routing
from benchmarks.processes import usage
from tests.interop.processes import Running
from tests.ports import free_port
from tests.router.objects import ORIGIN, ct

#: Seconds in which everything that was taken has to have gone on.
_PATIENCE = 120.0
_FORWARDED = (Metric(PER_SECOND), Metric("taken per second"), Metric(PER_CPU))
RULES = "us an object"
ALONE = "aiodicom storescp --durability synced, which forwards nothing"


def forwarded(start: forwarding.Start, work: Load, folder: Path) -> Metrics:
    """Objects a second from the first one sent to the last one at the destination; CPU-seconds are the router's.

    Raises RuntimeError when not all of them arrive.
    """
    wanted = work.associations * work.operations
    os.sync()
    with forwarding.sink(folder, free_port(), wanted) as sink, start(folder, sink.port) as router:
        before, began = usage(router.pid).cpu_seconds, time.monotonic()
        report = work.on(router.port)
        if report["ok_ops"] != wanted:
            raise RuntimeError(f"{report['ok_ops']:,} of {wanted:,} objects were taken")
        seconds = _arrival(sink) - began
        cpu = usage(router.pid).cpu_seconds - before
    return {PER_SECOND: wanted / seconds, "taken per second": report["steady_ops_per_s"], PER_CPU: wanted / cpu}


def _arrival(sink: Running) -> float:
    """When the destination had all of them."""
    deadline = time.monotonic() + _PATIENCE
    while not (said := sink.output()).endswith("\n"):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all objects had arrived after {_PATIENCE:g} s")
        time.sleep(0.02)
    arrived: float = json.loads(said)["at"]
    return arrived


def alone(work: Load, folder: Path) -> Metrics:
    """The same objects into `storescp`, synced, and no further."""
    os.sync()
    with c.aiodicom_storescp("synced")(folder) as server:
        before = usage(server.pid).cpu_seconds
        report = work.on(server.port)
        cpu = usage(server.pid).cpu_seconds - before
    wanted = work.associations * work.operations
    return {
        PER_SECOND: report["steady_ops_per_s"],
        "taken per second": report["steady_ops_per_s"],
        PER_CPU: wanted / cpu,
    }


def through(bench: Bench, image: Image, size: tuple[int, int], targets: tuple[Target, ...], *, peers: bool) -> Planned:
    title = f"C-STORE {image.name} in and on to one destination, synced, {size[0]} associations x {size[1]}"

    def make() -> Row:
        work = load(bench, "store", *size, image)

        def contender(name: str, start: forwarding.Start, *, is_ours: bool = False) -> Contender:
            return Contender(name, bench.in_folder(partial(forwarded, start, work)), ours=is_ours)

        who = [contender(forwarding.OURS, forwarding.ours(), is_ours=True)]
        who.append(Contender(ALONE, bench.in_folder(partial(alone, work))))
        if peers:
            who.append(contender(forwarding.ORTHANC, forwarding.orthanc))
            who.append(contender(forwarding.DCMTK, forwarding.dcmtk))
        return Row(title, _FORWARDED, tuple(who), forwarding.ORTHANC if peers else ALONE, targets)

    return Planned(title, make, ("dimseblast",))


def rules(samples: int) -> Metrics:
    """Microseconds in which an object is held against twenty routes, with its header decoded for that: the shortest of
    many short samples, since whatever else runs on the machine only adds.
    """
    routes, encoded = routing(), ct().to_bytes()

    def shortest(work: Callable[[], object]) -> float:
        return min(timeit.repeat(work, number=20, repeat=samples)) / 20 * 1e6

    whole = shortest(lambda: routes.plan(Dataset.from_bytes(encoded), ORIGIN))
    return {RULES: whole, "of which decoding": shortest(lambda: Dataset.from_bytes(encoded))}


def ruled(bench: Bench) -> Planned:
    title = "A CT of 258 elements held against 20 routes with conditions"

    def make() -> Row:
        who = (Contender("aiodicom", partial(rules, bench.size(2000, 100)), ours=True),)
        metrics = (Metric(RULES, higher=False, digits=1), Metric("of which decoding", higher=False, digits=1))
        return Row(title, metrics, who, "aiodicom", (Target(RULES, 20.0, None),))

    return Planned(title, make)


def rows(bench: Bench) -> Iterator[Planned]:
    large = (Target(PER_SECOND, 4.0, forwarding.ORTHANC), Target(PER_SECOND, 0.5, ALONE))
    yield through(bench, LARGE, bench.size((10, 50), (4, 5)), large, peers=True)
    small = (Target(PER_SECOND, 2000.0, None),)
    yield through(bench, SMALL, bench.size((10, 1000), (4, 20)), small, peers=False)
    yield ruled(bench)


if __name__ == "__main__":
    sys.exit(main("python -m benchmarks.router", "the router beside others", [rows, passing.rows, outage.rows]))
