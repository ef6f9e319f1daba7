"""How a router is looked after: page, metrics, traces, audit; and what it passes through."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from aiodicom.router.config.tls import ClientTLS, ServerTLS
from aiodicom.router.config.values import HostName, InputFile, Section, WebUrl

__all__ = ["Audit", "Metrics", "Operations", "PassThrough", "Tracing"]

_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Operations(Section, frozen=True, kw_only=True):
    """The page of those who look after the router, and what its commands speak with."""

    #: The first line is the token that everybody has to have.
    token_file: InputFile
    host: HostName = HostName("127.0.0.1")
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8042
    tls: ServerTLS | None = None


class Metrics(Section, frozen=True, kw_only=True):
    """``/metrics``, ``/livez`` and ``/readyz``, without a token."""

    host: HostName = HostName("127.0.0.1")
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 9042


class Tracing(Section, frozen=True, kw_only=True):
    """OpenTelemetry."""

    #: Of a collector (OTLP over HTTP).
    endpoint: WebUrl
    service_name: str = "aiodicom-router"
    #: The part of objects that is traced.
    ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


class Audit(Section, frozen=True, kw_only=True):
    """Audit messages (PS3.15 A.5) to a repository."""

    host: HostName
    #: Syslog over TLS (PS3.15 A.6), or UDP (A.7).
    transport: Literal["tls", "udp"] = "tls"
    #: By default 6514 over TLS, 514 over UDP.
    port: _Port | None = None
    tls: ClientTLS | None = None
    source_id: str = "aiodicom-router"
    enterprise_site_id: str | None = None

    def __post_init__(self) -> None:
        if self.transport == "udp" and self.tls is not None:
            raise ValueError("there is no TLS over UDP")


class PassThrough(Section, frozen=True, kw_only=True):
    """Destinations that answer what is not stored: requests are passed to them, and their responses back."""

    #: C-FIND, C-MOVE and C-GET of Query/Retrieve.
    queries: str | None = None
    #: C-FIND of Modality Worklist.
    worklist: str | None = None
    #: N-CREATE, N-SET and N-GET of Modality Performed Procedure Step.
    mpps: str | None = None
