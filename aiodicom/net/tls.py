"""TLS as PS3.15 B has it: the Secure Transport Connection Profiles by name, and certificates that are renewed while a
server runs.

`ssl.SSLContext` is what everything else takes; the functions here make one.
"""

from __future__ import annotations

import inspect
import logging
import os
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self, TypeVar

from aiodicom.errors import LocalError, TLSHandshakeFailed
from aiodicom.net.acceptor import AssociationHandler, Rejection
from aiodicom.values import Value, frozen

if TYPE_CHECKING:
    from aiodicom.net.association import Association

__all__ = [
    "HANDSHAKE_REFUSALS",
    "TLS_PROFILES",
    "Certificate",
    "ServerContext",
    "TLSProfile",
    "admit_by_certificate",
    "certificate_alert",
    "check_certificate_ae_title",
    "check_client_name",
    "check_context",
    "handshake_failed",
    "tls_client_context",
    "tls_server_context",
    "why_no_tls",
]

_log = logging.getLogger("aiodicom.tls")

FilePath = str | os.PathLike[str]
#: A peer's certificate as `ssl.SSLSocket.getpeercert` gives it.
Certificate = Mapping[str, Any]

Context = TypeVar("Context", bound=ssl.SSLContext)

#: How OpenSSL's library and the place in Python's source stand around the words of an error.
_SOURCE = re.compile(r"^\[\w+\] | \(_ssl\.c:\d+\)$")

#: Finite field Diffie-Hellman with 2048 bits, group ffdhe2048 of RFC 7919.
_DH_PARAMETERS = Path(__file__).with_name("ffdhe2048.pem")
#: DICOM among the application protocols that IANA has registered (RFC 9325 3.8).
_ALPN = ["dicom"]


class TLSProfile(Enum):
    """The Secure Transport Connection Profiles of PS3.15 B that are about TLS; the values are their names there.

    Those of B.9, B.10 and B.11 are retired.
    """

    BCP_195_RFC_8996_9325 = "BCP 195 RFC 8996, 9325 TLS"
    MODIFIED_BCP_195_RFC_8996_9325 = "Modified BCP 195 RFC 8996, 9325 TLS"
    NON_DOWNGRADING_BCP_195 = "Non-Downgrading BCP 195 TLS"
    EXTENDED_BCP_195 = "Extended BCP 195 TLS"
    BCP_195 = "BCP 195 TLS"


#: The profiles by the names that DCMTK's options have.
TLS_PROFILES: Final = {
    "8996": TLSProfile.BCP_195_RFC_8996_9325,
    "8996-mod": TLSProfile.MODIFIED_BCP_195_RFC_8996_9325,
    "bcp195-nd": TLSProfile.NON_DOWNGRADING_BCP_195,
    "bcp195-ex": TLSProfile.EXTENDED_BCP_195,
    "bcp195": TLSProfile.BCP_195,
}


class _Rules(NamedTuple):
    """What a profile asks for."""

    #: for TLS 1.2 and before, as OpenSSL calls them, in order of preference
    suites: tuple[str, ...]
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    #: OpenSSL's: 2 refuses RSA and DH keys below 2048 bits, EC keys below 224, and SHA-1 in signatures
    security_level: int = 2
    #: RFC 9325 3.8 asks for ALPN, the RFCs before it did not
    has_alpn: bool = False


_DHE_OR_ECDHE_RSA = (
    "ECDHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES128-GCM-SHA256",
)

