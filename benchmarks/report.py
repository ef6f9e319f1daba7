"""What a run was measured on, and its result as JSON."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.comparison import Outcome
from tests.interop import peers
from tests.interop.processes import PeerMissing


@dataclass(frozen=True)
class Setting:
    """How, where and when a run was made."""

    date: str
    machine: dict[str, str]
    #: Of whoever takes part; None is not installed.
    versions: dict[str, str | None]
    runs: int
    quick: bool


def setting(runs: int, *, quick: bool) -> Setting:
    now = datetime.datetime.now(datetime.UTC)
    return Setting(now.isoformat(sep=" ", timespec="minutes"), machine(), versions(), runs, quick)


def machine() -> dict[str, str]:
    """What the figures are of."""
    processors = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE") / 2**30
    return {
        "processor": f"{processors} x {_processor()}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"aiodicom": _ours(), "Python": sys.version.split()[0]}
    for package in ("uvloop", "pynetdicom"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    found["DCMTK"] = _version(lambda: peers.dcmtk("storescp"), 2)
    found["Orthanc"] = _version(peers.orthanc_program, 1)
    return found


def _ours() -> str:
    import aiodicom

    described = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return f"{aiodicom.__version__} {described.stdout.strip()}".strip()


def _version(find: Callable[[], str], word: int) -> str | None:
    """What stands in this place of the first line that a program says about its version."""
    try:
        program = find()
    except PeerMissing:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    words = said.split("\n", 1)[0].split()
    return words[word] if len(words) > word else "of an unknown version"


def as_json(setting: Setting, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Medians, samples, ratios, failures and verdicts."""
    return {**asdict(setting), "rows": [_row(outcome) for outcome in outcomes]}


def _row(outcome: Outcome) -> dict[str, Any]:
    row = outcome.row
    return {
        "title": row.title,
        "baseline": row.baseline,
        "contenders": {
            contender.name: {
                "medians": {metric.name: outcome.median(contender.name, metric.name) for metric in row.metrics},
                "ratios": {m.name: outcome.ratio(contender.name, m, row.baseline) for m in row.metrics},
                "samples": outcome.samples.get(contender.name, []),
                "failure": outcome.failures.get(contender.name),
                "left_out": outcome.absent.get(contender.name),
            }
            for contender in row.contenders
        },
        "targets": [
            {
                "contender": verdict.contender,
                "metric": verdict.target.metric,
                "wanted": verdict.target.value,
                "against": verdict.target.against,
                "reached": verdict.reached,
                "enough": verdict.enough,
            }
            for verdict in outcome.verdicts()
        ],
    }
