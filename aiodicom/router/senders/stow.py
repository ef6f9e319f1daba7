"""Objects to a DICOMweb origin server, by STOW-RS."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiodicom.dicomweb.stow import StowClient, WebInstance
from aiodicom.router.outcomes import Fault, Outcome, outcome_of_status
from aiodicom.router.outgoing import Outgoing, file_head, file_pieces

if TYPE_CHECKING:
    import ssl as tls

    from aiodicom.dicomweb.stow import Authorize
    from aiodicom.router.config.destinations import StowDestination

__all__ = ["StowSender"]


class StowSender:
    """Sends several objects by each request."""

    def __init__(self, destination: StowDestination, authorize: Authorize | None, ssl: tls.SSLContext | None) -> None:
        self.batch = destination.batch
        self.concurrency = destination.requests
        self._client = StowClient(
            destination.url,
            authorize=authorize,
            headers=destination.headers,
            ssl=ssl,
            connections=destination.requests,
            timeout=destination.timeout,
        )
        #: Requests that are on their way.
        self.open = 0

    async def start(self) -> None:
        """Nothing is opened before it is needed."""

    async def send(self, objects: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Sends all by one request; each is told of in its response."""
        instances = [
            WebInstance(
                outgoing.source.sop_instance_uid,
                len(file_head(outgoing)) + outgoing.source.size,
                functools.partial(file_pieces, outgoing),
            )
            for outgoing in objects
        ]
        self.open += 1
        try:
            response = await self._client.store(instances)
        finally:
            self.open -= 1
        outcomes = []
        for outgoing in objects:
            uid = outgoing.source.sop_instance_uid
            if uid in response.failures:
                outcomes.append(outcome_of_status(response.failures[uid] or 0x0110))
            elif uid in response.warnings:
                outcomes.append(Outcome(Fault.NONE, f"warning {response.warnings[uid]:04X}H"))
            else:
                outcomes.append(Outcome(Fault.NONE))
        return outcomes

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()
