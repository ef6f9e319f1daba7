"""Thresholds: read, judged, and when they end a run."""

from __future__ import annotations

import re

import pytest

from aiodicom.load.results import Associations, Generator, Operation, Percentiles, Result
from aiodicom.load.thresholds import AbortOnFail, parse, value_text


def result(**more: object) -> Result:
    """1,000 stores in 10 s, of which 5 failed, and 500 echoes."""
    latency = Percentiles(p50=20.0, p90=50.0, p95=80.0, p99=150.0, p99_9=300.0, max=900.0, mean=25.0)
    store = Operation(
        count=1000,
        errors=5,
        rate_per_s=100.0,
        bytes_sent=500_000_000,
        planned_latency_ms=latency,
        actual_latency_ms=Percentiles(p50=10.0, p99=15.0, max=20.0),
    )
    echo = Operation(count=500, rate_per_s=50.0, planned_latency_ms=Percentiles(p50=1.0, p99=2.0, max=3.0))
    made = Result(
        seconds=10.0,
        operations={"store": store, "echo": echo, "associate": Operation(count=20, rate_per_s=2.0)},
        associations=Associations(opened=20, peak=18, rejected=2, aborted=1),
        dropped=30,
        generator=Generator(lag_p99_ms=0.5, lag_max_ms=4.0, cpu_percent=40.0),
    )
    for name, value in more.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("expression", "value", "crossed"),
    [
        ("store.p99<200ms", 150.0, False),
        ("store.p99 < 0.1s", 150.0, True),
        ("store.p99.9<=300ms", 300.0, False),
        ("store.p99_9<300ms", 300.0, True),
        ("store.p95<1m", 80.0, False),
        ("store.actual.p99<16ms", 15.0, False),
        ("store.max<1s", 900.0, False),
        ("store.mean>=25ms", 25.0, False),
        ("store.errors<0.1%", 0.5, True),
        ("store.errors<5", 5, True),
        ("store.errors<=5", 5, False),
        ("store.rate>=6000/m", 100.0, False),
        ("store.bytes>60MB/s", 50e6, True),
        ("store.count>=1000", 1000, False),
        ("errors<1%", 1 / 3, False),
        ("rate>400/s", 150.0, True),
        ("count>1499", 1500, False),
        ("bytes>40MB/s", 50e6, False),
        ("dropped<2%", 30 / 1530 * 100, False),
        ("dropped<30", 30, True),
        ("associations.peak>=20", 18, True),
        ("associations.rejected<1", 2, True),
        ("associate.count>10", 20, False),
        ("generator.lag_p99<5ms", 0.5, False),
        ("generator.cpu<30%", 40.0, True),
        ("find.p99<1s", None, True),
        ("find.errors<1%", None, True),
        ("find.count<1", 0, False),
        ("echo.first_response.p99<1s", None, True),
    ],
)
def test_judged(expression: str, value: float | None, crossed: bool) -> None:
    threshold = parse(expression).judge(result())
    assert threshold.expression == expression
    assert threshold.value == (None if value is None else pytest.approx(value))
    assert threshold.crossed is crossed


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "is no threshold: wanted such as store.p99<200ms"),
        ("store.p99", "is no threshold"),
        ("store.p99=200ms", "is no threshold"),
        ("store.p99<<200ms", "is no threshold"),
        ("store.p99<-2s", "is no threshold"),
        ("store.p99<200", "'200' is none of what store.p99 is compared with: a time, such as 200ms or 2s"),
        ("store.p99<2 parsecs", "'2 parsecs' is none of what"),
        ("errors<2ms", "a number, or per cent"),
        ("errors<.", "a number, or per cent"),
        ("rate>400ms", "a rate, such as 400/s"),
        ("bytes>100MB", "bytes a second, such as 100MB/s"),
        ("generator.cpu<1", "per cent, such as 90%"),
        ("rate>5%", "a rate"),
        ("p99<200ms", "a latency is one of an operation, such as store.p99"),
        ("store.p42<1s", "nothing is called 'store.p42'; wanted an operation with one of p50, p90, p95, p99, p99.9"),
        ("store.later.p99<1s", "nothing is called"),
        ("finds.p99<1s", "the run has no operation 'finds', but store, find, associate, release"),
    ],
)
def test_refused_in_one_line(expression: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        parse(expression, operations=("store", "find"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("store.p99<200ms", "150 ms"),
        ("errors<1%", "0.333 %"),
        ("rate>400/s", "150/s"),
        ("bytes>1MB/s", "50.0 MB/s"),
        ("dropped<10", "30"),
        ("find.p50<1s", "nothing measured"),
    ],
)
def test_its_value_in_words(expression: str, text: str) -> None:
    assert value_text(parse(expression).judge(result())) == text


def failing(errors: int, p99: float = 1.0) -> Result:
    """A run so far with so many errors in 100 operations."""
    store = Operation(count=100, errors=errors, planned_latency_ms=Percentiles(p99=p99, max=p99))
    return Result(seconds=1.0, operations={"store": store})


def test_what_only_grows_ends_a_run_at_once() -> None:
    abort = AbortOnFail([parse("errors<3"), parse("store.max<100ms")])
    assert abort.ask(failing(2), 1.0) is None
    threshold = abort.ask(failing(3), 2.0)
    assert threshold is not None
    assert (threshold.expression, threshold.value) == ("errors<3", 3)
    slow = AbortOnFail([parse("store.max<100ms")]).ask(failing(0, p99=101.0), 0.0)
    assert slow is not None


def test_what_may_recover_has_to_stay_crossed() -> None:
    abort = AbortOnFail([parse("store.p99<100ms"), parse("errors<50%")], patience=5.0)
    for now in (0.0, 1.0, 4.9):
        assert abort.ask(failing(0, p99=200.0), now) is None
    assert abort.ask(failing(0, p99=90.0), 5.0) is None  # recovered
    for now in (6.0, 10.9):
        assert abort.ask(failing(60, p99=90.0), now) is None
    threshold = abort.ask(failing(60, p99=90.0), 11.0)
    assert threshold is not None
    assert threshold.expression == "errors<50%"


def test_what_may_still_be_reached_ends_no_run() -> None:
    abort = AbortOnFail([parse("rate>400/s"), parse("count>1000"), parse("find.p99<1s")], patience=0.0)
    for now in range(100):
        assert abort.ask(failing(0), float(now)) is None
