"""The files that a result goes to."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from aiodicom.cli import output
from aiodicom.load.results import Result, encode, write_result
from aiodicom.values import Value, frozen

__all__ = ["CsvFile", "HtmlFile", "JsonFile", "ReportFiles", "is_stdout", "writable_or_stdout", "write_json"]


def writable(path: Path | None) -> Path | None:
    """Refuses a file that cannot be written, before anything is measured for it."""
    if path is None:
        return None
    if is_stdout(path):
        raise typer.BadParameter("only JSON goes to stdout: give a file")
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder: give a file")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}")
    return path


def writable_or_stdout(path: Path | None) -> Path | None:
    """The same, where ``-`` may be given for stdout."""
    return path if is_stdout(path) else writable(path)


def is_stdout(path: Path | None) -> bool:
    """Whether a file stands for stdout."""
    return str(path) == "-"


JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        callback=writable_or_stdout,
        show_default=False,
        help="Write the result as JSON; - is stdout.",
    ),
]
CsvFile = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="FILE",
        callback=writable,
        show_default=False,
        help="Write the series as CSV: a line for each second and operation.",
    ),
]
HtmlFile = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        callback=writable,
        show_default=False,
        help="Write a page to read and print; it needs no network.",
    ),
]


@frozen
class ReportFiles(Value):
    """Options: what to write, and where."""

    json: JsonFile = None
    csv: CsvFile = None
    html: HtmlFile = None

    @property
    def take_stdout(self) -> bool:
        """Whether stdout is one of them, and nobody else's."""
        return is_stdout(self.json)

    def check(self, command: str) -> None:
        """Says what is missing to write them, before anything is measured, and exits."""
        if self.html is not None and find_spec("plotly") is None:
            output.note(command, "--html needs more packages: pip install 'aiodicom[load]'")
            raise typer.Exit(1)

    def write(self, command: str, result: Result) -> bool:
        """Writes all that are wanted; a line on stderr for each that cannot be, and False."""
        is_written = True
        for write, path in ((write_json, self.json), (_write_csv, self.csv), (_write_html, self.html)):
            if path is None:
                continue
            try:
                write(result, path)
            except OSError as error:
                output.note(command, output.explain(error))
                is_written = False
        return is_written


def _write_csv(result: Result, path: Path) -> None:
    from aiodicom.load.csv import write_csv

    write_csv(result, path)


def _write_html(result: Result, path: Path) -> None:
    from aiodicom.load.report.page import write
    from aiodicom.load.report.run_page import run_page

    write(run_page(result), path)


def write_json(value: msgspec.Struct, path: Path) -> None:
    """Writes a struct as JSON to a file, or in one line to stdout. Raises OSError."""
    if is_stdout(path):
        output.result(encode(value).decode())
    elif isinstance(value, Result):
        write_result(value, path)
    else:
        path.write_bytes(msgspec.json.format(encode(value), indent=2) + b"\n")
