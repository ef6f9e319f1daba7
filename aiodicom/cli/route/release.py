"""`aiodicom route release FILE`."""

from __future__ import annotations

from typing import Annotated

import typer

from aiodicom.cli.route.asking import ConfigFile, DestinationName, ObjectNumber, StateName, StudyUID, change

__all__ = ["release"]


def release(
    file: ConfigFile,
    destination: DestinationName = None,
    state: StateName = None,
    study: StudyUID = None,
    object: ObjectNumber = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every delivery.")] = False,
) -> None:
    """Have deliveries go that were held.

    Example: aiodicom route release router.toml --destination pacs
    """
    change("release", file, destination=destination, state=state, study=study, object=object, is_all=is_all)
