"""`aiodicom worklist`: C-FIND of a modality worklist (PS3.4 K)."""

from __future__ import annotations

import asyncio
import datetime
from typing import Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.cli.finding import AsList, MaxResults, find
from aiodicom.cli.keys import BadKey, BadRange, Key, parse_key
from aiodicom.cli.peer import AssociationOptions, Peer
from aiodicom.cli.query import KeyOptions, worklist_query
from aiodicom.cli.runner import run
from aiodicom.cli.security import ClientTLS, Identity

__all__ = ["worklist"]

_COMMAND = "worklist"
_STEP = "ScheduledProcedureStepSequence[0]"
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}


@options.grouped
def worklist(
    host: options.Host,
    port: options.Port,
    date: Annotated[
        str | None,
        typer.Option(
            "--date",
            metavar="DATE",
            show_default=False,
            help="Day of the scheduled steps, or range of days: 20240131, 20240101-20240131, today, tomorrow.",
        ),
    ] = None,
    modality: Annotated[
        str | None, typer.Option("--modality", metavar="CODE", show_default=False, help="Their modality, such as CT.")
    ] = None,
    station: Annotated[
        str | None,
        typer.Option("--station", metavar="TITLE", show_default=False, help="AE title that they are scheduled for."),
    ] = None,
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
    """Ask a peer for what is scheduled: a modality worklist.

    Example: aiodicom worklist ris.example.org 104 -aec RIS --date today --modality CT

    With --json, a line is what `aiodicom mpps HOST PORT start --item FILE` takes.
    """
    output.configure_logging(verbose, debug)
    more = [
        *_keys("--date", "ScheduledProcedureStepStartDate", date and _day(date)),
        *_keys("--modality", "Modality", modality),
        *_keys("--station", "ScheduledStationAETitle", station),
    ]

    async def work(stop: asyncio.Event) -> int:
        query = worklist_query(keys, more)
        peer = Peer(_COMMAND, host, port, associating, security, identity)
        return await find(_COMMAND, peer, query, limit=max_results, as_json=as_json, as_list=as_list, stop=stop)

    run(_COMMAND, work)


def _keys(option: str, keyword: str, value: str | None) -> list[Key]:
    """The key that an option stands for. Raises `typer.BadParameter`."""
    if not value:
        return []
    try:
        return [parse_key(f"{_STEP}.{keyword}={value}")]
    except BadKey as error:
        what = str(error).removeprefix(f"{_STEP}.{keyword}: ")  # the option has said that
        is_range = isinstance(error, BadRange)  # of days that are right
        days = f"; or {', '.join(_DAYS)}" if option == "--date" and not is_range else ""
        raise typer.BadParameter(f"{what}{days}", param_hint=f"'{option}'") from None


def _day(text: str) -> str:
    """The day that it says: today's date for today."""
    days = _DAYS.get(text.lower())
    return text if days is None else f"{datetime.date.today() + datetime.timedelta(days):%Y%m%d}"
