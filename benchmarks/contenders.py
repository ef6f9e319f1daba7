"""The servers and clients that the engine's benchmark compares, each as it is started from a command line."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rig import Sample, Timed, sync, timed, usage, usage_after
from tests.interop import objects, peers
from tests.interop.processes import Running, running
from tests.ports import free_port

ROOT = Path(__file__).parent.parent

#: Starts a fresh server that may write to the folder it is given.
Start = Callable[[Path], AbstractContextManager[Running]]

PER_SECOND, PER_CPU = "per second", "per CPU-second"


def environment() -> dict[str, str]:
    # Ours needs no TCP_NODELAY from outside; the checkout is found from any working folder.
    path = os.pathsep.join(filter(None, [os.fspath(ROOT), os.environ.get("PYTHONPATH")]))
    return peers.environment(nodelay=False) | {"PYTHONPATH": path}


def command(*arguments: str) -> list[str]:
    """The command `aiodicom` of this checkout."""
    return [sys.executable, "-m", "aiodicom.cli", *arguments]


# ---- servers


@contextlib.contextmanager
def aiodicom_storescp(folder: Path, *options: str) -> Iterator[Running]:
    port = free_port()
    arguments = command("storescp", str(port), *options)
    with running(arguments, port, log=folder / "aiodicom.log", environment=environment()) as server:
        yield server


@contextlib.contextmanager
def aiodicom_server(folder: Path, *options: str) -> Iterator[Running]:
    """The public `Server` with async handlers: server_handler.py."""
    port = free_port()
    arguments = [sys.executable, "-m", "benchmarks.server_handler", str(port), *options]
    with running(arguments, port, log=folder / "server.log", environment=environment(), directory=ROOT) as server:
        yield server


def dcmtk_storescp(*options: str, nodelay: bool = True) -> Start:
    return lambda folder: peers.storescp(folder / "dcmtk", *options, nodelay=nodelay)


@contextlib.contextmanager
def orthanc(folder: Path) -> Iterator[Running]:
    with peers.orthanc(folder / "orthanc") as server:
        yield server.server


@contextlib.contextmanager
def sink(program: Path, folder: Path) -> Iterator[Running]:
    """dimsesink: accepts all, throws away, and prints what it counted when it ends."""
    port = free_port()
    with running([program, str(port)], port, log=folder / "sink.log") as server:
        yield server


def sink_count(folder: Path) -> dict[str, float]:
    """What the sink printed at its end."""
    counted: dict[str, float] = json.loads((folder / "sink.log").read_text().splitlines()[-1])
    return counted


# ---- the load on a server


@dataclass(frozen=True)
class Load:
    """A run of dimseblast: `mode`, so many associations, so many operations on each; store needs a data set."""

    program: Path
    mode: str
    associations: int
    operations: int
    data_set: Path | None = None
    timeout: float = 120.0

    def on(self, port: int) -> dict[str, float]:
        """Its report; RuntimeError when an operation failed or was not done in time."""
        arguments = [os.fspath(self.program), "127.0.0.1", str(port), "ANY-SCP", self.mode]
        arguments += [str(self.associations), str(self.operations)]
        if self.data_set is not None:
            _, offset = objects.ct_data_set(1)
            syntax, sop_class = objects.EXPLICIT_VR_LITTLE_ENDIAN, objects.CT_IMAGE_STORAGE
            arguments += ["1", os.fspath(self.data_set), syntax, sop_class, str(offset)]
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.timeout + 30,
            env=os.environ | {"BLAST_TIMEOUT": str(self.timeout)},
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"dimseblast: {done.stdout.strip() or done.stderr.strip()}")
        report: dict[str, float] = json.loads(done.stdout)
        return report


def served(start: Start, load: Load, folder: Path, *, expect_files: bool = False) -> Sample:
    """Runs the load on a fresh server; operations (or associations) a second, and for each CPU-second of the server.

    Operations are timed from the last A-ASSOCIATE-AC on. CPU-seconds are those of the server's process tree over the
    whole load, the opening of the associations included. `expect_files`: one file for each operation must be there.
    """
    if expect_files:
        sync()
    with start(folder) as server:
        before = usage(server.pid)
        report = load.on(server.port)
        cpu = usage_after(server.pid, before).cpu_seconds - before.cpu_seconds
    if load.mode == "assoc":
        done, rate = report["ok_assocs"], report["assoc_per_s"]
    else:
        done, rate = report["ok_ops"], report["steady_ops_per_s"]
    wanted = load.associations * load.operations
    if done != wanted:
        raise RuntimeError(f"{done} done, not {wanted}")
    if expect_files:
        written = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 500_000]
        if len(written) != wanted:
            raise RuntimeError(f"{len(written)} files written, not {wanted}")
    metrics = {PER_SECOND: rate, "seconds to open all": report["open_all_s"], "p99 ms": report["p99_ms"]}
    # Below a few clock ticks, CPU-seconds say nothing.
    if cpu > 0.05:
        metrics[PER_CPU] = done / cpu
    return Sample(metrics)


# ---- clients


def storescu_ours(port: int, folder: Path) -> Timed:
    return timed(command("storescu", "127.0.0.1", str(port), os.fspath(folder)), timeout=120, environment=environment())


def storescu_dcmtk(name: str = "storescu", *, nodelay: bool) -> Callable[[int, Path], Timed]:
    """DCMTK's storescu or dcmsend, sending every file of a folder."""

    def send(port: int, folder: Path) -> Timed:
        arguments = [peers.dcmtk(name), "127.0.0.1", str(port), "+sd", os.fspath(folder)]
        return timed(arguments, timeout=120, environment=peers.environment(nodelay=nodelay))

    return send


