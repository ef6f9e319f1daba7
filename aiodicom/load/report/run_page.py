"""The report of one run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from aiodicom.load import figures, formatting, thresholds
from aiodicom.load.report import curves, plots
from aiodicom.load.report.markup import Markup, element, joined, table
from aiodicom.load.report.page import Plot, document, section
from aiodicom.load.report.verdict import headline, verdict
from aiodicom.load.results import Percentiles, Result

__all__ = ["run_page"]


_HOLDS: Final = element("span", "holds", class_="good")
_CROSSED: Final = element("span", "crossed", class_="bad")


def run_page(result: Result) -> str:
    """The page, as HTML."""
    names = list(figures.ordered(result))
    planned = curves.planned(result, names)
    distribution = (
        [curves.percentile_curve([*planned, *curves.actual(result, names)]), curves.distribution(planned)]
        if planned
        else []
    )
    over_time: dict[str, list[Plot]] = {"rate": [], "latency": [], "errors": [], "associations": [], "generator": []}
    if result.series:
        over_time |= {
            "rate": [plots.rate(result)],
            "latency": [plots.latency(result)],
            "errors": [plot for plot in (plots.errors(result),) if plot is not None],
            "associations": [plots.associations(result)],
            "generator": [plots.generator(result)],
        }
    sections = [
        section("Figures", *_figures(result)),
        section("Rate", *over_time["rate"]),
        section("Latency", *over_time["latency"], *distribution),
        section("Errors", *over_time["errors"], *_errors(result)),
        section("Associations", *over_time["associations"], _associations(result)),
        section("Load generator", *_limited(result), *over_time["generator"], _generator(result)),
        section("Scenario", _scenario(result)),
    ]
    shown = [*(plot for several in over_time.values() for plot in several), *distribution]
    return document(f"{headline(result)}: load test", _head(result), sections, shown)


# --- the head --------------------------------------------------------------------------------------------------------


def _head(result: Result) -> Markup:
    word, why = verdict(result)
    kind = {"Passed": " passed", "Failed": " failed"}.get(word, "")
    total = figures.total(result)
    key = {
        "operations": f"{total.count:,}",
        "rate": formatting.per_second(total.rate_per_s),
        "errors": f"{total.errors:,} ({formatting.percent(figures.share(total.errors, total.count))})",
        "dropped": f"{result.dropped:,}",
        "data": f"{formatting.size(total.bytes_per_s)}/s",
        "associations, peak": f"{result.associations.peak:,}",
    }
    facts = [
        _when(result.started),
        f"{formatting.seconds(result.seconds)} measured"
        + (f" after {formatting.seconds(result.warm_up_s)} of warm-up" if result.warm_up_s else ""),
        f"to {', '.join(result.targets)}" if result.targets else "",
        f"aiodicom {result.version}" if result.version else "",
    ]
    return element(
        "header",
        element("h1", headline(result)),
        element("p", " · ".join(filter(None, facts)), class_="soft"),
        element("div", element("strong", word), element("span", why), class_=f"verdict{kind}"),
        *_limited(result),
        element("dl", *(_fact(name, value) for name, value in key.items()), class_="key"),
        _thresholds(result),
    )


def _fact(name: str, value: str) -> Markup:
    return element("div", element("dt", name), element("dd", value))


def _when(started: str) -> str:
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname() or ''}".rstrip()


def _limited(result: Result) -> list[Markup]:
    if not result.generator.limited:
        return []
    reason = f": {result.generator.reason}" if result.generator.reason else ""
    text = f"The load generator was the limit{reason}. The figures are its own as much as the peer's."
    return [element("p", element("strong", "Warning. "), text, class_="warning")]


def _thresholds(result: Result) -> Markup:
    if not result.thresholds:
        return Markup()
    rows = [
        (
            each.expression,
            _CROSSED if each.crossed else _HOLDS,
            thresholds.value_text(each),
        )
        for each in result.thresholds
    ]
    return table("Thresholds", ["threshold", "verdict", "value"], rows, texts=2)


# --- tables ----------------------------------------------------------------------------------------------------------


def _figures(result: Result) -> list[Markup]:
    operations = figures.ordered(result)
    counts = [
        (
            name,
            f"{each.count:,}",
            formatting.per_second(each.rate_per_s),
            f"{each.errors:,}",
            formatting.percent(figures.share(each.errors, each.count)),
            f"{formatting.size(moved)}/s" if (moved := figures.bytes_per_s(each, result.seconds)) else "",
            f"{each.matches:,}" if each.matches else "",
        )
        for name, each in operations.items()
    ]
    shown = [table("Operations", ["operation", "count", "rate", "errors", "of all", "data", "matches"], counts)]
    for field, caption in (
        ("planned_latency_ms", "Latency from the planned start: what a client would have waited"),
        ("actual_latency_ms", "Latency from the actual start: what the peer took"),
        ("first_response_ms", "Until the first response, of operations that have several"),
    ):
        rows = [
            (name, *percentile_texts(getattr(each, field)))
            for name, each in operations.items()
            if getattr(each, field).max
        ]
        if rows:
            shown.append(table(caption, ["operation", *figures.PERCENTILES.values()], rows))
    return shown


def percentile_texts(percentiles: Percentiles) -> list[str]:
    """The percentiles that people look at, with their unit."""
    return [formatting.milliseconds(getattr(percentiles, field)) for field in figures.PERCENTILES]


def _errors(result: Result) -> Iterable[Markup]:
    causes = [(*cause.split(": ", 1), f"{times:,}") for cause, times in figures.causes(result).items()]
    if causes:
        yield table("Causes", ["operation", "cause", "times"], causes, texts=2)
    else:
        yield element("p", "There were none.")
    statuses = [
        (name, status, f"{times:,}")
        for name, each in figures.ordered(result).items()
        for status, times in _by_frequency(each.statuses)
    ]
    if statuses:
        yield table("Final statuses", ["operation", "status", "times"], statuses, texts=2)
    if result.examples:
        yield element("h3", "Some of what went wrong, in full")
        yield element("ul", *(element("li", example) for example in result.examples))


def _by_frequency(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _associations(result: Result) -> Markup:
    each = result.associations
    names = ("opened", "peak", "released", "rejected", "aborted")
    return table("Associations", ["", *names], [("number", *(f"{getattr(each, name):,}" for name in names))])


def _generator(result: Result) -> Markup:
    each = result.generator
    headings = ["", "lag p99", "lag max", "CPU of a core", "peak memory", "processes"]
    row = [
        "load generator",
        formatting.milliseconds(each.lag_p99_ms),
        formatting.milliseconds(each.lag_max_ms),
        formatting.percent(each.cpu_percent / 100),
        formatting.size(each.peak_memory_bytes),
        f"{each.workers:,}",
    ]
    return table("What the generator itself took; where there are several processes, the busiest", headings, [row])


def _scenario(result: Result) -> Markup:
    leaves = figures.flattened(result.scenario)
    if not leaves:
        return element("p", "Not in the result.")
    rows = [(key, json.dumps(value, ensure_ascii=False)) for key, value in leaves.items()]
    return joined([table("As it was run", ["key", "value"], rows, texts=2)])
