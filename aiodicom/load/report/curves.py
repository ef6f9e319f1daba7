"""How the latencies of a run are distributed: its histograms as curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from aiodicom.load.histogram import Histogram
from aiodicom.load.report.page import Plot
from aiodicom.load.report.plots import axis, colour, label, layout, logarithmic
from aiodicom.load.results import Result

__all__ = ["Curve", "actual", "distribution", "percentile_curve", "planned"]

#: Points of a curve, and columns of a histogram, for each factor of ten.
_POINTS: Final = 20
_COLUMNS: Final = 20
#: What the percentile axis says, by 1 / (1 - percentile).
_TICKS: Final = {1: "0", 2: "50 %", 10: "90 %", 100: "99 %", 1e3: "99.9 %", 1e4: "99.99 %", 1e5: "99.999 %"}


class Curve(NamedTuple):
    """A histogram to draw."""

    name: str
    histogram: Histogram
    colour: str
    dash: str


def planned(result: Result, names: Sequence[str], *, prefix: str = "", dash: str = "solid") -> list[Curve]:
    """The latencies of operations from their planned start; each has the colour of its place in `names`."""
    return [
        Curve(f"{prefix}{name}", Histogram.decode(encoded), colour(index), dash)
        for index, name in enumerate(names)
        if name in result.operations and (encoded := result.operations[name].histograms.get("planned"))
    ]


def actual(result: Result, names: Sequence[str]) -> list[Curve]:
    """Those from the actual start, dashed, of operations where that is another."""
    return [
        Curve(f"{name}, from actual start", Histogram.decode(encoded), colour(index), "dash")
        for index, name in enumerate(names)
        if (encoded := result.operations[name].histograms.get("actual"))
        and encoded != result.operations[name].histograms.get("planned")
    ]


_BOTH_STARTS: Final = (
    "Which part of the operations was faster than what; solid from the planned start, dashed from the actual start "
    "where that differs: between the two is what operations waited before they began."
)


def percentile_curve(shown: Sequence[Curve], description: str = _BOTH_STARTS) -> Plot:
    """Latency by percentile, on a scale that gives every nine the same room."""
    data = [_line(curve, *_percentiles(curve.histogram)) for curve in shown]
    latencies = [value for each in data for value in each["y"]]
    furthest = max((max(each["x"], default=1) for each in data), default=1)
    ticks = {value: text for value, text in _TICKS.items() if value <= furthest * 2}
    x = axis("percentile", type="log", tickvals=list(ticks), ticktext=list(ticks.values()))
    return Plot(
        "percentiles",
        "Latency by percentile",
        description,
        data,
        layout(xaxis=x, yaxis=logarithmic("latency, ms", latencies), hovermode="closest"),
        380,
    )


def distribution(shown: Sequence[Curve]) -> Plot:
    """The histograms, with columns as wide as the logarithmic scale wants them."""
    data = []
    for curve in shown:
        edges, shares = _columns(curve.histogram)
        data.append(_line(curve, edges, shares, shape="hv") | {"fill": "tozeroy", "opacity": 0.75})
    return Plot(
        "histogram",
        "Latency histogram",
        f"Part of the operations by latency from the planned start; {_COLUMNS} columns for each factor of ten.",
        data,
        layout(
            xaxis=logarithmic("latency, ms", [value for each in data for value in each["x"]]),
            yaxis=axis("% of operations", rangemode="tozero"),
            hovermode="closest",
        ),
        320,
    )


def _line(curve: Curve, x: Sequence[float], y: Sequence[float], shape: str = "linear") -> dict[str, Any]:
    line = {"color": curve.colour, "dash": curve.dash, "width": 2, "shape": shape}
    return {"type": "scatter", "mode": "lines", "name": label(curve.name), "x": x, "y": y, "line": line}


def _percentiles(histogram: Histogram) -> tuple[list[float], list[float]]:
    """Points of 1 / (1 - percentile) and latency in milliseconds, up to the last value that there is."""
    if not histogram.count:
        return [], []
    # The longest of all is that of half an operation.
    last = math.ceil(_POINTS * math.log10(2 * histogram.count))
    x = [10 ** (step / _POINTS) for step in range(last + 1)]
    y = [histogram.percentile(100 - 100 / value) / 1e3 for value in x]
    return [round(value, 4) for value in x], y


def _columns(histogram: Histogram) -> tuple[list[float], list[float]]:
    """The lower edges of columns in milliseconds and what per cent of all is in each; the last is empty."""
    counts: dict[int, int] = {}
    for microseconds, count in histogram.recorded():
        column = math.floor(_COLUMNS * math.log10(max(microseconds, 1)))
        counts[column] = counts.get(column, 0) + count
    if not counts:
        return [], []
    columns = range(min(counts) - 1, max(counts) + 2)
    edges = [float(f"{10 ** (column / _COLUMNS) / 1e3:.4g}") for column in columns]
    return edges, [round(100 * counts.get(column, 0) / histogram.count, 4) for column in columns]
