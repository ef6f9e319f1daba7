"""What the commands say of errors, and what to do about them."""

from __future__ import annotations

import errno
import ssl

import pytest

from aiodicom.cli.output import explain
from aiodicom.errors import (
    AssociationClosed,
    AssociationRejected,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    TLSHandshakeFailed,
)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    """`error`, raised from `cause`."""
    error.__cause__ = cause
    return error


def unverified(code: int) -> BaseException:
    """A handshake that has failed because of the peer's certificate; the codes are OpenSSL's."""
    cause = ssl.SSLCertVerificationError("certificate verify failed")
    cause.verify_code = code
    return caused(TLSHandshakeFailed("no connection to pacs port 2762: the certificate is not accepted"), cause)


@pytest.mark.parametrize(
    ("error", "todo"),
    [
        (DeadlineExceeded("connection to pacs port 104", 15), "--connect-timeout"),
        (DeadlineExceeded("answer to the A-ASSOCIATE-RQ", 30), "--acse-timeout"),
        (DeadlineExceeded("answer to the A-RELEASE-RQ", 30), "--acse-timeout"),
        (DeadlineExceeded("C-FIND response", 60), "--dimse-timeout"),
        (DeadlineExceeded("progress in sending", 60), "--dimse-timeout"),
        (unverified(10), "a new certificate"),
        (unverified(18), "--ca"),
        (unverified(20), "--ca"),
        (unverified(62), "--server-name"),
        (unverified(64), "--server-name"),
        (unverified(23), "--tls-profile"),
        (caused(ConnectFailed("no connection"), OSError(errno.EADDRNOTAVAIL, "no such address")), "--local-address"),
        (caused(ConnectFailed("no connection"), OSError(errno.ECONNREFUSED, "refused")), "check host and port"),
    ],
    ids=str,
)
def test_what_to_do(error: BaseException, todo: str) -> None:
    others = {"--connect-timeout", "--acse-timeout", "--dimse-timeout", "--ca", "--server-name"} - {todo}
    said = explain(error)
    assert todo in said
    assert not [option for option in others if option in said]


def test_an_association_that_is_over_is_explained_by_why() -> None:
    lost = ConnectionLost("the peer closed the connection")
    assert explain(caused(AssociationClosed(f"the association is over: {lost}"), lost)) == explain(lost)
    assert explain(AssociationClosed("the association is over: it was released")) == (
        "the association is over: it was released"
    )


def test_no_option_that_most_commands_do_not_have() -> None:
    assert "--associations" not in explain(AssociationRejected(2, 3, 2))
