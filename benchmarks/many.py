"""Rows of thousands of associations at once: their memory, the busy among the idle, the small beside the huge."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks import contenders as c
from benchmarks.bench import HUGE, Bench, Planned
from benchmarks.comparison import Contender, Metric, Metrics, Row, Target
from benchmarks.loads import KIB_EACH, OPENING, P99, PER_SECOND, SERVED, Load, held, holding, load, served
from benchmarks.processes import timed
from benchmarks.servers import BLAST, limit, ours

ECHOES = "C-ECHO/s over all"

MEMORY = (Metric(OPENING, higher=False, digits=2), Metric(KIB_EACH, higher=False, digits=1))
OURS = ((c.OUR_COMMAND, c.aiodicom_storescp()), (c.OUR_SERVER, c.aiodicom_server()))


def open_at_once(bench: Bench, count: int) -> Planned:
    title = f"{count:,} associations open at once, idle, then one C-ECHO each"

    def make() -> Row:
        work = load(bench, "echo", count, 1)
        peers = [
            (c.DCMTK, c.dcmtk_storescp("--fork", "--ignore")),
            (c.ORTHANC, c.orthanc()),
            (c.LIMIT, c.sink(bench.tools["dimsesink"])),
        ]
        who = [Contender(name, bench.in_folder(partial(held, start, work)), ours=True) for name, start in OURS]
        who += [Contender(name, bench.in_folder(partial(held, start, work))) for name, start in peers]
        targets = Target(OPENING, 2.0 * count / 10_000, None), Target(KIB_EACH, 8.0, None)
        return Row(title, MEMORY, tuple(who), c.LIMIT, targets)

    return Planned(title, make, BLAST)


def all_active(bench: Bench, count: int, operations: int) -> Planned:
    title = f"C-ECHO, {count:,} active associations x {operations}"

    def make() -> Row:
        work = load(bench, "echo", count, operations)
        who = (*ours(bench, work), limit(bench, work))
        return Row(title, SERVED, who, c.LIMIT, (Target(PER_SECOND, 0.5, c.LIMIT),))

    return Planned(title, make, BLAST)


def among_idle(bench: Bench, size: tuple[int, int], idle: int) -> Planned:
    title = f"C-ECHO, {size[0]} active associations x {size[1]:,} while {idle:,} others are open"

    def make() -> Row:
        work, others = load(bench, "echo", *size), load(bench, "echo", idle, 1)

        def beside(start: c.Start, folder: Path) -> Metrics:
            with start(folder) as server, holding(others, server.port):
                return _report(work, server.port)

        return _with_and_without(bench, title, work, beside, f"beside {idle:,} idle", Target(PER_SECOND, 0.8, None))

    return Planned(title, make, BLAST)


def beside_huge(bench: Bench, size: tuple[int, int], hogs: int) -> Planned:
    title = f"C-ECHO, {size[0]} associations x {size[1]:,} beside {hogs} that send objects of {HUGE.name}"

    def make() -> Row:
        work, huge = load(bench, "echo", *size), load(bench, "store", hogs, 100_000, HUGE)

        def beside(start: c.Start, folder: Path) -> Metrics:
            with start(folder) as server, huge.beside(server.port) as process:
                metrics = _report(work, server.port)
                if process.poll() is not None:
                    raise RuntimeError(f"the load beside it ended: {process.communicate()[0]}")
                return metrics

        return _with_and_without(bench, title, work, beside, f"beside {hogs} C-STORE", Target(P99, 0.1, None))

    return Planned(title, make, BLAST)


def _report(work: Load, port: int) -> Metrics:
    report = work.on(port)
    return {PER_SECOND: report["steady_ops_per_s"], P99: report["p99_ms"]}


def _with_and_without(
    bench: Bench, title: str, work: Load, beside: Callable[[c.Start, Path], Metrics], name: str, target: Target
) -> Row:
    """Each server alone and beside others; `target` is how much of the figure ours has to keep.

    The sink shows how much the machine leaves of it: all share its processors, the load generators too.
    """
    who: list[Contender] = []
    targets: list[Target] = []
    for server, start in (*OURS, (c.LIMIT, c.sink(bench.tools["dimsesink"]))):
        alone, together = f"{server}, alone", f"{server}, {name}"
        is_ours = server != c.LIMIT
        who.append(Contender(alone, bench.in_folder(partial(served, start, work))))
        who.append(Contender(together, bench.in_folder(partial(beside, start)), ours=is_ours))
        if is_ours:
            targets.append(Target(target.metric, target.value, alone, of=together))
    metrics = Metric(PER_SECOND), Metric(P99, higher=False, digits=2)
    return Row(title, metrics, tuple(who), who[0].name, tuple(targets))


# ---- one process of ours to one process of ours


def between_ours(bench: Bench, count: int, *, seconds: float, server_kib: float, client_kib: float) -> Planned:
    title = f"{count:,} associations from one process of ours to one process of ours"

    def make() -> Row:
        who = tuple(_opener(bench, name, start, count) for name, start in OURS)
        targets = (
            Target(OPENING, seconds, None),
            Target(KIB_EACH, server_kib, None),
            Target("KiB each, client", client_kib, None),
        )
        return Row(title, _BOTH_ENDS, who, c.OUR_SERVER, targets)

    return Planned(title, make)


def under_tls(bench: Bench, count: int) -> Planned:
    title = f"{count:,} associations under TLS from one process of ours to one process of ours"

    def make() -> Row:
        who = (_opener(bench, c.OUR_SERVER, c.aiodicom_server("--tls"), count, tls=True),)
        return Row(title, _BOTH_ENDS, who, c.OUR_SERVER, (Target(KIB_EACH, 40.0, None),))

    return Planned(title, make)


_BOTH_ENDS = (
    Metric(OPENING, higher=False, digits=2),
    Metric(ECHOES),
    Metric(KIB_EACH, higher=False, digits=1),
    Metric("KiB each, client", higher=False, digits=1),
)


def _opener(bench: Bench, name: str, start: c.Start, count: int, *, tls: bool = False) -> Contender:
    def work(folder: Path) -> Metrics:
        trusted = [_certify(folder)] if tls else []
        with start(folder) as server:
            script = [sys.executable, "-m", "benchmarks.many_associations"]
            script += [str(server.port), str(server.pid), str(count), *trusted]
            report = json.loads(timed(script, timeout=120, environment=c.environment()).stdout)
        if report["failed"]:
            raise RuntimeError(f"{report['failed']:.0f} associations failed: {report['error']}")
        return {
            OPENING: report["open_s"],
            ECHOES: report["echo_per_s"],
            KIB_EACH: report["server_bytes"] / 1024,
            "KiB each, client": report["client_bytes"] / 1024,
        }

    return Contender(name, bench.in_folder(work), ours=True)


def _certify(folder: Path) -> str:
    """Makes the server's certificate, and returns the file that has its authority."""
    import trustme

    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    trusted = str(folder / "authority.pem")
    authority.cert_pem.write_to_path(trusted)
    return trusted


def rows(bench: Bench) -> Iterator[Planned]:
    yield open_at_once(bench, bench.size(10_000, 500))
    yield all_active(bench, *bench.size((10_000, 30), (500, 10)))
    yield among_idle(bench, bench.size((100, 1500), (50, 100)), bench.size(9_900, 450))
    yield beside_huge(bench, bench.size((10, 2000), (10, 200)), 10)
    yield under_tls(bench, bench.size(10_000, 200))
