"""`aiodicom route status FILE`: how it goes with a router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodicom.cli import options, output
from aiodicom.cli.route.asking import ConfigFile, ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiodicom.router.control import DestinationStatus, RouterStatus
    from aiodicom.web.router.client import ControlClient

__all__ = ["status"]


def status(file: ConfigFile, as_json: options.Json = False) -> None:
    """Say how it goes with the router that runs: what it has received, and its destinations.

    Example: aiodicom route status router.toml
    """

    async def question(client: ControlClient) -> int:
        processes = await client.status()
        if as_json:
            import msgspec

            output.result_json({"processes": msgspec.to_builtins(processes)})
        else:
            for line in _lines(processes):
                output.result(output.printable(line))
        return 0

    ask("route status", file, question)


def _lines(processes: Sequence[RouterStatus]) -> Iterator[str]:
    for each in processes:
        yield (
            f"{each.shard}: process {each.pid}, version {each.version}, for {each.uptime:,.0f} s, on"
            f" {', '.join(each.listening)}"
        )
        yield (
            f"  {output.count(each.associations, 'association')}; {each.received:,} received"
            f" ({output.size(each.bytes)}), {each.refused:,} refused; {_space(each.disk_free)} free"
        )
        if each.disk_full:
            yield "  the queue's disk is nearly full: objects are refused (A700H)"
        yield from (f"  {finding}" for finding in each.findings)
        yield from (f"  the new configuration is not used: {problem}" for problem in each.problems)
        width = max((len(destination.name) for destination in each.destinations), default=0)
        yield from (f"  {_destination(destination, width)}" for destination in each.destinations)


def _space(free: int) -> str:
    return f"{free / 1e9:,.1f} GB" if free >= 1e9 else output.size(free)


def _destination(status: DestinationStatus, width: int) -> str:
    counts = [
        f"{number:,} {name}"
        for name in ("waiting", "delayed", "held", "gathering", "dead", "delivered")
        if (number := getattr(status, name))
    ]
    reason = f" ({status.reason})" if status.reason and status.state != "open" else ""
    return f"{status.name:<{width}}  {status.state}{reason}; {', '.join(counts) or 'nothing yet'}"
