"""What the subcommands of `aiodicom route` share: which router is meant, and which deliveries."""

from __future__ import annotations

import asyncio
import sys
import tomllib
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from aiodicom.cli import output, streams
from aiodicom.cli.runner import run
from aiodicom.errors import LocalError
from aiodicom.values import Value, frozen

if TYPE_CHECKING:
    from aiodicom.router.control import ObjectWay
    from aiodicom.web.router.client import ControlClient

__all__ = ["ConfigFile", "DestinationName", "MeantOptions", "StateName", "ask", "change", "lines_of"]

#: What has been done to a destination and all that comes for it.
_OF_DESTINATION: Final = {"hold": "is held: what comes for it waits", "release": "is released: what waits for it goes"}

ConfigFile = Annotated[
    Path, typer.Argument(metavar="FILE", show_default=False, help="The configuration of the router that runs.")
]
DestinationName = Annotated[
    str | None, typer.Option("--destination", metavar="NAME", show_default=False, help="Of this destination alone.")
]
StateName = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="STATE",
        show_default=False,
        help="In this state alone: waiting, delayed, held, gathering or dead.",
    ),
]


@frozen
class MeantOptions(Value):
    """The deliveries that somebody means."""

    destination: DestinationName = None
    state: StateName = None
    study: Annotated[
        str | None,
        typer.Option("--study", metavar="UID", show_default=False, help="Of the study with this Study Instance UID."),
    ] = None
    object: Annotated[
        str | None,
        typer.Option(
            "--object",
            metavar="SHARD/N",
            show_default=False,
            help="Of this object, as queue shows it: shard-000/1099511627776.",
        ),
    ] = None
    is_all: Annotated[bool, typer.Option("--all", help="Every delivery.")] = False

    def says_something(self) -> bool:
        """Whether they are not every delivery only because nothing was said."""
        return self.is_all or self != MeantOptions()

    def is_destination(self) -> bool:
        """Whether a destination is meant, with what will come for it."""
        return self.destination is not None and (self.state, self.study, self.object) == (None, None, None)


def ask(command: str, file: Path, question: Callable[[ControlClient], Awaitable[int]]) -> None:
    """Asks the router that runs with a configuration; exits with the code that `question` returns."""
    try:
        from aiodicom.web.router.client import ControlClient
    except ModuleNotFoundError as error:
        output.note(command, f"this command needs more packages ({error.name}): pip install 'aiodicom[router]'")
        raise typer.Exit(1) from None

    async def work(_stop: asyncio.Event) -> int:
        try:
            return await question(ControlClient(_queue_of(file)))
        except BrokenPipeError:
            streams.is_gone(sys.stdout)
            return 0

    run(command, work)


def _queue_of(file: Path) -> Path:
    """Where the queue is. The rest of the configuration may be wrong: what runs does not run by it."""
    try:
        values = tomllib.loads(file.read_text("utf-8"))
        directory = values["queue"]["directory"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LocalError(f"{file}: no TOML: {error}") from None
    except (KeyError, TypeError):
        raise LocalError(f"{file}: no queue.directory: this is no configuration of a router") from None
    if not isinstance(directory, str):
        raise LocalError(f"{file}: queue.directory: a path is wanted")
    return file.absolute().parent / Path(directory).expanduser()


def change(what: str, file: Path, options: MeantOptions, reason: str = "") -> None:
    """Does something with deliveries, and says with how many."""
    if not options.says_something():
        raise typer.BadParameter(
            "say which deliveries: --destination, --state, --study or --object, or --all for every one"
        )

    async def question(client: ControlClient) -> int:
        from aiodicom.router.control import Meant

        meant = Meant(
            destination=options.destination,
            state=options.state,
            study=options.study,
            object=options.object,
            reason=reason,
        )
        changed = await client.change(what, meant)
        said = _OF_DESTINATION.get(what)
        if said is not None and options.is_destination():
            output.result(f"{options.destination} {said}")
        else:
            output.result(f"{what}: {output.count(changed, 'delivery', 'deliveries')}")
        return 0

    ask(f"route {what}", file, question)


def lines_of(ways: list[ObjectWay]) -> list[str]:
    """Objects and what has become of them, for people."""
    lines = []
    for way in ways:
        received = datetime.fromtimestamp(way.received).strftime("%Y-%m-%d %H:%M:%S")
        lines.append(f"{way.object}  {way.sop_instance_uid}  {way.size:,} bytes, from {way.calling_aet} at {received}")
        for step in way.steps:
            tried = f", tried {output.count(step.attempts, 'time')}" if step.attempts else ""
            reason = f": {step.reason}" if step.reason else ""
            lines.append(f"    {step.route} to {step.destination}: {step.state}{tried}{reason}")
    return [output.printable(line) for line in lines]
