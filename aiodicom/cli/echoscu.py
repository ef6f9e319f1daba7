"""`aiodicom echoscu`: C-ECHO to a peer (PS3.4 annex A)."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Iterator
from time import perf_counter
from typing import Annotated

import typer

import aiodicom
from aiodicom.cli import options, output
from aiodicom.cli.peer import AssociationOptions, Peer
from aiodicom.cli.runner import run
from aiodicom.cli.security import ClientTLS, Identity
from aiodicom.errors import AiodicomError
from aiodicom.net.descriptors import allow_descriptors
from aiodicom.services.stopping import Interrupted, unless_stopped
from aiodicom.standard.status import Status

__all__ = ["echoscu"]

_COMMAND = "echoscu"


@options.grouped
def echoscu(
    host: options.Host,
    port: options.Port,
    repeat: Annotated[
        int, typer.Option("--repeat", metavar="N", min=1, help="C-ECHO requests on each association.")
    ] = 1,
    associations: options.Associations = 1,
    window: options.Window = 1,
    associating: AssociationOptions = AssociationOptions(),  # noqa: B008 (immutable)
    security: ClientTLS = ClientTLS(),  # noqa: B008 (immutable)
    identity: Identity = Identity(),  # noqa: B008 (immutable)
    as_json: options.Json = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Verify that a peer answers: associate, C-ECHO, release.

    Example: aiodicom echoscu pacs.example.org 104 -aec PACS

    With TLS: aiodicom echoscu pacs.example.org 2762 -aec PACS --tls --ca ca.pem --cert me.pem --key me.key
    """
    output.configure_logging(verbose, debug)
    tally = _Tally()

    async def one_association(stop: asyncio.Event, peer: Peer) -> None:
        left = iter(range(repeat))
        try:
            association = await unless_stopped(stop, peer.connect(window=window))
            tally.opened += 1
            async with association:
                await asyncio.gather(*(tally.echo(association, left, stop) for _ in range(min(window, repeat))))
        except (AiodicomError, OSError, Interrupted) as error:
            tally.fail(error)
        # What was not sent, because the association had ended or a signal came, has failed too.
        tally.failed += sum(1 for _ in left)

    async def work(stop: asyncio.Event) -> int:
        allow_descriptors(associations)
        peer = Peer(_COMMAND, host, port, associating, security, identity)
        begun = perf_counter()
        await asyncio.gather(*(one_association(stop, peer) for _ in range(associations)))
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return tally.report(f"{peer.called_aet} at {address}", perf_counter() - begun, as_json)

    run(_COMMAND, work)


class _Tally:
    """What came of the requests of all associations."""

    def __init__(self) -> None:
        #: associations that were established
        self.opened = 0
        self.failed = 0
        self._milliseconds = array("d")
        self._error: BaseException | None = None
        self._warnings: Counter[Status] = Counter()

    def fail(self, error: BaseException) -> None:
        """Keeps the first failure, which most likely is what led to the others."""
        self._error = self._error or error

    async def echo(self, association: aiodicom.Association, left: Iterator[int], stop: asyncio.Event) -> None:
        """Sends one request after the other, as long as there are some `left`."""
        for _ in left:
            begun = perf_counter()
            try:
                if stop.is_set():
                    raise Interrupted
                response = await association.c_echo()
            except (AiodicomError, OSError, Interrupted) as error:
                self.failed += 1
                self.fail(error)
                if not association.is_open or stop.is_set():
                    return
            else:
                self._milliseconds.append((perf_counter() - begun) * 1000)
                if response.status is not Status.SUCCESS:
                    self._warnings[response.status] += 1

    def report(self, peer: str, seconds: float, as_json: bool) -> int:
        """Says what came of it; the command's exit code."""
        ordered = sorted(self._milliseconds)
        answered = len(ordered)
        p50, p99, longest = (ordered[min(answered - 1, answered * n // 100)] if ordered else 0.0 for n in (50, 99, 100))
        if as_json:
            output.result_json(
                {
                    "associations": self.opened,
                    "echoes": answered,
                    "failed": self.failed,
                    "seconds": round(seconds, 6),
                    "echoes_per_s": round(answered / seconds, 1),
                    "p50_ms": round(p50, 3),
                    "p99_ms": round(p99, 3),
                    "max_ms": round(longest, 3),
                }
            )
        elif answered == 1:
            output.result(f"{peer} answered in {longest:.1f} ms")
        elif answered:
            output.result(
                f"{peer} answered {answered:,} C-ECHO on {output.count(self.opened, 'association')} "
                f"in {seconds:.2f} s: {answered / seconds:,.0f}/s, "
                f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {longest:.2f} ms"
            )
        for status, count in self._warnings.items():
            output.note(_COMMAND, f"{output.count(count, 'response')} with warning status {output.status_text(status)}")
        if self._error is None:
            return 0
        total = answered + self.failed
        share = f"{self.failed:,} of {total:,} C-ECHO failed: " if total > 1 else ""
        output.note(_COMMAND, f"{share}{output.explain(self._error)}")
        return 1
