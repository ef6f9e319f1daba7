"""Objects as DICOM files in an object store (S3 and its like), named by a template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiodicom.router.outcomes import Fault, Outcome
from aiodicom.router.outgoing import Outgoing, file_pieces
from aiodicom.router.senders.folder import path_of
from aiodicom.services.naming import FileTemplate

if TYPE_CHECKING:
    from aiodicom.router.config.destinations import ObjectsDestination

__all__ = ["ObjectsSender"]


class ObjectsSender:
    """Puts each object under its name; the same instance again replaces it."""

    batch = 1

    def __init__(self, destination: ObjectsDestination) -> None:
        import obstore
        from obstore.store import from_url

        self._put = obstore.put_async
        self._template = FileTemplate(destination.path)
        self._store = from_url(destination.url, **destination.options)  # type: ignore[call-overload]
        self.concurrency = destination.requests
        #: Objects that are on their way.
        self.open = 0

    async def start(self) -> None:
        """Nothing is opened before it is needed."""

    async def send(self, objects: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Puts each object, in parts where it is large."""
        self.open += 1
        try:
            for outgoing in objects:
                path = "/".join(await path_of(outgoing, self._template))
                await self._put(self._store, path, file_pieces(outgoing))
        finally:
            self.open -= 1
        return [Outcome(Fault.NONE)] * len(objects)

    async def close(self) -> None:
        """Nothing is open between requests."""
