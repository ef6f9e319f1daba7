"""`aiodicom load`: a run, from flags or from a scenario file."""

from __future__ import annotations

import asyncio
import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.cli.data import Data, tell_unusable
from aiodicom.cli.load.confirmation import confirm
from aiodicom.cli.load.judging import crossed_code
from aiodicom.cli.load.observing import Prometheus, observed
from aiodicom.cli.load.options import ScenarioOptions, data_values, option_error, tls_values
from aiodicom.cli.load.report_files import ReportFiles
from aiodicom.cli.runner import run
from aiodicom.cli.security import ClientTLS
from aiodicom.net.descriptors import allow_descriptors

if TYPE_CHECKING:
    from aiodicom.load.results import Result
    from aiodicom.load.run import Run
    from aiodicom.load.scenario import Scenario
    from aiodicom.load.scripted import User
    from aiodicom.load.workers import Workers

__all__ = ["load"]

_COMMAND = "load"


@options.grouped
def load(
    context: typer.Context,
    host: Annotated[
        str,
        typer.Argument(
            metavar="HOST|FILE",
            show_default=False,
            help="The peer; or a scenario file: FILE.toml, FILE.py, or FILE.py:CLASS.",
        ),
    ],
    port: Annotated[
        int | None,
        typer.Argument(metavar="[PORT]", min=1, max=65535, show_default=False, help="TCP port of the peer."),
    ] = None,
    scenario: ScenarioOptions = ScenarioOptions(),  # noqa: B008 (immutable)
    data: Data = Data(),  # noqa: B008 (immutable)
    security: ClientTLS = ClientTLS(),  # noqa: B008 (immutable)
    files: ReportFiles = ReportFiles(),  # noqa: B008 (immutable)
    prometheus: Prometheus = None,
    yes: Annotated[bool, typer.Option("--yes", help="Load a peer that is not this machine without asking.")] = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Load a peer with operations, and say how it bore them.

    With HOST and PORT the options say what is done; with a scenario file (TOML or Python) they replace its keys.

    Example: aiodicom load 127.0.0.1 11112 --associations 200 --rate 500/s --duration 60s --mix store=8,find=1,echo=1

    Example: aiodicom load go-live.toml --json result.json --html report.html

    Further commands, each with a --help of its own: aiodicom load target (a bad PACS to practise on), record (a proxy
    whose recordings can be replayed), compare and merge (results).
    """
    output.configure_logging(verbose, debug)
    try:
        from aiodicom.cli.load.summary import show_summary
    except ModuleNotFoundError:
        output.note(_COMMAND, "this command needs more packages: pip install 'aiodicom[load]'")
        raise typer.Exit(1) from None
    files.check(_COMMAND)
    is_watched = not (verbose or debug)
    told, user = _scenario(host, port, {**scenario.values(), **data_values(data, context), **tls_values(security)})
    confirm(_COMMAND, told.targets, yes)
    this = _run(told, user)

    async def work(stop: asyncio.Event) -> int:
        allow_descriptors(this.most_associations)
        async with observed(_COMMAND, told, this.so_far, prometheus, is_watched=is_watched):
            result = await this.run(stop)
        if not files.take_stdout:
            show_summary(result)
        return _exit_code(result) if files.write(_COMMAND, result) else 1

    run(_COMMAND, work)


def _scenario(host: str, port: int | None, said: dict[str, object]) -> tuple[Scenario, type[User] | None]:
    """What is to be done. Refuses, as the parser of the arguments does, what cannot be."""
    from aiodicom.load.scenario import ScenarioError, overridden, read_scenario, scenario_from
    from aiodicom.load.scripted import load_user, weights_of

    name, _, kind = host.partition(":")
    path = Path(name)
    called_aets = said.pop("called_aets", None)
    try:
        if port is None and path.suffix == ".toml":
            return read_scenario(path, _called(said, called_aets)), None
        if port is None and path.suffix == ".py":
            user = load_user(path, kind or None)
            weights = weights_of(user)
            values = {**overridden(user.scenario, _called(said, called_aets)), "mix": weights}
            return scenario_from(values, f"{path}: {user.__name__}.scenario", tuple(weights)), user
        if port is None:
            raise typer.BadParameter(f"{host!r} is no scenario file (.toml, .py): a host needs a PORT after it")
        targets = [{"host": host, "port": port}, *said.pop("targets", ())]  # type: ignore[misc]
        values = _called({**said, "targets": targets}, called_aets)
        if not {"duration", "stages", "operations"} & values.keys():
            values["duration"] = "10s"
        return scenario_from(values, ""), None
    except ScenarioError as error:
        is_said = port is not None and error.key
        raise typer.BadParameter(option_error(error.key, error.reason) if is_said else str(error)) from None
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None


def _run(scenario: Scenario, user: type[User] | None) -> Run | Workers:
    """The run of a scenario, here or in processes; says what it leaves out of a trace."""
    from aiodicom.load.run import Run
    from aiodicom.load.scenario import ScenarioError

    this: Run | Workers
    try:
        unusable = functools.partial(tell_unusable, _COMMAND)
        if scenario.workers == 1:
            this = Run(scenario, user=user, on_unusable=unusable)
        else:
            from aiodicom.load.worker import Script
            from aiodicom.load.workers import Workers

            script = None if user is None else Script(Path(inspect.getfile(user)), user.__name__)
            this = Workers(scenario, script=script, on_unusable=unusable, on_lost=_tell_lost)
    except ScenarioError as error:
        raise typer.BadParameter(str(error)) from None
    except OSError as error:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}") from None
    if this.skipped:
        what = ", ".join(f"{number:,} {service}" for service, number in this.skipped.items())
        output.note(_COMMAND, f"not replayed: {what}")
    return this


def _called(said: dict[str, object], called_aets: object) -> dict[str, object]:
    """The same, with the AE titles in each target."""
    if called_aets is None:
        return said
    targets = said.get("targets")
    if not isinstance(targets, list):
        raise typer.BadParameter("the titles are called of which peer? Give --target too", param_hint="'-aec'")
    return {**said, "targets": [{**target, "called_aets": called_aets} for target in targets]}


def _tell_lost(what: str) -> None:
    output.note(_COMMAND, f"{what}; the others go on")


def _exit_code(result: Result) -> int:
    from aiodicom.load.figures import has_succeeded

    is_whole = not result.interrupted and not result.generator.workers_lost
    return crossed_code(result) or (0 if has_succeeded(result) and is_whole else 1)
