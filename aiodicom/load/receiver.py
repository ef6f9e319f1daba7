"""An SCP of the load generator's own: for what C-MOVE sends, and for reports of storage commitment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiodicom
from aiodicom.load.recorder import Recorder
from aiodicom.load.scenario import Receiver
from aiodicom.services.storage_commitment import CommitmentListener

__all__ = ["receiving"]


@asynccontextmanager
async def receiving(receiver: Receiver | None, recorder: Recorder, listener: CommitmentListener) -> AsyncIterator[None]:
    """Listens meanwhile, where a scenario wants that, and counts the bytes that come as those of ``move``.

    Raises OSError where it cannot listen.
    """
    if receiver is None:
        yield
        return
    server = aiodicom.Server(ae_title=receiver.ae_title)

    def take(request: aiodicom.StoreRequest) -> aiodicom.Status:
        recorder.tally("move").received(request.expected_body_size)
        return aiodicom.Status.SUCCESS

    server.on_c_store(take, body=aiodicom.Discarded())
    listener.attach(server)
    async with server.listen(receiver.address, receiver.port):
        yield
