"""`aiodicom route drop FILE`."""

from __future__ import annotations

from typing import Annotated

import typer

from aiodicom.cli import output
from aiodicom.cli.options import grouped
from aiodicom.cli.route.asking import ConfigFile, MeantOptions, change

__all__ = ["drop"]


@grouped
def drop(
    file: ConfigFile,
    meant: MeantOptions,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for those who look later.")
    ] = "dropped by an operator",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether this is meant.")] = False,
) -> None:
    """Give deliveries up that were not made: their objects will not arrive there.

    Example: aiodicom route drop router.toml --object shard-000/1099511627776
    """
    if not yes and meant.says_something():
        try:
            typer.confirm("What is dropped will not be delivered. Is that meant?", abort=True, err=True)
        except typer.Abort:
            output.note("route drop", "nothing was dropped (--yes does it without being asked)")
            raise
    change("drop", file, meant, reason=reason)
