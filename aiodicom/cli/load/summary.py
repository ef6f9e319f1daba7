"""What a run came to, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from aiodicom.cli import output
from aiodicom.cli.table import Column, Table
from aiodicom.load import figures, formatting, thresholds
from aiodicom.load.report.verdict import verdict
from aiodicom.load.results import Result

__all__ = ["show_summary"]

_COLUMNS = (
    Column("operation", "operation"),
    Column("count", "count", is_right=True, is_elastic=False),
    Column("per s", "operations a second", is_right=True, is_elastic=False),
    Column("errors", "errors", is_right=True, is_elastic=False),
    *(Column(name, f"{name}, ms", is_right=True, is_elastic=False) for name in figures.PERCENTILES.values()),
)
#: Causes that are named; the JSON file has all.
_MOST_CAUSES = 10
#: Where the latency from the actual start is less than this part of that from the planned one, operations waited.
_WAITED = 0.9


def show_summary(result: Result) -> None:
    """Writes the figures of a run to stdout, and its verdict last."""
    output.result("Latencies are in milliseconds, from the planned start.")
    table = Table.on_stdout(_COLUMNS)
    for name, operation in figures.ordered(result).items():
        latency = operation.planned_latency_ms
        table.add(
            (
                name,
                f"{operation.count:,}",
                formatting.number(operation.rate_per_s),
                f"{operation.errors:,}",
                *(formatting.in_milliseconds(getattr(latency, field)) for field in figures.PERCENTILES),
            )
        )
    table.flush()
    for name, text in _facts(result):
        output.result(f"{name:<14}{output.printable(text)}")
    word, why = verdict(result)
    output.result(f"{word.lower()}: {why}")


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    total = figures.total(result)
    measured = formatting.seconds(result.seconds)
    if result.warm_up_s:
        measured += f" after {formatting.seconds(result.warm_up_s)} of warm-up"
    yield "measured", measured
    actual = [
        f"{name} {formatting.milliseconds(each.actual_latency_ms.p99)}"
        for name, each in figures.mix(result).items()
        if each.actual_latency_ms.p99 < _WAITED * each.planned_latency_ms.p99
    ]
    if actual:
        yield "actual start", f"p99 from there: {', '.join(actual)}"
    if total.bytes_per_s:
        yield "data", f"{formatting.size(total.bytes_per_s)}/s"
    found = {name: each.matches for name, each in figures.ordered(result).items() if each.matches}
    if found:
        yield "matches", ", ".join(f"{name} {number:,}" for name, number in found.items())
    associations = result.associations
    counts = (("opened", associations.opened), ("at a time", associations.peak), ("rejected", associations.rejected))
    yield "associations", ", ".join(f"{count:,} {name}" for name, count in (*counts, ("aborted", associations.aborted)))
    if result.dropped:
        yield "dropped", f"{result.dropped:,} ({formatting.percent(figures.dropped_share(result))})"
    causes = figures.causes(result)
    for cause, times in list(causes.items())[:_MOST_CAUSES]:
        yield "error", f"{times:,} x {cause}"
    if len(causes) > _MOST_CAUSES:
        yield "error", f"{output.count(len(causes) - _MOST_CAUSES, 'cause')} more"
    told = (example for cause in causes for example in result.examples if example.startswith(f"{cause}: "))
    if (example := next(told, None)) is not None:
        yield "example", example
    generator = result.generator
    busy = formatting.percent(generator.cpu_percent / 100)
    of_whom = f", the busiest of {generator.workers} workers" if generator.workers > 1 else ""
    yield "generator", f"lag p99 {formatting.milliseconds(generator.lag_p99_ms)}, {busy} of a core{of_whom}"
    if generator.limited:
        yield "warning", f"the generator was the limit: {generator.reason}"
    for threshold in result.thresholds:
        state = "crossed" if threshold.crossed else "holds"
        yield "threshold", f"{threshold.expression}: {state}, {thresholds.value_text(threshold)}"
