"""The report of two runs side by side."""

from __future__ import annotations

from typing import Final

from aiodicom.load import comparison as comparing
from aiodicom.load import figures
from aiodicom.load.comparison import Comparison, Row, Verdict
from aiodicom.load.report import curves
from aiodicom.load.report.markup import Markup, element, table
from aiodicom.load.report.page import document, section
from aiodicom.load.report.verdict import headline
from aiodicom.load.results import Result

__all__ = ["comparison_page"]

_KINDS: Final = {Verdict.BETTER: "good", Verdict.WORSE: "bad"}
#: By whether something is better, and whether something is worse.
_VERDICTS: Final = {
    (False, False): ("The same", ""),
    (True, False): ("Better", " passed"),
    (False, True): ("Worse", " failed"),
    (True, True): ("Mixed", ""),
}


def comparison_page(before: Result, after: Result, comparison: Comparison, names: tuple[str, str]) -> str:
    """The page, as HTML. `names` is what the runs are called: their files."""
    operations = list(figures.ordered(before) | figures.ordered(after))
    first = curves.planned(before, operations, prefix=f"{names[0]}: ", dash="dash")
    second = curves.planned(after, operations, prefix=f"{names[1]}: ")
    plots = [curves.percentile_curve([*first, *second], _DESCRIPTION)] if first or second else []
    sections = [
        section("The run", _rows("Of all operations", comparison, "", names)),
        *(section(name, _rows("Latencies are from the planned start", comparison, name, names)) for name in operations),
        section("Latency", *plots),
        section("Scenarios", _differences(comparison, names)),
    ]
    return document(
        f"{names[0]} and {names[1]}: load tests compared", _head(before, after, comparison, names), sections, plots
    )


_DESCRIPTION = (
    "Which part of the operations was faster than what, from their planned start; dashed the run before, solid the one "
    "after."
)


def _head(before: Result, after: Result, comparison: Comparison, names: tuple[str, str]) -> Markup:
    word, kind = _VERDICTS[comparison.better > 0, comparison.worse > 0]
    counted = f"{comparison.better} figure{'' if comparison.better == 1 else 's'} better, {comparison.worse} worse"
    runs = [
        (name, headline(result), result.started, ", ".join(result.targets))
        for name, result in zip(names, (before, after), strict=True)
    ]
    return element(
        "header",
        element("h1", f"{names[0]} → {names[1]}"),
        element("div", element("strong", word), element("span", counted), class_=f"verdict{kind}"),
        *(element("p", warning, class_="warning") for warning in comparison.warnings),
        table("Runs", ["run", "title", "started", "targets"], runs, texts=4),
    )


def _rows(caption: str, comparison: Comparison, operation: str, names: tuple[str, str]) -> Markup:
    rows = [_cells(row) for row in comparison.rows if row.operation == operation]
    return table(caption, ["figure", *names, "change", "verdict"], rows)


def _cells(row: Row) -> list[str]:
    values = [comparing.value_text(value, row.unit) for value in (row.before, row.after)]
    kind = _KINDS.get(row.verdict)
    mark = element("span", row.verdict.value, class_=kind) if kind else row.verdict.value
    return [row.name, *values, comparing.change_text(row), mark]


def _differences(comparison: Comparison, names: tuple[str, str]) -> Markup:
    if not comparison.differences:
        return element("p", "Both runs were asked for the same.")
    rows = [(each.key, each.before, each.after) for each in comparison.differences]
    return table("What the scenarios differ in", ["key", *names], rows, texts=3)
