"""A run's result as one HTML page that needs nothing else: what was compared, targets, curves, each row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import ceil, floor, log2, log10

import plotly.graph_objects as go
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from benchmarks.comparison import (
    Contender,
    Outcome,
    Verdict,
    all_verdicts,
    cell,
    last_line,
    reached,
    wanted,
)
from benchmarks.contenders import DCMTK, LIMIT, ORTHANC, OUR_COMMAND, OUR_SERVER
from benchmarks.report import Setting

_OURS, _OURS_TOO, _PEER, _LIMIT = "#0b6e4f", "#35a67d", "#8a94a6", "#c9ced6"
_REACHED, _MISSED = "#0b6e4f", "#c0392b"
#: The same one has the same colour in every plot of curves.
_CURVE_COLOURS = {OUR_COMMAND: _OURS, OUR_SERVER: _OURS_TOO, DCMTK: "#c0392b", ORTHANC: "#d68910", LIMIT: "#2c3e50"}

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 1080px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.7em; margin-bottom: 0; } h2 { margin-top: 2.2em; border-bottom: 1px solid #d9dee5; }
h3 { margin: 2em 0 .4em; font-size: 1.05em; }
table { border-collapse: collapse; margin: .6em 0; } th, td { padding: .25em .9em .25em 0; text-align: right; }
th { font-weight: 600; border-bottom: 1px solid #d9dee5; } th:first-child, td:first-child { text-align: left; }
tr.ours td:first-child { font-weight: 600; color: #0b6e4f; } td, th { font-variant-numeric: tabular-nums; }
td small { color: #66707c; } .reached { color: #0b6e4f; } .missed { color: #c0392b; font-weight: 600; }
p.note { color: #66707c; } .badge { font-weight: 600; } td.text, th.text { text-align: left; }
"""


def page(setting: Setting, outcomes: Sequence[Outcome]) -> str:
    """The page, scripts included."""
    parts = [
        f"<h1>aiodicom beside its peers</h1><p class=note>{escape(_summary(setting))}</p>",
        _versions(setting),
        "<p>Everyone in a row does the same work, in turns on one machine, a fresh process each time, or by bursts in "
        "one run (in turns); the figures are medians. In brackets: how many times better than the row's "
        "baseline. CPU-seconds are those of a server's whole process tree. Ratios hold from machine to machine, "
        "absolute figures do not.</p>",
    ]
    if setting.quick:
        parts.append("<p class=missed>A quick run: it shows that everything runs; its figures mean little.</p>")
    parts += [_targets(outcomes), *_curves(outcomes), "<h2>Every comparison</h2>", *map(_row, outcomes)]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>aiodicom: benchmarks</title>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script><body>{''.join(parts)}</body></html>\n"
    )


def _summary(setting: Setting) -> str:
    rounds = "one round" if setting.runs == 1 else f"{setting.runs} rounds"
    return " · ".join([setting.date, *setting.machine.values(), rounds])


def _versions(setting: Setting) -> str:
    present = [f"{name} {version}" for name, version in setting.versions.items() if version]
    absent = [name for name, version in setting.versions.items() if not version]
    left_out = f"<br>Not installed and left out: {escape(', '.join(absent))}" if absent else ""
    return f"<p class=note>{escape(' · '.join(present))}{left_out}</p>"


# ---- targets


def _targets(outcomes: Sequence[Outcome]) -> str:
    judged = all_verdicts(outcomes)
    if not judged:
        return ""
    enough = sum(verdict.enough for _, verdict in judged)
    missed = len(judged) - enough
    lines = [
        f"<tr><td>{escape(outcome.row.title)}</td><td class=text>{escape(verdict.contender)}</td>"
        f"<td class=text>{escape(verdict.target.metric)}</td><td>{reached(verdict)}</td>"
        f"<td class=text>{escape(_bound(outcome, verdict))}</td>{_judgement(verdict)}</tr>"
        for outcome, verdict in judged
    ]
    return (
        f"<h2>Targets</h2><p><span class=reached>{enough} reached</span>, "
        f"<span class={'missed' if missed else 'note'}>{missed} missed</span></p>{_target_plot(judged)}"
        "<table><tr><th>work</th><th class=text>who</th><th class=text>figure</th><th>reached</th>"
        f"<th class=text>wanted</th><th></th></tr>{''.join(lines)}</table>"
    )


def _bound(outcome: Outcome, verdict: Verdict) -> str:
    target = verdict.target
    if target.against is not None:
        return wanted(target)
    metric = next(each for each in outcome.row.metrics if each.name == target.metric)
    return f"at {'least' if metric.higher else 'most'} {target.value:g}"


def _judgement(verdict: Verdict) -> str:
    return "<td class=reached>reached</td>" if verdict.enough else "<td class=missed>missed</td>"


