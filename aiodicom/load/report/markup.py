"""HTML from Python: text is escaped unless it is markup already."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

__all__ = ["Markup", "element", "joined", "table"]


class Markup(str):
    """HTML that is written as it is."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str) -> Markup:
    """An element. Attributes are named as in Python: ``class_``, ``aria_label``."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{joined(children)}</{name}>")


def joined(children: Iterable[str]) -> Markup:
    """Several after one another."""
    return Markup("".join(each if isinstance(each, Markup) else html.escape(each) for each in children))


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1) -> Markup:
    """A table; the first of `texts` columns on the left head the rows, those behind them are numbers."""

    def kind(column: int) -> dict[str, str]:
        return {} if column < texts else {"class_": "number"}

    head = [element("th", text, scope="col", **kind(column)) for column, text in enumerate(headings)]
    body = [
        element(
            "tr",
            *(
                element("td", text, **kind(column)) if column else element("th", text, scope="row")
                for column, text in enumerate(row)
            ),
        )
        for row in rows
    ]
    whole = element(
        "table", element("caption", caption), element("thead", element("tr", *head)), element("tbody", *body)
    )
    return element("div", whole, class_="table", tabindex="0", role="region", aria_label=caption)
