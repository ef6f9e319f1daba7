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
    """`calibrate()` has to be called before what is measured.

    A run is what it took at best since the first calibration: other programs only ever add, and now and then they do
    for all of one calibration, by half and more. What is measured then would seem so much faster.
    """

    def __init__(self) -> None:
        self._seconds_per_run = 1e-6
        self._is_calibrated = False

    def calibrate(self) -> None:
        """Times the loop; takes some ten milliseconds, the first time ten times as long."""
        rounds = _ROUNDS if self._is_calibrated else 10 * _ROUNDS
        seconds_per_run = min(_loop(_RUNS) for _ in range(rounds)) / _RUNS
        if self._is_calibrated:
            seconds_per_run = min(seconds_per_run, self._seconds_per_run)
        self._seconds_per_run = seconds_per_run
        self._is_calibrated = True

    def __repr__(self) -> str:
        return "LoopClock()"

    def __call__(self) -> float:
        return time.perf_counter() / self._seconds_per_run * 1e-6
