"""Load on a server by dimseblast, and what it measures."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.bench import Bench, Image
from benchmarks.comparison import Metric, Metrics
from benchmarks.contenders import Start
from benchmarks.processes import tree_bytes, usage, usage_after
from tests.interop import objects

PER_SECOND, PER_CPU, P99, OPENING = "per second", "per CPU-second", "p99 ms", "seconds to open all"
KIB_EACH = "KiB each, server"
SERVED = (Metric(PER_SECOND), Metric(PER_CPU), Metric(P99, higher=False, digits=2))

#: CPU-seconds below this say nothing: what a server's start leaves behind is in them too.
LEAST_CPU = 0.02


@dataclass(frozen=True)
class Load:
    """A run of dimseblast: `mode` (echo, store, assoc), so many associations, so many operations on each.

    store has an image to send. `timeout`: seconds in which all has to be done.
    """

    program: Path
    mode: str
    associations: int
    operations: int
    data_set: Path | None = None
    timeout: float = 40.0

    def arguments(self, port: int) -> list[str]:
        arguments = [os.fspath(self.program), "127.0.0.1", str(port), "ANY-SCP", self.mode]
        arguments += [str(self.associations), str(self.operations)]
        if self.data_set is not None:
            _, offset = objects.ct_data_set(1)
            syntax, sop_class = objects.EXPLICIT_VR_LITTLE_ENDIAN, objects.CT_IMAGE_STORAGE
            arguments += ["1", os.fspath(self.data_set), syntax, sop_class, str(offset)]
        return arguments

    def environment(self) -> dict[str, str]:
        return os.environ | {"BLAST_TIMEOUT": str(self.timeout)}

    def on(self, port: int) -> dict[str, float]:
        """Its report; RuntimeError when an operation failed or was not done in time."""
        done = subprocess.run(
            self.arguments(port),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.timeout + 30,
            env=self.environment(),
            check=False,
        )
        if not done.stdout:
            raise RuntimeError(f"dimseblast ended with exit code {done.returncode}: {done.stderr.strip()}")
        report: dict[str, float] = json.loads(done.stdout)
        if done.returncode:
            raise RuntimeError(
                f"{report['ok_assocs']:,} associations and {report['ok_ops']:,} operations in {report['secs']:.0f} s; "
                f"{report['failed']:,} failed, {report['unfinished']:,} not done. {report['err']}".strip()
            )
        return report

    @contextlib.contextmanager
    def beside(self, port: int) -> Iterator[subprocess.Popen[str]]:
        """Runs it in the background, and ends it by its process id."""
        process = subprocess.Popen(
            self.arguments(port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def load(bench: Bench, mode: str, associations: int, operations: int, image: Image | None = None) -> Load:
    data_set = None if image is None else bench.data_set(image)
    return Load(bench.tools["dimseblast"], mode, associations, operations, data_set)


@contextlib.contextmanager
def holding(work: Load, port: int, seconds: int = 50) -> Iterator[None]:
    """Has as many associations open and idle as the load has; RuntimeError when they could not all be opened.

    `seconds` has to be less than servers allow an association to be idle.
    """
    idle = replace(work, mode=f"idle:{seconds}", operations=1, data_set=None)
    with idle.beside(port) as process:
        _await_opened(idle, process)
        yield


def _await_opened(work: Load, process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    opened = process.stderr.readline().split()  # empty when it ended, by its timeout at the latest
    if opened != ["open", str(work.associations)]:
        raise RuntimeError(f"{opened[-1] if opened else 'not all'} of {work.associations} associations were opened")


def served(start: Start, work: Load, folder: Path, *, expect_files: bool = False) -> Metrics:
    """Runs the load on a fresh server; operations (or associations) a second, and for each CPU-second of the server.

    Operations are timed from the last A-ASSOCIATE-AC on. CPU-seconds are those of the server's process tree over the
    whole load, the opening of the associations included. `expect_files`: one file for each operation must be there.
    """
    if expect_files:
        # What earlier runs wrote is not to be this one's load.
        os.sync()
    with start(folder) as server:
        before = usage(server.pid)
        report = work.on(server.port)
        cpu = usage_after(server.pid, before).cpu_seconds - before.cpu_seconds
    if work.mode == "assoc":
        done, rate = report["ok_assocs"], report["assoc_per_s"]
    else:
        done, rate = report["ok_ops"], report["steady_ops_per_s"]
    wanted = work.associations * work.operations
    if done != wanted:
        raise RuntimeError(f"{done} done, not {wanted}")
    if expect_files:
        assert work.data_set is not None
        written = _count_files(folder, work.data_set.stat().st_size)
        if written != wanted:
            raise RuntimeError(f"{written} files written, not {wanted}")
    metrics = {PER_SECOND: rate, OPENING: report["open_all_s"], P99: report["p99_ms"]}
    if cpu > LEAST_CPU:
        metrics[PER_CPU] = done / cpu
    return metrics


def _count_files(folder: Path, size: int) -> int:
    """How many DICOM files there are, whole ones: servers that write anew add or leave out some bytes."""
    count = 0
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > 0.99 * size:
            with path.open("rb") as file:
                file.seek(128)
                count += file.read(4) == b"DICM"
    return count


def held(start: Start, work: Load, folder: Path) -> Metrics:
    """Opens as many associations as the load has, holds them idle, then has each answer one C-ECHO.

    Tells how long opening them took, and what an idle one takes of resident memory above the server as it started, in
    KiB.
    """
    idle = replace(work, mode="idle:1", operations=1, data_set=None)
    with start(folder) as server:
        empty = tree_bytes(server.pid)
        with idle.beside(server.port) as process:
            _await_opened(idle, process)
            each = (tree_bytes(server.pid) - empty) / work.associations
            out, _ = process.communicate(timeout=idle.timeout)
    report = json.loads(out)
    if report["ok_ops"] != work.associations:
        raise RuntimeError(f"{report['ok_ops']} of {work.associations} answered: {report['err']}")
    return {OPENING: report["open_all_s"], KIB_EACH: each / 1024}
