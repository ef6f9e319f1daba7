"""The listeners of a configuration, as servers: who may send, and what is done with what comes."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.dimse.events import Timeouts
from aiodicom.net.acceptor import Rejection
from aiodicom.net.server import Server
from aiodicom.net.tls import check_certificate_ae_title

if TYPE_CHECKING:
    from aiodicom.net.association import Association
    from aiodicom.net.server import Listening
    from aiodicom.router.config.listening import Listener
    from aiodicom.router.observing import Observer

__all__ = ["Listeners", "Sockets", "address_of"]

_log = logging.getLogger("aiodicom.router")

#: Called, or calling, AE title not recognized (PS3.8 table 9-21).
_NOT_CALLED: Final = Rejection(1, 1, 7)
_NOT_KNOWN: Final = Rejection(1, 1, 3)


#: Sockets that are bound already, by the host and port that a listener has in the configuration.
Sockets = Mapping[tuple[str, int], Sequence[socket.socket]]


class _Open(NamedTuple):
    settings: Listener
    server: Server
    listening: tuple[Listening, ...]


class Listeners:
    """Opens and closes listeners as configurations come and go. `equip` gives a server its services.

    Associations of a listener that has changed, or is gone, go on until their senders end them.

    With `sockets`, which somebody has bound already, there are no others.
    """

    def __init__(self, equip: Callable[[Server], None], observer: Observer, sockets: Sockets | None = None) -> None:
        self._equip = equip
        self._observer = observer
        self._sockets = sockets
        self._open: dict[tuple[str, int], _Open] = {}
        #: Servers that listen no more, and whose associations go on.
        self._leaving: list[Server] = []

    @property
    def associations(self) -> int:
        """How many associations there are."""
        servers = [*self._leaving, *(each.server for each in self._open.values())]
        return sum(len(server.associations) for server in servers)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where is listened."""
        listening = [each for opened in self._open.values() for each in opened.listening]
        return [address[:2] for each in listening for address in each.addresses]

    async def apply(self, wanted: tuple[Listener, ...], *, anew: bool = False) -> None:
        """Opens, closes and changes listeners so that these are there; those that are as they were are left alone, but
        for `anew`. Raises LocalError, OSError.
        """
        by_place: dict[tuple[str, int], Listener] = {(each.host, each.port): each for each in wanted}
        for server in [server for server in self._leaving if not server.associations]:
            self._leaving.remove(server)
            await server.close()
        for place, each in list(self._open.items()):
            if anew or by_place.get(place) != each.settings:
                del self._open[place]
                for listening in each.listening:
                    listening.stop()
                self._leaving.append(each.server)
        for place, settings in by_place.items():
            if place not in self._open:
                self._open[place] = await self._listen(settings)

    async def _listen(self, settings: Listener) -> _Open:
        server = Server(
            max_associations=settings.max_associations,
            max_pdu=settings.max_pdu,
            window=settings.window,
            timeouts=Timeouts(artim=settings.artim or None, idle=settings.idle or None),
        )
        # What its reports are sent as. Who calls another is rejected by `_decide`, which is told of.
        server.ae_title = next(iter(settings.ae_titles), None)
        self._equip(server)
        server.on_association(lambda association: self._decide(settings, association))
        context, proxies = None if settings.tls is None else settings.tls.context(), settings.proxies or False
        if self._sockets is None:
            opened = await server.listen(settings.host, settings.port, ssl=context, proxy_protocol=proxies)
            return _Open(settings, server, (opened,))
        # Copies, since a listener that changes closes its own.
        sockets = [each.dup() for each in self._sockets[settings.host, settings.port]]
        listening = [await server.listen(sock=each, ssl=context, proxy_protocol=proxies) for each in sockets]
        return _Open(settings, server, tuple(listening))

    def _decide(self, settings: Listener, association: Association) -> Rejection | None:
        titles = settings.ae_titles
        if titles and association.called_aet not in titles:
            return self._refuse(association, _NOT_CALLED, f"{association.called_aet} is not called here")
        senders = settings.admits(association.calling_aet, address_of(association))
        if senders is None:
            return self._refuse(association, _NOT_KNOWN, "not among the senders")
        if senders and all(
            sender.certificate and not check_certificate_ae_title(association.certificate, association.calling_aet)
            for sender in senders
        ):
            return self._refuse(association, _NOT_KNOWN, "the certificate is not for this AE title")
        self._observer.admitted(association)
        return None

    def _refuse(self, association: Association, rejection: Rejection, reason: str) -> Rejection:
        _log.warning("%s at %s is not let in: %s", association.calling_aet, association.peer, reason)
        self._observer.not_admitted(association.calling_aet, address_of(association), reason)
        return rejection

    async def close(self, drain: float) -> None:
        """Listens no more, and returns when the associations have ended, after `drain` seconds at most."""
        servers = [*self._leaving, *(each.server for each in self._open.values())]
        self._open.clear()
        self._leaving.clear()
        await asyncio.gather(*(server.drain(drain) for server in servers))


def address_of(association: Association) -> str:
    """The address of a peer, without its port."""
    return association.peer.rpartition(":")[0].strip("[]")
