"""Senders over a long way: python -m benchmarks.wan [--runs N] [--json FILE] [--only REGEX].

Every sender goes through a proxy that adds 25 ms each way and no limit of bandwidth (tests/delay.py), to a fresh server
each time. The clock runs from the start of the sender's process to its end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import contenders as c
from benchmarks.rig import Contender, Metric, Row, Sample, Target, compare, machine, timed, write_json
from tests.interop import objects
from tests.interop.processes import running
from tests.ports import free_port

#: Files, side of their images, and what that makes.
SMALL, LARGE = (400, objects.SMALL, "9 kB"), (200, objects.SIZE, "525 kB")

SECONDS, OBJECTS = "seconds", "objects/s by its own clock"
METRICS = Metric(SECONDS, higher=False, digits=2), Metric(c.PER_SECOND), Metric(OBJECTS)

DCMTK, DCMTK_AS_IT_COMES = "DCMTK storescu, TCP_NODELAY=1", "DCMTK storescu, as it comes"


@contextlib.contextmanager
def far(port: int, folder: Path) -> Iterator[int]:
    """The port of a proxy before `port`."""
    near = free_port()
    arguments = [sys.executable, "-m", "tests.delay", str(near), str(port)]
    with running(arguments, near, log=folder / "proxy.log", environment=dict(os.environ), directory=c.ROOT):
        yield near


def ours(*options: str) -> Callable[[int, Path], Sample]:
    """Our storescu."""

    def send(port: int, files: Path) -> Sample:
        arguments = c.command("storescu", "127.0.0.1", str(port), os.fspath(files), "--json", *options)
        done = timed(arguments, timeout=120, environment=c.environment())
        report = json.loads(done.stdout)
        rates = {c.PER_SECOND: report["sent"] / done.seconds, OBJECTS: report["objects_per_s"]}
        return Sample({SECONDS: done.seconds, **rates})

    return send


def dcmtk(*, nodelay: bool) -> Callable[[int, Path], Sample]:
    """DCMTK's storescu, which has no clock of its own."""

    def send(port: int, files: Path) -> Sample:
        done = c.storescu_dcmtk(nodelay=nodelay)(port, files)
        return Sample({SECONDS: done.seconds, c.PER_SECOND: len(list(files.iterdir())) / done.seconds})

    return send


class Wan:
    """The rows; everything that they write is below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self) -> Iterator[tuple[str, Callable[[], Row]]]:
        forking = c.dcmtk_storescp("--fork", "--ignore")
        windowed: c.Start = lambda folder: c.aiodicom_storescp(folder, "--discard")  # noqa: E731
        for size in (SMALL, LARGE):
            what = f"{size[0]} objects of {size[2]}"
            yield (
                f"{what}, without a window: storescp --fork --ignore",
                self.row(size, forking, "--associations", "auto"),
            )
            yield f"{what}, a window of 32: aiodicom storescp", self.row(size, windowed, "--window", "32")

    def row(self, size: tuple[int, int, str], start: c.Start, *options: str) -> Callable[[], Row]:
        count, side, _ = size

        def make() -> Row:
            files = self.folder / f"files{side}"
            if not files.exists():
                list(objects.write_cts(files, count, side))

            def contender(name: str, send: Callable[[int, Path], Sample], *, is_ours: bool = False) -> Contender:
                def work() -> Sample:
                    with tempfile.TemporaryDirectory(dir=self.folder) as name:
                        folder = Path(name)
                        with start(folder) as server, far(server.port, folder) as port:
                            return send(port, files)

                return Contender(name, work, ours=is_ours)

            who = (
                contender(f"aiodicom storescu {' '.join(options)}", ours(*options), is_ours=True),
                contender("aiodicom storescu", ours()),
                contender(DCMTK, dcmtk(nodelay=True)),
                contender(DCMTK_AS_IT_COMES, dcmtk(nodelay=False)),
            )
            targets = Target(SECONDS, 15.0, DCMTK), Target(SECONDS, 15.0, DCMTK_AS_IT_COMES)
            return Row("", METRICS, who, DCMTK, targets)

        return make


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wan", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="rounds over all contenders of a row (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    parser.add_argument("--only", default="", metavar="REGEX", help="only rows whose titles match")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aiodicom-wan-") as name:
        print(", ".join(f"{key} {value}" for key, value in machine().items()), f"- {options.runs} runs, medians")
        wanted = [(title, make) for title, make in Wan(Path(name)).rows() if re.search(options.only, title)]
        outcomes = compare((replace(make(), title=title) for title, make in wanted), options.runs)
        if options.json:
            write_json(options.json, outcomes, runs=options.runs)
    failed = any(each.ours and each.name in outcome.failures for outcome in outcomes for each in outcome.row.contenders)
    return 1 if failed or any(not enough for outcome in outcomes for *_, enough in outcome.verdicts()) else 0


if __name__ == "__main__":
    sys.exit(main())
