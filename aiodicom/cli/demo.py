"""`aiodicom demo`: an SCP on loopback under the load of many associations."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiodicom.cli import options, output
from aiodicom.cli.runner import run
from aiodicom.net.descriptors import allow_descriptors
from aiodicom.net.serve import Serving, serve
from aiodicom.services.stopping import Interrupted, unless_stopped

if TYPE_CHECKING:
    from aiodicom.load.results import Percentiles, Result
    from aiodicom.load.run import Run
    from aiodicom.load.scenario import Scenario

__all__ = ["demo"]

_COMMAND = "demo"


def demo(
    associations: Annotated[
        int, typer.Option("--associations", metavar="N", min=1, help="How many associations to open.")
    ] = 1000,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=0.1, callback=options.finite, help="How long to load them.")
    ] = 5,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="PATH",
            exists=True,
            show_default=False,
            help="Send copies of this DICOM file, or of those of this folder, instead of synthetic CT images.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Processes of the SCP.")] = 1,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Show what this machine can do: an SCP on loopback, many associations, C-ECHO and C-STORE over all of them.

    Example: aiodicom demo --associations 2000 --seconds 10
    """
    output.configure_logging(verbose, debug)
    try:
        from aiodicom.load.run import Run
    except ModuleNotFoundError:
        output.note(_COMMAND, "this command needs more packages: pip install 'aiodicom[all]'")
        raise typer.Exit(1) from None

    async def work(stop: asyncio.Event) -> int:
        allow_descriptors(associations)
        ready: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
        scp = asyncio.create_task(
            serve(
                "aiodicom.load.target.accepting:make_server", "127.0.0.1", 0, workers=workers, on_ready=ready.set_result
            )
        )
        try:
            port = await _started(scp, ready, stop)
            this = Run(_scenario(port, associations, seconds, source))
            with _display(this, as_json):
                result = await this.run(stop)
        finally:
            scp.cancel()
            await asyncio.wait((scp,))
        return _report(this, result, as_json)

    run(_COMMAND, work)


def _scenario(port: int, associations: int, seconds: float, source: Path | None) -> Scenario:
    """As many of both operations, each association beginning its next when one has ended."""
    from aiodicom.load.scenario import scenario_from

    values: dict[str, object] = {
        "targets": [{"host": "127.0.0.1", "port": port}],
        "associations": associations,
        "duration": seconds,
        "mix": {"echo": 1, "store": 1},
    }
    if source is not None:
        values["data"] = {"input": str(source)}
    return scenario_from(values, "demo")


async def _started(scp: asyncio.Task[None], ready: asyncio.Future[Serving], stop: asyncio.Event) -> int:
    """The port, once the SCP accepts. Raises what it failed of, or Interrupted."""
    await unless_stopped(stop, asyncio.wait((scp, ready), return_when=asyncio.FIRST_COMPLETED))
    if scp.done():
        scp.result()
    return ready.result().port


def _display(this: Run, as_json: bool) -> AbstractContextManager[object]:
    """The live table, for whoever is watching."""
    if as_json or not sys.stdout.isatty():
        return nullcontext()
    from aiodicom.cli.live import Live, rows

    return Live(lambda: rows([(name, text) for name, _, text in _measures(this, this.so_far())]))


def _measures(this: Run, result: Result) -> list[tuple[str, float, str]]:
    """What there is to show, now or at the end: its name, its value, and that as people read it."""
    from aiodicom.load import figures
    from aiodicom.load.histogram import Histogram

    operations, associations = result.operations, result.associations
    echo, store = (operations.get(name) for name in ("echo", "store"))
    latencies = Histogram()
    if this.recorder is not None:
        for name in ("echo", "store"):
            latencies.merge(this.recorder.latencies(name))
    latency = latencies.milliseconds()
    opening_s = associations.opening_s
    rates = {
        "associations/s": associations.opened / opening_s if opening_s else 0.0,
        "C-ECHO/s": echo.rate_per_s if echo else 0.0,
        "objects/s": store.rate_per_s if store else 0.0,
        "MB/s": figures.total(result).bytes_per_s / 1e6,
    }
    counts = {
        "associations open": result.series[-1].associations_open if result.series else associations.opened,
        "peak": associations.peak,
    }
    return [
        *((name, value, f"{value:,}") for name, value in counts.items()),
        *((name, value, f"{value:,.0f}") for name, value in rates.items()),
        *((f"latency {name}", value, f"{value:,.1f} ms") for name, value in _shown(latency)),
        ("failures", (failures := _failures(result)), f"{failures:,}"),
    ]


def _shown(latency: Percentiles) -> list[tuple[str, float]]:
    return [("p50", latency.p50), ("p99", latency.p99), ("max", latency.max)]


def _failures(result: Result) -> int:
    """Associations that could not be opened or ended badly, and requests that failed."""
    from aiodicom.load import figures

    return figures.total(result).errors + sum(result.associations.causes.values())


#: The keys of the JSON object, with the digits that they have, by what the summary calls them.
_KEYS = {
    "peak": ("peak", 0),
    "associations/s": ("associations_per_s", 1),
    "C-ECHO/s": ("echoes_per_s", 1),
    "objects/s": ("objects_per_s", 1),
    "MB/s": ("megabytes_per_s", 1),
    "latency p50": ("p50_ms", 3),
    "latency p99": ("p99_ms", 3),
    "latency max": ("max_ms", 3),
    "failures": ("failures", 0),
}


def _report(this: Run, result: Result, as_json: bool) -> int:
    """Says what came of it; the command's exit code."""
    measures = _measures(this, result)
    if as_json:
        values: dict[str, float] = {"associations": result.associations.opened}
        for name, value, _ in measures:
            if name in _KEYS:
                key, digits = _KEYS[name]
                values[key] = round(value, digits) if digits else int(value)
        output.result_json(values)
    else:
        output.result("\n".join(f"{name:<20}{text:>12}" for name, _, text in measures))
    failures = _failures(result)
    if failures:
        output.note(_COMMAND, f"{output.count(failures, 'failure')}, the first: {result.examples[0]}")
    if result.interrupted:
        output.note(_COMMAND, str(Interrupted()))
    return 1 if failures or result.interrupted else 0
