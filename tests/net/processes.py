"""What the tests with processes of their own share: their memory, as /proc tells it."""

from __future__ import annotations

from pathlib import Path

MIB = 1 << 20


def resident(pid: int | str = "self") -> int:
    """Bytes of memory that a process has now."""
    return _status(pid, "VmRSS")


def peak(pid: int | str = "self") -> int:
    """The most bytes of memory that a process has ever had."""
    return _status(pid, "VmHWM")


def forget_peak() -> None:
    """Has `peak()` of this process begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(pid: int | str, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no {name}: it has ended")
