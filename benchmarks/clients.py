"""Rows of clients that send files: one association to a C sink, by the sink's own count; and to a default DCMTK."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import contenders as c
from benchmarks.bench import LARGE, SMALL, Bench, Image, Planned
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from benchmarks.loads import PER_CPU, PER_SECOND

OURS, DCMTK = "aiodicom storescu", "DCMTK storescu, TCP_NODELAY=1"
SENT = (Metric(PER_SECOND), Metric("MB/s"), Metric(PER_CPU), Metric("associations", higher=False))


def sent_to_sink(send: c.Send, files: Path, program: Path, folder: Path) -> Metrics:
    """Objects a second by the sink's own count, and for each CPU-second of the client (start-up included)."""
    with c.sink(program)(folder) as server:
        done = send(server.port, files)
    counted = json.loads((folder / "sink.log").read_text().splitlines()[-1])
    wanted = len(list(files.iterdir()))
    if counted["stores"] != wanted:
        raise RuntimeError(f"{counted['stores']} objects arrived, not {wanted}")
    return {
        PER_SECOND: counted["stores_per_s"],
        "MB/s": counted["MB_per_s"],
        PER_CPU: wanted / done.cpu_seconds,
        "associations": counted["assocs"],
    }


def sent_in_all(send: c.Send, files: Path, start: c.Start, folder: Path) -> Metrics:
    """Seconds from the start of the client's process to its end."""
    os.sync()
    with start(folder) as server:
        done = send(server.port, files)
    return {"seconds": done.seconds, PER_SECOND: len(list(files.iterdir())) / done.seconds}


def sender(bench: Bench, name: str, send: c.Send, files: Path, *, ours: bool = False) -> Contender:
    work = bench.in_folder(lambda folder: sent_to_sink(send, files, bench.tools["dimsesink"], folder))
    return Contender(name, work, ours=ours)


def to_sink(bench: Bench, count: int, image: Image, ratio: float) -> Planned:
    title = f"storescu, {count} files of {image.name} on one association, to a sink"

    def make() -> Row:
        files = bench.files(count, image)
        who = (
            sender(bench, OURS, c.storescu_ours, files, ours=True),
            sender(bench, DCMTK, c.storescu_dcmtk(nodelay=True), files),
            sender(bench, "DCMTK dcmsend, TCP_NODELAY=1", c.storescu_dcmtk("dcmsend", nodelay=True), files),
        )
        return Row(title, SENT, who, DCMTK, (Target(PER_SECOND, ratio, DCMTK), Target("associations", 1.0, None)))

    return Planned(title, make, ("dimsesink",))


def few_to_sink(bench: Bench, count: int, image: Image) -> Planned:
    title = f"few: storescu, {count} files of {image.name}, to a sink, peers as they come"

    def make() -> Row:
        files = bench.files(count, image)
        who = (
            sender(bench, OURS, c.storescu_ours, files, ours=True),
            sender(bench, "DCMTK storescu, as it comes", c.storescu_dcmtk(nodelay=False), files),
            sender(bench, c.PYNETDICOM, c.storescu_pynetdicom, files),
        )
        return Row(title, SENT, who, c.PYNETDICOM, (Target(PER_SECOND, 30.0, c.PYNETDICOM),))

    return Planned(title, make, ("dimsesink",))


def to_default(bench: Bench, count: int) -> Planned:
    title = f"storescu, {count} files of 525 kB to a default DCMTK storescp, start-up included"

    def make() -> Row:
        files = bench.files(count, LARGE)
        default, ignoring = c.dcmtk_storescp(nodelay=False), c.dcmtk_storescp("--ignore", nodelay=False)

        def sending(name: str, send: c.Send, start: c.Start, *, ours: bool = False) -> Contender:
            return Contender(name, bench.in_folder(partial(sent_in_all, send, files, start)), ours=ours)

        dcmtk = "DCMTK storescu, as it comes"
        who = (
            sending(OURS, c.storescu_ours, default, ours=True),
            sending(f"{OURS}, to storescp --ignore", c.storescu_ours, ignoring),
            sending(dcmtk, c.storescu_dcmtk(nodelay=False), default),
        )
        metrics = Metric("seconds", higher=False, digits=2), Metric(PER_SECOND)
        return Row(title, metrics, who, dcmtk, (Target("seconds", 15.0, dcmtk),))

    return Planned(title, make)


def rows(bench: Bench) -> Iterator[Planned]:
    yield to_sink(bench, bench.size(500, 60), LARGE, 2.0)
    yield to_sink(bench, bench.size(500, 60), SMALL, 3.0)
    yield few_to_sink(bench, bench.size(60, 10), LARGE)
    yield few_to_sink(bench, bench.size(60, 10), SMALL)
    yield to_default(bench, bench.size(500, 60))