def storescu_pynetdicom(port: int, folder: Path) -> Timed:
    files = sorted(map(os.fspath, folder.iterdir()))
    script = [sys.executable, os.fspath(peers.HERE / "pynetdicom_scu.py"), str(port), "store", *files]
    return timed(script, timeout=120)


Send = Callable[[int, Path], Timed]


def sent_to_sink(send: Send, files: Path, program: Path, folder: Path) -> Sample:
    """Objects a second by the sink's own count, and for each CPU-second of the client (start-up included)."""
    with sink(program, folder) as server:
        done = send(server.port, files)
    counted = sink_count(folder)
    wanted = len(list(files.iterdir()))
    if counted["stores"] != wanted:
        raise RuntimeError(f"{counted['stores']} objects arrived, not {wanted}")
    return Sample(
        {
            PER_SECOND: counted["stores_per_s"],
            "MB/s": counted["MB_per_s"],
            PER_CPU: wanted / done.cpu_seconds,
            "associations": counted["assocs"],
        }
    )


def sent_in_all(send: Send, files: Path, start: Start, folder: Path) -> Sample:
    """Seconds from the start of the client's process to its end."""
    sync()
    with start(folder) as server:
        done = send(server.port, files)
    return Sample({"seconds": done.seconds, PER_SECOND: len(list(files.iterdir())) / done.seconds})


# ---- many associations, import


def many_associations(count: int, start: Start, folder: Path) -> Sample:
    """`count` associations from one process of ours to one process of ours: many_associations.py reports."""
    with start(folder) as server:
        arguments = [
            sys.executable,
            "-m",
            "benchmarks.many_associations",
            str(server.port),
            str(server.pid),
            str(count),
        ]
        report: Mapping[str, float] = json.loads(timed(arguments, timeout=120, environment=environment()).stdout)
    if report["failed"]:
        raise RuntimeError(f"{report['failed']:.0f} associations failed: {report['error']}")
    return Sample(
        {
            "seconds to open all": report["open_s"],
            "C-ECHO/s over all": report["echo_per_s"],
            "KiB each, server": report["server_bytes"] / 1024,
            "KiB each, client": report["client_bytes"] / 1024,
        }
    )


def import_time(runs: int) -> Sample:
    """Milliseconds of a whole `python -c`, and how many more it takes with aiodicom; is numpy loaded then?

    aiodicom imports what it gives when that is asked for first, so what a program needs is in a figure of its own.
    """
    without = "import asyncio, ssl, uvloop"
    bare = f"{without}; import aiodicom"
    times: dict[str, list[float]] = {code: [] for code in (without, bare, f"{bare}; aiodicom.connect, aiodicom.Server")}
    for _ in range(runs):
        for code, seconds in times.items():
            seconds.append(timed([sys.executable, "-c", code], timeout=30, environment=environment()).seconds)
    rounds = list(zip(*times.values(), strict=True))
    check = "import aiodicom, sys; aiodicom.connect, aiodicom.Server; print(int('numpy' in sys.modules))"
    numpy = timed([sys.executable, "-c", check], timeout=30, environment=environment()).stdout
    return Sample(
        {
            "ms in all": 1e3 * statistics.median(imported for _, imported, _ in rounds),
            "ms of aiodicom": 1e3 * statistics.median(imported - base for base, imported, _ in rounds),
            "ms with connect and Server": 1e3 * statistics.median(used - base for base, _, used in rounds),
            "numpy loaded": float(numpy),
        }
    )