_RULES = {
    # B.12 is RFC 9325, whose 4.2 has the suites.
    TLSProfile.BCP_195_RFC_8996_9325: _Rules(
        (
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        has_alpn=True,
    ),
    # B.13: those that shall be supported. Of those that may be, OpenSSL has none with Camellia in GCM, and those with
    # DHE add nothing to the ones with ECDHE.
    TLSProfile.MODIFIED_BCP_195_RFC_8996_9325: _Rules(
        (
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-AES256-CCM",
            "ECDHE-ECDSA-AES256-CCM8",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-RSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES128-CCM",
            "ECDHE-ECDSA-AES128-CCM8",
        ),
        has_alpn=True,
    ),
    TLSProfile.NON_DOWNGRADING_BCP_195: _Rules(_DHE_OR_ECDHE_RSA),  # B.10
    # B.11: "no other cipher suites shall be used", and those of TLS 1.3 are others.
    TLSProfile.EXTENDED_BCP_195: _Rules(
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256", *_DHE_OR_ECDHE_RSA),
        maximum=ssl.TLSVersion.TLSv1_2,
    ),
    # B.9 is RFC 7525 (4.2), which has peers fall back; its note 2 keeps peers of the AES TLS profile (B.3), whose suite
    # is the last one (its other, 3DES, is not in OpenSSL any more). Below TLS 1.2 signatures are of MD5 and SHA-1,
    # which OpenSSL 3 has at level 0 alone.
    TLSProfile.BCP_195: _Rules(
        (*_DHE_OR_ECDHE_RSA, "AES128-SHA"), minimum=ssl.TLSVersion.MINIMUM_SUPPORTED, security_level=0
    ),
}


def tls_client_context(
    profile: TLSProfile = TLSProfile.BCP_195_RFC_8996_9325,
    *,
    ca: FilePath | None = None,
    cert: FilePath | None = None,
    key: FilePath | None = None,
    key_password: str | bytes | None = None,
    verify: bool = True,
    check_hostname: bool = True,
) -> ssl.SSLContext:
    """Returns a context for `connect()` and `Pool` after a profile of PS3.15 B.

    `ca`: the authorities that peers are trusted by, a PEM file or a folder with hashed names; those of the system by
    default. `cert`: our own certificate with its chain, a PEM file, for peers that want one; `key`: its private key, in
    the same file unless it is given. `check_hostname` false accepts any name in the peer's certificate, which many
    DICOM devices do not have their address in; `verify` false accepts any certificate, and so anybody in between.

    Raises `LocalError` for files that are missing or no such thing, a key that does not fit, or a password that is
    missing or wrong.
    """
    context = _configured(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), profile)
    if not verify or not check_hostname:
        context.check_hostname = False
    if not verify:
        context.verify_mode = ssl.CERT_NONE
    elif ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if ca is not None:
        _load_authorities(context, ca)
    if cert is not None:
        _load_certificate(context, cert, key, key_password)
    elif key is not None:
        raise LocalError(f"the key {os.fspath(key)} is of no use without its certificate")
    return context


def tls_server_context(
    profile: TLSProfile = TLSProfile.BCP_195_RFC_8996_9325,
    *,
    cert: FilePath,
    key: FilePath | None = None,
    key_password: str | bytes | None = None,
    ca: FilePath | None = None,
    verify: ssl.VerifyMode | None = None,
    certificates: Mapping[str, tuple[FilePath, FilePath | None]] | None = None,
) -> ServerContext:
    """Returns a context for `Server.listen()` and `serve()` after a profile of PS3.15 B.

    `cert`, `key`, `key_password`: as of `tls_client_context`. `certificates`: others by the name that a client asks for
    (SNI): ``{"pacs.example.org": (cert, key)}``; ``*.example.org`` is for any name in place of the star. `ca`: the
    authorities that certificates of clients are issued by. `verify`: whether clients have to have one
    (`ssl.CERT_REQUIRED`, the default with `ca`), may (`ssl.CERT_OPTIONAL`), or are not asked (`ssl.CERT_NONE`, the
    default without).

    The files are looked at before each handshake: renewed ones are used for new connections from then on. Those that
    can't be used, such as a certificate whose key has yet to be written, are logged, and the ones before stay.

    Raises `LocalError` for files that are missing or no such thing, a key that does not fit, or a password that is
    missing or wrong.
    """
    if verify is None:
        verify = ssl.CERT_NONE if ca is None else ssl.CERT_REQUIRED
    if verify != ssl.CERT_NONE and ca is None:
        raise LocalError("clients can't be verified without the authorities that issue their certificates: give ca")
    return ServerContext(_ServerSettings(profile, cert, key, key_password, ca, verify, dict(certificates or {})))


@frozen
class _ServerSettings(Value):
    """The arguments of `tls_server_context`."""

    profile: TLSProfile
    cert: FilePath
    key: FilePath | None
    key_password: str | bytes | None = field(repr=False)
    ca: FilePath | None
    verify: ssl.VerifyMode
    certificates: dict[str, tuple[FilePath, FilePath | None]]


