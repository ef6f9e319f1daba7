"""What every benchmark needs: CPU-seconds of process trees, interleaved runs, medians, ratio tables, C tools.

A comparison is a `Row`: several contenders do the same work, one after another, a fresh one each time, and round after
round, so that whatever drifts on the machine drifts for all. A contender's work gives a `Sample`; the medians of the
samples are printed as a table with their ratio to one contender, and can be written as JSON.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_SIZE = os.sysconf("SC_PAGESIZE")


# ---- processes


def _stat(pid: int) -> tuple[str, int, float] | None:
    """State, parent, and CPU-seconds with those of its reaped children, of one process (proc(5), /proc/PID/stat)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # from field 3, the state, on
    utime, stime, cutime, cstime = map(int, fields[11:15])
    return fields[0], int(fields[1]), (utime + stime + cutime + cstime) / TICKS_PER_SECOND


def tree(pid: int) -> dict[int, tuple[str, int, float]]:
    """A process and all its descendants: pid to state, parent and CPU-seconds."""
    everyone = {int(name): stat for name in os.listdir("/proc") if name.isdigit() and (stat := _stat(int(name)))}
    found: dict[int, tuple[str, int, float]] = {}
    reached = {pid}
    while reached:
        found |= {each: everyone[each] for each in reached if each in everyone}
        reached = {each for each, (_, parent, _) in everyone.items() if parent in reached}
    return found


@dataclass(frozen=True)
class Usage:
    """CPU-seconds that a tree of processes has used so far, ended ones included, and how many of it are alive."""

    cpu_seconds: float
    alive: int


def usage(pid: int) -> Usage:
    processes = tree(pid).values()
    return Usage(sum(cpu for _, _, cpu in processes), sum(state != "Z" for state, _, _ in processes))


def usage_after(pid: int, before: Usage, patience: float = 5.0) -> Usage:
    """The usage once the processes that were forked since `before` have ended (or after `patience` seconds)."""
    deadline = time.monotonic() + patience
    while (now := usage(pid)).alive > before.alive and time.monotonic() < deadline:
        time.sleep(0.01)
    return now


def resident_bytes(pid: int) -> int:
    """Resident memory of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_SIZE


def sync() -> None:
    """Has the kernel write what it holds back, so that one run's dirty pages are not the next one's load."""
    os.sync()


@dataclass(frozen=True)
class Timed:
    """A command that has ended: seconds from its start to its end, CPU-seconds with its children, output."""

    seconds: float
    cpu_seconds: float
    stdout: str


def timed(
    arguments: Sequence[str | os.PathLike[str]], *, timeout: float, environment: Mapping[str, str] | None = None
) -> Timed:
    """Runs a command to its end; RuntimeError with its output when it fails or takes longer than `timeout` seconds."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=None if environment is None else dict(environment),
        )
        # Waits by polling, since only wait4 tells a child's CPU-seconds and it knows no timeout.
        pid, status, used = 0, 0, None
        while not pid:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            seconds = time.perf_counter() - started
            if not pid and seconds > timeout:
                process.kill()
                process.wait()
                raise RuntimeError(f"{arguments[0]} is not done after {timeout} s")
            if not pid:
                time.sleep(0.002)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        stdout, stderr = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    if process.returncode or used is None:
        raise RuntimeError(
            f"{arguments[0]} ended with exit code {process.returncode}: {stdout[-500:]} {stderr[-1500:]}"
        )
    return Timed(seconds, used.ru_utime + used.ru_stime, stdout)


# ---- C tools


def compile_tools(folder: Path, into: Path) -> dict[str, Path]:
    """Compiles every C file of a folder (`gcc -O2`); gives the programs by name."""
    programs: dict[str, Path] = {}
    for source in sorted(folder.glob("*.c")):
        program = into / source.stem
        subprocess.run(["gcc", "-O2", "-o", program, source], check=True, timeout=120, stdin=subprocess.DEVNULL)
        programs[source.stem] = program
    return programs


# ---- comparisons


@dataclass(frozen=True)
class Sample:
    """One run of one contender: what it did, by the metrics' names."""

    metrics: dict[str, float]


@dataclass(frozen=True)
class Metric:
    """A column of the table; `higher` is better, or lower."""

    name: str
    higher: bool = True
    digits: int = 0


@dataclass(frozen=True)
class Contender:
    """One who does the work of a row. `ours`: targets apply to it."""

    name: str
    work: Callable[[], Sample]
    ours: bool = False


@dataclass(frozen=True)
class Target:
    """What our contenders are to reach: a ratio to the contender `against`, or (None) a bound of the metric itself."""

    metric: str
    value: float
    against: str | None


