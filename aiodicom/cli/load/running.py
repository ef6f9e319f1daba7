"""`aiodicom load`: a run, from flags or from a scenario file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiodicom.cli import options, output
from aiodicom.cli.load.confirmation import confirm
from aiodicom.cli.load.judging import crossed_code
from aiodicom.cli.load.observing import Prometheus, observed
from aiodicom.cli.load.options import ScenarioOptions
from aiodicom.cli.load.report_files import ReportFiles
from aiodicom.cli.runner import run
from aiodicom.cli.security import ClientTLS
from aiodicom.net.descriptors import allow_descriptors

if TYPE_CHECKING:
    from aiodicom.load.results import Result
    from aiodicom.load.scenario import Scenario

__all__ = ["load"]

_COMMAND = "load"


@options.grouped
def load(
    host: Annotated[str, typer.Argument(metavar="HOST|FILE", show_default=False, help="The peer, or a scenario file.")],
    port: Annotated[
        int | None,
        typer.Argument(metavar="[PORT]", min=1, max=65535, show_default=False, help="TCP port of the peer."),
    ] = None,
    scenario: ScenarioOptions = ScenarioOptions(),  # noqa: B008 (immutable)
    called_aets: Annotated[
        list[str] | None,
        typer.Option(
            "-aec",
            metavar="TITLE",
            rich_help_panel="Associations",
            show_default="ANY-SCP",
            help="AE title that we call the peer; several are called in turn.",
        ),
    ] = None,
    security: ClientTLS = ClientTLS(),  # noqa: B008 (immutable)
    files: ReportFiles = ReportFiles(),  # noqa: B008 (immutable)
    prometheus: Prometheus = None,
    yes: Annotated[bool, typer.Option("--yes", help="Load a peer that is not this machine without asking.")] = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Load a peer with operations, and say how it bore them.

    With HOST and PORT the options say what is done; with a scenario file (TOML) they replace its keys.

    Example: aiodicom load 127.0.0.1 11112 --associations 200 --rate 500/s --duration 60s --mix store=8,find=1,echo=1

    Example: aiodicom load go-live.toml --json result.json --html report.html
    """
    output.configure_logging(verbose, debug)
    try:
        from aiodicom.cli.load.summary import show_summary
        from aiodicom.load.results import Result
        from aiodicom.load.run import Run
    except ModuleNotFoundError:
        output.note(_COMMAND, "this command needs more packages: pip install 'aiodicom[load]'")
        raise typer.Exit(1) from None
    files.check(_COMMAND)
    is_watched = not (verbose or debug)
    told = _scenario(host, port, scenario.values(), called_aets, security)
    confirm(_COMMAND, told.targets, yes)

    async def work(stop: asyncio.Event) -> int:
        allow_descriptors(told.most_associations)
        this = Run(told)

        def so_far() -> Result:
            return Result() if this.recorder is None else this.recorder.so_far()

        async with observed(_COMMAND, told, so_far, prometheus, is_watched=is_watched):
            result = await this.run(stop)
        if not files.take_stdout:
            show_summary(result)
        return _exit_code(result) if files.write(_COMMAND, result) else 1

    run(_COMMAND, work)


def _scenario(
    host: str, port: int | None, said: dict[str, object], called_aets: list[str] | None, security: ClientTLS
) -> Scenario:
    """What is to be done. Refuses, as the parser of the arguments does, what cannot be."""
    from aiodicom.load.scenario import ScenarioError, read_scenario, scenario_from

    path = Path(host)
    try:
        if port is None and path.suffix == ".toml":
            return read_scenario(path, said)
        if port is None:
            raise typer.BadParameter(f"{host!r} is no scenario file (.toml): a host needs a PORT after it")
        target: dict[str, Any] = {"host": host, "port": port}
        if called_aets:
            target["called_aets"] = called_aets
        values: dict[str, object] = {"targets": [target], **said}
        if not {"duration", "stages", "operations"} & values.keys():
            values["duration"] = "10s"
        return scenario_from(values, "")
    except ScenarioError as error:
        raise typer.BadParameter(str(error)) from None
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None


def _exit_code(result: Result) -> int:
    succeeded = any(operation.count > operation.errors for operation in result.operations.values())
    return crossed_code(result) or (0 if succeeded and not result.interrupted else 1)
