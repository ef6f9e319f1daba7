"""What errors are counted as."""

from __future__ import annotations

import errno
import socket

import pytest

from aiodicom import errors
from aiodicom.load.attempts import Unfinished
from aiodicom.load.causes import cause_of, is_abort, is_rejection, is_release


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


CLOSED = errors.AssociationClosed("the association is over")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (errors.StatusError(0xA700, "out of resources"), "status A700H"),
        (errors.AssociationRejected(1, 1, 7), "rejected: called AE title not recognized"),
        (errors.AssociationRejected(2, 3, 2), "rejected: local limit exceeded"),
        (errors.AssociationRejected(1, 3, 9), "rejected: source 3, reason 9"),
        (errors.AssociationAborted(0, 0), "aborted by peer"),
        (errors.AssociationAborted(2, 1), "aborted by provider: unrecognized PDU"),
        (errors.AssociationAborted(2, 77), "aborted by provider: reason 77"),
        (errors.DeadlineExceeded("connection to 127.0.0.1 port 104", 1), "timeout: connect"),
        (errors.DeadlineExceeded("answer to the A-ASSOCIATE-RQ", 1), "timeout: acse"),
        (errors.DeadlineExceeded("C-STORE response", 1), "timeout: dimse"),
        (errors.DeadlineExceeded("storage commitment report", 1), "timeout: report"),
        (caused(errors.ConnectFailed("x"), ConnectionRefusedError(errno.ECONNREFUSED, "x")), "refused"),
        (caused(errors.ConnectFailed("x"), OSError(errno.EADDRNOTAVAIL, "x")), "no local port left"),
        (caused(errors.ConnectFailed("x"), socket.gaierror(-2, "x")), "name not found"),
        (errors.ConnectFailed("x"), "not connected"),
        (errors.TLSHandshakeFailed("x", "unknown_ca"), "TLS: unknown_ca"),
        (errors.TLSHandshakeFailed("x"), "TLS: handshake failed"),
        (errors.ConnectionLost("x"), "connection lost"),
        (
            errors.ProtocolViolation("the peer sent a response to message ID 7, which is not in flight"),
            "wrong message ID",
        ),
        (errors.ProtocolViolation("a response on presentation context 3 to 1"), "wrong presentation context"),
        (errors.ProtocolViolation("x"), "protocol violation"),
        (errors.ContextNotAccepted("1.2", None, "x"), "context not accepted"),
        (caused(errors.AssociationClosed("x"), errors.AssociationAborted(0, 0)), "aborted by peer"),
        (errors.AssociationClosed("the association is over: it was released"), "released by peer"),
        (errors.ConnectionLost("the peer released the association before it had answered"), "released by peer"),
        (errors.AssociationClosed("the association was aborted on this side"), "aborted by us"),
        (errors.DecodeError("x"), "malformed response"),
        (errors.LocalError("x"), "local error"),
        (Unfinished("x"), "unfinished at the end"),
        (OSError(errno.EMFILE, "x"), "too many open files"),
        (OSError(errno.EPERM, "x"), "EPERM"),
    ],
)
def test_causes(error: BaseException, cause: str) -> None:
    assert cause_of(error) == cause


def test_how_associations_end() -> None:
    assert is_rejection(errors.AssociationRejected(1, 1, 1))
    assert not is_rejection(errors.AssociationAborted(0, 0))
    for released in (
        errors.AssociationClosed("the association is over: it was released"),
        errors.ConnectionLost("the peer released the association before it had answered"),
    ):
        assert is_release(released)
        assert not is_abort(released)
    assert is_abort(errors.ConnectionLost("x"))
    assert is_abort(caused(errors.AssociationClosed("x"), errors.ConnectionLost("x")))
    assert not is_abort(errors.ConnectFailed("x"))
