"""The series as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from aiodicom.load.csv import COLUMNS, write_csv
from aiodicom.load.results import Interval, IntervalOperation, Result


def test_a_line_for_each_second_and_operation(tmp_path: Path) -> None:
    store = IntervalOperation(count=3, errors=1, bytes=100, p50_ms=1.5, p99_ms=2.5, max_ms=3.5)
    series = [
        Interval(start_s=0.0, is_warm_up=True, associations_open=2),
        Interval(start_s=1.0, operations={"store": store, "an, odd one": IntervalOperation(count=1)}, dropped=4),
    ]
    write_csv(Result(series=series), tmp_path / "series.csv")
    with (tmp_path / "series.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == list(COLUMNS)
    assert [(line["start_s"], line["operation"], line["count"]) for line in lines] == [
        ("0.0", "", "0"),
        ("1.0", "store", "3"),
        ("1.0", "an, odd one", "1"),
    ]
    assert (lines[0]["is_warm_up"], lines[0]["associations_open"], lines[1]["is_warm_up"]) == ("1", "2", "0")
    assert [lines[1][name] for name in ("errors", "bytes", "p50_ms", "p99_ms", "max_ms", "dropped")] == [
        "1",
        "100",
        "1.5",
        "2.5",
        "3.5",
        "4",
    ]
