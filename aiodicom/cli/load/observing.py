"""Who looks on while a load runs: a person at the terminal, and Prometheus."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from aiodicom.cli import output

if TYPE_CHECKING:
    from aiodicom.load.results import Result
    from aiodicom.load.scenario import Scenario

__all__ = ["Address", "Prometheus", "observed"]


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not (port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
        raise typer.BadParameter(f"{text!r} is neither a port, such as 9464, nor an address with one: 0.0.0.0:9464")
    return Address(host, int(port))


Prometheus = Annotated[
    Address | None,
    typer.Option(
        "--prometheus",
        metavar="[ADDRESS:]PORT",
        parser=_address,
        show_default=False,
        help="Serve /metrics to Prometheus while it runs; for this machine alone unless an ADDRESS is given.",
    ),
]


@asynccontextmanager
async def observed(
    command: str, scenario: Scenario, so_far: Callable[[], Result], prometheus: Address | None, *, is_watched: bool
) -> AsyncIterator[None]:
    """Shows what has come of the run so far to whoever wants to know, until the context is left. Raises OSError."""
    async with AsyncExitStack() as stack:
        if prometheus is not None:
            from aiodicom.load.exposition import registry_of
            from aiodicom.web.metrics import metrics_route
            from aiodicom.web.serving import serving

            route = metrics_route(registry_of(so_far))
            listening = await stack.enter_async_context(serving([route], host=prometheus.host, port=prometheus.port))
            output.note(command, f"metrics on {listening.url}/metrics")
        if is_watched and sys.stderr.isatty():
            from aiodicom.cli.load.watch import watch
            from aiodicom.load.thresholds import parse

            conditions = [parse(expression) for expression in scenario.thresholds]
            stack.enter_context(watch(so_far, conditions, scenario.seconds))
        yield
