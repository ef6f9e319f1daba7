"""`aiodicom route FILE`: the router, by a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.errors import ConfigurationError

__all__ = ["route"]

_COMMAND = "route"


def route(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="The configuration: TOML.")],
    check: Annotated[
        bool, typer.Option("--check", help="Say what is wrong with the configuration, or what it does, and end.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Receive objects and forward them by rules: see docs/router.md.

    Example: aiodicom route router.toml --check
    """
    if not check:
        raise typer.BadParameter("only a check of the configuration can be had so far", param_hint="without '--check'")
    try:
        from aiodicom.cli.route.summary import summary_of
        from aiodicom.router.config.reading import load
    except ModuleNotFoundError:
        output.note(_COMMAND, "this command needs more packages: pip install 'aiodicom[router]'")
        raise typer.Exit(1) from None
    problems: tuple[str, ...] = ()
    try:
        config = load(file)
    except ConfigurationError as error:
        problems = error.problems
    except OSError as error:
        output.note(_COMMAND, f"{file}: {error.strerror or error}")
        raise typer.Exit(1) from None
    if as_json:
        output.result_json({"file": str(file), "problems": problems})
    if problems:
        if not as_json:
            for problem in problems:
                output.note(_COMMAND, f"{file}: {problem}")
            output.note(_COMMAND, f"{file}: {output.count(len(problems), 'problem')}")
        raise typer.Exit(1)
    if not as_json:
        for line in summary_of(config):
            output.result(output.printable(line))
