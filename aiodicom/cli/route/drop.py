"""`aiodicom route drop FILE`."""

from __future__ import annotations

from typing import Annotated

import typer

from aiodicom.cli.route.asking import ConfigFile, DestinationName, ObjectNumber, StateName, StudyUID, change

__all__ = ["drop"]


def drop(
    file: ConfigFile,
    destination: DestinationName = None,
    state: StateName = None,
    study: StudyUID = None,
    object: ObjectNumber = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every delivery.")] = False,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for those who look later.")
    ] = "dropped by an operator",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether this is meant.")] = False,
) -> None:
    """Give deliveries up that were not made: their objects will not arrive there.

    Example: aiodicom route drop router.toml --object 1099511627776
    """
    if not yes:
        typer.confirm("What is dropped will not be delivered. Is that meant?", abort=True, err=True)
    change("drop", file, destination=destination, state=state, study=study, object=object, is_all=is_all, reason=reason)
