"""Objects to an AE, by C-STORE on a pool of associations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from aiodicom.dimse.events import Timeouts
from aiodicom.net.pool import Pool
from aiodicom.net.proposing import Need
from aiodicom.net.sources import DataSource, Encoded
from aiodicom.router.outcomes import Outcome, outcome_of_status
from aiodicom.router.outgoing import Outgoing

if TYPE_CHECKING:
    import ssl as tls

    from aiodicom.dimse.messages import CStoreRSP
    from aiodicom.net.association import Association
    from aiodicom.net.reencoding import Reencoded
    from aiodicom.net.sources import Buffer, Piece
    from aiodicom.net.transcoding import Transcoding
    from aiodicom.router.config.destinations import DimseDestination

__all__ = ["DimseSender", "pool_of"]


def pool_of(destination: DimseDestination, calling_aet: str, ssl: tls.SSLContext | None, **options: Any) -> Pool:
    """The associations with a destination; `options` are those of `Pool` that are to be others."""
    timeouts = Timeouts(
        connect=destination.connect_timeout or None,
        acse=destination.acse_timeout or None,
        dimse=destination.dimse_timeout or None,
    )
    settings: dict[str, Any] = {
        "host": destination.host,
        "port": destination.port,
        "called_aet": destination.called_aet,
        "calling_aet": destination.calling_aet or calling_aet,
        "size": destination.associations,
        "window": destination.window,
        "wait": None,
        "operations": destination.batch,
        "idle": destination.idle or None,
        "transcode": destination.transcode,
        "ssl": ssl,
        "server_hostname": None if destination.tls is None else destination.tls.server_name,
        "timeouts": timeouts,
    }
    return Pool(**(settings | options))


class DimseSender:
    """Sends on as many associations as the configuration has, or as bring gain."""

    batch = 1

    def __init__(self, destination: DimseDestination, calling_aet: str, ssl: tls.SSLContext | None) -> None:
        self.pool = pool_of(destination, calling_aet, ssl)
        self._transcode = destination.transcode
        self._syntaxes = tuple(destination.transfer_syntaxes)

    @property
    def concurrency(self) -> int:
        """As many as the pool wants at once."""
        return self.pool.concurrency

    @property
    def open(self) -> int:
        """Associations that are open."""
        return self.pool.open

    async def start(self) -> None:
        """Nothing is opened before it is needed."""
        await self.pool

    async def send(self, objects: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Sends each by a C-STORE of its own."""
        return [outcome_of_status((await self._store(outgoing.source)).status) for outgoing in objects]

    async def _store(self, source: DataSource) -> CStoreRSP:
        is_wanted = not self._syntaxes or source.transfer_syntax in self._syntaxes
        syntaxes = source.transfer_syntaxes(self._transcode) if is_wanted else self._syntaxes
        need = Need(source.sop_class_uid, syntaxes, is_wanted)

        def store(association: Association) -> Awaitable[CStoreRSP]:
            # May be called again with another association, so the source is not its to close.
            borrowed = _Borrowed(source)
            if is_wanted:
                return association.c_store(borrowed, transcode=self._transcode)
            return self._store_in(association, borrowed)

        return await self.pool.perform(store, need=need, size=source.size, is_repeatable=True)

    async def _store_in(self, association: Association, source: DataSource) -> CStoreRSP:
        """In the first of the wanted transfer syntaxes that the destination has accepted."""
        context = association.context_for(source.sop_class_uid, self._syntaxes)
        encoded = Encoded(source, context.transfer_syntax)
        try:
            await encoded.encode()
            return await association.c_store(encoded)
        finally:
            encoded.close()

    async def close(self) -> None:
        """Releases the associations."""
        await self.pool.close()


class _Borrowed(DataSource):
    """A source that somebody else closes."""

    __slots__ = ("_source",)

    def __init__(self, source: DataSource) -> None:
        super().__init__(source.sop_class_uid, source.sop_instance_uid, source.transfer_syntax, source.size)
        self._source = source

    def transfer_syntaxes(self, policy: Transcoding) -> tuple[str, ...]:
        return self._source.transfer_syntaxes(policy)

    def encoder(self, transfer_syntax: str) -> Callable[[], Reencoded]:
        return self._source.encoder(transfer_syntax)

    def at_once(self) -> tuple[Piece, ...] | None:
        return self._source.at_once()

    def chunks(self, multiple: int) -> AsyncIterator[Buffer]:
        return self._source.chunks(multiple)
