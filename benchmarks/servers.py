"""Rows of servers under load: C-ECHO, C-STORE thrown away, associations, from 1 to 5,000 associations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from benchmarks import contenders as c
from benchmarks.bench import LARGE, SMALL, Bench, Image, Planned
from benchmarks.comparison import Contender, Point, Row, Target
from benchmarks.loads import PER_CPU, PER_SECOND, SERVED, Load, load, served

BLAST = ("dimseblast", "dimsesink")


class Figures(NamedTuple):
    """What ours is to reach: against DCMTK, for each CPU-second and each second; against the C sink and Orthanc.

    `share`: the part of it that `Server` with an async handler is to reach.
    """

    per_cpu: float | None = None
    per_second: float | None = None
    of_sink: float | None = None
    of_orthanc: float | None = None
    share: float = 0.7

    def targets(self, dcmtk: str = c.DCMTK) -> tuple[Target, ...]:
        wanted = [
            (PER_CPU, self.per_cpu, dcmtk),
            (PER_SECOND, self.per_second, dcmtk),
            (PER_SECOND, self.of_sink, c.LIMIT),
            (PER_SECOND, self.of_orthanc, c.ORTHANC),
        ]
        return tuple(
            Target(metric, round(value * share, 3), against, of=who)
            for who, share in ((c.OUR_COMMAND, 1.0), (c.OUR_SERVER, self.share))
            for metric, value, against in wanted
            if value is not None
        )


NO_FIGURES = Figures()


# ---- contenders


def contender(bench: Bench, name: str, start: c.Start, work: Load, *, ours: bool = False) -> Contender:
    return Contender(name, bench.in_folder(partial(served, start, work)), ours=ours)


def ours(bench: Bench, work: Load) -> list[Contender]:
    """Both of ours, throwing away what they receive."""
    return [
        contender(bench, c.OUR_COMMAND, c.aiodicom_storescp(), work, ours=True),
        contender(bench, c.OUR_SERVER, c.aiodicom_server(), work, ours=True),
    ]


def dcmtk(bench: Bench, work: Load) -> Contender:
    return contender(bench, c.DCMTK, c.dcmtk_storescp("--fork", "--ignore"), work)


def orthanc(bench: Bench, work: Load) -> Contender:
    return contender(bench, c.ORTHANC, c.orthanc(), work)


def pynetdicom(bench: Bench, work: Load) -> Contender:
    return contender(bench, c.PYNETDICOM, c.pynetdicom(), work)


def limit(bench: Bench, work: Load) -> Contender:
    return contender(bench, c.LIMIT, c.sink(bench.tools["dimsesink"]), work)


# ---- rows


def associations(size: tuple[int, int]) -> str:
    """So many associations, and so many operations on each."""
    return f"{size[0]:,} association{'s' if size[0] > 1 else ''} x {size[1]:,}"


def echo(bench: Bench, size: tuple[int, int], figures: Figures = NO_FIGURES) -> Planned:
    title = f"C-ECHO, {associations(size)}"

    def make() -> Row:
        work = load(bench, "echo", *size)
        who = [*ours(bench, work), dcmtk(bench, work), orthanc(bench, work), limit(bench, work)]
        return Row(title, SERVED, tuple(who), c.DCMTK, figures.targets(), Point("C-ECHO", size[0]))

    return Planned(title, make, BLAST)


def discarded(bench: Bench, size: tuple[int, int], image: Image, figures: Figures = NO_FIGURES) -> Planned:
    title = f"C-STORE {image.name} discarded, {associations(size)}"

    def make() -> Row:
        work = load(bench, "store", *size, image)
        # Orthanc keeps what it receives: it is among those that write.
        who = [*ours(bench, work), dcmtk(bench, work), limit(bench, work)]
        point = Point(f"C-STORE {image.name} discarded", size[0])
        return Row(title, SERVED, tuple(who), c.DCMTK, figures.targets(), point)

    return Planned(title, make, BLAST)


def opened(bench: Bench, size: tuple[int, int], figures: Figures = NO_FIGURES) -> Planned:
    title = f"associations opened and released, {size[0]:,} at a time x {size[1]:,}"

    def make() -> Row:
        work = load(bench, "assoc", *size)
        who = [*ours(bench, work), dcmtk(bench, work), orthanc(bench, work), limit(bench, work)]
        return Row(title, SERVED[:2], tuple(who), c.DCMTK, figures.targets())

    return Planned(title, make, BLAST)


def few(bench: Bench, title: str, mode: str, size: tuple[int, int], image: Image | None = None) -> Planned:
    """Little enough for pynetdicom, and for others as they come, without TCP_NODELAY in their environment."""
    title = f"few: {title}, {associations(size)}, peers as they come"

    def make() -> Row:
        work = load(bench, mode, *size, image)
        who = [*ours(bench, work), pynetdicom(bench, work)]
        default = c.dcmtk_storescp("--fork", "--ignore", nodelay=False)
        who.append(contender(bench, f"{c.DCMTK}, as it comes", default, work))
        if image is None:
            who.append(contender(bench, f"{c.ORTHANC}, as it comes", c.orthanc(nodelay=False), work))
        metrics = SERVED[:2] if mode == "assoc" else SERVED
        return Row(title, metrics, tuple(who), c.PYNETDICOM, (Target(PER_SECOND, 30.0, c.PYNETDICOM),))

    return Planned(title, make, BLAST)


def rows(bench: Bench) -> Iterator[Planned]:
    size = bench.size
    yield echo(bench, size((1, 3000), (1, 200)))
    yield echo(bench, size((10, 2000), (10, 100)))
    yield echo(bench, size((100, 1500), (50, 100)), Figures(4.0, 2.7, of_sink=0.5))
    yield echo(bench, size((1000, 150), (200, 20)))
    yield echo(bench, size((5000, 60), (500, 20)))
    yield discarded(bench, size((1, 500), (1, 20)), LARGE)
    yield discarded(bench, size((10, 300), (10, 20)), LARGE, Figures(2.2, 1.6))
    yield discarded(bench, size((100, 40), (50, 5)), LARGE)
    yield discarded(bench, size((1, 2000), (1, 100)), SMALL)
    yield discarded(bench, size((10, 1500), (10, 50)), SMALL)
    yield discarded(bench, size((100, 400), (50, 50)), SMALL, Figures(4.5, 2.8))
    yield discarded(bench, size((1000, 80), (200, 10)), SMALL)
    yield discarded(bench, size((5000, 40), (500, 10)), SMALL)
    yield opened(bench, size((20, 200), (20, 20)), Figures(of_orthanc=1.1))
    yield few(bench, "C-ECHO", "echo", size((10, 100), (2, 50)))
    yield few(bench, "C-STORE 525 kB discarded", "store", size((10, 40), (2, 10)), LARGE)
    yield few(bench, "C-STORE 9 kB discarded", "store", size((10, 100), (2, 20)), SMALL)
    yield few(bench, "associations opened and released", "assoc", size((10, 10), (2, 5)))
