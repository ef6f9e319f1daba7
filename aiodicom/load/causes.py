"""What went wrong, as the short name that it is counted by."""

from __future__ import annotations

import errno
import socket

from aiodicom.errors import (
    ABORT_REASONS,
    REJECT_REASONS,
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    ConnectFailed,
    ConnectionLost,
    ContextNotAccepted,
    DeadlineExceeded,
    DecodeError,
    IdentityNotConfirmed,
    LocalError,
    ProtocolViolation,
    StatusError,
    TLSHandshakeFailed,
)

__all__ = ["cause_of", "is_abort", "is_rejection", "is_release"]

RELEASED = "released by peer"

_CONNECT = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timeout: connect",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EADDRNOTAVAIL: "no local port left",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ECONNRESET: "connection reset",
}

#: Whose wait a deadline ended, by the word that says what was waited for.
_TIMEOUTS = (
    ("connection", "connect"),
    ("A-ASSOCIATE", "acse"),
    ("A-RELEASE", "acse"),
    ("decision", "acse"),
    ("report", "report"),
)

#: Of errors that are raised here.
_OTHERS = {"Unfinished": "unfinished at the end", "NotCommitted": "not committed", "CancelledError": "cancelled"}


def cause_of(error: BaseException) -> str:
    """Returns what an exception is counted as, such as ``"rejected: called AE title not recognized"``."""
    match error:
        case StatusError():
            return f"status {error.status:04X}H"
        case DeadlineExceeded():
            return f"timeout: {next((name for word, name in _TIMEOUTS if word in error.what), 'dimse')}"
        case AssociationRejected():
            known = REJECT_REASONS.get((error.source, error.reason))
            return f"rejected: {known or f'source {error.source}, reason {error.reason}'}"
        case AssociationAborted(source=0):
            return "aborted by peer"
        case AssociationAborted():
            return f"aborted by provider: {ABORT_REASONS.get(error.reason, f'reason {error.reason}')}"
        case TLSHandshakeFailed():
            return f"TLS: {error.alert or 'handshake failed'}"
        case ConnectFailed():
            return _of_system(error.__cause__)
        case IdentityNotConfirmed():
            return "user identity not confirmed"
        case ConnectionLost():
            return RELEASED if is_release(error) else "connection lost"
        case ProtocolViolation():
            return _of_violation(str(error))
        case ContextNotAccepted():
            return "context not accepted"
        case AssociationClosed() if error.__cause__ is not None:
            return cause_of(error.__cause__)
        case AssociationClosed():
            return RELEASED if is_release(error) else "aborted by us"
        case DecodeError():
            return "malformed response"
        case LocalError() if type(error).__name__ == "ScriptError" and error.__cause__ is not None:
            return type(error.__cause__).__name__
        case LocalError():
            return _OTHERS.get(type(error).__name__, "local error")
        case OSError():
            return _of_system(error)
    return _OTHERS.get(type(error).__name__, type(error).__name__)


def is_rejection(error: BaseException) -> bool:
    """Whether the peer has answered A-ASSOCIATE-RJ."""
    return isinstance(error, AssociationRejected)


def is_release(error: BaseException) -> bool:
    """Whether this is why an association is over that has been released, by the peer then."""
    return (
        isinstance(error, (AssociationClosed, ConnectionLost)) and error.__cause__ is None and "released" in str(error)
    )


def is_abort(error: BaseException) -> bool:
    """Whether an association was aborted, by either side, or its connection lost, before or after it was open."""
    if isinstance(error, (AssociationClosed, ConnectionLost)):
        return not is_release(error)
    return isinstance(error, (AssociationAborted, ProtocolViolation, DeadlineExceeded))


def _of_system(error: BaseException | None) -> str:
    if isinstance(error, socket.gaierror):
        return "name not found"
    if isinstance(error, OSError) and error.errno is not None:
        return _CONNECT.get(error.errno) or errno.errorcode.get(error.errno, "not connected")
    return "not connected"


def _of_violation(text: str) -> str:
    if "message ID" in text and "not in flight" in text:
        return "wrong message ID"
    if "presentation context" in text:
        return "wrong presentation context"
    return "protocol violation"
