"""Objects to an AE, by C-STORE on a pool of associations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiodicom.dimse.events import Timeouts
from aiodicom.net.pool import Pool
from aiodicom.net.proposing import Need
from aiodicom.net.sources import DataSource, Encoded
from aiodicom.router.outcomes import Outcome, outcome_of_status
from aiodicom.router.outgoing import Outgoing
from aiodicom.standard.transfer_syntaxes import find_transfer_syntax

if TYPE_CHECKING:
    import ssl as tls

    from aiodicom.dimse.messages import CStoreRSP
    from aiodicom.net.association import Association
    from aiodicom.router.config.destinations import DimseDestination

__all__ = ["DimseSender", "pool_of"]


def pool_of(destination: DimseDestination, calling_aet: str, ssl: tls.SSLContext | None) -> Pool:
    """The associations with a destination."""
    timeouts = Timeouts(
        connect=destination.connect_timeout or None,
        acse=destination.acse_timeout or None,
        dimse=destination.dimse_timeout or None,
    )
    return Pool(
        destination.host,
        destination.port,
        called_aet=destination.called_aet,
        calling_aet=destination.calling_aet or calling_aet,
        size=destination.associations,
        window=destination.window,
        wait=None,
        idle=destination.idle or None,
        transcode=destination.transcode,
        ssl=ssl,
        server_hostname=None if destination.tls is None else destination.tls.server_name,
        timeouts=timeouts,
    )


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

    async def send(self, objects: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Sends each by a C-STORE of its own."""
        return [outcome_of_status((await self._store(outgoing.source)).status) for outgoing in objects]

    async def _store(self, source: DataSource) -> CStoreRSP:
        if not self._syntaxes or source.transfer_syntax in self._syntaxes:
            return await self.pool.c_store(source, transcode=self._transcode)
        need = Need(source.sop_class_uid, self._syntaxes)
        return await self.pool.perform(
            lambda association: self._store_in(association, source), need=need, size=source.size, is_repeatable=True
        )

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
