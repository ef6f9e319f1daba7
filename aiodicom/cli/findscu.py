"""`aiodicom findscu`: C-FIND, a query to a peer (PS3.4 C.4.1)."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.cli.finding import AsList, MaxResults, find
from aiodicom.cli.models import FindModels
from aiodicom.cli.peer import AssociationOptions, Peer
from aiodicom.cli.query import KeyOptions, LevelOption, find_query
from aiodicom.cli.runner import run
from aiodicom.cli.security import ClientTLS, Identity

__all__ = ["findscu"]

_COMMAND = "findscu"


@options.grouped
def findscu(
    host: options.Host,
    port: options.Port,
    models: FindModels = FindModels(),  # noqa: B008 (immutable)
    worklist: Annotated[
        bool, typer.Option("-W", "--worklist", help="Ask for a modality worklist, as the command worklist does.")
    ] = False,
    level: LevelOption = None,
    keys: KeyOptions = KeyOptions(),  # noqa: B008 (immutable)
    max_results: MaxResults = None,
    as_list: AsList = False,
    as_json: options.JsonLines = False,
    associating: AssociationOptions = AssociationOptions(),  # noqa: B008 (immutable)
    security: ClientTLS = ClientTLS(),  # noqa: B008 (immutable)
    identity: Identity = Identity(),  # noqa: B008 (immutable)
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Ask a peer what it has: patients, studies, series, images.

    Keys with a value say what is to match (* and ? are wild cards), keys without one what is to be returned; where none
    is without one, what people mostly want of the level is returned.

    Example: aiodicom findscu pacs.example.org 104 -aec PACS -k 'PatientName=Doe*' -k StudyDate=20240101-

    The series of a study: aiodicom findscu pacs.example.org 104 --level SERIES -k StudyInstanceUID=1.2.3
    """
    output.configure_logging(verbose, debug)

    async def work(stop: asyncio.Event) -> int:
        query = find_query(models, worklist, level, keys)
        peer = Peer(_COMMAND, host, port, associating, security, identity)
        return await find(_COMMAND, peer, query, limit=max_results, as_json=as_json, as_list=as_list, stop=stop)

    run(_COMMAND, work)
