"""What is computed from a result."""

from __future__ import annotations

from aiodicom.load import figures
from aiodicom.load.results import Operation, Result
from aiodicom.load.thresholds import judge, parse

#: Ten studies of four images, one of which failed with its study.
STUDIES = Result(
    seconds=10.0,
    scenario={"mix": {"study": 1}},
    dropped=10,
    operations={
        "associate": Operation(count=10, rate_per_s=1.0),
        "store": Operation(count=40, errors=1, rate_per_s=4.0, bytes_sent=4000),
        "study": Operation(count=10, errors=1, rate_per_s=1.0),
    },
)


def test_parts_are_not_counted_with_the_whole() -> None:
    total = figures.total(STUDIES)
    assert (total.count, total.errors, total.rate_per_s, total.bytes_per_s) == (10, 1, 1.0, 400.0)
    assert figures.dropped_share(STUDIES) == 0.5
    assert [each.value for each in judge(map(parse, ("errors<20%", "rate>0.5/s")), STUDIES)] == [10, 1.0]


def test_the_mix_is_first_and_what_associations_took_is_last() -> None:
    assert list(figures.mix(STUDIES)) == ["study"]
    assert list(figures.ordered(STUDIES)) == ["study", "store", "associate"]


def test_of_a_result_that_names_no_mix() -> None:
    result = Result(operations={"associate": Operation(count=1), "echo": Operation(count=2)})
    assert list(figures.mix(result)) == ["echo"]
    assert list(figures.mix(Result(operations={"associate": Operation(count=1)}))) == ["associate"]
