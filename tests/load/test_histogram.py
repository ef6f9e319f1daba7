"""The histogram against HdrHistogram itself."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from aiodicom.load.histogram import HIGHEST, Histogram

PERCENTILES = (0.001, 1, 25, 50, 75, 90, 99, 99.9, 99.99, 100)


def recorded(values: list[int]) -> tuple[Histogram, HdrHistogram]:
    """The same microseconds in both."""
    ours, theirs = Histogram(), HdrHistogram(1, HIGHEST, 3)
    ours.record_all(np.array(values) / 1e6)
    for value in values:
        theirs.record_value(value)
    return ours, theirs


def values(count: int, seed: int = 1) -> list[int]:
    """From 1 microsecond to an hour."""
    chance = random.Random(seed)
    return [min(max(int(10 ** chance.uniform(0, 9.56)), 1), HIGHEST) for _ in range(count)]


def test_it_counts_as_hdr_histogram_does() -> None:
    edges = [edge + offset for edge in (1024, 2048, 4096, 1 << 20, 1 << 31) for offset in (-1, 0, 1)]
    ours, theirs = recorded([1, 2, *edges, HIGHEST - 1, HIGHEST, *values(1000)])
    assert ours.counts.tolist() == list(theirs.counts)
    assert ours.encode() == theirs.encode().decode()
    for percentile in PERCENTILES:
        assert ours.percentile(percentile) == min(theirs.get_value_at_percentile(percentile), HIGHEST)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 99, 101])
def test_percentiles_of_few(count: int) -> None:
    ours, theirs = recorded(sorted(values(count, count)))
    for percentile in PERCENTILES:
        assert ours.percentile(percentile) == min(theirs.get_value_at_percentile(percentile), ours.longest)


def test_the_longest_is_exact() -> None:
    histogram = Histogram()
    histogram.record_all(np.array([0.001, 1.2345678]))
    figures = histogram.milliseconds()
    assert figures.max == pytest.approx(1234.5678)
    assert figures.p99_9 == figures.max  # not the top of its class, which nothing has reached
    assert figures.mean == pytest.approx((1 + 1234.5678) / 2)


def test_what_is_beyond_the_scale() -> None:
    histogram = Histogram()
    histogram.record_all(np.array([0.0, 1e-9, -1.0, 1e9]))
    assert histogram.count == 4
    assert histogram.counts[1] == 3
    assert histogram.percentile(100) == HIGHEST


def test_merging_is_adding() -> None:
    one, other, both = values(500, 1), values(700, 2), Histogram()
    both.record_all(np.array(one + other) / 1e6)
    merged = recorded(one)[0]
    merged.merge(recorded(other)[0])
    assert merged.counts.tolist() == both.counts.tolist()
    assert (merged.count, merged.longest) == (both.count, both.longest)
    assert merged.milliseconds().p99 == both.milliseconds().p99


def test_it_comes_back_from_its_encoding() -> None:
    ours, _ = recorded(values(1000))
    decoded = Histogram.decode(ours.encode())
    assert decoded.counts.tolist() == ours.counts.tolist()
    assert decoded.count == ours.count
    assert decoded.longest == pytest.approx(ours.longest, rel=1e-3)
    assert decoded.total == pytest.approx(ours.total, rel=1e-3)


def test_nothing() -> None:
    histogram = Histogram()
    histogram.record_all(np.array([]))
    assert histogram.encode() == ""
    assert Histogram.decode("").count == 0
    assert histogram.milliseconds() == Histogram().milliseconds()
    assert histogram.percentile(99) == 0


@pytest.mark.parametrize("text", ["x", "SGVsbG8=", HdrHistogram(1, 1000, 2).encode().decode()])
def test_what_is_no_histogram(text: str) -> None:
    with pytest.raises(ValueError, match="histogram"):
        Histogram.decode(text)
