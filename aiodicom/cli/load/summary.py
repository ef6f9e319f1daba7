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
    *(Column(name, name, is_right=True, is_elastic=False) for name in ("count", "rate", "errors")),
    *(Column(name, name, is_right=True, is_elastic=False) for name in figures.PERCENTILES.values()),
    Column("p99 begun", "p99 from the actual start", is_right=True, is_elastic=False),
)
#: Causes that are named; the JSON file has all.
_MOST_CAUSES = 10


def show_summary(result: Result) -> None:
    """Writes the figures of a run to stdout, and its verdict last."""
    table = Table.on_stdout(_COLUMNS)
    for name, operation in figures.ordered(result).items():
        table.add(
            (
                name,
                f"{operation.count:,}",
                formatting.per_second(operation.rate_per_s),
                f"{operation.errors:,}",
                *(
                    formatting.milliseconds(getattr(operation.planned_latency_ms, field))
                    for field in figures.PERCENTILES
                ),
                formatting.milliseconds(operation.actual_latency_ms.p99),
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
    if total.bytes_per_s:
        yield "data", f"{formatting.size(total.bytes_per_s)}/s"
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
    generator = result.generator
    busy = formatting.percent(generator.cpu_percent / 100)
    yield "generator", f"lag p99 {formatting.milliseconds(generator.lag_p99_ms)}, {busy} of a core"
    if generator.limited:
        yield "warning", f"the generator was the limit: {generator.reason}"
    for threshold in result.thresholds:
        state = "crossed" if threshold.crossed else "holds"
        yield "threshold", f"{threshold.expression}: {state}, {thresholds.value_text(threshold)}"