@dataclass(frozen=True)
class Row:
    """One comparison. Ratios are shown to the contender named `baseline`."""

    title: str
    metrics: tuple[Metric, ...]
    contenders: tuple[Contender, ...]
    baseline: str
    targets: tuple[Target, ...] = ()


@dataclass
class Outcome:
    """A row when it has run: the samples of each contender, and the failures of those that did not do the work."""

    row: Row
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def median(self, contender: str, metric: str) -> float | None:
        values = [sample.metrics[metric] for sample in self.samples.get(contender, []) if metric in sample.metrics]
        return statistics.median(values) if values else None

    def ratio(self, contender: str, metric: Metric, against: str) -> float | None:
        """How many times better than `against`, by the medians."""
        mine, theirs = self.median(contender, metric.name), self.median(against, metric.name)
        if not mine or not theirs:
            return None
        return mine / theirs if metric.higher else theirs / mine

    def verdicts(self) -> list[tuple[str, Target, float | None, bool]]:
        """For each of our contenders that did the work and each target: what was reached, whether that is enough."""
        found: list[tuple[str, Target, float | None, bool]] = []
        metrics = {metric.name: metric for metric in self.row.metrics}
        for contender in (each for each in self.row.contenders if each.ours and each.name not in self.failures):
            for target in self.row.targets:
                metric = metrics[target.metric]
                if target.against is None:
                    reached = self.median(contender.name, target.metric)
                    enough = reached is not None and (reached >= target.value) is metric.higher
                    enough = enough or reached == target.value
                else:
                    reached = self.ratio(contender.name, metric, target.against)
                    enough = reached is not None and reached >= target.value
                found.append((contender.name, target, reached, enough))
        return found


def compare(rows: Iterable[Row], runs: int, *, log: Callable[[str], None] = print) -> list[Outcome]:
    """Runs the rows one after another; within a row, `runs` rounds over all its contenders.

    A contender that fails is not asked again in its row.
    """
    outcomes: list[Outcome] = []
    for row in rows:
        outcome = Outcome(row)
        for _ in range(runs):
            for contender in row.contenders:
                if contender.name in outcome.failures:
                    continue
                try:
                    outcome.samples.setdefault(contender.name, []).append(contender.work())
                except Exception as error:
                    outcome.failures[contender.name] = f"{type(error).__name__}: {error}"
        outcomes.append(outcome)
        log(table(outcome))
    return outcomes


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def table(outcome: Outcome) -> str:
    """The row as plain text: medians, and in brackets how many times better than the baseline."""
    row = outcome.row
    header = ["", *(metric.name for metric in row.metrics)]
    lines: list[list[str]] = []
    for contender in row.contenders:
        cells = [contender.name]
        for metric in row.metrics:
            cell = _number(outcome.median(contender.name, metric.name), metric.digits)
            ratio = outcome.ratio(contender.name, metric, row.baseline)
            if ratio is not None and contender.name != row.baseline:
                cell += f" ({ratio:.2f} x)"
            cells.append(cell)
        lines.append(cells)
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]
    text = [f"\n{row.title}"]
    for line in [header, *lines]:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        text.append(("  " + "  ".join(cells)).rstrip())
    for name, failure in outcome.failures.items():
        text.append(f"  FAILED   {name}: {failure.strip().splitlines()[-1][:300]}")
    for name, target, reached, enough in outcome.verdicts():
        wanted = f"{target.value:g}" if target.against is None else f"{target.value:g} x {target.against}"
        text.append(
            f"  {'reached' if enough else 'MISSED '}  {name}, {target.metric}: {_number(reached, 2)} of {wanted}"
        )
    return "\n".join(text)


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "processors": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": sys.version.split()[0],
    }


def write_json(path: Path, outcomes: Iterable[Outcome], **more: object) -> None:
    """Writes medians, samples, failures and verdicts."""
    rows = [
        {
            "title": outcome.row.title,
            "baseline": outcome.row.baseline,
            "contenders": {
                contender.name: {
                    "medians": {m.name: outcome.median(contender.name, m.name) for m in outcome.row.metrics},
                    "ratios": {
                        m.name: outcome.ratio(contender.name, m, outcome.row.baseline) for m in outcome.row.metrics
                    },
                    "samples": [sample.metrics for sample in outcome.samples.get(contender.name, [])],
                    "failure": outcome.failures.get(contender.name),
                }
                for contender in outcome.row.contenders
            },
            "targets": [
                {"contender": name, **asdict(target), "reached": reached, "enough": enough}
                for name, target, reached, enough in outcome.verdicts()
            ],
        }
        for outcome in outcomes
    ]
    path.write_text(json.dumps({"machine": machine(), **more, "rows": rows}, indent=1) + "\n")
