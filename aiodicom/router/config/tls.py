"""``tls = {...}``: of listeners, and towards destinations."""

from __future__ import annotations

import ssl
from typing import Literal, TypeAlias

from aiodicom.net.tls import TLS_PROFILES, ServerContext, tls_client_context, tls_server_context
from aiodicom.router.config.secrets import first_line
from aiodicom.router.config.values import InputFile, Section

__all__ = ["ClientTLS", "ServerTLS"]

#: The profiles of PS3.15 B, as the commands' ``--tls-profile`` calls them.
_Profile: TypeAlias = Literal["8996", "8996-mod", "bcp195-nd", "bcp195-ex", "bcp195"]

_VERIFY = {None: None, "required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "no": ssl.CERT_NONE}


class ServerTLS(Section, frozen=True, kw_only=True):
    """TLS of a listener: PEM files, which may be renewed while it runs."""

    cert: InputFile
    #: Its private key, where that is in another file.
    key: InputFile | None = None
    #: The first line is the password of the key.
    key_password_file: InputFile | None = None
    #: The authorities that the certificates of clients are issued by.
    ca: InputFile | None = None
    #: Whether a client has to have a certificate; by default required with `ca`, no without.
    verify: Literal["required", "optional", "no"] | None = None
    profile: _Profile = "8996"

    def __post_init__(self) -> None:
        if self.verify not in (None, "no") and self.ca is None:
            raise ValueError("clients are not verified without the authorities that issue their certificates: give ca")

    def context(self) -> ServerContext:
        """For `Server.listen`. Raises `LocalError`, OSError or ValueError for files that are no such thing."""
        return tls_server_context(
            TLS_PROFILES[self.profile],
            cert=self.cert,
            key=self.key,
            key_password=None if self.key_password_file is None else first_line(self.key_password_file),
            ca=self.ca,
            verify=_VERIFY[self.verify],
        )


class ClientTLS(Section, frozen=True, kw_only=True):
    """TLS towards a destination."""

    #: The authorities that its certificate may be issued by: PEM file or folder; the system's without.
    ca: InputFile | None = None
    #: Our own certificate, its key, and the file whose first line is the key's password.
    cert: InputFile | None = None
    key: InputFile | None = None
    key_password_file: InputFile | None = None
    #: Whether the certificate has to be for `server_name`, or else the host.
    check_hostname: bool = True
    server_name: str | None = None
    #: False accepts any certificate, and so anybody in between.
    verify: bool = True
    profile: _Profile = "8996"

    def __post_init__(self) -> None:
        if self.key is not None and self.cert is None:
            raise ValueError("key is of no use without cert")

    def context(self) -> ssl.SSLContext:
        """For `Pool` and `connect()`. Raises `LocalError`, OSError and ValueError as that of `ServerTLS` does."""
        return tls_client_context(
            TLS_PROFILES[self.profile],
            ca=self.ca,
            cert=self.cert,
            key=self.key,
            key_password=None if self.key_password_file is None else first_line(self.key_password_file),
            verify=self.verify,
            check_hostname=self.check_hostname,
        )
