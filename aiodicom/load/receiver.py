"""An SCP of the load generator's own: for what C-MOVE sends, and for reports of storage commitment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiodicom
from aiodicom.load.recorder import Recorder
from aiodicom.load.scenario import Receiver
from aiodicom.services.storage_commitment import CommitmentListener
from aiodicom.ul._pdu import Discard

__all__ = ["receiving", "size_of"]


def size_of(request: aiodicom.StoreRequest) -> int:
    """The bytes of a data set that has been thrown away."""
    return request.body.total if isinstance(request.body, Discard) else 0


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
        recorder.tally("move").received(size_of(request))
        return aiodicom.Status.SUCCESS

    server.on_c_store(take, body=aiodicom.Discarded())
    listener.attach(server)
    async with server.listen(receiver.address, receiver.port):
        yield
