"""What people see in the terminal while a load runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aiodicom.cli import output
from aiodicom.cli.live import Live
from aiodicom.load import figures, formatting, thresholds
from aiodicom.load.results import Interval, Result
from aiodicom.load.thresholds import Condition

__all__ = ["picture", "watch"]

#: The series has a new interval every second.
_INTERVAL = 1.0
#: Causes that are named.
_MOST_CAUSES = 5
_BARS = "▁▂▃▄▅▆▇█"
#: Seconds of the rate that are drawn.
_SHOWN = 10


def watch(snapshot: Callable[[], Result], conditions: Sequence[Condition], planned_s: float | None) -> Live:
    """A view on stderr for as long as it is entered. `planned_s` is how long the run is to take, warm-up included."""
    return Live(lambda: picture(snapshot(), conditions, planned_s), interval=_INTERVAL, console=Console(stderr=True))


def picture(result: Result, conditions: Sequence[Condition], planned_s: float | None) -> RenderableType:
    """The view: how far the run is, its operations, and what goes wrong."""
    last = result.series[-1] if result.series else Interval(start_s=0.0)
    return Group(
        _progress(result, planned_s),
        *((_operations(result, last), _facts(result, last)) if result.series else ()),
        *(Text(f"  {times:,} x {output.printable(cause)}", style="red") for cause, times in _causes(result)),
        *(_threshold(condition, result) for condition in conditions if result.series and not last.is_warm_up),
    )


def _progress(result: Result, planned_s: float | None) -> RenderableType:
    if not result.series:
        return Text(f"opening associations: {result.associations.opened:,}")
    last = result.series[-1]
    elapsed = last.start_s + last.seconds
    words = f"{'warm-up' if last.is_warm_up else 'measuring'}, {elapsed:,.0f} s"
    if planned_s is None:
        return Text(words)
    line = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=planned_s, completed=min(elapsed, planned_s), width=30)
    line.add_row(bar, f"{words} of {planned_s:,.0f} s")
    return line


def _operations(result: Result, last: Interval) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("operation", no_wrap=True)
    for heading in ("now", "count", "errors", "p50", "p99", "max"):
        table.add_column(heading, justify="right", min_width=7, no_wrap=True)
    table.add_column(f"last {_SHOWN} s", no_wrap=True)
    for name, operation in figures.ordered(result).items():
        now = last.operations.get(name)
        latency = operation.planned_latency_ms
        table.add_row(
            name,
            formatting.per_second(now.count / last.seconds if now and last.seconds else 0.0),
            f"{operation.count:,}",
            Text(f"{operation.errors:,}", style="red" if operation.errors else ""),
            *(formatting.milliseconds(value) for value in (latency.p50, latency.p99, latency.max)),
            _sparkline([_rate(interval, name) for interval in result.series[-_SHOWN:]]),
        )
    return table


def _rate(interval: Interval, name: str) -> float:
    operation = interval.operations.get(name)
    return operation.count / interval.seconds if operation and interval.seconds else 0.0


def _sparkline(values: Sequence[float]) -> str:
    highest = max(values, default=0.0)
    return "".join(_BARS[round(value / highest * (len(_BARS) - 1))] for value in values) if highest else ""


def _facts(result: Result, last: Interval) -> Text:
    facts = [
        f"{last.associations_open:,} associations",
        f"planned {formatting.per_second(last.planned_per_s)}" if last.planned_per_s else "",
        f"dropped {result.dropped:,}" if result.dropped else "",
        f"generator: lag p99 {formatting.milliseconds(last.lag_p99_ms)}, {last.cpu_percent:.0f} % of a core",
    ]
    return Text(" · ".join(filter(None, facts)))


def _causes(result: Result) -> list[tuple[str, int]]:
    return list(figures.causes(result).items())[:_MOST_CAUSES]


def _threshold(condition: Condition, result: Result) -> Text:
    threshold = condition.judge(result)
    value = thresholds.value_text(threshold)
    if threshold.value is None:
        return Text(f"  {threshold.expression}: {value} yet", style="dim")
    state = "crossed" if threshold.crossed else "holds"
    return Text(f"  {threshold.expression}: {state}, {value}", style="red" if threshold.crossed else "green")
