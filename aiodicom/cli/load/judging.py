"""The thresholds that commands are given, and the exit code that tells of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

import typer

from aiodicom.load.results import Result
from aiodicom.load.thresholds import Condition, parse

__all__ = ["CROSSED", "Thresholds", "conditions_of", "crossed_code"]

#: The exit code of a run that did its work and crossed a threshold.
CROSSED: Final = 99


def _checked(values: list[str] | None) -> list[str]:
    conditions_of(values or ())
    return list(values or ())


Thresholds = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="WHAT",
        callback=_checked,
        show_default=False,
        help='What has to hold, such as "store.p99<200ms", "errors<0.1%" or "rate>400/s" (repeatable); exit code 99 '
        "where it does not.",
    ),
]


def conditions_of(expressions: Iterable[str]) -> list[Condition]:
    """The thresholds, understood. Raises typer.BadParameter."""
    try:
        return [parse(expression) for expression in expressions]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def crossed_code(result: Result) -> int:
    """The exit code for a result that crosses a threshold; 0 for others."""
    return CROSSED if any(threshold.crossed for threshold in result.thresholds) else 0
