"""The series of a run as CSV: a line for each interval and operation."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from aiodicom.load.results import IntervalOperation, Result

__all__ = ["COLUMNS", "write_csv"]

#: The last five are of the interval: each of its lines has them.
COLUMNS: Final = (
    "start_s",
    "seconds",
    "is_warm_up",
    "operation",
    "count",
    "errors",
    "bytes",
    "p50_ms",
    "p99_ms",
    "max_ms",
    "associations_open",
    "dropped",
    "planned_per_s",
    "lag_p99_ms",
    "cpu_percent",
)


def write_csv(result: Result, path: Path) -> None:
    """Writes the file (RFC 4180, UTF-8). An interval without operations has one line, with zeros. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for interval in result.series:
            for name, operation in (interval.operations or {"": IntervalOperation()}).items():
                writer.writerow(
                    (
                        round(interval.start_s, 3),
                        round(interval.seconds, 3),
                        int(interval.is_warm_up),
                        name,
                        operation.count,
                        operation.errors,
                        operation.bytes,
                        round(operation.p50_ms, 3),
                        round(operation.p99_ms, 3),
                        round(operation.max_ms, 3),
                        interval.associations_open,
                        interval.dropped,
                        round(interval.planned_per_s, 3),
                        round(interval.lag_p99_ms, 3),
                        round(interval.cpu_percent, 3),
                    )
                )
