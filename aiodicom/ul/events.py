"""What the machine tells its user: the indication and confirmation primitives of PS3.8 section 7."""

from __future__ import annotations

from dataclasses import dataclass

from aiodicom.ul.pdu import AssociateAC, AssociateRJ, AssociateRQ, PDataTF

__all__ = [
    "AbortIndication",
    "AssociateConfirm",
    "AssociateIndication",
    "AssociateRejected",
    "DataIndication",
    "Indication",
    "ProviderAbortIndication",
    "ReleaseConfirm",
    "ReleaseIndication",
]


@dataclass(frozen=True, slots=True)
class AssociateIndication:
    """A-ASSOCIATE indication: the peer proposes an association."""

    #: the proposal
    pdu: AssociateRQ


@dataclass(frozen=True, slots=True)
class AssociateConfirm:
    """A-ASSOCIATE confirmation: the peer accepted."""

    #: the answer
    pdu: AssociateAC


@dataclass(frozen=True, slots=True)
class AssociateRejected:
    """A-ASSOCIATE confirmation: the peer rejected; the transport connection is to be closed."""

    #: the answer
    pdu: AssociateRJ


@dataclass(frozen=True, slots=True)
class DataIndication:
    """P-DATA indication."""

    #: one or more PDVs
    pdu: PDataTF


@dataclass(frozen=True, slots=True)
class ReleaseIndication:
    """A-RELEASE indication: the peer wants to release; the user has to respond."""

    #: our own A-RELEASE-RQ was under way (PS3.8 7.2.2.7)
    collision: bool


@dataclass(frozen=True, slots=True)
class ReleaseConfirm:
    """A-RELEASE confirmation: the peer agreed to release."""


@dataclass(frozen=True, slots=True)
class AbortIndication:
    """A-ABORT indication: the peer's user aborted."""

    #: 0, the service-user
    source: int
    #: not significant
    reason: int


@dataclass(frozen=True, slots=True)
class ProviderAbortIndication:
    """A-P-ABORT indication: a provider aborted, ours or the peer's, or the transport connection is lost."""

    #: 2, the service-provider, or what else the peer sent
    source: int
    #: an `aiodicom.ul.pdu.AbortReason`
    reason: int
    #: there was no A-ABORT: the transport connection closed
    connection_lost: bool = False
    #: our provider aborted, because of what the peer sent
    by_us: bool = False
    #: what was wrong with what the peer sent, where it is known
    detail: str = ""


Indication = (
    AssociateIndication
    | AssociateConfirm
    | AssociateRejected
    | DataIndication
    | ReleaseIndication
    | ReleaseConfirm
    | AbortIndication
    | ProviderAbortIndication
)
