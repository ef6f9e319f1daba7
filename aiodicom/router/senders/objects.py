"""Objects as DICOM files in an object store (S3 and its like), named by a template."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from aiodicom.errors import ConnectFailed
from aiodicom.router.outcomes import Fault, Outcome
from aiodicom.router.outgoing import Outgoing, file_pieces
from aiodicom.router.senders.folder import path_of
from aiodicom.services.naming import FileTemplate

if TYPE_CHECKING:
    from aiodicom.net.sources import Buffer
    from aiodicom.router.config.destinations import ObjectsDestination

__all__ = ["ObjectsSender"]


class ObjectsSender:
    """Puts each object under its name; the same instance again replaces it."""

    batch = 1

    def __init__(self, destination: ObjectsDestination) -> None:
        import obstore
        from obstore.exceptions import BaseError

        from aiodicom.router.object_stores import open_store, reason_of

        self._put = obstore.put_async
        # What is not there, such as a bucket, or may not be written to, is an OSError.
        self._refusals = (BaseError, OSError)
        self._reason_of = reason_of
        self._template = FileTemplate(destination.path)
        #: What stands before the first placeholder, as names there.
        self._prefix = tuple(name for name in self._template.root.split("/") if name not in ("", "."))
        self._store = open_store(destination.url, destination.options)
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
                await self._send(outgoing)
        finally:
            self.open -= 1
        return [Outcome(Fault.NONE)] * len(objects)

    async def _send(self, outgoing: Outgoing) -> None:
        path = "/".join((*self._prefix, *await path_of(outgoing, self._template)))
        content = _Content(file_pieces(outgoing))
        try:
            await self._put(self._store, path, content)
        except self._refusals as error:
            if content.error is not None:
                raise content.error from None
            # A store takes any object, or none now: no bucket, no rights, no connection.
            raise ConnectFailed(f"the object store: {self._reason_of(error)}") from error

    async def close(self) -> None:
        """Nothing is open between requests."""


class _Content:
    """The pieces of an object, and why there are no more of them if that is our fault and not the store's."""

    def __init__(self, pieces: AsyncIterator[Buffer]) -> None:
        self._pieces = pieces
        self.error: Exception | None = None

    def __aiter__(self) -> AsyncIterator[Buffer]:
        return self

    async def __anext__(self) -> Buffer:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.error = error
            raise
