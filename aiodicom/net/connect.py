"""The SCU's way in: a transport connection and an association on it."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl as tls
from collections.abc import Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from aiodicom.dimse.events import AcceptedContext, Timeouts
from aiodicom.errors import ConnectFailed, DeadlineExceeded, IdentityNotConfirmed, LocalError, ProtocolViolation
from aiodicom.metrics import Counters
from aiodicom.net.acceptor import check_ae_title, check_window
from aiodicom.net.association import Association
from aiodicom.net.handlers import Handlers
from aiodicom.net.memory import default_budget
from aiodicom.net.pacing import connect_here
from aiodicom.net.server import check_max_pdu
from aiodicom.net.tls import check_client_name, check_context, handshake_failed
from aiodicom.standard.models import InformationModel
from aiodicom.standard.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLEMENTATION_VERSION_NAME,
    IMPLICIT_VR_LITTLE_ENDIAN,
    VERIFICATION,
)
from aiodicom.ul.extended import ApplicationInformation, encoded
from aiodicom.ul.negotiation import agreed_roles, agreed_window
from aiodicom.ul.pdu import (
    MOST_CONTEXTS,
    AssociateAC,
    AssociateRQ,
    AsynchronousOperationsWindow,
    ProposedContext,
    RoleSelection,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentity,
    UserIdentityType,
    UserInformation,
)

__all__ = ["DEFAULT_TRANSFER_SYNTAXES", "Connecting", "ContextProposal", "connect", "listed_contexts"]

#: An abstract syntax with its transfer syntaxes in order of preference, or alone with the default ones.
ContextProposal = str | tuple[str, Sequence[str]]

#: Of an abstract syntax that is proposed without any.
DEFAULT_TRANSFER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


def connect(
    host: str | None = None,
    port: int = 104,
    *,
    path: str | os.PathLike[str] | None = None,
    calling_aet: str = "AIODICOM",
    called_aet: str = "ANY-SCP",
    contexts: Iterable[ContextProposal] = (VERIFICATION,),
    receives: Iterable[ContextProposal] = (),
    max_pdu: int = 131072,
    window: int = 1,
    ssl: tls.SSLContext | None = None,
    server_hostname: str | None = None,
    local_addr: tuple[str, int] | None = None,
    user_identity: UserIdentity | None = None,
    handlers: Handlers | None = None,
    require_user_identity_response: bool = False,
    roles: Mapping[str, tuple[bool, bool]] | None = None,
    extended_negotiation: Mapping[str, ApplicationInformation] | None = None,
    common_extended_negotiation: Iterable[SOPClassCommonExtendedNegotiation] = (),
    timeouts: Timeouts = Timeouts(),  # noqa: B008 (immutable)
) -> Connecting:
    """Opens an association with the SCP at `host` and `port`, or behind the unix socket `path`.

    To be awaited, or used as an asynchronous context manager that releases the association; left by an exception it
    aborts it. `contexts` are the proposed presentation contexts; `receives` are further ones, of storage SOP classes
    whose objects the peer may send us, as it does for C-GET: 128 together at most. `max_pdu` is the largest P-DATA-TF
    that we receive. `window` is how many operations we want outstanding at once, 0 for any number (PS3.7 D.3.3.3); more
    than 1 proposes asynchronous operations, and the peer decides. `handlers` perform what the peer asks of us on this
    association, such as N-EVENT-REPORT.

    `ssl`: a TLS context, such as from `tls_client_context`. `server_hostname`: the name that is asked for (SNI) and
    that the peer's certificate is to be for, where it is another than `host`. `local_addr`: the address and port (0
    for any) that we connect from.

    `user_identity` says who the user is (PS3.7 D.3.3.7). What the peer answers, where a positive response is requested,
    is `Association.user_identity_response`; with `require_user_identity_response` an association without it is aborted.

    Of the proposed SOP classes, `roles` proposes whether we are their SCU, and their SCP (PS3.7 D.3.3.4). Otherwise we
    are SCU of those in `contexts`, and propose to be SCP of those in `receives`. `extended_negotiation` is what is said
    of a SOP class to the peer (PS3.7 D.3.3.5), as bytes or as `StorageExtended`, `QueryRetrieveExtended` or
    `RetrieveExtended`; the answers are `Association.extended_negotiation`. `common_extended_negotiation` tells of SOP
    classes their service class and related general SOP classes (PS3.7 D.3.3.6).

    Raises `ConnectFailed`, of which `TLSHandshakeFailed` is one, `DeadlineExceeded`, `AssociationRejected`,
    `AssociationAborted`, `ConnectionLost`, `ProtocolViolation`, `IdentityNotConfirmed`, or `LocalError` for arguments
    that can't be. Cancelled, nothing stays behind.
    """
    used, received = listed_contexts(contexts, "contexts"), listed_contexts(receives, "receives")
    proposed = _propose((*used, *(context for context in received if context not in used)))
    sop_classes = frozenset(context.abstract_syntax for context in proposed)
    check_window(window)
    _check_identity(user_identity, is_required=require_user_identity_response)
    proposal = AssociateRQ(
        check_ae_title(called_aet),
        check_ae_title(calling_aet),
        proposed,
        UserInformation(
            check_max_pdu(max_pdu),
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            asynchronous_operations_window=_window(window, receives=bool(received)),
            roles=_roles(_roles_to_receive(used, received) | dict(roles or {}), sop_classes),
            extended=_extended(extended_negotiation or {}, sop_classes),
            common_extended=_common_extended(common_extended_negotiation, sop_classes),
            user_identity=user_identity,
        ),
    )
    _check_address(host, port, path, local_addr)
    if ssl is not None:
        check_client_name(check_context(ssl, "client"), server_hostname or host)
    elif server_hostname is not None:
        raise LocalError("server_hostname is for TLS: give ssl too, such as aiodicom.tls_client_context()")
    return Connecting(
        proposal,
        host,
        port,
        path,
        ssl,
        server_hostname,
        local_addr,
        handlers,
        timeouts,
        require_user_identity_response,
    )


def _check_address(
    host: str | None, port: int, path: str | os.PathLike[str] | None, local_addr: tuple[str, int] | None
) -> None:
    """Raises `LocalError` for what the event loops would take for something else, or each in its own way."""
    if (host is None) == (path is None):
        raise LocalError("connect() takes either a host or the path of a unix socket")
    if host == "":
        raise LocalError("the host is empty: give the name or the address of the peer")
    if path is None and not (isinstance(port, int) and 0 < port <= 0xFFFF):
        raise LocalError(f"port {port!r} is no address: 1 to 65535")
    match local_addr:
        case None:
            return
        case (str() as local, int() as local_port) if local and 0 <= local_port <= 0xFFFF:
            if path is not None:
                raise LocalError("a unix socket is connected from no address: local_addr goes with a host")
        case _:
            raise LocalError(
                f"local_addr={local_addr!r} is none: give the address to connect from, and its port or 0 for any, "
                'such as ("192.0.2.1", 0)'
            )


def listed_contexts(contexts: Iterable[ContextProposal], name: str) -> tuple[ContextProposal, ...]:
    """Returns the presentation contexts that an argument called `name` has. Raises `LocalError` for what is no list of
    them: an abstract syntax alone would be taken for as many as it has letters.
    """
    if isinstance(contexts, str):
        raise LocalError(f"{name} is to be a list of abstract syntaxes, such as [{contexts!r}]")
    listed = tuple(contexts)
    for context in listed:
        if isinstance(context, InformationModel):
            raise LocalError(f"{context.name} is an information model: {name} has its SOP classes, find, move or get")
    return listed


def _roles_to_receive(
    used: Iterable[ContextProposal], received: Iterable[ContextProposal]
) -> dict[str, tuple[bool, bool]]:
    as_scu = {_abstract_syntax(context) for context in used}
    return {uid: (uid in as_scu, True) for uid in map(_abstract_syntax, received)}


def _abstract_syntax(context: ContextProposal) -> str:
    return context if isinstance(context, str) else context[0]


def _window(window: int, *, receives: bool) -> AsynchronousOperationsWindow | None:
    """The window to propose: who receives objects takes as many at once as are asked for."""
    return None if window == 1 else AsynchronousOperationsWindow(window, window if receives else 1)


def _propose(contexts: Iterable[ContextProposal]) -> tuple[ProposedContext, ...]:
    proposed: list[ProposedContext] = []
    for context in contexts:
        abstract_syntax, transfer_syntaxes = (
            (context, DEFAULT_TRANSFER_SYNTAXES) if isinstance(context, str) else context
        )
        if isinstance(transfer_syntaxes, str) or not transfer_syntaxes:
            raise LocalError(f"the transfer syntaxes of {abstract_syntax} are to be a list of at least one")
        proposed.append(ProposedContext(2 * len(proposed) + 1, abstract_syntax, tuple(transfer_syntaxes)))
    if not 1 <= len(proposed) <= MOST_CONTEXTS:
        raise LocalError(f"{len(proposed)} presentation contexts: an association has 1 to {MOST_CONTEXTS}")
    return tuple(proposed)


def _check_identity(identity: UserIdentity | None, *, is_required: bool) -> None:
    """Raises `LocalError` for what PS3.7 table D.3-14 does not allow."""
    if identity is not None:
        if not 1 <= identity.identity_type <= 5:
            raise LocalError(f"a user identity of type {identity.identity_type} is none: 1 to 5 (PS3.7 table D.3-14)")
        if not all(isinstance(each, bytes) for each in (identity.primary_field, identity.secondary_field)):
            raise LocalError("the fields of a user identity are bytes, of a name those of UTF-8 (PS3.7 table D.3-14)")
        if identity.secondary_field and identity.identity_type != UserIdentityType.USERNAME_AND_PASSCODE:
            raise LocalError("only a user identity of type 2 has a secondary field, the passcode")
    if is_required and not (identity and identity.positive_response_requested):
        raise LocalError("a response to the user identity is required that is not requested from the peer")


def _check_proposed(uid: str, sop_classes: frozenset[str], what: str) -> str:
    if uid not in sop_classes:
        raise LocalError(f"{what} for {uid}, which is not among the contexts")
    return uid


def _roles(roles: Mapping[str, tuple[bool, bool]], sop_classes: frozenset[str]) -> tuple[RoleSelection, ...]:
    if any(not scu and not scp for scu, scp in roles.values()):
        raise LocalError("a role is to be SCU, SCP or both (PS3.7 D.3.3.4)")
    return tuple(
        RoleSelection(_check_proposed(uid, sop_classes, "a role"), bool(scu), bool(scp))
        for uid, (scu, scp) in roles.items()
    )


def _extended(
    extended: Mapping[str, ApplicationInformation], sop_classes: frozenset[str]
) -> tuple[SOPClassExtendedNegotiation, ...]:
    return tuple(
        SOPClassExtendedNegotiation(_check_proposed(uid, sop_classes, "extended negotiation"), encoded(information))
        for uid, information in extended.items()
    )


def _common_extended(
    items: Iterable[SOPClassCommonExtendedNegotiation], sop_classes: frozenset[str]
) -> tuple[SOPClassCommonExtendedNegotiation, ...]:
    by_class: dict[str, SOPClassCommonExtendedNegotiation] = {}
    for item in items:
        uid = _check_proposed(item.sop_class_uid, sop_classes, "common extended negotiation")
        if uid in by_class:
            raise LocalError(f"common extended negotiation for {uid} twice")
        by_class[uid] = item
    return tuple(by_class.values())


class Connecting:
    """What `connect()` returns: an association to be awaited, or to be entered."""

    def __init__(
        self,
        proposal: AssociateRQ,
        host: str | None,
        port: int,
        path: str | os.PathLike[str] | None,
        ssl: tls.SSLContext | None,
        server_hostname: str | None,
        local_addr: tuple[str, int] | None,
        handlers: Handlers | None,
        timeouts: Timeouts,
        require_user_identity_response: bool,
    ) -> None:
        self._proposal = proposal
        self._where = (host, port, path)
        self._ssl = ssl
        self._server_hostname = server_hostname
        self._local_addr = local_addr
        self._handlers = handlers
        self._timeouts = timeouts
        self._requires_identity_response = require_user_identity_response
        self._association: Association | None = None

    def __await__(self) -> Generator[Any, None, Association]:
        return self._open().__await__()

    async def __aenter__(self) -> Association:
        self._association = await self._open()
        return self._association

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._association is not None
        await self._association.__aexit__(kind, error, trace)

    async def _open(self) -> Association:
        handlers = Handlers() if self._handlers is None else self._handlers
        association = Association(
            asyncio.get_running_loop(),
            self._timeouts,
            acceptor=False,
            maximum_length=self._proposal.user_information.maximum_length,
            establish=_establish,
            handlers=handlers,
            counters=Counters(),
            budget=default_budget(),
            on_closed=lambda _: handlers.starter.let_go(),
        )
        association.calling_aet = self._proposal.calling_ae_title
        association.called_aet = self._proposal.called_ae_title
        association.proposal = self._proposal
        try:
            await self._connect(association)
            await association.wait_established()
            if self._requires_identity_response and association.user_identity_response is None:
                raise IdentityNotConfirmed("the peer accepted the association without confirming the user identity")
        except BaseException:
            association.abort()
            association.transport.close()
            await association.wait_closed()
            raise
        return association

    async def _connect(self, association: Association) -> None:
        loop = asyncio.get_running_loop()
        host, port, path = self._where
        timeout = self._timeouts.connect
        where = f"{path}" if path is not None else f"{host} port {port}"

        def make() -> asyncio.BufferedProtocol:
            return association.transport

        try:
            async with asyncio.timeout(timeout) as limit:
                if path is not None:
                    await loop.create_unix_connection(
                        make, os.fspath(path), ssl=self._ssl, server_hostname=self._server_hostname or self._unix_name()
                    )
                elif self._local_addr is None and (connected := await connect_here(host, port)) is not None:
                    name = None if self._ssl is None else self._server_hostname or host
                    try:
                        await loop.create_connection(make, sock=connected, ssl=self._ssl, server_hostname=name)
                    finally:
                        if not isinstance(loop, asyncio.BaseEventLoop):
                            # uvloop, which has its descriptor, and closes it: not in each case so that this knows.
                            connected.detach()
                else:
                    try:
                        await loop.create_connection(
                            make,
                            host or "",
                            port,
                            ssl=self._ssl,
                            server_hostname=self._server_hostname,
                            local_addr=self._local_addr,
                        )
                    except socket.gaierror:  # the event loops don't say which of the two names is none
                        if self._local_addr is not None:
                            await _look_up(self._local_addr)
                        raise
        except OSError as error:  # a TimeoutError may be the system's own
            if limit.expired() and timeout is not None:
                raise DeadlineExceeded(f"connection to {where}", timeout) from error
            if isinstance(error, tls.SSLError) or (self._ssl is not None and isinstance(error, ConnectionResetError)):
                raise handshake_failed(error, where) from error
            source = "" if self._local_addr is None else f" from {self._local_addr[0]}"
            raise ConnectFailed(f"no connection to {where}{source}: {error.strerror or error}") from error
        except (UnicodeError, OverflowError) as error:
            raise LocalError(f"{where} is no address: {error}") from error

    def _unix_name(self) -> str | None:
        return "" if self._ssl is not None else None


async def _look_up(local_addr: tuple[str, int]) -> None:
    """Raises `OSError` for a local address that is no address."""
    try:
        await asyncio.get_running_loop().getaddrinfo(*local_addr, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise OSError(errno.EADDRNOTAVAIL, error.strerror) from error


def _establish(association: Association, answer: AssociateAC, _now: float) -> None:
    """Reads the A-ASSOCIATE-AC."""
    assert association.proposal is not None
    proposal = association.proposal
    proposed = {context.context_id: context for context in proposal.contexts}
    accepted: dict[int, AcceptedContext] = {}
    asked, answered = proposal.user_information, answer.user_information
    roles = agreed_roles(asked.roles, answered.roles)
    try:
        for result in answer.results:
            context = proposed.get(result.context_id)
            if context is None:
                raise ProtocolViolation(f"the peer answered context ID {result.context_id}, which was not proposed", 6)
            if result.result == 0:
                if result.transfer_syntax not in context.transfer_syntaxes:
                    text = f"the peer chose a transfer syntax for context ID {result.context_id} that was not proposed"
                    raise ProtocolViolation(text, 6)
                scu, scp = roles.get(context.abstract_syntax, (True, False))
                accepted[result.context_id] = AcceptedContext(
                    result.context_id, context.abstract_syntax, result.transfer_syntax, as_scu=scu, as_scp=scp
                )
        window = agreed_window(asked.asynchronous_operations_window, answered.asynchronous_operations_window)
        association.context_results = answer.results
        # What was not asked for is no answer.
        said = {item.sop_class_uid for item in asked.extended}
        association.extended_negotiation = {
            item.sop_class_uid: item.application_information
            for item in reversed(answered.extended)
            if item.sop_class_uid in said
        }
        if asked.user_identity and asked.user_identity.positive_response_requested and answered.user_identity_response:
            association.user_identity_response = answered.user_identity_response.server_response
        association.establish(accepted, answered.maximum_length, window)
    except ProtocolViolation as error:
        association.violated(error)
