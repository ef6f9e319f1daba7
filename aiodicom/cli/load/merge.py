"""`aiodicom load merge`: results of one load from several machines, added."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiodicom.cli import output
from aiodicom.cli.load.judging import Thresholds, conditions_of, crossed_code
from aiodicom.cli.load.reading import read_results
from aiodicom.cli.load.report_files import CsvFile, HtmlFile, ReportFiles, writable_or_stdout
from aiodicom.cli.load.summary import show_summary
from aiodicom.load import merging, thresholds

__all__ = ["merge"]

_COMMAND = "load merge"


def merge(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", show_default=False, help="What aiodicom load --json wrote.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--json",
            metavar="FILE",
            callback=writable_or_stdout,
            show_default=False,
            help="Write the sum as JSON; - is stdout.",
        ),
    ] = None,
    csv: CsvFile = None,
    html: HtmlFile = None,
    threshold: Thresholds = None,
) -> None:
    """Add the results of runs that loaded the same peer at the same time, exactly: counts and histograms.

    The thresholds of the runs are judged again on the sum, and those of --threshold instead where there are any. Of a
    single FILE, this writes the reports again.

    Example: aiodicom load merge one.json two.json -o both.json --html both.html
    """
    if out is not None and any(file.exists() and out.exists() and file.samefile(out) for file in files):
        raise typer.BadParameter(f"{out} is one of the results that are added", param_hint="'-o'")
    wanted = ReportFiles(out, csv, html)
    wanted.check(_COMMAND)
    results = read_results(_COMMAND, files)
    try:
        merged = merging.merge(results)
        if threshold:
            merged.thresholds = thresholds.judge(conditions_of(threshold), merged)
    except ValueError as error:
        output.note(_COMMAND, output.explain(error))
        raise typer.Exit(1) from None
    if not wanted.take_stdout:
        show_summary(merged)
    if code := crossed_code(merged) if wanted.write(_COMMAND, merged) else 1:
        raise typer.Exit(code)
