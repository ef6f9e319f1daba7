"""A clock that counts runs of a loop in plain Python, so that a figure means much the same on another machine.

One run of the loop is called a microsecond, which it is on some machine, and pytest-benchmark prints times as if they
were seconds.
"""

from __future__ import annotations

import struct
import time

__all__ = ["LoopClock"]

_ROUNDS, _RUNS = 40, 400
_HEADER = struct.Struct(">BxI")


def _loop(runs: int) -> float:
    """Seconds for so many runs of what the engine's Python code does most: look up, slice, unpack, make tuples."""
    buffer = bytes(range(64))
    view, table = memoryview(buffer), dict.fromkeys(range(256), 1)
    started = time.perf_counter()
    for run in range(runs):
        kind, length = _HEADER.unpack_from(view, run & 31)
        found = table.get(kind)
        piece = view[run & 15 : 32]
        _ = (found, length, bytes(piece), len(piece), isinstance(piece, memoryview))
    return time.perf_counter() - started


class LoopClock:
    """`calibrate()` has to be called before what is measured, and near it: the speed of a machine drifts."""

    def __init__(self) -> None:
        self._seconds_per_run = 1e-6

    def calibrate(self) -> None:
        """Times the loop; takes some ten milliseconds."""
        # The fastest of many: other programs only ever add.
        self._seconds_per_run = min(_loop(_RUNS) for _ in range(_ROUNDS)) / _RUNS

    def __repr__(self) -> str:
        return "LoopClock()"

    def __call__(self) -> float:
        return time.perf_counter() / self._seconds_per_run * 1e-6
