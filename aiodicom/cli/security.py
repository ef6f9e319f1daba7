"""The options that have to do with TLS (PS3.15 B) and with who the user is (PS3.7 D.3.3.7), as groups.

A command takes a group as a parameter: see `options.grouped`.
"""

from __future__ import annotations

import ssl
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import aiodicom
from aiodicom.cli.users import Users, read_users
from aiodicom.errors import LocalError
from aiodicom.net.tls import TLS_PROFILES, ServerContext
from aiodicom.ul.pdu import UserIdentityType
from aiodicom.values import Value, frozen

__all__ = ["ClientTLS", "Identity", "ServerTLS", "ServerUsers", "TLSProfileOption", "Verify"]

#: Bytes that a field of the user identity has room for: its length is two bytes.
_MOST = 0xFFFF


class TLSProfileOption(StrEnum):
    """The profiles of PS3.15 B: the names of `TLS_PROFILES`."""

    RFC_8996 = "8996"
    RFC_8996_MODIFIED = "8996-mod"
    NON_DOWNGRADING = "bcp195-nd"
    EXTENDED = "bcp195-ex"
    BCP_195 = "bcp195"


class Verify(StrEnum):
    """Whether a client has to have a certificate."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NO = "no"


_VERIFY = {
    None: None,
    Verify.REQUIRED: ssl.CERT_REQUIRED,
    Verify.OPTIONAL: ssl.CERT_OPTIONAL,
    Verify.NO: ssl.CERT_NONE,
}


@frozen
class _TLS(Value):
    """What clients and servers have in common."""

    tls: Annotated[bool, typer.Option("--tls", help="Use TLS.")] = False
    tls_profile: Annotated[
        TLSProfileOption,
        typer.Option(
            "--tls-profile",
            metavar="PROFILE",
            help="Of PS3.15 B: 8996 (BCP 195 RFC 8996, 9325), 8996-mod (its modified form), or one of the retired "
            "ones: bcp195-nd (non-downgrading), bcp195-ex (extended), bcp195 (with TLS 1.0 and 1.1).",
        ),
    ] = TLSProfileOption.RFC_8996
    cert: Annotated[
        Path | None,
        typer.Option(
            "--cert",
            metavar="FILE",
            show_default=False,
            help="Our certificate, and those of its issuers behind it (PEM).",
        ),
    ] = None
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE",
            show_default=False,
            help="Its private key (PEM); without it, in the file of --cert.",
        ),
    ] = None
    key_password_file: Annotated[
        Path | None,
        typer.Option("--key-password-file", metavar="FILE", show_default=False, help="File with the key's password."),
    ] = None

    def refuse_without_tls(self) -> None:
        """Refuses options that would do nothing: who gave them believes that there is TLS."""
        for each in fields(self):
            if getattr(self, each.name) != each.default:
                option = f"'--{each.name.replace('_', '-')}'"
                raise typer.BadParameter("this is of no use without --tls", param_hint=option)


@frozen
class ClientTLS(_TLS):
    """TLS of a command that connects."""

    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            metavar="PATH",
            show_default="the system's",
            help="Authorities that the peer's certificate may be issued by: PEM file, or folder with hashed names.",
        ),
    ] = None
    server_name: Annotated[
        str | None,
        typer.Option(
            "--server-name", metavar="NAME", show_default="HOST", help="Name that the peer's certificate is to be for."
        ),
    ] = None
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Accept any certificate of the peer: for tests, anybody may be there.")
    ] = False

    def context(self) -> ssl.SSLContext | None:
        """The context to connect with. Raises `LocalError` for files that can't be used."""
        if not self.tls:
            self.refuse_without_tls()
            return None
        return aiodicom.tls_client_context(
            TLS_PROFILES[self.tls_profile],
            ca=self.ca,
            cert=self.cert,
            key=self.key,
            key_password=_secret(self.key_password_file),
            verify=not self.insecure,
        )


@frozen
class ServerTLS(_TLS):
    """TLS of a command that listens."""

    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            metavar="PATH",
            show_default=False,
            help="Authorities that certificates of clients are issued by: PEM file, or folder with hashed names.",
        ),
    ] = None
    verify_client: Annotated[
        Verify | None,
        typer.Option(
            "--verify-client",
            metavar="required|optional|no",
            show_default="required with --ca, else no",
            help="Whether clients have to have a certificate.",
        ),
    ] = None
    verify_ae_title: Annotated[
        bool,
        typer.Option("--verify-ae-title", help="Reject clients whose certificate is not for their calling AE title."),
    ] = False

    def context(self) -> ServerContext | None:
        """The context to listen with. Raises `LocalError` for files that can't be used."""
        if not self.tls:
            self.refuse_without_tls()
            return None
        if self.cert is None:
            raise typer.BadParameter("a server needs a certificate", param_hint="'--cert'")
        if self.ca is None and (self.verify_ae_title or self.verify_client not in (None, Verify.NO)):
            raise typer.BadParameter("clients are not verified without authorities", param_hint="'--ca'")
        return aiodicom.tls_server_context(
            TLS_PROFILES[self.tls_profile],
            cert=self.cert,
            key=self.key,
            key_password=_secret(self.key_password_file),
            ca=self.ca,
            verify=_VERIFY[self.verify_client],
        )


