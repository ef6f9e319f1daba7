"""`aiodicom load compare`: two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiodicom.cli import output
from aiodicom.cli.load.reading import read_results
from aiodicom.cli.load.report_files import HtmlFile, JsonFile, is_stdout, write_json
from aiodicom.cli.table import Column, Table
from aiodicom.load import comparison

__all__ = ["compare"]

_COMMAND = "load compare"
_COLUMNS = (
    Column("operation", "operation"),
    Column("figure", "figure"),
    *(Column(name, name, is_right=True, is_elastic=False) for name in ("before", "after", "change")),
    Column("", "verdict", is_elastic=False),
)


def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", show_default=False, help="Result of the first run.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", show_default=False, help="Result of the second run.")],
    within: Annotated[
        float,
        typer.Option("--within", metavar="PERCENT", min=0, max=100, help="Changes up to this are taken for the same."),
    ] = comparison.WITHIN * 100,
    html: HtmlFile = None,
    as_json: JsonFile = None,
) -> None:
    """Compare two results of aiodicom load --json: what changed, by how much, and whether that is better.

    Example: aiodicom load compare before.json after.json --html changes.html
    """
    first, second = read_results(_COMMAND, (before, after))
    try:
        compared = comparison.compare(first, second, within / 100)
        if as_json is not None:
            write_json(compared, as_json)
        if html is not None:
            from aiodicom.load.report import comparison_page, page

            names = (str(before), str(after))
            page.write(comparison_page.comparison_page(first, second, compared, names), html)
    except (OSError, ValueError) as error:
        output.note(_COMMAND, output.explain(error))
        raise typer.Exit(1) from None
    if not is_stdout(as_json):
        _show(compared)


def _show(compared: comparison.Comparison) -> None:
    table = Table.on_stdout(_COLUMNS)
    for row in compared.rows:
        values = (comparison.value_text(value, row.unit) for value in (row.before, row.after))
        table.add((row.operation or "all", row.name, *values, comparison.change_text(row), row.verdict.value))
    table.flush()
    for difference in compared.differences:
        change = f"{difference.before or 'not there'} -> {difference.after or 'not there'}"
        output.result(output.printable(f"scenario: {difference.key}: {change}"))
    for warning in compared.warnings:
        output.result(output.printable(f"warning: {warning}"))
    better = output.count(compared.better, "figure")
    output.result(f"{better} better, {compared.worse:,} worse")
