"""CPU-seconds and memory of a tree of processes: of ended children and threads too; and where processes run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.processes import on_processor, tree_bytes, usage

#: Uses 0.2 CPU-seconds.
BURN = "import time\nwhile time.thread_time() < 0.2: pass"


@contextmanager
def ready(code: str) -> Iterator[int]:
    """A process that has run `code`, and is still there."""
    arguments = [sys.executable, "-c", f"{code}\nprint('ready', flush=True)\ninput()"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.communicate(b"\n", timeout=30)


def test_children_that_have_ended_count() -> None:
    with ready(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])") as pid:
        found = usage(pid)
    assert found.cpu_seconds > 0.19
    assert found.alive == 1


def test_children_that_live_count() -> None:
    child = f"{BURN}\nprint(flush=True)\ninput()"
    start = (
        f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE, "
        "stdout=subprocess.PIPE)\nchild.stdout.readline()"
    )
    with ready(start) as pid:
        found = usage(pid)
    assert found.cpu_seconds > 0.2
    assert found.alive == 2


def test_threads_that_have_ended_count() -> None:
    start = f"import threading\nthread = threading.Thread(target=exec, args=({BURN!r}, {{}}))"
    with ready(f"{start}\nthread.start()\nthread.join()") as pid:
        assert usage(pid).cpu_seconds > 0.19


def test_memory() -> None:
    with ready("pass") as pid:
        without = tree_bytes(pid)
    with ready("kept = bytes(range(256)) * 40_000") as pid:
        gained = tree_bytes(pid) - without
    assert 9_000_000 < gained < 14_000_000


def test_what_starts_on_a_processor_stays_there_and_this_one_is_free_again() -> None:
    before = os.sched_getaffinity(0)
    script = [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"]
    with on_processor(-1):
        child = subprocess.run(script, check=True, capture_output=True, text=True, timeout=60)
    assert child.stdout.strip() == f"[{max(before)}]"
    assert os.sched_getaffinity(0) == before
    with on_processor(None):
        assert os.sched_getaffinity(0) == before