class ServerContext(ssl.SSLContext):
    """What `tls_server_context` returns. It can be pickled, which is how worker processes get one of their own.

    Invariant: the context itself has no certificate. Each handshake is given another context that has, by the callback
    that OpenSSL calls in each, whether the client names a server or not.
    """

    _settings: _ServerSettings
    _default: _Renewed
    _by_name: dict[str, _Renewed]

    def __new__(cls, settings: _ServerSettings) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, settings: _ServerSettings) -> None:
        _configured(self, settings.profile)
        self.verify_mode = settings.verify
        self._settings = settings
        self._default = _Renewed(settings, settings.cert, settings.key)
        self._by_name = {
            name.lower(): _Renewed(settings, cert, key) for name, (cert, key) in settings.certificates.items()
        }
        self.sslobject_class = _AlertingObject
        self.sni_callback = self._choose

    def __reduce__(self) -> tuple[type[ServerContext], tuple[_ServerSettings]]:
        return ServerContext, (self._settings,)

    def reload(self) -> bool:
        """Reads all files anew; false if some can't be used, which is logged: those before stay."""
        return False not in [renewed.renew() for renewed in (self._default, *self._by_name.values())]

    def _choose(self, connection: Any, server_name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._of(server_name).current()

    def _of(self, server_name: str | None) -> _Renewed:
        if server_name is None:
            return self._default
        name = server_name.lower()
        found = self._by_name.get(name) or self._by_name.get("*." + name.partition(".")[2])
        return found or self._default


class _Renewed:
    """One certificate of a server, as it is in its files now."""

    def __init__(self, settings: _ServerSettings, cert: FilePath, key: FilePath | None) -> None:
        self._settings = settings
        self._cert = cert
        self._key = key
        self._files = [path for path in (cert, key, settings.ca) if path is not None]
        self._stamp = self._look()
        self._context = self._make()

    def current(self) -> ssl.SSLContext:
        """The context for the next handshake."""
        if self._look() != self._stamp:
            self.renew()
        return self._context

    def renew(self) -> bool:
        """Reads the files; false if they can't be used, which is logged."""
        self._stamp = self._look()  # before they are read: what changes meanwhile is seen the next time
        try:
            self._context = self._make()
        except LocalError as error:
            _log.error("the files of a certificate can't be used, those before stay: %s", error)
            return False
        _log.info("%s was read anew", os.fspath(self._cert))
        return True

    def _make(self) -> ssl.SSLContext:
        settings = self._settings
        context = _configured(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), settings.profile)
        context.verify_mode = settings.verify
        if settings.ca is not None:
            _load_authorities(context, settings.ca)
        _load_certificate(context, self._cert, self._key, settings.key_password)
        return context

    def _look(self) -> list[tuple[int, int, int] | None]:
        stamps: list[tuple[int, int, int] | None] = []
        for path in self._files:
            try:
                found = os.stat(path)
            except OSError:
                stamps.append(None)
            else:
                stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return stamps


#: Where the TLS handshake of a connection puts why it refuses the client, if it tells the client first and fails later,
#: as that of a `ServerContext` does: all callbacks of the connection run in a context with a list of its own.
HANDSHAKE_REFUSALS: ContextVar[list[ssl.SSLError] | None] = ContextVar("HANDSHAKE_REFUSALS", default=None)

#: Why a server refuses a client that speaks TLS, as OpenSSL calls it.
_REFUSALS = {
    "CERTIFICATE_VERIFY_FAILED",
    "NO_SHARED_CIPHER",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE",
    "UNSUPPORTED_PROTOCOL",
}


class _AlertingObject(ssl.SSLObject):
    """A server's side of a connection that tells the client why it was refused.

    Both event loops drop the alert that OpenSSL has written when a handshake fails. What they send is what there is
    when the handshake is to go on; so it goes on, until the client closes, as TLS has it do, or the time is up. Of the
    refusal they then know nothing: who accepts the connection finds it in `HANDSHAKE_REFUSALS`.
    """

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            if error.reason not in _REFUSALS:
                raise
            refusals = HANDSHAKE_REFUSALS.get()
            if refusals is None:
                _log.info("a client was refused in the TLS handshake: %s", _reason(error))
            else:
                refusals.append(error.with_traceback(None))  # which would keep what is on the stack
            raise ssl.SSLWantReadError from None


