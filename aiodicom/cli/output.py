"""What the commands say: results on stdout, everything else on stderr, failures in one line that says what to do."""

from __future__ import annotations

import errno
import json
import logging
import re
import ssl
import sys
import warnings
from collections.abc import Mapping
from typing import Any

from aiodicom.cli import streams
from aiodicom.errors import (
    AiodicomError,
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    ConnectFailed,
    ConnectionLost,
    ContextNotAccepted,
    DeadlineExceeded,
    ProtocolViolation,
    RemoteError,
    StatusError,
    TLSHandshakeFailed,
)
from aiodicom.standard.status import Status

__all__ = [
    "advice",
    "configure_logging",
    "count",
    "explain",
    "json_on_stdout",
    "note",
    "note_warnings",
    "printable",
    "quoted",
    "result",
    "result_json",
    "shortened",
    "status_text",
]

#: What to do about an A-ASSOCIATE-RJ, by source and reason (PS3.8 table 9-21).
_REJECTED = {
    (1, 2): "the peer does not speak DICOM's application context: check that it is a DICOM server",
    (1, 3): "register this AE title at the peer, or give one that it knows with -aet",
    (1, 7): "give the peer's AE title with -aec",
    (2, 1): "it may want a user: --user and --password-file; its log says why",
    (2, 2): "the peer wants another version of the protocol: check that it is a DICOM server",
    (3, 1): "try again later",
    (3, 2): "try again later: the peer has as many associations as it takes",
}
#: What to do about a TLS alert.
_TLS_REFUSED = {
    "certificate_required": "give one that the peer trusts with --cert and --key",
    "handshake_failure": "check --cert and --tls-profile",
    "protocol_version": "check --tls-profile",
    "unknown_ca": "give a certificate with --cert and --key whose issuer the peer trusts",
}
#: What to do about a peer's certificate that is not accepted, by OpenSSL's code.
_NOT_VERIFIED = {
    **dict.fromkeys((9, 10), "the peer needs a new certificate, unless a clock is wrong"),
    **dict.fromkeys((2, 18, 19, 20, 21), "name the authority that has issued it with --ca"),
    **dict.fromkeys((62, 64), "name whom it is for with --server-name"),
}
#: How much of what a user has given is repeated in an error.
_LONGEST_QUOTED = 100


def result(text: str) -> None:
    """A line of the result, on stdout. Raises OSError, which names stdout."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        error.filename = "stdout"
        raise


def result_json(values: Mapping[str, object]) -> None:
    """The result as one JSON object on stdout."""
    result(json.dumps(values))


def json_on_stdout(text: str) -> str:
    """JSON with all that is not ASCII escaped, where stdout does not take Unicode."""
    if text.isascii() or streams.is_unicode(sys.stdout):
        return text
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)


def note(command: str, text: str) -> None:
    """A line for whoever is watching, on stderr."""
    streams.tell(f"aiodicom {command}: {printable(' '.join(text.split()))}")


def note_warnings(command: str) -> None:
    """Has each of Python's warnings be such a line, without the source that it comes from."""

    def show(message: Warning | str, *_where: Any, **_more: Any) -> None:
        note(command, str(message))

    warnings.showwarning = show


def printable(text: str) -> str:
    """`text` such that nothing that a file or a peer says controls a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def quoted(text: str) -> str:
    """`text` as an error quotes it."""
    return f"{text[:_LONGEST_QUOTED]!r}{'…' if len(text) > _LONGEST_QUOTED else ''}"


def shortened(text: str) -> str:
    """What a user has named, as an error names it."""
    return text if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]}…"


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """A number of things, such as ``1 file`` or ``1,000 files``."""
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"


def size(number: int) -> str:
    """A number of bytes, such as ``21.3 kB`` or ``1,000.0 MB``."""
    return f"{number / 1e3:,.1f} kB" if number < 1e6 else f"{number / 1e6:,.1f} MB"


def explain(error: BaseException) -> str:
    """What happened and what to do about it, in one line."""
    if isinstance(error, AssociationClosed) and isinstance(error.__cause__, RemoteError):
        error = error.__cause__
    what = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, StatusError):
        response = getattr(error.response, "message", error.response)
        service = getattr(response, "SERVICE", "")
        what = f"the peer answered with status {status_text(error.status, error.error_comment, service)}"
    elif isinstance(error, OSError) and error.strerror and not isinstance(error, AiodicomError):
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    todo = advice(error)
    return f"{what} ({todo})" if todo else what


def advice(error: BaseException) -> str:
    """What to do about `error`, or nothing."""
    match error:
        case AssociationRejected():
            return _REJECTED.get((error.source, error.reason), "the peer's log says why")
        case TLSHandshakeFailed():
            return _about_tls(error)
        case ConnectFailed():
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRNOTAVAIL:
                return "check --local-address: it has to be one of this machine"
            return "check host and port, and that the peer is running"
        case DeadlineExceeded():
            return _about_time(error.what)
        case ProtocolViolation():
            return "check that it is a DICOM server; -d shows what was exchanged"
        case AssociationAborted() | ConnectionLost():
            return "the peer's log says why; -d shows what was exchanged"
        case StatusError():
            return "the peer's log says why"
        case ContextNotAccepted():
            return "the peer's settings say what it accepts"
    return ""


def _about_tls(error: TLSHandshakeFailed) -> str:
    if error.alert in _TLS_REFUSED:
        return _TLS_REFUSED[error.alert]
    if isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return _NOT_VERIFIED.get(error.__cause__.verify_code, "check the peer's certificate and --tls-profile")
    return "check that it is a port for TLS, --cert, --tls-profile"


def _about_time(what: str) -> str:
    if what.startswith("connection to"):
        return "check host and port, and what is in between, or wait longer: --connect-timeout"
    if what.startswith("answer to"):
        return "check that a DICOM server is running there, or wait longer: --acse-timeout"
    return "the peer's log may say what it is doing, or wait longer: --dimse-timeout"


def status_text(status: int, comment: str | None = None, service: str = "") -> str:
    """A status as the standard writes it for a service, such as ``A700H (out of resources)``, and the peer's comment,
    unless that is the same.
    """
    name = Status(status).name_in(service)
    words = "" if not name or name.startswith("UNKNOWN") else name.lower().replace("_", " ")
    said = f": {comment}" if comment and comment != words else ""
    return f"{status:04X}H{f' ({words})' if words else ''}{said}"


def configure_logging(verbose: bool, debug: bool, default: int = logging.CRITICAL) -> None:
    """Sends the library's log to stderr: from INFO with `-v`, everything with `-d`, else from `default` on."""
    logger = logging.getLogger("aiodicom")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if debug else logging.INFO if verbose else default)
