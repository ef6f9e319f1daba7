"""`aiodicom route queue FILE`: what waits in a router."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.cli.route.asking import ConfigFile, DestinationName, StateName, ask, lines_of

if TYPE_CHECKING:
    from aiodicom.web.router.client import ControlClient

__all__ = ["queue"]


def queue(
    file: ConfigFile,
    destination: DestinationName = None,
    state: StateName = None,
    find: Annotated[
        str | None,
        typer.Option(
            "--find",
            metavar="TEXT",
            show_default=False,
            help="The way of objects instead, delivered ones too: SOP Instance UID, Study Instance UID or Patient ID.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=500, help="So many objects at most.")] = 50,
    as_json: options.Json = False,
) -> None:
    """Show what waits in the router that runs, the oldest first; or where an object is.

    Example: aiodicom route queue router.toml --state dead
    """

    async def question(client: ControlClient) -> int:
        from aiodicom.web.router.control import Meant

        if find is not None:
            ways = await client.search(find)
        else:
            ways = await client.listed(Meant(destination=destination, state=state), limit=limit)
        if as_json:
            import msgspec

            output.result_json({"objects": msgspec.to_builtins(ways)})
            return 0
        for line in lines_of(ways):
            output.result(line)
        if not ways:
            output.result("nothing is known of it" if find is not None else "nothing waits")
        elif find is None and len(ways) == limit:
            output.note("route queue", f"these are the first {limit}: --limit shows more")
        return 0

    ask("route queue", file, question)
