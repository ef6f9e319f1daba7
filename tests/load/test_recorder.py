"""What is counted, and what is not: warm-up, errors, intervals, the generator itself."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from aiodicom.errors import AssociationAborted, AssociationRejected, ConnectionLost, StatusError
from aiodicom.load import recorder as module
from aiodicom.load.histogram import Histogram
from aiodicom.load.recorder import Recorder
from aiodicom.load.results import Interval, IntervalOperation
from aiodicom.load.scenario import scenario_from
from aiodicom.load.series import Series


def made(**values: Any) -> Recorder:
    scenario = scenario_from({"targets": [{"host": "pacs", "port": 104}], "duration": "100s", **values}, "")
    recorder = Recorder(scenario, 0.0)
    recorder.begin(0.0)
    return recorder


def test_operations_and_their_errors() -> None:
    recorder = made(title="T")
    tally = recorder.tally("store")
    tally.ended(0.0, 0.5, 1.0, sent=100)
    tally.warned(1.0, 0xB000)
    tally.ended(1.0, 1.0, 1.1, sent=100)
    recorder.failed("store", 1.0, 1.0, 3.0, StatusError(0xA700, "no room"), 100)
    recorder.failed("store", 1.0, 1.0, 3.0, ConnectionLost("gone"))
    recorder.close_interval(4.0, 0)
    result = recorder.result(4.0)
    store = result.operations["store"]
    assert (store.count, store.errors, store.bytes_sent, store.rate_per_s) == (4, 2, 300, 1)
    assert store.statuses == {"0000H": 1, "B000H": 1, "A700H": 1}
    assert store.causes == {"status A700H": 1, "connection lost": 1}
    assert store.planned_latency_ms.max == 2000
    assert (store.planned_latency_ms.p50, store.actual_latency_ms.p50) == pytest.approx((1000, 500), rel=1e-3)
    assert Histogram.decode(store.histograms["planned"]).count == 4
    assert result.examples == ["store: status A700H: no room", "store: connection lost: gone"]
    assert (result.title, result.targets, result.seconds) == ("T", ["pacs:104"], 4)


def test_the_warm_up_is_not_in_the_figures() -> None:
    recorder = made(warm_up="10s")
    recorder.associated(0.0, 0.1)
    tally = recorder.tally("echo")
    tally.ended(1.0, 1.0, 9.0)
    recorder.dropped += 5
    recorder.close_interval(5.0, 0)
    tally.ended(6.0, 6.0, 6.1)
    recorder.begin_measuring(10.0, 50.0)
    tally.ended(9.0, 9.0, 10.5)  # planned before
    tally.ended(10.0, 10.0, 10.2)
    recorder.tally("find").ended(9.9, 9.9, 10.1)
    recorder.close_interval(11.0, 0)
    result = recorder.result(12.0)
    assert (result.warm_up_s, result.seconds, result.dropped) == (10, 2, 0)
    assert result.operations["echo"].count == 1
    assert result.operations["echo"].actual_latency_ms.max == pytest.approx(200)
    assert "find" not in result.operations
    assert result.operations["associate"].count == 1
    assert [(each.start_s, each.is_warm_up, each.dropped) for each in result.series] == [
        (0, True, 5),
        (5, True, 0),
        (10, False, 0),
    ]


def test_associations() -> None:
    recorder = made()
    for number in range(3):
        recorder.associated(0.0, 0.1 * number)
    recorder.not_associated(0.0, 0.1, AssociationRejected(1, 1, 7))
    recorder.not_associated(0.0, 0.1, AssociationAborted(0, 0))
    recorder.released_one(1.0, 1.1)
    recorder.lost(ConnectionLost("gone"))
    recorder.close_interval(2.0, 0)
    result = recorder.result(2.0)
    found = result.associations
    assert (found.opened, found.peak, found.released, found.rejected, found.aborted) == (3, 3, 1, 1, 2)
    assert found.causes == {
        "rejected: called AE title not recognized": 1,
        "aborted by peer": 1,
        "connection lost": 1,
    }
    assert result.series[0].associations_open == 1
    assert (result.operations["associate"].count, result.operations["associate"].errors) == (5, 2)


def test_an_interval_has_what_ended_in_it() -> None:
    recorder = made()
    tally = recorder.tally("echo")
    for _ in range(10):
        tally.ended(0.0, 0.0, 0.010, received=5)
    first = recorder.close_interval(1.0, 50.0)
    assert first is not None
    assert first.operations["echo"].count == 10
    assert first.operations["echo"].bytes == 50
    assert first.operations["echo"].p50_ms == pytest.approx(10, rel=1e-3)
    assert first.planned_per_s == 50
    assert recorder.close_interval(1.0, 0) is None
    second = recorder.close_interval(2.0, 0)
    assert second is not None
    assert second.operations == {}


def test_when_the_generator_was_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    used, waited = iter([0.0, 0.0, 0.95, 1.95]), iter([0.0, 0.0, 0.3, 0.3])
    monkeypatch.setattr(module, "processor_seconds", lambda: next(used))
    monkeypatch.setattr(module, "waiting_seconds", lambda: next(waited))
    recorder = made()
    for _ in range(50):
        recorder.late(0.05)
    recorder.close_interval(1.0, 0)
    generator = recorder.result(1.0).generator
    assert generator.limited
    assert generator.cpu_percent == pytest.approx(95)
    assert generator.lag_max_ms == pytest.approx(50)
    assert generator.reason == (
        "its process used 95% of a core and other processes of this machine kept it waiting for 30% of the time and "
        "1 in 100 operations began 50 ms late or later"
    )
    assert generator.peak_memory_bytes > 1_000_000


def test_a_generator_that_was_not() -> None:
    recorder = made()
    recorder.late(0.001)
    generator = recorder.result(1000.0).generator
    assert not generator.limited
    assert generator.reason == ""


def interval(start: float, count: int = 1, **more: Any) -> Interval:
    operation = IntervalOperation(count=count, errors=1, bytes=10, p50_ms=count, p99_ms=start, max_ms=start)
    return Interval(start_s=start, operations={"echo": operation}, dropped=1, **more)


def test_a_series_stays_short_and_whole() -> None:
    series = Series(most=8)
    for number in range(100):
        series.append(interval(number))
    kept = series.intervals()
    assert len(kept) <= 8
    assert sum(each.seconds for each in kept) == 100
    assert sum(each.operations["echo"].count for each in kept) == 100
    assert sum(each.dropped for each in kept) == 100
    assert [each.start_s for each in kept] == [each.start_s for each in sorted(kept, key=lambda each: each.start_s)]
    for before, after in pairwise(kept):
        assert before.start_s + before.seconds == after.start_s
    assert kept[-1].operations["echo"].max_ms == 99


def test_warm_up_is_not_joined_with_what_follows() -> None:
    series = Series(most=3)
    for number in range(6):
        series.append(interval(number, is_warm_up=number < 3))
    kept = series.intervals()
    assert sum(each.seconds for each in kept if each.is_warm_up) == 3
    assert sum(each.seconds for each in kept if not each.is_warm_up) == 3


def test_joined_medians_are_weighted() -> None:
    series = Series(most=1)
    series.append(interval(0, count=1))
    series.append(interval(1, count=3))
    (only,) = series.intervals()
    assert only.operations["echo"].p50_ms == pytest.approx(2.5)
    assert only.operations["echo"].p99_ms == 1