def _configured(context: Context, profile: TLSProfile) -> Context:
    """Gives a context the profile's rules."""
    rules = _RULES[profile]
    context.minimum_version = rules.minimum
    context.maximum_version = rules.maximum
    context.set_ciphers(":".join([*rules.suites, f"@SECLEVEL={rules.security_level}"]))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if rules.has_alpn:
        context.set_alpn_protocols(_ALPN)
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        if any(suite.startswith("DHE") for suite in rules.suites):
            context.load_dh_params(os.fspath(_DH_PARAMETERS))
    return context


# --- files -----------------------------------------------------------------------------------------------------------


def _load_authorities(context: ssl.SSLContext, path: FilePath) -> None:
    name = os.fspath(path)
    try:
        if os.path.isdir(name):
            context.load_verify_locations(capath=name)
        else:
            context.load_verify_locations(cafile=name)
    except ssl.SSLError:
        raise LocalError(f"{name} has no certificate of an authority (PEM)") from None
    except OSError as error:
        raise LocalError(f"{name}: {error.strerror}") from error


class _PasswordWanted(Exception):
    """The private key is encrypted."""


def _load_certificate(
    context: ssl.SSLContext, cert: FilePath, key: FilePath | None, password: str | bytes | None
) -> None:
    certificate_name, key_name = os.fspath(cert), os.fspath(cert if key is None else key)
    _expect(certificate_name, b"-----BEGIN CERTIFICATE-----", "certificate")
    _expect(key_name, b"PRIVATE KEY-----", "private key")
    was_asked = False

    def tell() -> str | bytes:  # without this OpenSSL would ask at the terminal
        nonlocal was_asked
        was_asked = True
        if password is None:
            raise _PasswordWanted
        return password

    try:
        context.load_cert_chain(certificate_name, key_name, tell)
    except _PasswordWanted:
        raise LocalError(f"the private key in {key_name} is encrypted: its password is needed") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"the private key in {key_name} is not that of the certificate in {certificate_name}"
        elif was_asked:
            text = f"the password of the private key in {key_name} is wrong"
        else:
            text = f"{certificate_name} and {key_name} can't be used: {_reason(error)}"
        raise LocalError(text) from None
    except (OSError, ValueError) as error:
        raise LocalError(f"{certificate_name} and {key_name} can't be used: {error}") from error


def _expect(name: str, mark: bytes, what: str) -> None:
    try:
        with open(name, "rb") as file:
            is_there = mark in file.read()
    except OSError as error:
        raise LocalError(f"{name}: {error.strerror}") from error
    if not is_there:
        raise LocalError(f"{name} has no {what} (PEM)")


# --- what is given ---------------------------------------------------------------------------------------------------


def check_context(context: ssl.SSLContext, side: Literal["client", "server"]) -> ssl.SSLContext:
    """Returns a TLS context that is for this side of a connection, or raises `LocalError`."""
    other = ssl.PROTOCOL_TLS_SERVER if side == "client" else ssl.PROTOCOL_TLS_CLIENT
    if not isinstance(context, ssl.SSLContext) or context.protocol == other:
        raise LocalError(f"ssl is to be the TLS context of a {side}, such as from aiodicom.tls_{side}_context()")
    return context


def check_client_name(context: ssl.SSLContext, name: str | None) -> None:
    """Raises `LocalError` where a client can't ask for a server of this name: before there is a connection, which the
    event loops leave open then.
    """
    if not name and context.check_hostname:
        raise LocalError("nothing says which name the peer's certificate is to be for: give server_hostname")
    try:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name or None)
    except (TypeError, ValueError, ssl.SSLError) as error:
        raise LocalError(f"{name!r} is no name to ask for in TLS: {error}") from error


# --- what went wrong -------------------------------------------------------------------------------------------------

#: The alerts of RFC 8446 6.2 by which a peer refuses our certificate.
_OF_CERTIFICATES = {
    "access_denied",
    "bad_certificate",
    "certificate_expired",
    "certificate_required",
    "certificate_revoked",
    "certificate_unknown",
    "no_certificate",
    "unknown_ca",
    "unsupported_certificate",
}
#: What others that are common may mean.
_MEANINGS = {
    "handshake_failure": "nothing in common, such as a cipher suite, or the peer wants a certificate of ours",
    "protocol_version": "no TLS version in common",
}


