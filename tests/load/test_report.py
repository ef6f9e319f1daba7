"""The pages: what is in them, that a browser draws them, and that nothing gets out of its place."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects  # type: ignore[import-untyped]
import pytest

from aiodicom.load import thresholds
from aiodicom.load.comparison import compare
from aiodicom.load.report.comparison_page import comparison_page
from aiodicom.load.report.page import write
from aiodicom.load.report.run_page import run_page
from aiodicom.load.results import Generator, Interval, IntervalOperation, Operation, Result
from tests.chromium import dumped
from tests.load.made import run

#: Elements that have no end.
VOID = {"meta", "link", "img", "br", "input"}
HOSTILE = '</script><img src=x onerror="alert(1)">&amp;'


class Page(HTMLParser):
    """What a page has in it. Fails for elements that are not ended in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: dict[str, list[str]] = {}
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self._open.append(tag)
            self.text.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.text[tag][-1] += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data

    @property
    def figures(self) -> dict[str, Any]:
        """What plotly.js is given."""
        found: dict[str, Any] = json.loads(self.text["script"][0])
        return found

    def row(self, *start: str) -> list[str]:
        """The first row of a table that begins so."""
        return next(row for row in self.rows if row[: len(start)] == list(start))


def judged(*expressions: str, **more: Any) -> Result:
    """A run with these thresholds."""
    made = run(**more)
    made.thresholds = thresholds.judge(map(thresholds.parse, expressions), made)
    return made


def test_a_run() -> None:
    page = Page(run_page(judged("store.p99<200ms", "errors<0.1%")))
    assert page.text["h1"] == ["the made-up PACS"]
    assert page.text["strong"] == ["Failed"]
    assert page.text["h2"] == [
        "Figures",
        "Rate",
        "Latency",
        "Errors",
        "Associations",
        "Load generator",
        "Scenario",
    ]
    assert page.row("store.p99<200ms")[1:] == ["crossed", "968 ms"]
    assert page.row("errors<0.1%")[1:] == ["holds", "0.0666 %"]
    assert page.row("store", "4,804")[2:] == ["80.1/s", "4", "0.0833 %", "42.0 MB/s", ""]
    assert page.row("store", "status A700H")[2:] == ["3"]
    assert page.row("association")[1:] == ["aborted by peer", "1"]
    assert page.row("stages[0].rate") == ["stages[0].rate", "100"]
    assert "store: the peer answered with status A700H (out of resources)" in page.text["li"]


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (judged("errors<9%", seconds=2), ("Passed", "the threshold holds")),
        (judged("errors<9%", "rate>1/s", seconds=2), ("Passed", "all 2 thresholds hold")),
        (run(2), ("Done", "no thresholds were given")),
        (Result(), ("Failed", "no operation succeeded")),
        (Result(interrupted=True), ("Failed", "no operation succeeded; the run ended before its time")),
        (run(2, interrupted=True), ("Interrupted", "the run ended before its time; these are the figures so far")),
        (
            judged("rate>1000/s", seconds=2, interrupted=True),
            ("Failed", "1 of 1 threshold crossed; the run ended before its time"),
        ),
    ],
)
def test_the_verdict(result: Result, verdict: tuple[str, str]) -> None:
    page = Page(run_page(result))
    assert (page.text["strong"][0], page.text["span"][0]) == verdict


def test_a_generator_that_was_the_limit_is_a_warning() -> None:
    page = Page(run_page(run(2, generator=Generator(limited=True, reason="its process used 99% of a core"))))
    assert any("The load generator was the limit: its process used 99% of a core." in text for text in page.text["p"])


def test_every_figure_is_one_that_plotly_knows() -> None:
    for page in (
        Page(run_page(run(3))),
        Page(comparison_page(run(2), run(2, seed=2), compare(run(2), run(2)), ("a", "b"))),
    ):
        assert page.figures
        for figure in page.figures.values():
            plotly.graph_objects.Figure(figure["data"], figure["layout"])


def test_the_plots() -> None:
    figures = Page(run_page(run())).figures
    names = {key: [line["name"] for line in figure["data"]] for key, figure in figures.items()}
    assert names["rate"] == ["planned", "store", "find", "echo", "dropped"]
    assert names["latency"] == ["p50", "p99", "max"] * 3
    assert names["errors"] == ["store: status A700H", "store: timeout: dimse"]
    assert names["percentiles"][:4] == ["store", "find", "echo", "associate"]
    assert sum(figures["histogram"]["data"][0]["y"]) == pytest.approx(100, abs=0.1)
    # The warm-up is shaded, and the stall is seen.
    assert figures["rate"]["layout"]["shapes"][0]["x1"] == 5
    assert max(figures["latency"]["data"][1]["y"]) > 900
    curve = figures["percentiles"]["data"][0]
    assert curve["y"] == sorted(curve["y"])
    assert curve["y"][-1] == pytest.approx(run().operations["store"].planned_latency_ms.max, rel=0.002)


