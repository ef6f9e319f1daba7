"""`aiodicom route hold FILE`."""

from __future__ import annotations

from typing import Annotated

import typer

from aiodicom.cli.route.asking import ConfigFile, DestinationName, ObjectNumber, StateName, StudyUID, change

__all__ = ["hold"]


def hold(
    file: ConfigFile,
    destination: DestinationName = None,
    state: StateName = None,
    study: StudyUID = None,
    object: ObjectNumber = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every delivery.")] = False,
) -> None:
    """Have deliveries wait until they are released; a destination alone is held with what will come for it.

    Example: aiodicom route hold router.toml --destination pacs
    """
    change("hold", file, destination=destination, state=state, study=study, object=object, is_all=is_all)
