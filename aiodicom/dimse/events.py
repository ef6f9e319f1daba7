"""What a `aiodicom.dimse.protocol.Protocol` is told, and what it tells its owner."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, NamedTuple, Protocol

from aiodicom.dimse._operations import Operation
from aiodicom.dimse.messages import Request, Response
from aiodicom.errors import LocalError, RemoteError
from aiodicom.standard.status import Status
from aiodicom.ul.events import AssociateConfirm, AssociateIndication
from aiodicom.values import Value, frozen

__all__ = [
    "AcceptedContext",
    "CancelReceived",
    "Ended",
    "OperationCounters",
    "ProtocolEvent",
    "ReleaseRequested",
    "RequestReceived",
    "RequestRefused",
    "ResponseReceived",
    "Timeouts",
]


@frozen
class Timeouts(Value):
    """How long each thing may take, in seconds; None waits for ever.

    Raises `LocalError` for what is no number of seconds.
    """

    #: For the transport connection, with TLS's handshake.
    connect: float | None = 15.0
    #: ARTIM: for the A-ASSOCIATE-RQ, and for the peer to close after a rejection, release or abort (PS3.8 9.1.5).
    artim: float | None = 30.0
    #: For the answer to A-ASSOCIATE-RQ and A-RELEASE-RQ.
    acse: float | None = 30.0
    #: For a response, and for the peer to take what is written to it. Of a C-GET, objects are responses too: each byte
    #: of one counts.
    dimse: float | None = 60.0
    #: For the next byte while no operation runs or while a message is incomplete.
    idle: float | None = None
    #: For us to go on, while what has come is neither taken nor answered: by handlers, or by who iterates over it.
    paused: float | None = 300.0

    def __post_init__(self) -> None:
        for field in fields(self):
            seconds = getattr(self, field.name)
            if seconds is not None and not (isinstance(seconds, (int, float)) and 0 <= seconds < math.inf):
                raise LocalError(f"a timeout of {seconds!r} for {field.name} is none: seconds, or None for no timeout")


class OperationCounters(Protocol):
    """Where the peer's operations are counted."""

    #: Operations answered, and those of them with a failure status.
    operations: int
    failures: int


class AcceptedContext(NamedTuple):
    """A presentation context that both sides agreed on, with our roles in it (PS3.7 D.3.3.4).

    Without role selection the requestor of the association is SCU and the acceptor is SCP.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    #: Whether we may invoke operations on it, and be told of events.
    as_scu: bool
    #: Whether we perform operations on it, and may report events.
    as_scp: bool


class RequestReceived(NamedTuple):
    """A request that we are to perform and answer; its data set is in `body`, the sink that was chosen for it."""

    context: AcceptedContext
    message: Request
    body: Any


class RequestRefused(NamedTuple):
    """A request that is not performed; it has been answered with this status, or will be after a data set of ours."""

    message: Request
    status: Status


class ResponseReceived(NamedTuple):
    """A response to an operation that we invoked; `is_final` unless its status is pending."""

    operation: Operation
    message: Response
    body: Any
    is_final: bool


class CancelReceived(NamedTuple):
    """C-CANCEL for the operation with this message ID, which may have ended already."""

    message_id: int


class ReleaseRequested(NamedTuple):
    """The peer asks for release: `respond_release()` once the operations being performed have been answered."""


class Ended(NamedTuple):
    """The association is over: released when `error` is None."""

    error: RemoteError | None


ProtocolEvent = (
    AssociateIndication
    | AssociateConfirm
    | RequestReceived
    | RequestRefused
    | ResponseReceived
    | CancelReceived
    | ReleaseRequested
    | Ended
)
