"""The load generator's own figures: what one process sustains, how punctual it is, what it shows, what it keeps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import contenders as c
from benchmarks.bench import Bench, Planned
from benchmarks.command import main
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from benchmarks.loads import PER_CPU, PER_SECOND
from benchmarks.processes import timed

OPEN, CLOSED = "aiodicom load, open model", "aiodicom load, closed model"
SINK = ("dimsesink",)
P99, MAX, LAG, DROPPED = "p99 ms", "max ms", "lag p99 ms", "dropped %"
#: When the server stops, after the load has begun, and for how long, in seconds.
STALLED_AFTER, STALLED_FOR = 2.0, 1.0


def result_of(arguments: list[object], folder: Path, beside: Callable[[Path], None] | None = None) -> dict[str, Any]:
    """The JSON of `aiodicom load` with these arguments; `beside` runs meanwhile and is told of the JSON's file."""
    path = folder / "result.json"
    command = c.command("load", "127.0.0.1", *map(str, arguments), "--json", os.fspath(path))
    if beside is None:
        timed(command, timeout=180, environment=c.environment())
    else:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(c.environment())
        )
        try:
            beside(path)
            process.wait(180)
        finally:
            process.kill()
            process.wait()
    result: dict[str, Any] = json.loads(path.read_bytes())
    errors = {name: each["causes"] for name, each in result["operations"].items() if each["errors"]}
    if errors:
        raise RuntimeError(f"operations failed: {errors}")
    return result


def figures(result: dict[str, Any], name: str) -> Metrics:
    """Those of one operation, and of the generator."""
    operation, generator = result["operations"][name], result["generator"]
    planned = operation["count"] + result["dropped"]
    metrics = {
        PER_SECOND: operation["rate_per_s"],
        "MB/s": operation["bytes_sent"] / result["seconds"] / 1e6,
        P99: operation["planned_latency_ms"]["p99"],
        MAX: operation["planned_latency_ms"]["max"],
        LAG: generator["lag_p99_ms"],
        DROPPED: 100 * result["dropped"] / planned,
        "CPU %": generator["cpu_percent"],
    }
    if generator["cpu_percent"]:
        metrics[PER_CPU] = 100 * operation["rate_per_s"] / generator["cpu_percent"]
        metrics["MB per CPU-second"] = 100 * metrics["MB/s"] / generator["cpu_percent"]
    return metrics


def to_sink(bench: Bench, operation: str, arguments: list[object], name: str = OPEN) -> Contender:
    """`aiodicom load` on a fresh sink."""

    def work(folder: Path) -> Metrics:
        with c.sink(bench.tools["dimsesink"])(folder) as server:
            return figures(result_of([server.port, *arguments], folder), operation)

    return Contender(name, bench.in_folder(work), ours=True)


def echoes(bench: Bench) -> Planned:
    title = "load: C-ECHO, open model at 42,000/s from one process, to a sink"

    def make() -> Row:
        lasting = ["--duration", bench.size("12s", "3s"), "--warm-up", bench.size("2s", "1s")]
        arguments = ["--rate", "42000/s", "--associations", 20, "--window", 32, "--mix", "echo=1", *lasting]
        metrics = (
            Metric(PER_SECOND),
            Metric(PER_CPU),
            Metric(P99, higher=False, digits=2),
            Metric(LAG, higher=False, digits=2),
            Metric(DROPPED, higher=False, digits=1),
        )
        targets = Target(PER_SECOND, 40_000.0, None), Target(DROPPED, 1.0, None)
        return Row(title, metrics, (to_sink(bench, "echo", arguments),), OPEN, targets)

    return Planned(title, make, SINK)


def stores(bench: Bench) -> Planned:
    title = "load: C-STORE of CTs of 525 kB from one process, to a sink"

    def make() -> Row:
        lasting = ["--duration", bench.size("10s", "2s"), "--warm-up", bench.size("2s", "0.5s")]
        arguments = ["--associations", 4, "--mix", "store=1", *lasting]
        metrics = (Metric("MB/s"), Metric("MB per CPU-second"), Metric(PER_SECOND), Metric(P99, higher=False, digits=2))
        who = (to_sink(bench, "store", arguments, CLOSED),)
        return Row(title, metrics, who, CLOSED, (Target("MB/s", 1500.0, None),))

    return Planned(title, make, SINK)


