"""`aiodicom route retry FILE`."""

from __future__ import annotations

from typing import Annotated

import typer

from aiodicom.cli.route.asking import ConfigFile, DestinationName, ObjectNumber, StateName, StudyUID, change

__all__ = ["retry"]


def retry(
    file: ConfigFile,
    destination: DestinationName = None,
    state: StateName = None,
    study: StudyUID = None,
    object: ObjectNumber = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every delivery.")] = False,
) -> None:
    """Have deliveries tried now that were given up, or are tried later.

    Example: aiodicom route retry router.toml --destination pacs --state dead
    """
    change("retry", file, destination=destination, state=state, study=study, object=object, is_all=is_all)
