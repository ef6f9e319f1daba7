"""Adding results: exactly, or not at all."""

from __future__ import annotations

import random
from typing import Any

import pytest

from aiodicom.load.merging import merge
from aiodicom.load.results import (
    Associations,
    Generator,
    Interval,
    IntervalOperation,
    Operation,
    Percentiles,
    Result,
    Threshold,
)
from tests.load.made import operation, run


def part(latencies: list[float], started: str = "2026-01-01T12:00:00Z", **more: Any) -> Result:
    """A run of 10 s with these latencies."""
    made = Result(started=started, seconds=10.0, operations={"store": operation(latencies)})
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_percentiles_are_those_of_one_process() -> None:
    chance = random.Random(3)
    latencies = [chance.lognormvariate(-4, 1) for _ in range(10_000)]
    parts = [part(latencies[:10]), part(latencies[10:6000]), part(latencies[6000:])]
    merged, whole = merge(parts).operations["store"], operation(latencies)
    assert merged.count == whole.count
    assert merged.rate_per_s == whole.rate_per_s
    assert merged.histograms == whole.histograms
    for field in ("planned_latency_ms", "actual_latency_ms"):
        one, other = getattr(merged, field), getattr(whole, field)
        assert (one.p50, one.p90, one.p95, one.p99, one.p99_9, one.max) == pytest.approx(
            (other.p50, other.p90, other.p95, other.p99, other.p99_9, other.max), rel=1e-12
        )
        assert one.mean == pytest.approx(other.mean, rel=1e-12)


def test_parts_that_began_together_whatever_they_say() -> None:
    waiting = [part([], "2026-01-01T12:00:00Z", seconds=0.0), part([], "2026-01-01T12:00:09Z", seconds=0.0)]
    assert merge(waiting, together=True).seconds == 0
    began = [part([0.1], "2026-01-01T12:00:00Z"), part([0.1], "2026-01-01T12:00:02Z")]
    assert (merge(began, together=True).seconds, merge(began).seconds) == (10, 12)


def test_counts_are_added() -> None:
    one, two = run(seed=1), run(seed=2)
    one.operations["find"].matches, two.operations["find"].matches = 100, 20
    merged = merge([one, two])
    assert merged.operations["find"].matches == 120
    assert merged.operations["store"].count == sum(each.operations["store"].count for each in (one, two))
    assert merged.operations["store"].causes == {"status A700H": 6, "timeout: dimse": 2}
    assert merged.operations["store"].statuses == {"0000H": 9600, "A700H": 6}
    assert merged.associations == Associations(
        opened=42, peak=40, released=40, aborted=2, causes={"aborted by peer": 2}
    )
    assert (merged.dropped, merged.seconds, merged.warm_up_s) == (14, 60.0, 5.0)
    assert merged.targets == one.targets
    assert merged.scenario == one.scenario
    assert (merged.title, merged.examples) == (one.title, one.examples)


def test_one_is_itself() -> None:
    one = run()
    merged = merge([one])
    assert merged.series == one.series
    assert merged.operations.keys() == one.operations.keys()
    for name, each in merged.operations.items():
        assert each.planned_latency_ms.p99 == one.operations[name].planned_latency_ms.p99
        assert each.histograms == one.operations[name].histograms


def test_an_operation_of_one_part_only() -> None:
    other = part([0.2])
    other.operations = {"echo": operation([0.001])}
    merged = merge([part([0.1]), other])
    assert {name: each.count for name, each in merged.operations.items()} == {"store": 1, "echo": 1}


def test_the_generator_is_the_busiest() -> None:
    one = Generator(lag_p99_ms=1.0, lag_max_ms=9.0, cpu_percent=50.0, peak_memory_bytes=10, workers=2)
    two = Generator(lag_p99_ms=2.0, lag_max_ms=3.0, cpu_percent=95.0, peak_memory_bytes=5, limited=True, reason="CPU")
    assert merge([part([], generator=one), part([], generator=two)]).generator == Generator(
        lag_p99_ms=2.0, lag_max_ms=9.0, cpu_percent=95.0, peak_memory_bytes=15, workers=3, limited=True, reason="CPU"
    )