def punctual(bench: Bench) -> Planned:
    count = bench.size(5000, 500)
    title = f"load: {count:,} associations, one operation a second on each, to a sink"

    def make() -> Row:
        lasting = ["--duration", bench.size("12s", "3s"), "--warm-up", bench.size("2s", "1s")]
        arguments = ["--associations", count, "--rate", f"{count}/s", "--mix", "echo=1", *lasting]
        metrics = (
            Metric(LAG, higher=False, digits=2),
            Metric(PER_SECOND),
            Metric("CPU %", higher=False, digits=1),
            Metric(P99, higher=False, digits=2),
            Metric(DROPPED, higher=False, digits=1),
        )
        targets = Target(LAG, 5.0, None), Target(DROPPED, 0.1, None)
        return Row(title, metrics, (to_sink(bench, "echo", arguments),), OPEN, targets)

    return Planned(title, make, SINK)


def stalled(bench: Bench) -> Planned:
    """A server that stands still for a second, in the figures of both models."""
    title = f"load: C-ECHO to a sink that stands still for {STALLED_FOR:.0f} s of {bench.size(10, 5)}"

    def make() -> Row:
        duration = f"{bench.size(10, 5)}s"
        opened = ["--rate", "1000/s", "--associations", 10, "--max-wait", "5s", "--duration", duration]
        closed = ["--associations", 10, "--duration", duration]

        def contender(name: str, arguments: list[object], *, ours: bool) -> Contender:
            def work(folder: Path) -> Metrics:
                with c.sink(bench.tools["dimsesink"])(folder) as server:
                    found = result_of([server.port, *arguments], folder, lambda _: _stall(server.pid))
                return figures(found, "echo")

            return Contender(name, bench.in_folder(work), ours=ours)

        # Higher is better here: what happened is to be seen.
        metrics = Metric(P99, digits=1), Metric(MAX, digits=0), Metric(PER_SECOND)
        who = contender(OPEN, opened, ours=True), contender(CLOSED, closed, ours=False)
        # Of the operations of such a run, those of a whole second wait, on average for half of it.
        targets = Target(P99, 500.0, None), Target(MAX, 950.0, None), Target(P99, 10.0, CLOSED)
        return Row(title, metrics, who, CLOSED, targets)

    return Planned(title, make, SINK)


def _stall(pid: int) -> None:
    """Stops the process a while after the load has begun, by its id."""
    before = _received(pid)
    while _received(pid) == before:
        time.sleep(0.05)
    time.sleep(STALLED_AFTER)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(STALLED_FOR)
    os.kill(pid, signal.SIGCONT)


def _received(pid: int) -> int:
    """How many sockets the process has: the load has begun when there are more."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def an_hour(bench: Bench) -> Planned:
    rate, seconds = bench.size(5000, 500), 3600
    title = f"load: memory over an hour's worth of operations at {rate:,}/s"

    def make() -> Row:
        def work(_folder: Path) -> Metrics:
            script = [sys.executable, "-m", "benchmarks.load_memory", str(rate), str(seconds)]
            report: Metrics = json.loads(timed(script, timeout=300, environment=c.environment()).stdout)
            return report

        metrics = (
            Metric("MB after 6 minutes", higher=False, digits=1),
            Metric("MB after an hour", higher=False, digits=1),
            Metric("grown, MB", higher=False, digits=1),
            Metric("operations"),
        )
        name = "its recorder, time compressed"
        who = (Contender(name, bench.in_folder(work), ours=True),)
        return Row(title, metrics, who, name, (Target("grown, MB", 16.0, None),))

    return Planned(title, make)


def rows(bench: Bench) -> Iterator[Planned]:
    yield echoes(bench)
    yield stores(bench)
    yield punctual(bench)
    yield stalled(bench)
    yield an_hour(bench)


if __name__ == "__main__":
    sys.exit(main("python -m benchmarks.load", __doc__, (rows,)))
