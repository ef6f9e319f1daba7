"""The SCP: accepts associations and has handlers perform what is asked on them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl as tls
from collections.abc import Callable, Generator, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from aiodicom.dimse.events import Timeouts
from aiodicom.dimse.messages import CGetRQ, CStoreRQ, NEventReportRQ, Request
from aiodicom.errors import LocalError
from aiodicom.metrics import Counters
from aiodicom.net.acceptor import (
    Acceptor,
    Admission,
    AssociationHandler,
    Deciders,
    ExtendedNegotiationHandler,
    UserIdentityHandler,
    check_ae_title,
    check_window,
)
from aiodicom.net.association import Association
from aiodicom.net.descriptors import shortage
from aiodicom.net.handlers import Handler, Handlers
from aiodicom.net.limits import Places
from aiodicom.net.listener import Listener
from aiodicom.net.memory import default_budget
from aiodicom.net.offer import Offer, Roles
from aiodicom.net.proxy_protocol import Trusted, trusted
from aiodicom.net.sockets import BACKLOG, addresses_of, bind, bind_path, port_of
from aiodicom.net.suboperations import Destinations
from aiodicom.net.tls import check_context
from aiodicom.net.transcoding import Transcoding
from aiodicom.net.transport import Transport, be_prompt
from aiodicom.net.turns import Turns
from aiodicom.standard.uids import storage_sop_classes
from aiodicom.ul._pdu import Budget
from aiodicom.ul.extended import ApplicationInformation, encoded
from aiodicom.ul.negotiation import ANY, Support

__all__ = ["Listening", "Server"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Admit = TypeVar("_Admit", bound=AssociationHandler)
_Verify = TypeVar("_Verify", bound=UserIdentityHandler)
_Extend = TypeVar("_Extend", bound=ExtendedNegotiationHandler)

_log = logging.getLogger("aiodicom.server")

_SERVER_TIMEOUTS = Timeouts(idle=60.0)

#: Bytes that are answered in extended negotiation at the most: the item that they are in has room for 65535, with the
#: UIDs and roles of 128 SOP classes besides.
MOST_EXTENDED = 1 << 15


class Server(Handlers):
    """An SCP.

    `ae_title`: our AE title, which a called AE title then has to be; None accepts any.
    `max_associations`: further ones are rejected with "local limit exceeded" (2, 3, 2); None for no limit.
    `max_pdu`: the largest P-DATA-TF that we receive, in bytes; 0 for any.
    `max_memory`: how many bytes of received data sets may be in memory at once, over all associations; what is beyond
    goes to disk, or waits at the peer where the handler takes a stream. None is a quarter of the machine's memory, at
    most 1 GiB, for everything in the process that was not told otherwise.
    `contexts`: the abstract syntaxes and transfer syntaxes that are accepted; by default Verification and every SOP
    class of the standard whose operations have handlers, with whatever transfer syntax the requestor prefers.
    `window`: how many operations of one association are performed at once, and how many of ours are outstanding, where
    the requestor asks for asynchronous operations (PS3.7 D.3.3.3); 0 for any number.
    `roles`: SOP class -> whether a requestor that proposes it may be SCU, and SCP (PS3.7 D.3.3.4); or one such pair for
    every SOP class. Who proposes nothing is SCU; a presentation context in which the requestor then has no role that it
    may have is refused. By default a requestor may be SCU of everything, SCP of what C-GET sends once there is a
    handler for that (and SCU of it with one for C-STORE), and SCP of every SOP class with one for N-EVENT-REPORT;
    of a SOP class whose reports a service takes (`CommitmentListener`) also without proposing it.
    `extended_negotiation`: SOP class -> what is answered to a requestor that negotiates about it (PS3.7 D.3.3.5): a
    `StorageExtended` or bytes as they are; of a `QueryRetrieveExtended` or `RetrieveExtended` what was asked for.
    `accept_specialized`: whether a SOP class that is not in `contexts` is accepted like a related general one that is,
    where the requestor relates the two (PS3.7 D.3.3.6).
    `destinations`, `pending_interval`, `transcode`: see `Handlers`.
    `timeouts`: see `Timeouts`; by default an association without a sign of the peer is aborted after 60 s.
    """

    def __init__(
        self,
        ae_title: str | None = None,
        *,
        max_associations: int | None = None,
        max_pdu: int = 131072,
        contexts: Support | None = None,
        window: int = 32,
        max_memory: int | None = None,
        roles: Roles | tuple[bool, bool] | None = None,
        extended_negotiation: Mapping[str, ApplicationInformation] | None = None,
        accept_specialized: bool = False,
        destinations: Destinations | None = None,
        pending_interval: float = 0.5,
        transcode: Transcoding | str = Transcoding.LOSSLESS,
        timeouts: Timeouts = _SERVER_TIMEOUTS,
    ) -> None:
        super().__init__(destinations=destinations, pending_interval=pending_interval, transcode=transcode)
        self.ae_title = None if ae_title is None else check_ae_title(ae_title)
        self.max_pdu = check_max_pdu(max_pdu)
        self.timeouts = timeouts
        #: What the data sets that arrive take their memory from.
        self.budget = default_budget() if max_memory is None else Budget(max_memory)
        #: What has happened since the start.
        self.counters = Counters()
        #: The associations with an open connection, established or not.
        self.associations: set[Association] = set()
        #: How many associations there may be, and whose turn it is to accept one: with other processes, as
        #: `aiodicom.serve` has it.
        self.places = Places(max_associations)
        self.turns: Turns | None = None
        self._window = check_window(window)
        if contexts is not None and not isinstance(contexts, Support):
            raise LocalError("contexts: give aiodicom.Support({SOP class: transfer syntaxes, or aiodicom.ANY})")
        self._contexts = contexts
        self._default_contexts: Support | None = None
        self._roles = roles
        self._extended_negotiation = dict(extended_negotiation or {})
        if sum(len(encoded(information)) for information in self._extended_negotiation.values()) > MOST_EXTENDED:
            raise LocalError(f"answers in extended negotiation have at most {MOST_EXTENDED} bytes together")
        self._accept_specialized = accept_specialized
        self._deciders = Deciders()
        self._listening: set[Listening] = set()
        self._all_closed: asyncio.Future[None] | None = None
        self._is_accepting = False
        self._acceptor = Acceptor(
            ae_title=self.ae_title,
            offer=self._offer,
            deciders=self._deciders,
        )

    # --- handlers ----------------------------------------------------------------------------------------------------

    def on_association(self, function: _Admit) -> _Admit:
        """Registers who decides about a requestor: returns None to accept, or a `Rejection`. Plain or ``async``.

        It sees the association before it is open: peer, AE titles, certificate, user identity, proposal. It is asked
        after the handler for user identities. One that raises rejects with "temporary congestion", and one that takes
        longer than `Timeouts.acse` is cancelled and the association aborted.
        """
        self._deciders.association = function
        return function

    @overload
    def on_user_identity(self, function: _Verify, *, required: bool = False) -> _Verify: ...

    @overload
    def on_user_identity(self, *, required: bool = False) -> Callable[[_Verify], _Verify]: ...

    def on_user_identity(self, function: Any = None, *, required: bool = False) -> Any:
        """Registers who verifies what a requestor says of its user (PS3.7 D.3.3.7). Plain or ``async``.

        It gets the `UserIdentity`, of any type, and the association, and returns None or True to accept; the server
        response as bytes to accept with it (Kerberos ticket, SAML response or JSON web token; user names have none);
        False to refuse, which is a permanent rejection by the service provider (1, 2, 1; PS3.7 D.3.3.7.3); or a
        `Rejection`. The positive response goes to requestors that have requested it, to no others. A handler that
        raises rejects with "temporary congestion"; it and the handler for associations together have `Timeouts.acse`.

        Requestors without a user identity are accepted, unless one is `required`: then they are refused unasked.
        """
        if function is None:
            return lambda decorated: self.on_user_identity(decorated, required=required)
        self._deciders.user_identity = function
        self._deciders.wants_user_identity = required
        return function

    def on_extended_negotiation(self, function: _Extend) -> _Extend:
        """Registers who answers in SOP class extended negotiation (PS3.7 D.3.3.5), in place of `extended_negotiation`.

        It is a plain function that gets the association, a SOP class that is accepted on it, and what the requestor
        says of that, as bytes; it returns what is supported, as in `extended_negotiation`, or None for no answer. One
        that raises rejects with "temporary congestion".
        """
        self._deciders.extended_negotiation = function
        return function

    def _register(self, kind: type[Request], function: _Function, handler: Handler) -> _Function:
        self._default_contexts = None
        self._acceptor.forget()
        return super()._register(kind, function, handler)

    def _offer(self) -> Offer:
        """Returns what is negotiated with requestors."""
        roles: Roles = {}
        other_roles: tuple[bool, bool] | None = None
        reported: frozenset[str] = frozenset()
        if isinstance(self._roles, tuple):
            other_roles = self._roles
        elif self._roles is not None:
            roles = self._roles
        else:
            if self.handler_of(CGetRQ) is not None:
                roles = dict.fromkeys(storage_sop_classes(), (self.handler_of(CStoreRQ) is not None, True))
            events = self.handler_of(NEventReportRQ)
            if events is not None:
                other_roles = (True, True)
                reported = events.abstract_syntaxes or reported
        return Offer(
            self._support(),
            roles,
            other_roles,
            self._extended_negotiation,
            self._accept_specialized,
            self.max_pdu,
            self._window,
            reported,
        )

    def _support(self) -> Support:
        if self._contexts is not None:
            return self._contexts
        if self._default_contexts is None:
            self._default_contexts = Support(dict.fromkeys(self.sop_classes(), ANY))
        return self._default_contexts

    # --- listening ---------------------------------------------------------------------------------------------------

    def listen(
        self,
        host: str | None = None,
        port: int = 104,
        *,
        path: str | os.PathLike[str] | None = None,
        sock: socket.socket | None = None,
        ssl: tls.SSLContext | None = None,
        proxy_protocol: bool | Iterable[str | IPv4Network | IPv6Network] = False,
        backlog: int = BACKLOG,
    ) -> Listening:
        """Starts to accept associations on a TCP port (0 for a free one), a unix socket, or a socket that is bound
        already.

        `host` None is every address of the machine, IPv4 and IPv6. `ssl`: a TLS context, such as from
        `tls_server_context`.

        `proxy_protocol`: each connection begins, in front of TLS too, with the header of HAProxy's PROXY protocol,
        version 2, and `Association.peer` is the address of the client that it names. Give the networks of the load
        balancers, such as ``["10.0.0.0/24"]``; True believes whoever connects. What begins otherwise, comes from
        elsewhere, or has not sent its header within the ARTIM timeout, is closed.

        To be awaited, or used as an asynchronous context
        manager that ends with `close()` of the server. Raises `OSError`, such as for a port in use.
        """
        if ssl is not None:
            check_context(ssl, "server")
        return Listening(self, host, port, path, sock, ssl, trusted(proxy_protocol, path, sock), backlog)

    def _make_transport(self, listener: Listener) -> Transport:
        """Returns the protocol for a connection that has been accepted."""
        admission = Admission(self._acceptor, self.places)

        def on_connected(association: Association) -> None:
            # Not before: a connection whose TLS handshake fails is never made, and never lost.
            self.associations.add(association)
            listener.connected(association.transport)
            if not self._is_accepting:
                association.abort()
                association.transport.close_now()

        def on_closed(association: Association) -> None:
            admission.end()
            self.associations.discard(association)
            self.places.leave()
            if self.turns is not None:
                self.turns.check()
            for listening in self._listening:
                listening.on_closed()
            if not self.associations and self._all_closed is not None and not self._all_closed.done():
                self._all_closed.set_result(None)

        association = Association(
            asyncio.get_running_loop(),
            self.timeouts,
            acceptor=True,
            maximum_length=self.max_pdu,
            establish=admission.on_proposal,
            handlers=self,
            counters=self.counters,
            budget=self.budget,
            decode_request=admission.decode_request,
            on_connected=on_connected,
            on_end=admission.end,
            on_closed=on_closed,
        )
        return association.transport

    async def drain(self, timeout: float | None = 30.0) -> None:
        """Stops accepting, lets the operations that run end, and releases the associations.

        What is still open after `timeout` seconds is aborted. Cancelled, everything is aborted at once.
        """
        self._stop_listening()
        for association in list(self.associations):
            association.finish()
        try:
            async with asyncio.timeout(timeout):
                await self._closed()
        except TimeoutError:
            pass
        finally:
            await self.close()

    async def close(self) -> None:
        """Stops accepting and aborts all associations. Cancelling it leaves sockets that close on their own."""
        self._stop_listening()
        for association in list(self.associations):
            association.abort()
            association.transport.close_now()
        for listening in list(self._listening):
            await listening.abandon()
            self._listening.discard(listening)
        await self._closed()
        await self.starter.close()

    def _stop_listening(self) -> None:
        self._is_accepting = False
        for listening in self._listening:
            listening.stop()

    async def _closed(self) -> None:
        if self.associations:
            if self._all_closed is None or self._all_closed.done():
                self._all_closed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._all_closed)  # others may wait for it as well


class Listening:
    """A server's socket, from `Server.listen()`: to be awaited, or used as an asynchronous context manager."""

    def __init__(
        self,
        server: Server,
        host: str | None,
        port: int,
        path: str | os.PathLike[str] | None,
        sock: socket.socket | None,
        ssl: tls.SSLContext | None,
        proxies: Trusted | None,
        backlog: int,
    ) -> None:
        self._server = server
        self._where = (host, port, path, sock)
        self._ssl = ssl
        self._proxies = proxies
        self._backlog = backlog
        self._listeners: list[Listener] = []
        self._addresses: list[Any] = []

    @property
    def addresses(self) -> list[Any]:
        """The addresses that are listened on: (host, port) for IPv4 and IPv6, a path for a unix socket."""
        return self._addresses

    @property
    def port(self) -> int:
        """The TCP port that is listened on."""
        return port_of(self._addresses)

    async def _start(self) -> Self:
        host, port, path, sock = self._where
        if path is not None:
            sockets = [bind_path(path, self._backlog)]
        elif sock is not None:
            sock.listen(self._backlog)
            sockets = [sock]
        else:
            sockets = await bind(host, port, self._backlog)
        server = self._server
        for each in sockets:
            if each.family in (socket.AF_INET, socket.AF_INET6):
                be_prompt(each)
        self._addresses = addresses_of(sockets)
        self._listeners = [
            Listener(
                each,
                server._make_transport,
                server.places,
                server.turns,
                ssl=self._ssl,
                proxies=self._proxies,
                timeout=server.timeouts.artim,
            )
            for each in sockets
        ]
        server._listening.add(self)
        server._is_accepting = True
        limit = server.places.limit
        if limit is not None and server.turns is None and (missing := shortage(limit)):
            _log.warning("%s", missing)
        return self

    def stop(self) -> None:
        """Accepts no more; the associations that are open stay."""
        for listener in self._listeners:
            listener.stop()

    async def abandon(self) -> None:
        """Accepts no more, and closes connections in the middle of their TLS handshake."""
        for listener in self._listeners:
            await listener.abandon()

    def on_closed(self) -> None:
        """A connection has ended."""
        for listener in self._listeners:
            listener.retry()

    def __await__(self) -> Generator[Any, None, Self]:
        return self._start().__await__()

    async def __aenter__(self) -> Self:
        return await self._start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.close()


def check_max_pdu(max_pdu: int) -> int:
    """Returns a maximum length that PS3.8 D.1 allows and that leaves room for data, or raises `LocalError`."""
    if max_pdu != 0 and not 128 <= max_pdu <= 0xFFFFFFFF:
        raise LocalError(f"a maximum PDU length of {max_pdu} is none: 0 for any, or 128 to 4294967295")
    return max_pdu
