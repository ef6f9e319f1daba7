"""`aiodicom demo`: an SCP on loopback under the load of many associations."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import aiodicom
from aiodicom.cli import options, output
from aiodicom.cli.runner import run
from aiodicom.errors import LocalError
from aiodicom.net.descriptors import allow_descriptors
from aiodicom.net.serve import Serving, serve
from aiodicom.services.stopping import Interrupted, unless_stopped
from aiodicom.standard.uids import VERIFICATION

if TYPE_CHECKING:
    from aiodicom.load.closed import ClosedLoop
    from aiodicom.load.supply import Supply

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
        from aiodicom.load import closed
    except ModuleNotFoundError:
        output.note(_COMMAND, "this command needs more packages: pip install 'aiodicom[all]'")
        raise typer.Exit(1) from None

    async def work(stop: asyncio.Event) -> int:
        allow_descriptors(associations)
        supply = await asyncio.to_thread(_supply, source)
        ready: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
        scp = asyncio.create_task(
            serve(
                "aiodicom.load.target.accepting:make_server", "127.0.0.1", 0, workers=workers, on_ready=ready.set_result
            )
        )
        try:
            port = await _started(scp, ready, stop)
            loop = closed.ClosedLoop(
                lambda: aiodicom.connect("127.0.0.1", port, contexts=[VERIFICATION, *supply.contexts]),
                supply,
                associations=associations,
            )
            with _display(loop, as_json):
                await loop.run(seconds, stop)
        finally:
            scp.cancel()
            await asyncio.wait((scp,))
        return _report(loop, as_json, stop)

    run(_COMMAND, work)


def _supply(source: Path | None) -> Supply:
    from aiodicom.load.renewing import Renewed, read_objects
    from aiodicom.load.synthesis import Shape, synthetic

    if source is None:
        return synthetic(Shape())
    try:
        return Renewed(read_objects([source]).templates)
    except ValueError as error:
        raise LocalError(f"{source}: {error}") from None


async def _started(scp: asyncio.Task[None], ready: asyncio.Future[Serving], stop: asyncio.Event) -> int:
    """The port, once the SCP accepts. Raises what it failed of, or Interrupted."""
    await unless_stopped(stop, asyncio.wait((scp, ready), return_when=asyncio.FIRST_COMPLETED))
    if scp.done():
        scp.result()
    return ready.result().port


def _display(loop: ClosedLoop, as_json: bool) -> AbstractContextManager[object]:
    """The live table, for whoever is watching."""
    if as_json or not sys.stdout.isatty():
        return nullcontext()
    from aiodicom.cli.live import Live, rows

    return Live(lambda: rows(measures(loop)))


def measures(loop: ClosedLoop) -> list[tuple[str, str]]:
    """What there is to show, now or at the end."""
    seconds = loop.seconds or float("inf")
    return [
        ("associations open", f"{loop.open:,}"),
        ("peak", f"{loop.peak:,}"),
        ("associations/s", f"{loop.opened / loop.opening_seconds:,.0f}" if loop.opening_seconds else ""),
        ("C-ECHO/s", f"{loop.echoes / seconds:,.0f}"),
        ("objects/s", f"{loop.objects / seconds:,.0f}"),
        ("MB/s", f"{loop.bytes / seconds / 1e6:,.0f}"),
        ("latency p50", f"{loop.milliseconds(50):,.1f} ms"),
        ("latency p99", f"{loop.milliseconds(99):,.1f} ms"),
        ("latency max", f"{loop.milliseconds(100):,.1f} ms"),
        ("failures", f"{loop.failures:,}"),
    ]


def _report(loop: ClosedLoop, as_json: bool, stop: asyncio.Event) -> int:
    """Says what came of it; the command's exit code."""
    seconds = loop.seconds or float("inf")
    if as_json:
        output.result_json(
            {
                "associations": loop.opened,
                "peak": loop.peak,
                "associations_per_s": round(loop.opened / loop.opening_seconds, 1),
                "echoes_per_s": round(loop.echoes / seconds, 1),
                "objects_per_s": round(loop.objects / seconds, 1),
                "megabytes_per_s": round(loop.bytes / seconds / 1e6, 1),
                "p50_ms": round(loop.milliseconds(50), 3),
                "p99_ms": round(loop.milliseconds(99), 3),
                "max_ms": round(loop.milliseconds(100), 3),
                "failures": loop.failures,
            }
        )
    else:
        output.result("\n".join(f"{name:<20}{value:>12}" for name, value in measures(loop)))
    if loop.first_failure is not None:
        failures = output.count(loop.failures, "failure")
        output.note(_COMMAND, f"{failures}, the first: {output.explain(loop.first_failure)}")
    if stop.is_set():
        output.note(_COMMAND, str(Interrupted()))
    return 1 if loop.failures or stop.is_set() else 0
