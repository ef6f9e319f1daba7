"""Every exception that aiodicom raises of its own.

AiodicomError
├── LocalError                      the caller's mistake; nothing was sent
│   ├── ContextNotAccepted          no accepted presentation context fits the operation
│   ├── AssociationClosed           the association had ended before the call
│   ├── CodecMissing                nothing here decodes or encodes that transfer syntax: what to install
│   ├── ConditionError              a condition of a route that is none: column, reason
│   └── ConfigurationError          a configuration that cannot be used: problems
├── RemoteError                     what the peer, or the way to it, did
│   ├── ConnectFailed               no transport connection
│   │   └── TLSHandshakeFailed      no TLS on it, or the peer refused our certificate: alert
│   ├── AssociationRejected         A-ASSOCIATE-RJ: result, source, reason
│   ├── IdentityNotConfirmed        no positive response to the user identity, which was required
│   ├── AssociationAborted          A-ABORT, or the provider's own abort: source, reason
│   ├── ConnectionLost              the peer closed the transport, or released the association before it answered
│   ├── ProtocolViolation           the peer broke PS3.7 or PS3.8; the association was aborted
│   ├── StatusError                 a response with a failure status
│   ├── DeadlineExceeded            a configured timeout passed (also a TimeoutError)
│   └── WebRefused                  an origin server has refused a request: HTTP status
├── OperationRefused                raised by a handler: the status to answer with
├── RoutingFailed                   a router cannot tell where an object goes: route, reason
├── TransformationFailed            a router cannot make of an object what its route asks for: step, reason
└── DecodeError                     malformed DICOM data: offset, tag path, reason
    └── PixelDataError              pixel data that cannot be what the data set says: frame, reason
"""

from __future__ import annotations

__all__ = [
    "AiodicomError",
    "AssociationAborted",
    "AssociationClosed",
    "AssociationRejected",
    "CodecMissing",
    "ConditionError",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionLost",
    "ContextNotAccepted",
    "DeadlineExceeded",
    "DecodeError",
    "IdentityNotConfirmed",
    "LocalError",
    "OperationRefused",
    "PixelDataError",
    "ProtocolViolation",
    "RemoteError",
    "RoutingFailed",
    "StatusError",
    "TLSHandshakeFailed",
    "TransformationFailed",
    "WebRefused",
]


class AiodicomError(Exception):
    """The root of aiodicom's exceptions."""


class LocalError(AiodicomError):
    """The caller asked for something that cannot be; nothing was sent and nothing has changed."""


class ContextNotAccepted(LocalError):
    """No presentation context accepted on this association carries what was to be sent.

    Attributes: ``abstract_syntax``, ``transfer_syntax`` (None where any would have done).
    """

    def __init__(self, abstract_syntax: str, transfer_syntax: str | None, message: str) -> None:
        super().__init__(message)
        self.abstract_syntax = abstract_syntax
        self.transfer_syntax = transfer_syntax


class AssociationClosed(LocalError):
    """The association had been released, aborted or closed before the call."""


class CodecMissing(LocalError):
    """Nothing here decodes, or encodes, the pixel data of a transfer syntax.

    Attributes: ``transfer_syntax`` (UID), ``extra`` (the extra of this package that brings what is missing, such as
    ``"pixels"``; None where none does).
    """

    def __init__(self, transfer_syntax: str, message: str, extra: str | None = None) -> None:
        super().__init__(message)
        self.transfer_syntax = transfer_syntax
        self.extra = extra


class ConditionError(LocalError):
    """A condition that cannot be understood.

    Attributes: ``column`` (of the character that is wrong, from 1), ``reason``.
    """

    def __init__(self, column: int, reason: str) -> None:
        super().__init__(f"column {column}: {reason}")
        self.column = column
        self.reason = reason


class ConfigurationError(LocalError):
    """A configuration that cannot be used.

    Attribute: ``problems``, all that is wrong with it, a line each that begins with the path of the key.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class RemoteError(AiodicomError):
    """Something that the peer did, or that happened on the way to it."""


class ConnectFailed(RemoteError):
    """No transport connection could be made; ``__cause__`` is the operating system's error where there is one."""


class TLSHandshakeFailed(ConnectFailed):
    """The TLS handshake came to nothing, or the peer refused our certificate after it (RFC 8446 4.4.2.4).

    Attribute: ``alert``, the alert by which the peer said so, such as ``certificate_required`` (RFC 8446 6); None where
    it said nothing, or where it was we who did not go on.
    """

    def __init__(self, message: str, alert: str | None = None) -> None:
        super().__init__(message)
        self.alert = alert


#: PS3.8 table 9-21, keyed by (source, reason).
REJECT_REASONS: dict[tuple[int, int], str] = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}

#: PS3.8 table 9-26, reasons of an A-ABORT whose source is the service provider.
ABORT_REASONS: dict[int, str] = {
    0: "reason not specified",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}


