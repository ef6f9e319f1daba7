"""The plots of one run."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiodicom.load import figures
from aiodicom.load.report.page import Plot
from aiodicom.load.results import Interval, IntervalOperation, Result

__all__ = [
    "COLOURS",
    "associations",
    "errors",
    "generator",
    "label",
    "latency",
    "axis",
    "colour",
    "layout",
    "logarithmic",
    "rate",
]

#: Okabe and Ito's, which colour-blind people tell apart, without the yellow that white paper swallows.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D", "#8C564B", "#000000")
_DASHES: Final = ("solid", "dash", "dot", "dashdot")
_HEIGHT: Final = 320
#: Causes that get a colour of their own.
_CAUSES: Final = 8
_NOTHING: Final = IntervalOperation()
#: Name, field of `IntervalOperation`, colour and dashes.
_LATENCY_LINES: Final = (
    ("p50", "p50_ms", COLOURS[0], "solid"),
    ("p99", "p99_ms", COLOURS[1], "solid"),
    ("max", "max_ms", COLOURS[6], "dot"),
)


class _Axis(NamedTuple):
    """The time of a run in the unit that suits it."""

    divisor: float
    title: str
    #: Seconds.
    end: float

    def at(self, seconds: float) -> float:
        return round(seconds / self.divisor, 4)

    @property
    def layout(self) -> dict[str, Any]:
        """The axis as plotly.js takes it."""
        return axis(self.title, range=[0, self.at(self.end)])


def _axis(result: Result) -> _Axis:
    end = max((interval.start_s + interval.seconds for interval in result.series), default=0.0)
    if end <= 600:
        return _Axis(1.0, "seconds since the start", end)
    if end <= 36_000:
        return _Axis(60.0, "minutes since the start", end)
    return _Axis(3600.0, "hours since the start", end)


def label(text: str) -> str:
    """A text as plotly.js takes it, which reads some HTML in texts."""
    return html.escape(text)


def colour(index: int) -> str:
    """The colour of the operation or cause with this place in its list."""
    return COLOURS[index % len(COLOURS)]


def layout(**more: Any) -> dict[str, Any]:
    """What all plots have in common: light, quiet, with one font."""
    return {
        "template": "none",
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "font": {"family": "system-ui, Segoe UI, Roboto, Liberation Sans, sans-serif", "size": 12, "color": "#1b1f24"},
        "margin": {"l": 70, "r": 20, "t": 10, "b": 52},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
    } | more


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis."""
    return {"title": {"text": title}, "gridcolor": "#e3e6ea", "linecolor": "#57606a", "zeroline": False} | more


def logarithmic(title: str, values: Sequence[float], **more: Any) -> dict[str, Any]:
    """An axis for these values from one power of ten to another, each of which it names."""
    exponents = [math.log10(value) for value in values if value > 0] or [0.0]
    lowest, highest = math.floor(min(exponents)), math.ceil(max(exponents))
    ends = [lowest, max(highest, lowest + 1)]
    return axis(title, type="log", range=ends, dtick=1, exponentformat="none") | more


def _times(result: Result) -> list[float]:
    """The middle of each interval."""
    unit = _axis(result)
    return [unit.at(interval.start_s + interval.seconds / 2) for interval in result.series]


def _line(name: str, x: Sequence[float], y: Sequence[float | None], colour_: str, **more: Any) -> dict[str, Any]:
    line = {"color": colour_, "width": 1.8} | more.pop("line", {})
    return {"type": "scatter", "mode": "lines", "name": label(name), "x": x, "y": y, "line": line} | more


def _warm_up(result: Result) -> dict[str, Any]:
    """The time that the figures leave out, in grey."""
    if not result.warm_up_s:
        return {}
    area = {"type": "rect", "xref": "x", "yref": "paper", "x0": 0, "x1": _axis(result).at(result.warm_up_s)}
    area |= {"y0": 0, "y1": 1, "fillcolor": "#57606a", "opacity": 0.12, "line": {"width": 0}, "layer": "below"}
    return {"shapes": [area]}


def _over_time(result: Result, title: str, **more: Any) -> dict[str, Any]:
    return layout(xaxis=_axis(result).layout, yaxis=axis(title, rangemode="tozero"), **_warm_up(result), **more)


def _names(series: Iterable[Interval]) -> list[str]:
    return list(dict.fromkeys(name for interval in series for name in interval.operations))