def _target_plot(judged: Iterable[tuple[Outcome, Verdict]]) -> str:
    """How far each target was exceeded or missed: 1 is the target itself."""
    labels, scores, colours = [], [], []
    for outcome, verdict in judged:
        target = verdict.target
        if verdict.reached is None or verdict.reached <= 0 or target.value <= 0:
            continue  # no place on a logarithmic axis
        score = verdict.reached / target.value
        metric = next(each for each in outcome.row.metrics if each.name == target.metric)
        if target.against is None and not metric.higher:
            score = 1 / score
        against = "" if target.against is None else f" / {target.against}"
        labels.append(f"{outcome.row.title} · {verdict.contender}<br><sub>{target.metric}{against}</sub>")
        scores.append(score)
        colours.append(_REACHED if verdict.enough else _MISSED)
    # By their logarithms, since a bar on plotly's logarithmic axis cannot begin at 1.
    powers = [log2(score) for score in scores]
    lowest, highest = min(powers, default=0), max(powers, default=0)
    figure = go.Figure(
        go.Bar(
            x=powers,
            y=list(range(len(labels))),
            orientation="h",
            marker_color=colours,
            text=[f"{score:.2f}" for score in scores],
            textposition="outside",
            cliponaxis=False,
        )
    )
    figure.update_yaxes(
        tickvals=list(range(len(labels))), ticktext=labels, autorange="reversed", tickfont_size=11, showgrid=False
    )
    ticks = range(min(-1, floor(lowest)), max(1, ceil(highest)) + 1)
    figure.update_xaxes(
        title="reached / wanted: right of 1 is reached",
        tickvals=list(ticks),
        ticktext=[f"{2.0**tick:.2g}" for tick in ticks],
        tickangle=0,
        side="top",
        range=(min(-1, lowest) - 1, max(1, highest) + 1),
        zerolinecolor="#1f2933",
        zerolinewidth=1.5,
    )
    return _draw(figure, height=120 + 34 * len(labels), left=470, top=60)


# ---- curves


def _curves(outcomes: Sequence[Outcome]) -> list[str]:
    """One plot for each work that was done with several numbers of associations."""
    curves: dict[str, list[tuple[int, Outcome]]] = {}
    for outcome in outcomes:
        if outcome.row.point is not None:
            curves.setdefault(outcome.row.point.curve, []).append((outcome.row.point.associations, outcome))
    plots = [_curve(name, points) for name, points in curves.items() if len(points) > 1]
    return ["<h2>From one association to thousands</h2>", *plots] if plots else []


def _curve(name: str, points: list[tuple[int, Outcome]]) -> str:
    points = sorted(points, key=lambda point: point[0])
    metric = points[0][1].row.metrics[0]
    names = dict.fromkeys(contender.name for _, outcome in points for contender in outcome.row.contenders)
    figure = go.Figure()
    rates: list[float] = []
    for who in names:
        measured = [(x, value) for x, outcome in points if (value := outcome.median(who, metric.name))]
        if measured:
            x, y = zip(*measured, strict=True)
            rates += y
            figure.add_scatter(x=x, y=y, name=who, mode="lines+markers", line_color=_CURVE_COLOURS.get(who, _PEER))
    counts = [count for count, _ in points]
    figure.update_xaxes(type="log", title="associations", tickvals=counts, ticktext=[f"{count:,}" for count in counts])
    ticks = [digit * 10**power for power in range(9) for digit in (1, 2, 5)]
    lowest, highest = min(rates, default=1.0) / 2, 2 * max(rates, default=1.0)
    figure.update_yaxes(
        type="log",
        title=metric.name,
        tickvals=ticks,
        ticktext=[f"{tick:,}" for tick in ticks],
        range=(log10(lowest), log10(highest)),
    )
    missing = sorted({f"{who} at {x:,}" for x, outcome in points for who in outcome.failures})
    note = f"<p class=note>Did not do all of the work: {escape(', '.join(missing))}</p>" if missing else ""
    return f"<h3>{escape(name)}</h3>{_draw(figure, height=380, left=80, legend=True)}{note}"


# ---- rows


def _row(outcome: Outcome) -> str:
    row = outcome.row
    head = "".join(f"<th>{escape(metric.name)}</th>" for metric in row.metrics)
    lines = []
    for contender in row.contenders:
        cells = "".join(f"<td>{_small(cell(outcome, contender.name, metric))}</td>" for metric in row.metrics)
        lines.append(f"<tr{' class=ours' if contender.ours else ''}><td>{escape(contender.name)}</td>{cells}</tr>")
    notes = [f"Left out {escape(name)}: {escape(reason)}" for name, reason in outcome.absent.items()]
    notes += [f"Failed, {escape(name)}: {escape(last_line(failure))}" for name, failure in outcome.failures.items()]
    below = "".join(f"<p class=note>{note}</p>" for note in notes)
    table = f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>"
    return f"<h3>{escape(row.title)}</h3>{table}{_row_plot(outcome)}{below}"


def _small(text: str) -> str:
    value, bracket, ratio = escape(text).partition(" (")
    return f"{value} <small>({ratio}</small>" if bracket else value


def _row_plot(outcome: Outcome) -> str:
    """The first metric of those who did the work."""
    metric = outcome.row.metrics[0]
    found = [(each, value) for each in outcome.row.contenders if (value := outcome.median(each.name, metric.name))]
    if len(found) < 2:
        return ""
    figure = go.Figure(
        go.Bar(
            x=[value for _, value in found],
            y=[contender.name for contender, _ in found],
            orientation="h",
            marker_color=[_colour(outcome, contender) for contender, _ in found],
            text=[cell(outcome, contender.name, metric) for contender, _ in found],
            textposition="auto",
        )
    )
    better = "more is better" if metric.higher else "less is better"
    figure.update_xaxes(title=f"{metric.name} ({better})", rangemode="tozero")
    figure.update_yaxes(autorange="reversed")
    return _draw(figure, height=90 + 32 * len(found), left=300)


def _colour(outcome: Outcome, contender: Contender) -> str:
    if not contender.ours:
        return _LIMIT if "limit" in contender.name else _PEER
    first = next(each for each in outcome.row.contenders if each.ours)
    return _OURS if contender is first else _OURS_TOO


def _draw(figure: go.Figure, *, height: int, left: int, top: int = 10, legend: bool = False) -> str:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": left, "r": 70, "t": top, "b": 45},
        showlegend=legend,
        bargap=0.25,
        font_family="system-ui, sans-serif",
    )
    plot: str = to_html(figure, full_html=False, include_plotlyjs=False, config={"displayModeBar": False})
    return plot
