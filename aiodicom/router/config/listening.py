"""``[listen]``, or ``[[listen]]`` for several: who may bring objects, and how."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec

from aiodicom.router.config.tls import ServerTLS
from aiodicom.router.config.values import Address, AETitle, HostName, Seconds, Section
from aiodicom.services.matching import wild_cards

__all__ = ["Listener", "Sender"]


class Sender(Section, frozen=True, kw_only=True):
    """Who may send: all that is said here has to hold."""

    #: AE title, with * and ? for what may be anything.
    ae_title: str = "*"
    address: Address | None = None
    #: Whether the AE title has to be one that the client's certificate is for.
    certificate: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.ae_title) <= 64:
            raise ValueError("ae_title is a pattern of 1 to 64 characters, such as CT*")

    def admits(self, ae_title: str, address: str) -> bool:
        """Whether it may be this one, as far as that can be told without a certificate; `address` is that of the peer,
        empty where it has none.
        """
        if wild_cards(self.ae_title).match(ae_title) is None:
            return False
        if self.address is None:
            return True
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return found in ipaddress.ip_network(self.address)


class Listener(Section, frozen=True, kw_only=True):
    """Where objects are received."""

    port: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    #: Address to listen on: 0.0.0.0 or :: for every one.
    host: HostName = HostName("127.0.0.1")
    #: Our AE title, or several; associations that call another are rejected. Without it, any is accepted.
    ae_title: AETitle | tuple[AETitle, ...] = ()
    tls: ServerTLS | None = None
    #: Who may send; without any, everybody.
    senders: tuple[Sender, ...] = ()
    #: Further ones are rejected; None for no limit.
    max_associations: Annotated[int, msgspec.Meta(ge=1)] | None = None
    #: The largest P-DATA-TF PDU that is taken, in bytes.
    max_pdu: Annotated[int, msgspec.Meta(ge=4096, le=2**31)] = 131072
    #: Operations of an association at a time, where the sender asks for it.
    window: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 32
    #: For a sender to begin, or to end.
    artim: Seconds = Seconds(30)
    #: Without a sign of the sender; 0 for ever.
    idle: Seconds = Seconds(60)
    #: Load balancers that say by HAProxy's PROXY protocol who their clients are.
    proxies: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        if any(sender.certificate for sender in self.senders) and (self.tls is None or self.tls.ca is None):
            raise ValueError("senders are asked for certificates, which needs tls with ca")

    @property
    def ae_titles(self) -> tuple[AETitle, ...]:
        """Our AE titles; none for any."""
        return (self.ae_title,) if isinstance(self.ae_title, AETitle) else self.ae_title

    def admits(self, calling_aet: str, address: str) -> tuple[Sender, ...] | None:
        """The senders that an association may be of, to be asked for certificates where they say so; None where it is
        of none. Empty where everybody may send.
        """
        if not self.senders:
            return ()
        return tuple(sender for sender in self.senders if sender.admits(calling_aet, address)) or None
