"""Two runs side by side."""

from __future__ import annotations

import msgspec
import pytest

from aiodicom.load.comparison import Row, Verdict, change_text, compare, value_text
from aiodicom.load.results import Generator, Operation, Percentiles, Result


def result(p99: float = 100.0, *, errors: int = 0, rate: float = 50.0, **more: object) -> Result:
    """A run of stores."""
    latency = Percentiles(p50=10.0, p90=20.0, p99=p99, p99_9=200.0, max=300.0)
    store = Operation(count=500, errors=errors, rate_per_s=rate, planned_latency_ms=latency, actual_latency_ms=latency)
    made = Result(seconds=10.0, operations={"store": store})
    for name, value in more.items():
        setattr(made, name, value)
    return made


def row(before: Result, after: Result, name: str, operation: str = "store") -> Row:
    """One of the rows."""
    return next(row for row in compare(before, after).rows if (row.operation, row.name) == (operation, name))


@pytest.mark.parametrize(
    ("after", "change", "verdict"),
    [(150.0, 50.0, "worse"), (104.9, 4.9, "same"), (95.1, -4.9, "same"), (50.0, -50.0, "better")],
)
def test_latencies(after: float, change: float, verdict: str) -> None:
    found = row(result(), result(after), "p99")
    assert found.change_percent == pytest.approx(change)
    assert found.verdict == verdict


def test_higher_rates_are_better_and_more_errors_are_worse() -> None:
    assert row(result(), result(rate=60.0), "rate").verdict is Verdict.BETTER
    errors = row(result(), result(errors=5), "errors")
    assert (errors.before, errors.after, errors.change_percent, errors.verdict) == (0.0, 1.0, None, Verdict.WORSE)
    assert row(result(), result(dropped=50), "dropped", "").verdict is Verdict.WORSE


def test_differences_of_clocks_are_none() -> None:
    before, after = result(), result()
    before.operations["store"].planned_latency_ms = Percentiles(p50=0.1, max=0.2)
    after.operations["store"].planned_latency_ms = Percentiles(p50=0.14, max=0.2)
    assert row(before, after, "p50").verdict is Verdict.SAME


def test_an_operation_of_one_run_only() -> None:
    after = result()
    after.operations["echo"] = Operation(count=3, planned_latency_ms=Percentiles(p50=1.0, max=2.0))
    found = row(result(), after, "p50", "echo")
    assert (found.before, found.after, found.verdict) == (None, 1.0, Verdict.NONE)
    assert (value_text(found.before, found.unit), value_text(found.after, found.unit)) == ("", "1.00 ms")
    assert change_text(found) == ""


def test_nothing_of_nothing() -> None:
    compared = compare(Result(), Result())
    assert {row.verdict for row in compared.rows} == {Verdict.SAME, Verdict.NONE}
    assert (compared.better, compared.worse, compared.differences) == (0, 0, [])


def test_what_was_asked_of_the_runs() -> None:
    before = result(scenario={"rate": 100, "stages": [{"rate": 1}, {"rate": 2}], "tags": ["a", "b"]})
    after = result(
        scenario={
            "rate": 200,
            "stages": [{"rate": 1}, {"rate": 3}],
            "tags": ["a", "b"],
            "seed": 1,
            "data": {"input": None},
        }
    )
    compared = compare(before, after)
    assert [(each.key, each.before, each.after) for each in compared.differences] == [
        ("rate", "100", "200"),
        ("stages[1].rate", "2", "3"),
        ("seed", "", "1"),
    ]


def test_seeds_that_nobody_gave_are_no_difference() -> None:
    one, other = result(scenario={"seed": "a"}, seed_made_up=True), result(scenario={"seed": "b"}, seed_made_up=True)
    assert compare(one, other).differences == []
    (found,) = compare(result(scenario={"seed": "a"}), other).differences
    assert (found.key, found.before, found.after) == ("seed", '"a"', "")


def test_what_queries_have_found() -> None:
    before, after = result(), result()
    before.operations["store"].matches, after.operations["store"].matches = 100, 90
    found = row(before, after, "matches")
    assert (found.before, found.after, found.verdict) == (100, 90, Verdict.NONE)
    assert not [row for row in compare(result(), result()).rows if row.name == "matches"]


def test_counts_and_json() -> None:
    compared = compare(result(rate=40.0), result(200.0, rate=50.0))
    # p99 from both starts is worse.
    assert (compared.better, compared.worse) == (1, 2)
    (found,) = (each for each in msgspec.json.decode(msgspec.json.encode(compared))["rows"] if each["name"] == "p99")
    assert (found["operation"], found["unit"], found["before"], found["after"]) == ("store", "ms", 100.0, 200.0)
    assert (found["change_percent"], found["verdict"]) == (100.0, "worse")


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [(100.0, 100.01, "0 %"), (100.0, 112.34, "+12.3 %"), (100.0, 50.0, "-50.0 %"), (1.0, 21.0, "x 21.0")],
)
def test_changes_in_words(before: float, after: float, text: str) -> None:
    assert change_text(row(result(before), result(after), "p99")) == text


def test_what_else_to_know() -> None:
    limited = result(generator=Generator(limited=True, reason="its process used 99% of a core"))
    assert compare(limited, result(interrupted=True)).warnings == [
        "before: the load generator was the limit: its process used 99% of a core",
        "after: the run ended before its time",
    ]
