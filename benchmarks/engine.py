"""The engine against DCMTK, Orthanc and pynetdicom: python -m benchmarks.engine [--quick] [--json FILE] [--runs N].

The rules of the comparison are in README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import contenders as c
from benchmarks.rig import Contender, Metric, Row, Sample, Target, compare, compile_tools, machine, write_json
from tests.interop import objects, peers

DCMTK = "DCMTK storescp --fork"
OUR_COMMAND, OUR_SERVER = "aiodicom storescp", "aiodicom Server, async handler"
LIMIT = "C epoll sink (the limit)"
PYNETDICOM = "pynetdicom"

SERVED = (Metric(c.PER_SECOND), Metric(c.PER_CPU), Metric("p99 ms", higher=False, digits=2))


@dataclass(frozen=True)
class Sizes:
    """How much work each row is."""

    echoes: tuple[int, int] = (100, 1000)
    stores: tuple[int, int] = (10, 200)
    cycles: tuple[int, int] = (20, 200)
    few_echoes: tuple[int, int] = (4, 100)
    few_stores: tuple[int, int] = (4, 20)
    many: int = 5000
    files: int = 500
    few_files: int = 40
    imports: int = 21


QUICK = Sizes(echoes=(50, 200), stores=(10, 20), cycles=(20, 20), many=1000, files=60, few_files=10, imports=7)


class Engine:
    """The rows; everything that they write is below `folder`."""

    def __init__(self, tools: dict[str, Path], folder: Path, sizes: Sizes) -> None:
        self.tools, self.folder, self.sizes = tools, folder, sizes

    def rows(self) -> Iterator[tuple[str, Callable[[], Row]]]:
        """The titles, and what makes the rows: a row that is not asked for costs nothing."""
        sizes = self.sizes
        if "dimseblast" in self.tools:
            yield f"C-ECHO, {sizes.echoes[0]} associations x {sizes.echoes[1]}", self.echo
            yield f"C-STORE 525 kB discarded, {sizes.stores[0]} associations x {sizes.stores[1]}", self.discarded
            yield f"C-STORE 525 kB written, {sizes.stores[0]} associations x {sizes.stores[1]}", self.written
            yield f"associations opened and released, {sizes.cycles[0]} x {sizes.cycles[1]}", self.associations
            yield f"C-ECHO, few: {sizes.few_echoes[0]} associations x {sizes.few_echoes[1]}", self.few_echoes
            yield f"C-STORE 525 kB, few: {sizes.few_stores[0]} associations x {sizes.few_stores[1]}", self.few_stores
        if "dimsesink" in self.tools:
            yield f"storescu, {sizes.files} files of 525 kB on one association, to a sink", self.to_sink
            yield f"storescu, few: {sizes.few_files} files of 525 kB, to a sink", self.few_to_sink
        yield f"storescu, {sizes.files} files of 525 kB to a default DCMTK storescp, start-up included", self.to_default
        yield f"{sizes.many:,} associations from one process to one process", self.many
        yield "import aiodicom", self.imported

    # ---- servers under dimseblast

    def load(self, mode: str, size: tuple[int, int]) -> c.Load:
        data_set = None
        if mode == "store":
            data_set = self.folder / "ct.dataset"
            data_set.write_bytes(objects.ct_data_set(1)[0])
        return c.Load(self.tools["dimseblast"], mode, *size, data_set=data_set)

    def work(self, start: c.Start, load: c.Load, *, expect_files: bool = False) -> Callable[[], Sample]:
        def run() -> Sample:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                return c.served(start, load, Path(folder), expect_files=expect_files)

        return run

    def ours(self, load: c.Load) -> list[Contender]:
        """Both of ours, throwing away what they receive."""
        by_command: c.Start = lambda folder: c.aiodicom_storescp(folder, "--discard")  # noqa: E731
        return [
            Contender(OUR_COMMAND, self.work(by_command, load), ours=True),
            Contender(OUR_SERVER, self.work(c.aiodicom_server, load), ours=True),
        ]

    def limit(self, load: c.Load) -> list[Contender]:
        if "dimsesink" not in self.tools:
            return []
        program = self.tools["dimsesink"]
        return [Contender(LIMIT, self.work(lambda folder: c.sink(program, folder), load))]

    def echo(self) -> Row:
        load = self.load("echo", self.sizes.echoes)
        dcmtk = Contender(DCMTK, self.work(c.dcmtk_storescp("--fork", "--ignore"), load))
        targets = Target(c.PER_CPU, 2.5, DCMTK), Target(c.PER_SECOND, 1.8, DCMTK)
        return Row("", SERVED, (*self.ours(load), dcmtk, *self.limit(load)), DCMTK, targets)

    def discarded(self) -> Row:
        load = self.load("store", self.sizes.stores)
        dcmtk = Contender(f"{DCMTK} --ignore", self.work(c.dcmtk_storescp("--fork", "--ignore"), load))
        targets = Target(c.PER_CPU, 1.5, dcmtk.name), Target(c.PER_SECOND, 1.2, dcmtk.name)
        return Row("", SERVED, (*self.ours(load), dcmtk, *self.limit(load)), dcmtk.name, targets)

    def written(self) -> Row:
        load = self.load("store", self.sizes.stores)

        def by_command(*options: str) -> Callable[[], Sample]:
            start: c.Start = lambda folder: c.aiodicom_storescp(  # noqa: E731
                folder, "-od", os.fspath(folder / "received"), *options
            )
            return self.work(start, load, expect_files=True)

        def dcmtk(option: str) -> Contender:
            start = c.dcmtk_storescp("--fork", option)
            return Contender(f"{DCMTK} {option}", self.work(start, load, expect_files=True))

        # `+B` writes what it received as it came; `-B` is the default, which parses and writes anew.
        normal, preserving = dcmtk("-B"), dcmtk("+B")
        targets = [Target(c.PER_CPU, 1.5, each.name) for each in (normal, preserving)]
        targets += [Target(c.PER_SECOND, 1.0, each.name) for each in (normal, preserving)]
        ours = [Contender(f"{OUR_COMMAND} -od", by_command(), ours=True)]
        synced = [Contender(f"{OUR_COMMAND} -od, synced", by_command("--durability", "synced"))]
        return Row("", SERVED, (*ours, *synced, normal, preserving), normal.name, tuple(targets))

    def associations(self) -> Row:
        load = self.load("assoc", self.sizes.cycles)
        dcmtk = Contender(DCMTK, self.work(c.dcmtk_storescp("--fork", "--ignore"), load))
        orthanc = Contender("Orthanc", self.work(c.orthanc, load))
        targets = (
            Target(c.PER_CPU, 5.0, DCMTK),
            Target(c.PER_SECOND, 8.0, DCMTK),
            Target(c.PER_SECOND, 0.5, "Orthanc"),
        )
        return Row("", SERVED[:2], (*self.ours(load), dcmtk, orthanc, *self.limit(load)), DCMTK, targets)

    def few_echoes(self) -> Row:
        load = replace(self.load("echo", self.sizes.few_echoes), timeout=60.0)
        theirs = Contender(
            PYNETDICOM, self.work(lambda folder: peers.pynetdicom_scp(folder / "scp", "--discard"), load)
        )
        return Row("", SERVED, (*self.ours(load), theirs), PYNETDICOM)

    def few_stores(self) -> Row:
        load = replace(self.load("store", self.sizes.few_stores), timeout=60.0)
        theirs = Contender(
            PYNETDICOM, self.work(lambda folder: peers.pynetdicom_scp(folder / "scp", "--discard"), load)
        )
        return Row("", SERVED, (*self.ours(load), theirs), PYNETDICOM)

    # ---- clients

    def files(self, count: int) -> Path:
        folder = self.folder / f"files{count}"
        if not folder.exists():
            list(objects.write_cts(folder, count))
        return folder

    def sending(self, name: str, send: c.Send, count: int, *, ours: bool = False) -> Contender:
        def run() -> Sample:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                return c.sent_to_sink(send, self.files(count), self.tools["dimsesink"], Path(folder))

        return Contender(name, run, ours=ours)

    def to_sink(self) -> Row:
        count = self.sizes.files
        dcmtk = "DCMTK storescu, TCP_NODELAY=1"
        metrics = Metric(c.PER_SECOND), Metric("MB/s"), Metric(c.PER_CPU), Metric("associations", higher=False)
        who = (
            self.sending("aiodicom storescu", c.storescu_ours, count, ours=True),
            self.sending(dcmtk, c.storescu_dcmtk(nodelay=True), count),
            self.sending("DCMTK dcmsend, TCP_NODELAY=1", c.storescu_dcmtk("dcmsend", nodelay=True), count),
        )
        return Row("", metrics, who, dcmtk, (Target(c.PER_SECOND, 1.3, dcmtk),))

    def few_to_sink(self) -> Row:
        count = self.sizes.few_files
        who = (
            self.sending("aiodicom storescu", c.storescu_ours, count, ours=True),
            self.sending("DCMTK storescu, as it comes", c.storescu_dcmtk(nodelay=False), count),
            self.sending(PYNETDICOM, c.storescu_pynetdicom, count),
        )
        return Row("", (Metric(c.PER_SECOND), Metric("MB/s")), who, PYNETDICOM)

    def to_default(self) -> Row:
        files = self.files(self.sizes.files)

        def sending(name: str, send: c.Send, *options: str, ours: bool = False) -> Contender:
            def run() -> Sample:
                with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                    return c.sent_in_all(send, files, c.dcmtk_storescp(*options, nodelay=False), Path(folder))

            return Contender(name, run, ours=ours)

        dcmtk = "DCMTK storescu"
        who = (
            sending("aiodicom storescu", c.storescu_ours, ours=True),
            sending("aiodicom storescu, to storescp --ignore", c.storescu_ours, "--ignore"),
            sending(dcmtk, c.storescu_dcmtk(nodelay=False)),
        )
        metrics = Metric("seconds", higher=False, digits=2), Metric(c.PER_SECOND)
        return Row("", metrics, who, dcmtk, (Target("seconds", 15.0, dcmtk),))

    # ---- ours alone

    def many(self) -> Row:
        count = self.sizes.many

        def opening(name: str, start: c.Start) -> Contender:
            def run() -> Sample:
                with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                    return c.many_associations(count, start, Path(folder))

            return Contender(name, run, ours=True)

        who = (
            opening(f"{OUR_COMMAND} --discard", lambda folder: c.aiodicom_storescp(folder, "--discard")),
            opening(OUR_SERVER, c.aiodicom_server),
        )
        metrics = (
            Metric("seconds to open all", higher=False, digits=2),
            Metric("C-ECHO/s over all"),
            Metric("KiB each, server", higher=False, digits=1),
            Metric("KiB each, client", higher=False, digits=1),
        )
        targets = (
            Target("seconds to open all", 3.0 * count / 5000, None),
            Target("KiB each, server", 16.0, None),
            Target("KiB each, client", 16.0, None),
        )
        return Row("", metrics, who, OUR_SERVER, targets)

    def imported(self) -> Row:
        work = Contender("import aiodicom", lambda: c.import_time(self.sizes.imports), ours=True)
        metrics = (
            Metric("ms in all", higher=False, digits=1),
            Metric("ms of aiodicom", higher=False, digits=1),
            Metric("ms with connect and Server", higher=False, digits=1),
            Metric("numpy loaded", higher=False),
        )
        targets = Target("ms of aiodicom", 30.0, None), Target("numpy loaded", 0.0, None)
        return Row("", metrics, (work,), work.name, targets)


def default_tools() -> Path | None:
    named = os.environ.get("AIODICOM_BENCH_TOOLS")
    folder = Path(named) if named else c.ROOT.parent / "shared" / "tools"
    return folder if folder.is_dir() else None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--tools", type=Path, default=default_tools(), help="folder of dimseblast.c and dimsesink.c")
    parser.add_argument("--quick", action="store_true", help="a fraction of the work: does it run, not how fast is it")
    parser.add_argument("--runs", type=int, default=3, help="rounds over all contenders of a row (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    parser.add_argument("--only", default="", metavar="REGEX", help="only rows whose titles match")
    parser.add_argument("--folder", type=Path, help="where files are written (default: the system's temporary folder)")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="aiodicom-bench-", dir=options.folder) as name:
        folder = Path(name)
        programs = folder / "tools"
        programs.mkdir()
        tools = compile_tools(options.tools, programs) if options.tools else {}
        for tool, what in (("dimseblast", "servers under load"), ("dimsesink", "clients against a sink")):
            if tool not in tools:
                print(f"left out for want of {tool}.c (--tools DIR or AIODICOM_BENCH_TOOLS): {what}")
        sizes = QUICK if options.quick else Sizes()
        print(", ".join(f"{key} {value}" for key, value in machine().items()), f"- {options.runs} runs, medians")
        wanted = [
            (title, make) for title, make in Engine(tools, folder, sizes).rows() if re.search(options.only, title)
        ]
        outcomes = compare((replace(make(), title=title) for title, make in wanted), options.runs)
        if options.json:
            write_json(options.json, outcomes, quick=options.quick, runs=options.runs)
    failed = any(
        contender.ours and contender.name in outcome.failures
        for outcome in outcomes
        for contender in outcome.row.contenders
    )
    missed = any(not enough for outcome in outcomes for *_, enough in outcome.verdicts())
    return 1 if failed or (missed and not options.quick) else 0


if __name__ == "__main__":
    sys.exit(main())