def test_thresholds_are_judged_again() -> None:
    mine = [Threshold(expression="rate>1.5/s", value=1.0, crossed=True)]
    other = [*mine, Threshold(expression="store.p50<150ms", value=100.0, crossed=False)]
    merged = merge([part([0.1] * 10, thresholds=mine), part([0.2] * 30, thresholds=other)])
    assert [(each.expression, each.crossed) for each in merged.thresholds] == [
        ("rate>1.5/s", False),
        ("store.p50<150ms", True),
    ]


def interval(start: float, seconds: float = 1.0, count: int = 0, **more: Any) -> Interval:
    """One of the series."""
    operations = {"store": IntervalOperation(count=count, p50_ms=1.0, p99_ms=float(count), max_ms=9.0)} if count else {}
    return Interval(start_s=start, seconds=seconds, operations=operations, **more)


def test_series_are_laid_on_one_another() -> None:
    one = part([], series=[interval(0, count=1, associations_open=3), interval(1, count=2, planned_per_s=10.0)])
    # Began two seconds later.
    two = part([], "2026-01-01T12:00:02+00:00")
    two.series = [interval(0, count=5), interval(1, count=6, associations_open=4, dropped=1)]
    one.series.append(interval(2, count=3, associations_open=2, planned_per_s=7.0))
    merged = merge([one, two])
    assert [(each.start_s, each.operations["store"].count) for each in merged.series] == [
        (0, 1),
        (1, 2),
        (2, 8),
        (3, 6),
    ]
    third = merged.series[2]
    assert (third.associations_open, third.planned_per_s, third.operations["store"].p99_ms) == (2, 7.0, 5.0)
    assert (merged.seconds, merged.started) == (12.0, "2026-01-01T12:00:00Z")


def test_series_of_several_widths() -> None:
    wide = part([], series=[interval(0, 2.0, count=10), interval(2.0, 2.0, count=10)])
    narrow = part([], series=[interval(0.0, 1.001, count=1), interval(1.001, 0.999, count=1), interval(2, 1, count=1)])
    merged = merge([wide, narrow])
    assert [(each.start_s, each.seconds) for each in merged.series] == [(0, 2.0), (2, 2.0)]
    assert [each.operations["store"].count for each in merged.series] == [12, 11]


def test_a_long_rest_at_the_end_leaves_the_seconds_as_they_are() -> None:
    one = part([], series=[interval(0, count=1), interval(1, count=1), interval(2, 5.9, count=1)])
    two = part([], series=[interval(0, count=1), interval(1, count=1), interval(2, count=1), interval(3, 0.1, count=1)])
    merged = merge([one, two])
    assert [(each.start_s, each.seconds) for each in merged.series] == [(0, 1), (1, 1), (2, 5.9), (3, 0.1)]
    assert [each.operations["store"].count for each in merged.series] == [2, 2, 2, 1]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "nothing to merge"),
        ([part([]), part([], "2026-01-01T12:00:20Z")], "ended 10 s before another began"),
        ([part([]), part([], "yesterday")], "'yesterday' is no time"),
        (
            [
                Result(
                    started="2026-01-01T12:00:00Z",
                    operations={"echo": Operation(planned_latency_ms=Percentiles(max=1))},
                )
            ],
            "without their histogram",
        ),
    ],
)
def test_what_cannot_be_added(parts: list[Result], words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        merge(parts)
    assert "\n" not in str(error.value)


def test_a_histogram_that_is_none() -> None:
    broken = part([0.1])
    broken.operations["store"].histograms["planned"] = "HISTFAAAnonsense"
    with pytest.raises(ValueError, match="histogram"):
        merge([part([0.1]), broken])
