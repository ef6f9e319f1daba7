"""Medians, ratios, targets and who is out of a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from benchmarks.comparison import Contender, Metric, Metrics, Outcome, Row, Target, run, table
from benchmarks.page import page
from benchmarks.report import Setting, as_json
from tests.interop.processes import PeerMissing

RATE, DELAY = Metric("per second"), Metric("p99 ms", higher=False, digits=2)
SETTING = Setting("2026-01-01 00:00", {"processor": "2 x <CPU>"}, {"DCMTK": "3.6.7", "Orthanc": None}, 3, quick=False)


def gives(*samples: Metrics) -> Callable[[], Metrics]:
    """Work that measures these, run by run."""
    left: Iterator[Metrics] = iter(samples)
    return lambda: next(left)


def raises(error: Exception) -> Callable[[], Metrics]:
    def work() -> Metrics:
        raise error

    return work


def row(*contenders: Contender, targets: tuple[Target, ...] = ()) -> Row:
    return Row("work <of> a row", (RATE, DELAY), contenders, "peer", targets)


OURS = Contender(
    "ours",
    gives(*({"per second": rate, "p99 ms": delay} for rate, delay in [(30, 2), (10, 9), (40, 4)] * 9)),
    ours=True,
)


def peer() -> Contender:
    return Contender("peer", gives(*[{"per second": 10.0, "p99 ms": 8.0}] * 3))


@pytest.fixture
def outcome() -> Outcome:
    targets = (
        Target("per second", 3.0, "peer"),
        Target("per second", 3.1, "peer"),
        Target("p99 ms", 2.0, "peer"),
        Target("p99 ms", 4.0, None),
        Target("p99 ms", 3.9, None),
        Target("per second", 30.0, None),
        Target("per second", 1.0, "peer", of="another of ours"),
        Target("per second", 1.0, "missing"),
    )
    missing = Contender("missing", raises(PeerMissing("not installed")))
    return run(row(OURS, peer(), missing, targets=targets), 3)


def test_medians_are_compared_and_less_of_some_is_better(outcome: Outcome) -> None:
    assert outcome.median("ours", "per second") == 30
    assert outcome.ratio("ours", RATE, "peer") == 3.0
    assert outcome.ratio("ours", DELAY, "peer") == 2.0


def test_targets(outcome: Outcome) -> None:
    """Those of others, and those against who is not installed, are not judged."""
    judged = [(verdict.reached, verdict.enough) for verdict in outcome.verdicts()]
    assert judged == [(3.0, True), (3.0, False), (2.0, True), (4.0, True), (4.0, False), (30.0, True)]


def test_who_is_not_installed_is_named(outcome: Outcome) -> None:
    assert outcome.absent == {"missing": "not installed"}
    assert not outcome.has_failed
    assert "left out missing: not installed" in table(outcome)


def test_one_failure_puts_a_contender_out_of_its_row() -> None:
    calls = []

    def work() -> Metrics:
        calls.append(None)
        if len(calls) == 2:
            raise RuntimeError("2 of 3 done")
        return {"per second": 99.0, "p99 ms": 0.1}

    outcome = run(row(Contender("ours", work, ours=True), peer(), targets=(Target("per second", 1.0, "peer"),)), 3)
    assert len(calls) == 2
    assert outcome.has_failed
    assert outcome.median("ours", "per second") is None
    assert [(verdict.reached, verdict.enough) for verdict in outcome.verdicts()] == [(None, False)]
    assert "FAILED   ours: RuntimeError: 2 of 3 done" in table(outcome)


def test_json_has_everything(outcome: Outcome) -> None:
    report = as_json(SETTING, [outcome])
    assert report["versions"] == {"DCMTK": "3.6.7", "Orthanc": None}
    (written,) = report["rows"]
    assert [sample["per second"] for sample in written["contenders"]["ours"]["samples"]] == [30, 10, 40]
    assert written["contenders"]["ours"]["ratios"] == {"per second": 3.0, "p99 ms": 2.0}
    assert written["contenders"]["missing"]["left_out"] == "not installed"
    assert [target["enough"] for target in written["targets"]] == [True, False, True, True, False, True]


def test_the_page_needs_no_other_file_and_escapes_what_it_shows(outcome: Outcome) -> None:
    text = page(SETTING, [outcome])
    assert "<script src" not in text
    assert "<link" not in text
    assert "work &lt;of&gt; a row" in text
    assert "2 x &lt;CPU&gt;" in text
    assert "4 reached" in text
    assert "2 missed" in text
    assert "Not installed and left out: Orthanc" in text
