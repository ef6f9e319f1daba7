"""An SCP of the load generator's own: for what C-MOVE sends, and for reports of storage commitment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiodicom
from aiodicom.load.recorder import Recorder
from aiodicom.load.scenario import Receiver
from aiodicom.services.storage_commitment import CommitmentListener

__all__ = ["Counted", "receiving", "size_of"]


class Counted:
    """Throws a data set away and counts its bytes (it is a `BodySink`)."""

    __slots__ = ("size",)

    def __init__(self, _request: aiodicom.StoreRequest) -> None:
        self.size = 0

    def write(self, view: memoryview) -> None:
        """Takes the next bytes."""
        self.size += len(view)

    def finish(self) -> None:
        """The data set is complete."""

    def abandon(self) -> None:
        """It will not be."""


def size_of(request: aiodicom.StoreRequest) -> int:
    """The bytes of a data set that has been `Counted`."""
    return request.body.size if isinstance(request.body, Counted) else 0


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

    server.on_c_store(take, body=Counted)
    listener.attach(server)
    async with server.listen(receiver.address, receiver.port):
        yield