def test_a_second_between_others_without_any_is_seen() -> None:
    operations = [{}, {"store": IntervalOperation(count=1, p50_ms=3.0, p99_ms=3.0, max_ms=3.0)}, {}]
    series = [Interval(start_s=float(start), operations=each) for start, each in enumerate(operations)]
    line = Page(run_page(Result(series=series, operations={"store": Operation(count=1)}))).figures["latency"]["data"][0]
    assert (line["mode"], line["y"]) == ("lines+markers", [None, 3.0, None])


def test_the_rest_of_a_second_has_no_rate() -> None:
    one = {"store": IntervalOperation(count=1)}
    lengths = (1.0, 1.0, 1.0, 0.01)
    series = [Interval(start_s=float(start), seconds=length, operations=one) for start, length in enumerate(lengths)]
    result = Result(series=series, operations={"store": Operation(count=4)})
    assert Page(run_page(result)).figures["rate"]["data"][0]["y"] == [1.0, 1.0, 1.0, None]


def test_people_who_see_otherwise() -> None:
    page = Page(run_page(run(2)))
    for tag, attributes in page.attributes:
        if attributes.get("role") == "img":
            assert len(attributes["aria-label"] or "") > 30
        if tag == "html":
            assert attributes["lang"] == "en"
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
    tables = [tag for tag, _ in page.attributes].count("table")
    assert tables == len(page.text["caption"]) > 5
    assert all(row[0] for row in page.rows if len(row) > 1 and row[0] != "")


def test_nothing_comes_from_the_network() -> None:
    page = Page(run_page(run(2)))
    for tag, attributes in page.attributes:
        assert not {"src", "href", "srcset"} & attributes.keys(), tag
    policy = next(each["content"] for _, each in page.attributes if each.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "@import" not in page.text["style"][0]
    assert "url(" not in page.text["style"][0]


def test_what_peers_say_stays_text() -> None:
    result = run(2, title=HOSTILE, targets=[HOSTILE], examples=[HOSTILE], scenario={HOSTILE: HOSTILE})
    store = result.operations.pop("store")
    store.causes, store.statuses = {HOSTILE: 1}, {HOSTILE: 1}
    result.operations[HOSTILE] = store
    failed = IntervalOperation(count=1, errors=1, causes={HOSTILE: 1})
    result.series.append(Interval(start_s=9.0, operations={HOSTILE: failed}))
    text = run_page(result)
    page = Page(text)
    assert page.text["h1"] == [HOSTILE]
    assert "img" not in [tag for tag, _ in page.attributes]
    assert len(page.text["script"]) == 3
    # plotly.js reads some HTML in names.
    assert page.figures["errors"]["data"][-1]["name"] == f"{HOSTILE}: {HOSTILE}".replace("&", "&amp;").replace(
        "<", "&lt;"
    ).replace(">", "&gt;").replace('"', "&quot;")


@pytest.mark.parametrize("result", [Result(), Result(series=[Interval(start_s=0.0)]), run(0, 1)])
def test_of_nothing(result: Result) -> None:
    page = Page(run_page(result))
    assert "There were none." in page.text["p"] or result.operations
    assert Page(comparison_page(result, result, compare(result, result), ("a", "b"))).text["strong"] == ["The same"]


def test_many_causes_share_a_colour() -> None:
    causes = {f"status A{number:03X}H": number + 1 for number in range(20)}
    failed = IntervalOperation(count=300, errors=300, causes=causes)
    page = Page(run_page(Result(series=[Interval(start_s=0.0, operations={"store": failed})])))
    data = page.figures["errors"]["data"]
    assert data[0]["name"] == "store: status A013H"
    assert (len(data), data[-1]["name"]) == (9, "others")
    assert sum(each["y"][0] for each in data) == 300


def test_two_runs() -> None:
    before, after = run(seed=1), run(seed=2, slow=1.5)
    page = Page(comparison_page(before, after, compare(before, after), ("before.json", "after.json")))
    assert page.text["h1"] == ["before.json → after.json"]
    assert page.text["strong"] == ["Worse"]
    row = next(row for row in page.rows if row[0] == "p50")
    assert row[1:3] == ["20.0 ms", "30.4 ms"]
    assert row[4] == "worse"
    lines = [(line["name"], line["line"]["color"]) for line in page.figures["percentiles"]["data"]]
    assert dict(lines)["before.json: store"] == dict(lines)["after.json: store"]


def test_a_browser_draws_it(tmp_path: Path) -> None:
    write(run_page(run()), tmp_path / "run.html")
    document = dumped((tmp_path / "run.html").as_uri(), tmp_path / "browser")
    # Set once all of the script has run; the figures are there as SVG, with their lines and names.
    assert 'data-plots="drawn"' in document
    drawn = re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)
    assert drawn.count('class="plot js-plotly-plot"') == 7
    assert drawn.count('class="js-line"') > 20
    assert {"planned", "store, from actual start", "store: status A700H"} <= set(
        re.findall(r'class="legendtext"[^>]*>([^<]*)<', drawn)
    )
