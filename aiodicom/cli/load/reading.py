"""Results that were written before."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from aiodicom.cli import output
from aiodicom.load.results import Result, read_result

__all__ = ["read_results"]


def read_results(command: str, files: Iterable[Path]) -> list[Result]:
    """The results in these files; of one that has none, a line on stderr and exit code 1."""
    results = []
    for file in files:
        try:
            results.append(read_result(file))
        except (OSError, ValueError) as error:
            output.note(command, output.explain(error))
            raise typer.Exit(1) from None
    return results
