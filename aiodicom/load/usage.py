"""What this process takes of its machine, and what it does not get."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path
from time import process_time
from typing import Final

__all__ = ["peak_memory_bytes", "processor_seconds", "waiting_seconds"]

#: Linux: nanoseconds on a processor, nanoseconds ready to run and waiting for one, turns.
_SCHEDSTAT: Final = Path("/proc/self/schedstat")


def processor_seconds() -> float:
    """Processor time of this process, in seconds."""
    return process_time()


def waiting_seconds() -> float:
    """How long the main thread was ready to run while others had the processor, in seconds; 0 where nobody tells."""
    with suppress(OSError, ValueError, IndexError):
        return int(_SCHEDSTAT.read_text().split()[1]) / 1e9
    return 0.0


def peak_memory_bytes() -> int:
    """The most resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
