"""What a run came to: the JSON file that `aiodicom load --json` writes, and that compare and merge read.

Structs alone; `load.recorder` fills them, `load.merging` adds them, reports read them. Times that end in `_ms` are
milliseconds, `_s` seconds, `_per_s` events a second of the measured part of the run (warm-up excluded).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = [
    "Associations",
    "Generator",
    "Interval",
    "IntervalOperation",
    "Operation",
    "Percentiles",
    "Result",
    "Threshold",
    "encode",
    "read_result",
    "write_result",
]

#: What the file says it is: a file of another major version is refused.
FORMAT = 1


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies in milliseconds; all 0 where nothing was measured."""

    p50: float = 0.0
    p90: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    p99_9: float = 0.0
    max: float = 0.0
    mean: float = 0.0


class Operation(msgspec.Struct, kw_only=True):
    """One operation of the mix (echo, store, find ...), or the associate and release that it took."""

    #: Operations that ended in the measured part, errors included.
    count: int = 0
    errors: int = 0
    rate_per_s: float = 0.0
    #: Bytes of data sets sent and received.
    bytes_sent: int = 0
    bytes_received: int = 0
    #: What C-FIND has found; of C-GET and C-MOVE, the instances that were sent.
    matches: int = 0
    #: From when it should have begun; the same as the actual ones in a closed model.
    planned_latency_ms: Percentiles = Percentiles()
    #: From when it began.
    actual_latency_ms: Percentiles = Percentiles()
    #: Until the first response of those that have several (C-FIND, C-GET, C-MOVE).
    first_response_ms: Percentiles = Percentiles()
    #: How often each final status came, as "0000H".
    statuses: dict[str, int] = {}
    #: What the errors were: see `load.causes`.
    causes: dict[str, int] = {}
    #: HdrHistogram's V2 encoding, base64, microseconds, by "planned", "actual", "first_response".
    histograms: dict[str, str] = {}


class Associations(msgspec.Struct, kw_only=True):
    opened: int = 0
    peak: int = 0
    #: How long it took to open those that the run began with, in seconds.
    opening_s: float = 0.0
    released: int = 0
    rejected: int = 0
    aborted: int = 0
    #: Those that could not be opened, rejections included, or ended badly, by cause.
    causes: dict[str, int] = {}


class IntervalOperation(msgspec.Struct, kw_only=True):
    """An operation within one interval of the series."""

    count: int = 0
    errors: int = 0
    bytes: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    #: What the errors were.
    causes: dict[str, int] = {}


class Interval(msgspec.Struct, kw_only=True):
    """One second of the run; several seconds of one that is longer than the series may be (`load.recorder`)."""

    #: Since the start of the run, warm-up included.
    start_s: float
    seconds: float = 1.0
    is_warm_up: bool = False
    operations: dict[str, IntervalOperation] = {}
    associations_open: int = 0
    dropped: int = 0
    #: What the executor wanted to begin a second; 0 in a closed model.
    planned_per_s: float = 0.0
    lag_p99_ms: float = 0.0
    cpu_percent: float = 0.0


class Generator(msgspec.Struct, kw_only=True):
    """How the load generator itself did."""

    #: How late operations were begun that could have begun in time.
    lag_p99_ms: float = 0.0
    lag_max_ms: float = 0.0
    #: Of one core; of a run in several processes, that of the busiest.
    cpu_percent: float = 0.0
    peak_memory_bytes: int = 0
    workers: int = 1
    #: Processes of these that ended before the run did.
    workers_lost: int = 0
    #: Whether it, not the peer, bounded what was measured, and why.
    limited: bool = False
    reason: str = ""


class Threshold(msgspec.Struct, kw_only=True):
    expression: str
    #: None where what it is about never happened.
    value: float | None = None
    crossed: bool = False


class Result(msgspec.Struct, kw_only=True):
    format: int = FORMAT
    version: str = ""
    #: ISO 8601, UTC.
    started: str = ""
    #: Of the measured part, and of the warm-up before it.
    seconds: float = 0.0
    warm_up_s: float = 0.0
    #: True when it ended before its time: SIGINT, or a threshold with --abort-on-fail.
    interrupted: bool = False
    title: str = ""
    targets: list[str] = []
    #: The scenario as it was run, as TOML would have it.
    scenario: dict[str, object] = {}
    #: Whether nobody had given the seed that the scenario has.
    seed_made_up: bool = False
    operations: dict[str, Operation] = {}
    associations: Associations = msgspec.field(default_factory=Associations)
    #: Operations that could not be begun in time, and were not begun.
    dropped: int = 0
    generator: Generator = msgspec.field(default_factory=Generator)
    thresholds: list[Threshold] = []
    series: list[Interval] = []
    #: Where the error limit has one: a few of what went wrong, in full.
    examples: list[str] = []


def encode(value: msgspec.Struct) -> bytes:
    """Returns JSON in one line. What is in milliseconds is rounded to the microsecond that it is measured to, other
    figures to six decimal places: what a machine's arithmetic adds beyond is nobody's figure. A scenario is as it was
    said.
    """
    return msgspec.json.encode(_rounded(msgspec.to_builtins(value), 6))


def _rounded(value: object, digits: int) -> object:
    match value:
        case float():
            return round(value, digits)
        case dict():
            return {
                key: each if key == "scenario" else _rounded(each, 3 if key.endswith("_ms") else digits)
                for key, each in value.items()
            }
        case list():
            return [_rounded(each, digits) for each in value]
        case _:
            return value


def write_result(result: Result, path: Path) -> None:
    """Writes the JSON file; raises OSError."""
    path.write_bytes(msgspec.json.format(encode(result), indent=2) + b"\n")


def read_result(path: Path) -> Result:
    """Reads what `write_result` wrote. Raises OSError, and ValueError that names the key at fault."""
    try:
        result = msgspec.json.decode(path.read_bytes(), type=Result)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: not the JSON of aiodicom load: {error}") from None
    if result.format != FORMAT:
        raise ValueError(f"{path}: written in format {result.format}; this aiodicom reads {FORMAT}")
    return result
