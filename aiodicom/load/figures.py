"""What is computed from a result, for all that show or judge one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from aiodicom.load.results import Interval, Operation, Result

__all__ = [
    "ASSOCIATION_STEPS",
    "LATENCIES",
    "PERCENTILES",
    "Total",
    "bytes_per_s",
    "causes",
    "dropped_share",
    "flattened",
    "has_succeeded",
    "interval_seconds",
    "mix",
    "ordered",
    "share",
    "total",
]

#: What an association takes besides the operations of the mix.
ASSOCIATION_STEPS: Final = ("associate", "release")
#: The fields of `results.Percentiles` that people look at, with what they call them.
PERCENTILES: Final = {"p50": "p50", "p90": "p90", "p99": "p99", "p99_9": "p99.9", "max": "max"}
#: The latencies of an operation: what `Operation.histograms` calls them, and the field of `Operation`.
LATENCIES: Final = {
    "planned": "planned_latency_ms",
    "actual": "actual_latency_ms",
    "first_response": "first_response_ms",
}


@dataclass(frozen=True, slots=True)
class Total:
    """All operations of the mix together."""

    count: int
    errors: int
    rate_per_s: float
    bytes_per_s: float


def mix(result: Result) -> dict[str, Operation]:
    """The operations that the run was for: without those that open and close associations, unless it was for these."""
    operations = {name: each for name, each in result.operations.items() if name not in ASSOCIATION_STEPS}
    return operations or dict(result.operations)


def ordered(result: Result) -> dict[str, Operation]:
    """All operations, those of the mix first."""
    return mix(result) | result.operations


def total(result: Result) -> Total:
    """The sums over the mix."""
    operations = mix(result).values()
    return Total(
        sum(each.count for each in operations),
        sum(each.errors for each in operations),
        sum(each.rate_per_s for each in operations),
        sum(bytes_per_s(each, result.seconds) for each in operations),
    )


def has_succeeded(result: Result) -> bool:
    """Whether any operation of the mix did."""
    return any(each.count > each.errors for each in mix(result).values())


def bytes_per_s(operation: Operation, seconds: float) -> float:
    """Bytes of data sets a second, both ways."""
    return (operation.bytes_sent + operation.bytes_received) / seconds if seconds else 0.0


def share(part: float, whole: float) -> float:
    """`part` of `whole` as a number from 0 to 1; 0 of nothing."""
    return part / whole if whole else 0.0


def dropped_share(result: Result) -> float:
    """What part of the operations that were to begin did not."""
    return share(result.dropped, total(result).count + result.dropped)


def causes(result: Result) -> dict[str, int]:
    """What went wrong by "operation: cause", the most frequent first; associations that were lost included."""
    counted = {
        f"{name}: {cause}": times for name, each in ordered(result).items() for cause, times in each.causes.items()
    }
    failed = result.operations.get(ASSOCIATION_STEPS[0], Operation()).causes
    for cause, times in result.associations.causes.items():
        # Those that could not be opened are errors of "associate" already.
        if times > failed.get(cause, 0):
            counted[f"association: {cause}"] = times - failed.get(cause, 0)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def interval_seconds(series: Sequence[Interval]) -> float:
    """How long intervals of a series are: the median, since the last may be a rest, or all that came after the end."""
    return median(interval.seconds for interval in series) if series else 1.0


def flattened(values: object, path: str = "") -> dict[str, Any]:
    """The leaves of a scenario by their path, such as ``stages[0].rate``."""
    if isinstance(values, Mapping):
        children = [(f"{path}.{key}" if path else str(key), each) for key, each in values.items()]
    elif isinstance(values, list) and any(isinstance(each, (Mapping, list)) for each in values):
        children = [(f"{path}[{index}]", each) for index, each in enumerate(values)]
    else:
        # TOML has no such thing as null: what is not there is not said.
        return {path: values} if path and values is not None else {}
    leaves: dict[str, Any] = {}
    for child, each in children:
        leaves |= flattened(each, child)
    return leaves