@frozen
class Identity(Value):
    """Who a command says that its user is."""

    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", show_default=False, help="User name to tell the peer.")
    ] = None
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", metavar="FILE", show_default=False, help="File with the user's password."),
    ] = None
    kerberos: Annotated[
        Path | None,
        typer.Option(
            "--kerberos", metavar="FILE", show_default=False, help="Kerberos service ticket to identify the user by."
        ),
    ] = None
    saml: Annotated[
        Path | None,
        typer.Option("--saml", metavar="FILE", show_default=False, help="SAML assertion to identify the user by."),
    ] = None
    jwt: Annotated[
        Path | None,
        typer.Option("--jwt", metavar="FILE", show_default=False, help="JSON web token to identify the user by."),
    ] = None
    positive_response: Annotated[
        bool, typer.Option("--positive-response", help="Ask the peer to say that it has accepted the user.")
    ] = False

    def user_identity(self) -> aiodicom.UserIdentity | None:
        """What the association is to be proposed with. Raises `OSError`, and `LocalError` for what is too long."""
        given = [name for name in ("user", "kerberos", "saml", "jwt") if getattr(self, name) is not None]
        if len(given) > 1:
            raise typer.BadParameter(
                "an association has one user identity", param_hint=" and ".join(f"'--{name}'" for name in given)
            )
        if self.password_file is not None and self.user is None:
            raise typer.BadParameter("whose password?", param_hint="'--password-file' without '--user'")
        if self.user is not None:
            name = _name(self.user)
            if self.password_file is None:
                return self._identity(UserIdentityType.USERNAME, name)
            return self._identity(UserIdentityType.USERNAME_AND_PASSCODE, name, _secret(self.password_file) or b"")
        if self.kerberos is not None:
            return self._identity(UserIdentityType.KERBEROS_SERVICE_TICKET, _token(self.kerberos))
        if self.saml is not None:
            return self._identity(UserIdentityType.SAML_ASSERTION, _token(self.saml))
        if self.jwt is not None:
            return self._identity(UserIdentityType.JSON_WEB_TOKEN, _token(self.jwt).strip())
        if self.positive_response:
            raise typer.BadParameter("there is no user to accept", param_hint="'--positive-response'")
        return None

    def _identity(self, kind: UserIdentityType, primary: bytes, secondary: bytes = b"") -> aiodicom.UserIdentity:
        if max(len(primary), len(secondary)) > _MOST:
            raise LocalError(f"a user identity of {max(len(primary), len(secondary)):,} bytes is longer than {_MOST:,}")
        return aiodicom.UserIdentity(kind, self.positive_response, primary, secondary)


@frozen
class ServerUsers(Value):
    """Who a command that listens lets in."""

    users: Annotated[
        list[str] | None,
        typer.Option(
            "--user",
            metavar="NAME",
            show_default=False,
            help="User to let in, and nobody else; can be repeated. Without --password-file, by name alone.",
        ),
    ] = None
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file", metavar="FILE", show_default=False, help="File with the password of the one --user."
        ),
    ] = None
    users_file: Annotated[
        Path | None,
        typer.Option(
            "--users-file",
            metavar="FILE",
            show_default=False,
            help="File with several users to let in, and nobody else: lines of NAME:PASSWORD.",
        ),
    ] = None

    def known(self) -> Users | None:
        """Who is let in; None for everybody. Raises `LocalError` for files that can't be used."""
        names = self.users or []
        if self.users_file is not None:
            if names or self.password_file is not None:
                option = "'--users-file' and " + ("'--user'" if names else "'--password-file'")
                raise typer.BadParameter("write all users into the file", param_hint=option)
            return Users(read_users(self.users_file))
        if self.password_file is None:
            return Users(dict.fromkeys(map(_name, names))) if names else None
        if not names:
            raise typer.BadParameter("whose password?", param_hint="'--password-file' without '--user'")
        if len(names) > 1:
            raise typer.BadParameter(
                "several users have a password each: give --users-file", param_hint="'--password-file'"
            )
        password = _secret(self.password_file)
        if not password:
            raise LocalError(f"{self.password_file}: the file is empty, and the user would need no password")
        return Users({_name(names[0]): password})


def _name(user: str) -> bytes:
    """The name of a user as it is sent (PS3.7 D.3.3.7.1)."""
    if not user:
        raise typer.BadParameter("the name is empty", param_hint="'--user'")
    try:
        return user.encode()
    except UnicodeEncodeError:  # bytes of a command line that are no UTF-8
        raise typer.BadParameter(f"{user!r} is no text", param_hint="'--user'") from None


def _token(path: Path) -> bytes:
    """What a file identifies a user by. Raises `OSError`, and `LocalError` where there is nothing."""
    token = path.read_bytes()
    if not token.strip():
        raise LocalError(f"{path}: the file is empty, and names no user")
    return token


def _secret(path: Path | None) -> bytes | None:
    """What is in a file, without the end of its line. Raises `LocalError`."""
    if path is None:
        return None
    try:
        return path.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from error
