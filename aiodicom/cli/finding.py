"""A C-FIND and its matches on stdout, as findscu and worklist have it."""

from __future__ import annotations

import asyncio
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiodicom.cli import output, streams
from aiodicom.cli.peer import Peer
from aiodicom.cli.query import Query, hint
from aiodicom.errors import AiodicomError, StatusError
from aiodicom.services.stopping import Interrupted, unless_stopped
from aiodicom.standard.status import Status

if TYPE_CHECKING:
    from aiodicom.net.responses import Matches

__all__ = ["AsList", "MaxResults", "find"]

MaxResults = Annotated[
    int | None,
    typer.Option(
        "--max-results",
        "--cancel-after",
        metavar="N",
        min=1,
        show_default=False,
        help="Send C-CANCEL after so many matches.",
    ),
]
AsList = Annotated[bool, typer.Option("--list", help="Show a block of lines for each match, with all values in full.")]

#: Seconds that the first rows wait for others, so that the columns become as wide as they need.
_PATIENCE = 1.0


async def find(
    command: str, peer: Peer, query: Query, *, limit: int | None, as_json: bool, as_list: bool, stop: asyncio.Event
) -> int:
    """Asks, shows the matches as they come, and says how many there were; the command's exit code.

    When `stop` is set, C-CANCEL is sent.
    """
    assert query.model.find is not None
    association = await unless_stopped(stop, peer.connect(contexts=[query.model.find]))
    shown = _JSON() if as_json else _Text(query, as_list=as_list)
    begun = perf_counter()
    code, how = 0, ""
    matches: Matches | None = None
    try:
        async with association, association.c_find(query.identifier, query.model) as matches:
            try:
                await unless_stopped(stop, _show(matches, shown, limit))
                if matches.response is None:
                    response = await matches.cancel()
                    how = ", cancelled" if response.status is Status.CANCEL else ""
            except Interrupted:
                code, how = 1, ", interrupted"
                await matches.cancel()
            except BrokenPipeError:
                streams.is_gone(sys.stdout)
                await matches.cancel()
            except StatusError as error:
                advice = hint(query.model, query.level, query.identifier)
                output.note(command, output.explain(error) + (f"; {advice}" if advice else ""))
                code, how = 1, ", failed"
    except (AiodicomError, OSError) as error:
        if matches is None:
            raise
        # What came before the association ended is shown all the same.
        output.note(command, output.explain(error))
        code, how = 1, how if matches.response is not None else ", failed"
    if matches.keys_unsupported:
        output.note(command, "the peer does not support all of the keys: it may have ignored some (FF01H)")
    summary = f"{output.count(shown.number, 'match', 'matches')} in {perf_counter() - begun:.2f} s{how}"
    try:
        shown.close()
        if how == ", failed" and not shown.number:
            pass  # why has been said
        elif not as_json:
            output.result(summary)
        elif how:
            output.note(command, summary)
    except BrokenPipeError:
        streams.is_gone(sys.stdout)
    if shown.is_cut and sys.stdout.isatty():
        output.note(command, "what has a … did not fit: --list or --json shows it in full")
    return code


async def _show(matches: Matches, shown: _Text | _JSON, limit: int | None) -> None:
    async for match in matches:
        shown.add(match)
        if shown.number == limit:
            return


class _JSON:
    """Each match as one object of the DICOM JSON model (PS3.18 F) on a line."""

    is_cut = False

    def __init__(self) -> None:
        self.number = 0

    def add(self, match: Any) -> None:
        from aiodicom.dataset.json import to_json

        self.number += 1
        output.result(output.json_on_stdout(to_json(match)))

    def close(self) -> None:
        """There are no more."""


class _Text:
    """The matches as a table for people."""

    def __init__(self, query: Query, *, as_list: bool) -> None:
        from aiodicom.cli.table import Table, columns_for

        self.number = 0
        self._paths = query.columns
        self._table = Table.on_stdout(columns_for(query.columns), is_list=as_list)
        self._timer: asyncio.TimerHandle | None = None
        self._trouble: OSError | None = None

    @property
    def is_cut(self) -> bool:
        return self._table.is_cut

    def add(self, match: Any) -> None:
        from aiodicom.cli.table import text_of

        self.number += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._show_first)
        self._check()
        self._table.add([text_of(match, path) for path in self._paths])

    def _show_first(self) -> None:
        try:
            self._table.flush()
        except OSError as error:  # nobody reads any more, or there is no room: the next match, or the end, tells of it
            self._trouble = error

    def _check(self) -> None:
        if self._trouble is not None:
            raise self._trouble

    def close(self) -> None:
        """There are no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._check()
        self._table.flush()
