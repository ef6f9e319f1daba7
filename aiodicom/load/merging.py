"""Results of parts of one load, on several cores or machines, added.

Counts and histograms are added exactly: percentiles of the sum are those that one process would have measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any, Final, TypeVar

import msgspec

from aiodicom.load import figures, thresholds
from aiodicom.load.histogram import Histogram
from aiodicom.load.results import (
    Associations,
    Generator,
    Interval,
    Operation,
    Percentiles,
    Result,
)
from aiodicom.load.series import joined, joined_operation

__all__ = ["merge"]

#: Parts that began within so many seconds of one another began together: clocks do not agree better.
_TOGETHER: Final = 1.0
#: Examples that the sum keeps.
_EXAMPLES: Final = 20

Value = TypeVar("Value")


def merge(results: Sequence[Result], *, together: bool = False) -> Result:
    """Adds results of parts that ran at the same time. `together`: they have begun at one moment, whatever they say of
    when that was, such as before they have begun.

    What cannot be added is the highest of the parts: the 99th percentile of a single second, the generator's lag and
    CPU; the median of a second is weighted by the parts' counts. The peak of open associations is the sum of theirs, so
    at most that. Raises ValueError, of one line, where a part ended before another had begun, and for histograms that
    are none.
    """
    if not results:
        raise ValueError("nothing to merge")
    starts = [0.0] * len(results) if together else _starts(results)
    begins = [start + result.warm_up_s for start, result in zip(starts, results, strict=True)]
    ends = [begin + result.seconds for begin, result in zip(begins, results, strict=True)]
    begin, seconds = min(begins), max(ends) - min(begins)
    names = list(dict.fromkeys(name for result in results for name in result.operations))
    parts = {name: [result.operations[name] for result in results if name in result.operations] for name in names}
    merged = Result(
        version=_all_of(result.version for result in results),
        started=min((result.started for result in results), key=_moment),
        seconds=seconds,
        warm_up_s=begin,
        interrupted=any(result.interrupted for result in results),
        title=_all_of(result.title for result in results),
        targets=_distinct(target for result in results for target in result.targets),
        scenario=_common([result.scenario for result in results]),
        seed_made_up=all(result.seed_made_up for result in results),
        operations={name: _operation(parts[name], seconds) for name in names},
        associations=_associations([result.associations for result in results]),
        dropped=sum(result.dropped for result in results),
        generator=_generator([result.generator for result in results]),
        series=_series(results, starts),
        examples=_distinct(example for result in results for example in result.examples)[:_EXAMPLES],
    )
    expressions = _distinct(threshold.expression for result in results for threshold in result.thresholds)
    merged.thresholds = thresholds.judge(map(thresholds.parse, expressions), merged)
    return merged


def _starts(results: Sequence[Result]) -> list[float]:
    """When each part began, in seconds from the first."""
    moments = [_moment(result.started) for result in results]
    starts = [moment - min(moments) for moment in moments]
    if max(starts) < _TOGETHER:
        starts = [0.0] * len(starts)
    ends = [start + result.warm_up_s + result.seconds for start, result in zip(starts, results, strict=True)]
    if max(starts) > min(ends):
        raise ValueError(
            f"one run ended {max(starts) - min(ends):,.0f} s before another began: only runs of the same time can be "
            "merged, compare them instead"
        )
    return starts


def _moment(started: str) -> float:
    try:
        return datetime.fromisoformat(started).timestamp()
    except ValueError:
        raise ValueError(f"{started!r} is no time of a start") from None


def _operation(parts: Sequence[Operation], seconds: float) -> Operation:
    count = sum(part.count for part in parts)
    merged = Operation(
        count=count,
        errors=sum(part.errors for part in parts),
        rate_per_s=count / seconds if seconds else 0.0,
        bytes_sent=sum(part.bytes_sent for part in parts),
        bytes_received=sum(part.bytes_received for part in parts),
        matches=sum(part.matches for part in parts),
        statuses=_sum(part.statuses for part in parts),
        causes=_sum(part.causes for part in parts),
    )
    for kind, field in figures.LATENCIES.items():
        histogram, percentiles = _latencies(
            [(part.histograms.get(kind, ""), getattr(part, field)) for part in parts if getattr(part, field).max]
        )
        setattr(merged, field, percentiles)
        if histogram.count:
            merged.histograms[kind] = histogram.encode()
    return merged


def _latencies(parts: Sequence[tuple[str, Percentiles]]) -> tuple[Histogram, Percentiles]:
    """The sum of encoded histograms, with what was measured besides: a histogram rounds the longest up."""
    histogram, summed = Histogram(), 0.0
    for encoded, percentiles in parts:
        part = Histogram.decode(encoded)
        if not part.count:
            raise ValueError("a result has latencies without their histogram, to which nothing can be added")
        histogram.merge(part)
        summed += percentiles.mean * part.count
    longest = max((percentiles.max for _, percentiles in parts), default=0.0)
    values = msgspec.structs.asdict(histogram.milliseconds())
    values = {name: min(value, longest) for name, value in values.items()} | {"max": longest}
    return histogram, Percentiles(**values | {"mean": summed / histogram.count if histogram.count else 0.0})


def _associations(parts: Sequence[Associations]) -> Associations:
    return Associations(
        opened=sum(part.opened for part in parts),
        peak=sum(part.peak for part in parts),
        opening_s=max(part.opening_s for part in parts),
        released=sum(part.released for part in parts),
        rejected=sum(part.rejected for part in parts),
        aborted=sum(part.aborted for part in parts),
        causes=_sum(part.causes for part in parts),
    )


def _generator(parts: Sequence[Generator]) -> Generator:
    return Generator(
        lag_p99_ms=max(part.lag_p99_ms for part in parts),
        lag_max_ms=max(part.lag_max_ms for part in parts),
        cpu_percent=max(part.cpu_percent for part in parts),
        peak_memory_bytes=sum(part.peak_memory_bytes for part in parts),
        workers=sum(part.workers for part in parts),
        workers_lost=sum(part.workers_lost for part in parts),
        limited=any(part.limited for part in parts),
        reason=_all_of(part.reason for part in parts),
    )


# --- the series ------------------------------------------------------------------------------------------------------


def _series(results: Sequence[Result], starts: Sequence[float]) -> list[Interval]:
    """All parts on one axis of time, in intervals as wide as the wider ones that they have."""
    # About a second, or several: the clock's fractions are not to add up.
    width = max(round(figures.interval_seconds(result.series)) for result in results) or 1
    slots: dict[int, dict[int, Interval]] = {}
    for number, (result, start) in enumerate(zip(results, starts, strict=True)):
        offset = round(start / width) * width
        for interval in result.series:
            # By a point within, since neither starts nor ends are whole; what is longer begins there.
            slot = int((offset + interval.start_s + min(interval.seconds, width) / 2) // width)
            parts = slots.setdefault(slot, {})
            parts[number] = joined(parts[number], interval) if number in parts else interval
    return [_interval(float(slot * width), list(slots[slot].values())) for slot in sorted(slots)]


def _interval(start: float, parts: Sequence[Interval]) -> Interval:
    """The same interval of several parts."""
    names = _distinct(name for part in parts for name in part.operations)
    return Interval(
        start_s=start,
        seconds=max(part.seconds for part in parts),
        is_warm_up=all(part.is_warm_up for part in parts),
        operations={
            name: reduce(joined_operation, [part.operations[name] for part in parts if name in part.operations])
            for name in names
        },
        associations_open=sum(part.associations_open for part in parts),
        dropped=sum(part.dropped for part in parts),
        planned_per_s=sum(part.planned_per_s for part in parts),
        lag_p99_ms=max(part.lag_p99_ms for part in parts),
        cpu_percent=max(part.cpu_percent for part in parts),
    )


# --- texts and counts ------------------------------------------------------------------------------------------------


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    added: Counter[str] = Counter()
    for each in counts:
        added.update(each)
    return dict(added)


def _distinct(values: Iterable[Value]) -> list[Value]:
    return list(dict.fromkeys(values))


def _all_of(texts: Iterable[str]) -> str:
    return "; ".join(filter(None, dict.fromkeys(texts)))


def _common(scenarios: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """What all scenarios have in common."""
    first, *others = scenarios
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
