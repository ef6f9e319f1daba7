"""How much of what arrives may be in memory at once."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from aiodicom.ul._pdu import Budget

__all__ = ["default_budget"]

#: The part of the machine's memory that data sets on their way may have unless something else is said, and the most.
_SHARE = 0.25
_MOST = 1 << 30

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@cache
def default_budget() -> Budget:
    """Returns what all associations of this process share that were given no budget of their own: a quarter of the
    memory, at most 1 GiB.
    """
    return Budget(int(min(_MOST, _SHARE * _memory())))


def _memory() -> int:
    """Bytes of memory that the machine has, or the container."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(memory, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # there is no such limit
        return memory