def rate(result: Result) -> Plot:
    """Operations a second."""
    times = _times(result)
    shown = [name for name in figures.ordered(result) if name in _names(result.series)]
    data = [
        _line(
            name,
            times,
            _rates(result, [each.operations.get(name, _NOTHING).count for each in result.series]),
            colour(index),
            line={"dash": _DASHES[index // len(COLOURS) % len(_DASHES)]},
        )
        for index, name in enumerate(shown)
    ]
    if any(interval.planned_per_s for interval in result.series):
        planned = [round(interval.planned_per_s, 3) or None for interval in result.series]
        data.insert(0, _line("planned", times, planned, "#000000", line={"dash": "dash", "width": 1.2}))
    if result.dropped:
        dropped = _rates(result, [interval.dropped for interval in result.series])
        data.append(_line("dropped", times, dropped, "#a40e26", line={"dash": "dot", "width": 2.2}))
    return Plot(
        "rate",
        "Rate",
        f"Operations that ended in {_each(result)}, by operation"
        + ("; dashed, how many were planned to begin" if data and data[0]["name"] == "planned" else "")
        + ("; dotted, those that could not begin in time" if result.dropped else "")
        + _grey(result),
        data,
        _over_time(result, "operations a second"),
        _HEIGHT,
    )


def _rates(result: Result, counts: Sequence[int]) -> list[float | None]:
    """Counts a second; unknown in what is left at the end, where a single one would make hundreds a second."""
    shortest = figures.interval_seconds(result.series) / 5
    return [
        round(count / interval.seconds, 3) if interval.seconds > shortest else None
        for interval, count in zip(result.series, counts, strict=True)
    ]


def _each(result: Result) -> str:
    """What the points of a plot stand for."""
    length = round(figures.interval_seconds(result.series))
    return "each second" if length <= 1 else f"each {length} s"


def _grey(result: Result) -> str:
    return ". Grey: warm-up, which the figures leave out." if result.warm_up_s else "."


def latency(result: Result) -> Plot:
    """Percentiles of each second, a small plot for each operation."""
    times, names = _times(result), [name for name in figures.ordered(result) if name in _names(result.series)]
    data, shown = [], layout(**_warm_up(result))
    for index, name in enumerate(names):
        drawn: list[float] = []
        for percentile, field, colour_, dash in _LATENCY_LINES:
            values = [
                getattr(operation, field) or None if (operation := interval.operations.get(name)) else None
                for interval in result.series
            ]
            drawn += [value for value in values if value]
            # A second between others without any would not be seen as a line.
            mode = "lines+markers" if None in values else "lines"
            line = _line(percentile, times, values, colour_, line={"dash": dash}, mode=mode, marker={"size": 4})
            data.append(line | {"legendgroup": percentile, "showlegend": not index, "yaxis": _nth("y", index)})
        shown |= _stacked(name, index, len(names), drawn)
    x = _axis(result).layout | {"anchor": _nth("y", len(names) - 1)}
    return Plot(
        "latency",
        "Latency over time",
        f"Latency of the operations that ended in {_each(result)}, from their planned start: median, 99th percentile "
        "and maximum, on a logarithmic scale" + _grey(result),
        data,
        shown | {"xaxis": x},
        95 + 150 * max(len(names), 1),
    )


def _nth(letter: str, index: int) -> str:
    return f"{letter}{index + 1}" if index else letter


def _stacked(name: str, index: int, of: int, values: Sequence[float]) -> dict[str, Any]:
    """The y axis of a plot below `index` others, with the name of its operation."""
    gap = 0.09 / max(of - 1, 1)
    height = (1 - gap * (of - 1)) / of
    top = 1 - index * (height + gap)
    domain = [max(top - height, 0), min(top, 1)]
    return {f"yaxis{index + 1 if index else ''}": logarithmic(f"{label(name)}, ms", values, domain=domain)}


def errors(result: Result) -> Plot | None:
    """Errors over time by cause; None where there were none."""
    if not any(operation.errors for interval in result.series for operation in interval.operations.values()):
        return None
    each = [_errors_of(interval) for interval in result.series]
    in_all: Counter[str] = Counter()
    for counted in each:
        in_all.update(counted)
    named = [cause for cause, _ in in_all.most_common(_CAUSES)]
    bars = {cause: [counted.get(cause, 0) for counted in each] for cause in named}
    others = [
        sum(operation.errors for operation in interval.operations.values())
        - sum(counted.get(cause, 0) for cause in named)
        for interval, counted in zip(result.series, each, strict=True)
    ]
    if any(others):
        bars["others"] = others
    unit = _axis(result)
    starts = [unit.at(interval.start_s) for interval in result.series]
    widths = [unit.at(interval.seconds) for interval in result.series]
    data = [
        {"type": "bar", "name": label(cause), "x": starts, "y": values, "width": widths, "offset": 0}
        | {"marker": {"color": colour((index + 1) % len(COLOURS)), "line": {"width": 0}}}
        for index, (cause, values) in enumerate(bars.items())
    ]
    return Plot(
        "errors",
        "Errors over time",
        f"Operations that failed in {_each(result)}, by cause" + _grey(result),
        data,
        _over_time(result, f"errors in {_each(result)}", barmode="stack"),
        _HEIGHT,
    )


def _errors_of(interval: Interval) -> Mapping[str, int]:
    counted: Counter[str] = Counter()
    for name, operation in interval.operations.items():
        for cause, times in operation.causes.items():
            counted[f"{name}: {cause}"] += times
    return counted


def associations(result: Result) -> Plot:
    """Associations that were open."""
    counts = [interval.associations_open for interval in result.series]
    line = _line("associations open", _times(result), counts, COLOURS[0], fill="tozeroy")
    description = f"Associations that were open; {result.associations.peak:,} at most" + _grey(result)
    return Plot("associations", "Associations", description, [line], _over_time(result, "associations open"), 240)


def generator(result: Result) -> Plot:
    """How late the generator itself was, and how busy."""
    times = _times(result)
    lag = [round(interval.lag_p99_ms, 3) for interval in result.series]
    busy = [round(interval.cpu_percent, 1) for interval in result.series]
    data = [
        _line("lag p99, ms", times, lag, COLOURS[1]),
        _line("CPU, % of a core", times, busy, COLOURS[0], yaxis="y2", line={"dash": "dash"}),
    ]
    right = axis("CPU, % of a core", overlaying="y", side="right", rangemode="tozero", showgrid=False)
    return Plot(
        "generator",
        "Generator",
        f"How late the load generator began operations that could have begun in time (99th percentile of "
        f"{_each(result)}), and its use of a core" + _grey(result),
        data,
        _over_time(result, "lag p99, ms", yaxis2=right) | {"margin": {"l": 70, "r": 70, "t": 10, "b": 52}},
        260,
    )
