"""What a test may not leave behind: open file descriptors and child processes, as /proc tells them; and what it may not
leave to the garbage collector.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HAVE_PROC = Path("/proc/self/fd").is_dir()


def open_descriptors() -> dict[int, str]:
    """The open file descriptors of this process, with what each refers to (`socket:[12345]`, a path ...)."""
    found: dict[int, str] = {}
    if not HAVE_PROC:
        return found
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the descriptor of the listing itself
            continue
    return found


def child_processes() -> dict[int, str]:
    """The child processes of this process, zombies included, with their command lines."""
    found: dict[int, str] = {}
    if not HAVE_PROC:
        return found
    for task in Path("/proc/self/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            found[child] = command.strip() or "(ended, not waited for)"
    return found


def _is_being_read(target: str) -> bool:
    """A thread of codecs whose work outlives the test, because it was cancelled in the middle of it, looks this up."""
    return target.startswith("/proc/") and target.endswith("/schedstat")


def _resource_tracker() -> tuple[int | None, int | None]:
    """multiprocessing starts one helper process for the rest of the process's life: its pid and our end of its pipe."""
    module = sys.modules.get("multiprocessing.resource_tracker")
    tracker = getattr(module, "_resource_tracker", None)
    return getattr(tracker, "_pid", None), getattr(tracker, "_fd", None)


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Fails if the body leaves a descriptor or a child process that was not there before."""
    descriptors, children = open_descriptors(), child_processes()
    yield
    # Dropped transports and sockets warn (ResourceWarning) when they are collected: have that happen within this test.
    gc.collect()
    tracker_pid, tracker_fd = _resource_tracker()
    left = [
        f"descriptor {fd}: {target}"
        for fd, target in open_descriptors().items()
        if descriptors.get(fd) != target and fd != tracker_fd and not _is_being_read(target)
    ]
    left += [
        f"child process {pid}: {command}"
        for pid, command in child_processes().items()
        if pid not in children and pid != tracker_pid
    ]
    if left:
        raise AssertionError("left behind by the test: " + "; ".join(left))


@contextmanager
def no_garbage() -> Iterator[None]:
    """Fails if the body leaves objects of ours in reference cycles: the memory that they hold, of data sets as a rule,
    waits for the garbage collector, and is missing to what comes next.
    """
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        # asyncio's transports know themselves, and their sockets.
        found = {type(each) for each in gc.garbage if not isinstance(each, socket.socket)}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        gc.collect()
    ours = sorted(kind.__qualname__ for kind in found if kind.__module__.startswith("aiodicom."))
    assert not ours, f"left to the garbage collector: {', '.join(ours)}"