def _alert(error: ssl.SSLError) -> str | None:
    """The alert that the peer has sent, by its name in RFC 8446 6."""
    _, is_alert, name = (error.reason or "").replace(" ", "_").upper().partition("ALERT_")
    return name.lower() if is_alert else None


def _reason(error: ssl.SSLError) -> str:
    """What OpenSSL says, without where in its source."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if error.reason:
        return error.reason.replace("_", " ").lower()
    return _SOURCE.sub("", str(error.strerror or error))


def handshake_failed(error: OSError, where: str) -> TLSHandshakeFailed:
    """Returns what to raise for a TLS handshake with the peer at `where` that has failed."""
    alert = _alert(error) if isinstance(error, ssl.SSLError) else None
    return TLSHandshakeFailed(f"no connection to {where}: {_explained(error, alert)}", alert)


def why_no_tls(error: ssl.SSLError) -> str:
    """Returns words for why a TLS handshake has failed that a peer has begun."""
    return _explained(error, _alert(error))


def _explained(error: OSError, alert: str | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is not accepted: {error.verify_message}"
    if not isinstance(error, ssl.SSLError):
        return "the peer closed it during the TLS handshake"
    if alert is None:
        return f"no TLS with the peer: {_reason(error)}"
    words = alert.replace("_", " ")
    if alert in _OF_CERTIFICATES:
        return f"the peer refused our certificate, or that we gave none: {words}"
    meaning = f" ({_MEANINGS[alert]})" if alert in _MEANINGS else ""
    return f"the peer refused the TLS handshake: {words}{meaning}"


def certificate_alert(error: BaseException) -> TLSHandshakeFailed | None:
    """What to raise for a connection that ended so, if it did because the peer refused our certificate.

    In TLS 1.3 we hear of that after our own handshake has ended (RFC 8446 4.4.2.4).
    """
    if isinstance(error, ssl.SSLError) and (alert := _alert(error)) in _OF_CERTIFICATES:
        return TLSHandshakeFailed(_explained(error, alert), alert)
    return None


# --- who a certificate is for ----------------------------------------------------------------------------------------


def check_certificate_ae_title(certificate: Certificate | None, calling_aet: str) -> bool:
    """Whether a certificate is for an AE title: a name in it is the title.

    Names are the common names of its subject and its subject alternative names; those that are DNS names, for which
    upper and lower case are the same, are compared so.
    """
    return any(
        name.lower() == calling_aet.lower() if kind == "DNS" else name == calling_aet
        for kind, name in _names(certificate or {})
    )


def _names(certificate: Certificate) -> Iterator[tuple[str, str]]:
    for relative in certificate.get("subject", ()):
        for kind, name in relative:
            if kind == "commonName":
                yield kind, name
    for kind, name in certificate.get("subjectAltName", ()):
        if isinstance(name, str):
            yield kind, name


def admit_by_certificate(
    check: Callable[[Certificate | None, str], bool | Awaitable[bool]] = check_certificate_ae_title,
) -> AssociationHandler:
    """Returns a handler for `Server.on_association` that admits those whose certificate is for their AE title.

    `check`, plain or ``async``, is told the certificate (None without one) and the calling AE title. Who it says False
    of is rejected with "calling AE title not recognized" (PS3.8 table 9-21: 1, 1, 3). One that says neither True nor
    False has failed, as one that raises has: nobody is admitted by that.
    """

    def admit(association: Association) -> Rejection | Awaitable[Rejection | None] | None:
        verdict = check(association.certificate, association.calling_aet)
        return admit_later(verdict, association) if inspect.isawaitable(verdict) else judged(verdict, association)

    async def admit_later(verdict: Awaitable[bool], association: Association) -> Rejection | None:
        return judged(await verdict, association)

    def judged(verdict: object, association: Association) -> Rejection | None:
        if verdict is True:
            return None
        if verdict is not False:
            raise TypeError(f"the check of certificates is to say True or False, not {type(verdict).__name__}")
        association.log(logging.WARNING, "the certificate is not for this calling AE title: rejected")
        return Rejection(1, 1, 3)

    return admit
