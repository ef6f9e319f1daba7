"""Two runs side by side: what changed, by how much, and whether that is better."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final

import msgspec

from aiodicom.load import figures, formatting
from aiodicom.load.results import Operation, Result

__all__ = ["WITHIN", "Comparison", "Difference", "Row", "Verdict", "change_text", "compare", "value_text"]

#: A change up to this part of the value before is taken for chance: two runs of the same thing differ by as much.
WITHIN: Final = 0.05


class Verdict(StrEnum):
    """What a change means."""

    BETTER = "better"
    WORSE = "worse"
    #: Within what chance may do.
    SAME = "same"
    #: It is another load, or only one of the runs has it.
    NONE = ""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of both runs."""

    #: The operation; empty for the run as a whole.
    operation: str
    name: str
    #: "ms", "/s", "B/s", "%", or nothing for a number.
    unit: str
    before: float | None
    after: float | None
    #: Per cent of the value before; None where that is 0 or one of them is missing.
    change_percent: float | None
    verdict: Verdict


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was asked of the runs, and differs."""

    key: str
    before: str
    after: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    rows: list[Row]
    #: What the scenarios differ in: a change of load is no change of the peer.
    differences: list[Difference]
    #: What else to know before a change is laid to the peer.
    warnings: list[str]
    better: int
    worse: int


class _Figure(msgspec.Struct, frozen=True):
    name: str
    unit: str = ""
    #: None: neither is better.
    is_higher_better: bool | None = None
    #: The smallest difference that matters, in the unit.
    least: float = 0.0


_OfOperation = Callable[[Result, Operation], float | None]


def _latency(kind: str, percentile: str) -> _OfOperation:
    def value(_: Result, operation: Operation) -> float | None:
        percentiles = getattr(operation, figures.LATENCIES[kind])
        return getattr(percentiles, percentile) if percentiles.max else None

    return value


def _time(name: str) -> _Figure:
    # Below that, differences of latencies are those of clocks and schedulers.
    return _Figure(name, "ms", False, 0.05)


_LEAST_PERCENT: Final = 0.01
_OPERATION_FIGURES: Final[tuple[tuple[_Figure, _OfOperation], ...]] = (
    (_Figure("count"), lambda _, each: each.count),
    (_Figure("rate", "/s", True), lambda _, each: each.rate_per_s),
    (_Figure("bytes", "B/s", True), lambda result, each: figures.bytes_per_s(each, result.seconds) or None),
    (_Figure("matches"), lambda _, each: each.matches or None),
    (_Figure("errors", "%", False, _LEAST_PERCENT), lambda _, each: figures.share(each.errors, each.count) * 100),
    *((_time(name), _latency("planned", key)) for key, name in figures.PERCENTILES.items()),
    (_time("p99 from actual start"), _latency("actual", "p99")),
    (_time("p99 of first response"), _latency("first_response", "p99")),
)
_STEP_FIGURES: Final = tuple(each for each in _OPERATION_FIGURES if each[0].unit in ("ms", "%"))
_RUN_FIGURES: Final[tuple[tuple[_Figure, Callable[[Result], float]], ...]] = (
    (_Figure("dropped", "%", False, _LEAST_PERCENT), lambda result: figures.dropped_share(result) * 100),
    (_Figure("associations, peak"), lambda result: result.associations.peak),
    (_Figure("rejected", "", False), lambda result: result.associations.rejected),
    (_Figure("aborted", "", False), lambda result: result.associations.aborted),
    (_Figure("generator lag p99", "ms"), lambda result: result.generator.lag_p99_ms),
)


def compare(before: Result, after: Result, within: float = WITHIN) -> Comparison:
    """Compares two runs; changes of up to `within` (a part of the value before) are the same."""
    rows = list(_rows(before, after, within))
    verdicts = [row.verdict for row in rows]
    return Comparison(
        rows=rows,
        differences=_differences(before, after),
        warnings=[*_warnings("before", before), *_warnings("after", after)],
        better=verdicts.count(Verdict.BETTER),
        worse=verdicts.count(Verdict.WORSE),
    )


def _rows(before: Result, after: Result, within: float) -> Iterator[Row]:
    for name in figures.ordered(before) | figures.ordered(after):
        old, new = before.operations.get(name), after.operations.get(name)
        # How often associations were opened is no merit of anybody.
        several = _OPERATION_FIGURES if name not in figures.ASSOCIATION_STEPS else _STEP_FIGURES
        for figure, of in several:
            first = None if old is None else of(before, old)
            second = None if new is None else of(after, new)
            if first is not None or second is not None:
                yield _row(name, figure, first, second, within)
    for figure, of_run in _RUN_FIGURES:
        yield _row("", figure, of_run(before), of_run(after), within)


def _row(operation: str, figure: _Figure, before: float | None, after: float | None, within: float) -> Row:
    change = None if before is None or after is None or not before else (after - before) / before * 100
    return Row(
        operation=operation,
        name=figure.name,
        unit=figure.unit,
        before=before,
        after=after,
        change_percent=0.0 if before == after == 0 else change,
        verdict=_verdict(figure, before, after, within),
    )


def _verdict(figure: _Figure, before: float | None, after: float | None, within: float) -> Verdict:
    if figure.is_higher_better is None or before is None or after is None:
        return Verdict.NONE
    if abs(after - before) <= max(within * before, figure.least):
        return Verdict.SAME
    return Verdict.BETTER if (after > before) == figure.is_higher_better else Verdict.WORSE


def _differences(before: Result, after: Result) -> list[Difference]:
    old, new = _asked(before), _asked(after)
    return [
        Difference(key=key, before=_text(old, key), after=_text(new, key))
        for key in old | new
        if _text(old, key) != _text(new, key)
    ]


def _asked(result: Result) -> dict[str, object]:
    values = figures.flattened(result.scenario)
    if result.seed_made_up:
        values.pop("seed", None)
    return values


def _warnings(which: str, result: Result) -> Iterator[str]:
    if result.generator.limited:
        yield f"{which}: the load generator was the limit: {result.generator.reason or 'not the peer'}"
    if result.interrupted:
        yield f"{which}: the run ended before its time"


def _text(values: dict[str, object], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else ""


def value_text(value: float | None, unit: str) -> str:
    """A value of a row as people read it."""
    if value is None:
        return ""
    match unit:
        case "ms":
            return formatting.milliseconds(value)
        case "/s":
            return formatting.per_second(value)
        case "B/s":
            return f"{formatting.size(value)}/s"
        case "%":
            return formatting.percent(value / 100)
        case _:
            return f"{value:,.0f}"


def change_text(row: Row) -> str:
    """The change as people read it, such as ``+12.3 %``."""
    if row.change_percent is None:
        return ""
    if abs(row.change_percent) < 0.05:
        return "0 %"
    if row.change_percent >= 1000:
        return f"x {formatting.number(1 + row.change_percent / 100)}"
    return f"{row.change_percent:+.1f} %"