class AssociationRejected(RemoteError):
    """The peer answered A-ASSOCIATE-RJ (PS3.8 9.3.4).

    Attributes: ``result`` (1 permanent, 2 transient), ``source`` (1 service user, 2 service provider ACSE, 3 service
    provider presentation), ``reason``; numbers as in table 9-21.
    """

    def __init__(self, result: int, source: int, reason: int) -> None:
        text = REJECT_REASONS.get((source, reason), f"source {source}, reason {reason}")
        kind = {1: "permanently", 2: "transiently"}.get(result, f"with result {result}")
        super().__init__(f"the peer rejected the association {kind}: {text}")
        self.result = result
        self.source = source
        self.reason = reason


class IdentityNotConfirmed(RemoteError):
    """The peer accepted the association without the positive response to the user identity that was required (PS3.7
    D.3.3.7): it does not verify who its users are. The association has been aborted."""


class AssociationAborted(RemoteError):
    """The association was aborted by the peer (PS3.8 9.3.8).

    Attributes: ``source`` (0 service user, 2 service provider), ``reason`` (table 9-26).
    """

    def __init__(self, source: int, reason: int) -> None:
        who = "the peer" if source == 0 else "the peer's service provider"
        text = f": {ABORT_REASONS.get(reason, f'reason {reason}')}" if source else ""
        super().__init__(f"{who} aborted the association{text}")
        self.source = source
        self.reason = reason


class ConnectionLost(RemoteError):
    """The transport connection ended without A-RELEASE or A-ABORT; or the peer released the association, and operations
    of ours were in flight.
    """


class ProtocolViolation(RemoteError):
    """The peer sent what PS3.7 or PS3.8 forbids; the association has been aborted.

    Attribute: ``reason``, the A-ABORT reason that was sent (PS3.8 table 9-26).
    """

    def __init__(self, message: str, reason: int = 0) -> None:
        super().__init__(message)
        self.reason = reason


class StatusError(RemoteError):
    """The peer answered with a failure status.

    Attributes: ``status`` (`aiodicom.Status`), ``error_comment`` (str or None), ``response`` (the response message; of
    C-GET and C-MOVE the `aiodicom.RetrieveResult`).
    """

    def __init__(self, status: int, message: str, error_comment: str | None = None, response: object = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_comment = error_comment
        self.response = response


class DeadlineExceeded(RemoteError, TimeoutError):
    """A configured timeout passed.

    Attributes: ``what`` (what was waited for), ``seconds`` (the timeout).
    """

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"no {what} within {seconds:g} s")
        self.what = what
        self.seconds = seconds


class WebRefused(RemoteError):
    """An origin server (PS3.18) has refused a request, and says so with an HTTP status.

    Attributes: ``status`` (the HTTP status), ``retry_after`` (seconds that it wants to be left alone, None where it
    does not say), ``is_transient`` (whether the same request may succeed later).
    """

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after

    @property
    def is_transient(self) -> bool:
        """408, 425, 429 and what is the server's own fault (RFC 9110 15.6), but for what it does not have at all."""
        return self.status in (408, 425, 429) or (self.status >= 500 and self.status not in (501, 505))


class OperationRefused(AiodicomError):
    """A handler raises it to answer a request with a failure: the status, with what the response may say about it
    (PS3.7 annex C).

    Attributes: ``status``, ``error_comment`` (at most 64 characters, which the peer sees), ``offending_elements``
    (tags).
    """

    def __init__(self, status: int, error_comment: str | None = None, offending_elements: tuple[int, ...] = ()) -> None:
        super().__init__(f"refused with status {status:04X}H" + (f": {error_comment}" if error_comment else ""))
        self.status = status
        self.error_comment = error_comment
        self.offending_elements = offending_elements


class RoutingFailed(AiodicomError):
    """The condition of a route came to nothing with an object: its header is malformed, or a plug-in raised something.

    Attributes: ``route`` (its name), ``reason``.
    """

    def __init__(self, route: str, reason: str) -> None:
        super().__init__(f"route {route}: {reason}")
        self.route = route
        self.reason = reason


class TransformationFailed(AiodicomError):
    """A transformation of a route could not be applied to an object, which must not go on without it.

    Attributes: ``step`` (which one, such as ``hash PatientID``), ``reason``.
    """

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


class DecodeError(AiodicomError):
    """Malformed DICOM data.

    Attributes: ``reason``, ``offset`` (bytes from the start of what was decoded, or None), ``path`` (the tags that lead
    to the place, such as ``(0008,1140)[0].(0008,1150)``, or an empty string).
    """

    def __init__(self, reason: str, offset: int | None = None, path: str = "") -> None:
        where = "".join(
            [f" at offset {offset}" if offset is not None else "", f" in {path}" if path else ""],
        )
        super().__init__(f"{reason}{where}")
        self.reason = reason
        self.offset = offset
        self.path = path


class PixelDataError(DecodeError):
    """Pixel data that cannot be what the data set says of it: too short, too large, corrupt, at odds with group 0028.

    Attributes: ``reason``, ``frame`` (as in ``data_set.frames[frame]``, from 0; None where all frames are concerned).
    """

    def __init__(self, reason: str, frame: int | None = None) -> None:
        super().__init__(reason)
        self.frame = frame
        if frame is not None:
            self.args = (f"frames[{frame}]: {reason}",)

    def __reduce__(self) -> tuple[type[PixelDataError], tuple[str, int | None]]:
        """Frames are decoded in other processes too, which send it back."""
        return type(self), (self.reason, self.frame)
