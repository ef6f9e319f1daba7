"""Processes measured from outside: CPU-seconds of a whole tree, resident memory, commands run to their end."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_SIZE = os.sysconf("SC_PAGESIZE")


class _Process(NamedTuple):
    state: str
    parent: int
    #: CPU-seconds, those of its reaped children included.
    cpu_seconds: float


def _nanoseconds_on_cpu(pid: int) -> int:
    """What the scheduler counted for the threads that the process has (/proc/PID/task/TID/schedstat); 0 without it."""
    total = 0
    with suppress(OSError):
        for task in os.scandir(f"/proc/{pid}/task"):
            with suppress(OSError, ValueError, IndexError):
                total += int(Path(task.path, "schedstat").read_text().split()[0])
    return total


def _process(pid: int) -> _Process | None:
    """One process (proc(5), /proc/PID/stat), or None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # from field 3, the state, on
    utime, stime, cutime, cstime = (int(ticks) / TICKS_PER_SECOND for ticks in fields[11:15])
    # The ticks are rounded down to 10 ms but know the threads that have ended; the scheduler is exact and does not.
    own = max(utime + stime, _nanoseconds_on_cpu(pid) / 1e9)
    return _Process(fields[0], int(fields[1]), own + cutime + cstime)


def tree(pid: int) -> dict[int, _Process]:
    """A process and all its descendants by process id."""
    everyone = {int(name): found for name in os.listdir("/proc") if name.isdigit() and (found := _process(int(name)))}
    members: dict[int, _Process] = {}
    reached = {pid}
    while reached:
        members |= {each: everyone[each] for each in reached if each in everyone}
        reached = {each for each, process in everyone.items() if process.parent in reached}
    return members


@dataclass(frozen=True)
class Usage:
    """CPU-seconds that a tree of processes has used so far, ended ones included, and how many of it are alive."""

    cpu_seconds: float
    alive: int


def usage(pid: int) -> Usage:
    processes = tree(pid).values()
    return Usage(sum(each.cpu_seconds for each in processes), sum(each.state != "Z" for each in processes))


def usage_after(pid: int, before: Usage, patience: float = 5.0) -> Usage:
    """The usage once the processes that were forked since `before` have ended (or after `patience` seconds)."""
    deadline = time.monotonic() + patience
    while (now := usage(pid)).alive > before.alive and time.monotonic() < deadline:
        time.sleep(0.01)
    return now


@contextmanager
def on_processor(number: int | None) -> Iterator[None]:
    """Has this thread, and what it starts meanwhile, run on this one of the processors that it may use; None: any."""
    allowed = os.sched_getaffinity(0)
    if number is not None:
        os.sched_setaffinity(0, {sorted(allowed)[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def resident_bytes(pid: int) -> int:
    """Resident memory of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_SIZE


def tree_bytes(pid: int) -> int:
    """Resident memory of a tree of processes, what they share counted once (/proc/PID/smaps_rollup, Pss)."""
    total = 0
    for each in tree(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


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
