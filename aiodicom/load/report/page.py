"""The page that all reports are: one file with style, script and data, which asks the network for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from plotly.io.json import to_json_plotly  # type: ignore[import-untyped]
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from aiodicom.load.report.markup import Markup, element, joined

__all__ = ["Plot", "document", "section", "write"]


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure as plotly.js takes it."""

    key: str
    title: str
    #: What it shows, for those who see it and those who don't.
    description: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    #: Pixels.
    height: int

    def __html__(self) -> Markup:
        """Where the figure goes."""
        place = element(
            "div",
            id=self.key,
            class_="plot",
            style=f"height: {self.height}px",
            role="img",
            aria_label=f"{self.title}. {self.description}",
        )
        return element("figure", place, element("figcaption", self.description))


def section(title: str, *content: str | Plot) -> Markup:
    """A part of the page under a heading."""
    return element(
        "section",
        element("h2", title),
        *(each.__html__() if isinstance(each, Plot) else each for each in content),
    )


def document(title: str, head: Markup, sections: Sequence[Markup], plots: Sequence[Plot]) -> str:
    """The whole page."""
    figures = {plot.key: {"data": plot.data, "layout": plot.layout | {"height": plot.height}} for plot in plots}
    return joined(
        (
            Markup(_BEFORE),
            element("title", title),
            Markup(f"<style>{_style()}</style></head><body><main>"),
            head,
            Markup(f"<noscript><p>{_NO_SCRIPT}</p></noscript>") if plots else "",
            *sections,
            Markup("</main>"),
            # Plotly's JSON has no "<" in it that could end the element.
            Markup(f'<script type="application/json" id="figures">{to_json_plotly(figures, engine="json")}</script>'),
            Markup(f"<script>{get_plotlyjs()}</script><script>{_script()}</script>") if plots else "",
            Markup("</body></html>\n"),
        )
    )


def write(page: str, path: Path) -> None:
    """Writes the file; raises OSError."""
    path.write_text(page, encoding="utf-8")


_NO_SCRIPT: Final = "The plots need JavaScript; the tables have the figures without it."
#: Nothing is loaded from anywhere, whatever the data say.
_BEFORE: Final = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data: blob:\">"
    '<meta name="generator" content="aiodicom load">'
)


@cache
def _style() -> str:
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")


@cache
def _script() -> str:
    return Path(__file__).with_name("report.js").read_text(encoding="utf-8")
