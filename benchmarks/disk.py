"""Rows of servers that write what they receive: into the system's cache, and synced to the disk before they answer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks import contenders as c
from benchmarks.bench import LARGE, Bench, Planned
from benchmarks.comparison import Contender, Row, Target
from benchmarks.loads import PER_CPU, PER_SECOND, SERVED, Load, load, served

#: `+B` writes what it received as it came; `-B` is the default, which parses and writes anew. Neither syncs.
NORMAL, PRESERVING = f"{c.DCMTK} -B", f"{c.DCMTK} +B"


def writer(bench: Bench, name: str, start: c.Start, work: Load, *, ours: bool = False) -> Contender:
    return Contender(name, bench.in_folder(partial(served, start, work, expect_files=True)), ours=ours)


def stored(bench: Bench, durability: str, size: tuple[int, int], targets: tuple[Target, ...]) -> Planned:
    title = f"C-STORE 525 kB {durability}, {size[0]} associations x {size[1]}"

    def make() -> Row:
        work = load(bench, "store", *size, LARGE)
        who = [
            writer(bench, c.OUR_COMMAND, c.aiodicom_storescp(durability), work, ours=True),
            writer(bench, c.OUR_SERVER, c.aiodicom_server("--durability", durability), work, ours=True),
            writer(bench, NORMAL, c.dcmtk_storescp("--fork", "-B"), work),
            writer(bench, PRESERVING, c.dcmtk_storescp("--fork", "+B"), work),
        ]
        if durability == "written":
            who.append(writer(bench, f"{c.ORTHANC}, with its index", c.orthanc(), work))
        return Row(title, SERVED, tuple(who), NORMAL, targets)

    return Planned(title, make, ("dimseblast",))


def rows(bench: Bench) -> Iterator[Planned]:
    size = bench.size((10, 200), (10, 20))
    yield stored(bench, "written", size, (Target(PER_SECOND, 1.3, NORMAL), Target(PER_CPU, 2.0, NORMAL)))
    yield stored(bench, "synced", size, (Target(PER_SECOND, 0.8, NORMAL), Target(PER_CPU, 1.2, NORMAL)))
