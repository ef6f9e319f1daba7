"""Rows of senders over a long way: through a proxy that adds 25 ms each way (tests/delay.py), to a fresh server."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import contenders as c
from benchmarks.bench import LARGE, SMALL, Bench, Image, Planned
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from benchmarks.loads import PER_SECOND
from benchmarks.processes import timed
from tests.interop.processes import running
from tests.ports import free_port

OURS = "aiodicom storescu"
DCMTK, DCMTK_AS_IT_COMES = "DCMTK storescu, TCP_NODELAY=1", "DCMTK storescu, as it comes"
SECONDS, OBJECTS = "seconds", "objects/s by its own clock"
METRICS = Metric(SECONDS, higher=False, digits=2), Metric(PER_SECOND), Metric(OBJECTS)

#: Sends every file of a folder to a port.
Send = Callable[[int, Path], Metrics]


@contextlib.contextmanager
def far(port: int, folder: Path) -> Iterator[int]:
    """The port of a proxy before `port`."""
    near = free_port()
    arguments = [sys.executable, "-m", "tests.delay", str(near), str(port)]
    with running(arguments, near, log=folder / "proxy.log", environment=dict(os.environ), directory=c.ROOT):
        yield near


def ours(*options: str) -> Send:
    """Our storescu."""

    def send(port: int, files: Path) -> Metrics:
        arguments = c.command("storescu", "127.0.0.1", str(port), os.fspath(files), "--json", *options)
        done = timed(arguments, timeout=120, environment=c.environment())
        report = json.loads(done.stdout)
        return {SECONDS: done.seconds, PER_SECOND: report["sent"] / done.seconds, OBJECTS: report["objects_per_s"]}

    return send


def dcmtk(*, nodelay: bool) -> Send:
    """DCMTK's storescu, which has no clock of its own."""

    def send(port: int, files: Path) -> Metrics:
        done = c.storescu_dcmtk(nodelay=nodelay)(port, files)
        return {SECONDS: done.seconds, PER_SECOND: len(list(files.iterdir())) / done.seconds}

    return send


def over_a_long_way(bench: Bench, count: int, image: Image, to: str, start: c.Start, *options: str) -> Planned:
    title = f"storescu over a long way, {count} files of {image.name}, {to}"

    def make() -> Row:
        files = bench.files(count, image)

        def contender(name: str, send: Send, *, is_ours: bool = False) -> Contender:
            def work(folder: Path) -> Metrics:
                with start(folder) as server, far(server.port, folder) as port:
                    return send(port, files)

            return Contender(name, bench.in_folder(work), ours=is_ours)

        who = (
            contender(f"{OURS} {' '.join(options)}", ours(*options), is_ours=True),
            contender(OURS, ours()),
            contender(DCMTK, dcmtk(nodelay=True)),
            contender(DCMTK_AS_IT_COMES, dcmtk(nodelay=False)),
        )
        targets = Target(SECONDS, 15.0, DCMTK), Target(SECONDS, 15.0, DCMTK_AS_IT_COMES)
        return Row(title, METRICS, who, DCMTK, targets)

    return Planned(title, make)


def rows(bench: Bench) -> Iterator[Planned]:
    for count, image in ((bench.size(400, 20), SMALL), (bench.size(200, 20), LARGE)):
        forking = c.dcmtk_storescp("--fork", "--ignore")
        yield over_a_long_way(bench, count, image, "to a peer without a window", forking, "--associations", "auto")
        windowed = c.aiodicom_storescp()
        yield over_a_long_way(bench, count, image, "one association, window 32", windowed, "--window", "32")


if __name__ == "__main__":
    from benchmarks.command import main

    sys.exit(main("python -m benchmarks.wan", __doc__ or "", (rows,)))
