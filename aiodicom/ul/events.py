"""What the machine tells its user: the indication and confirmation primitives of PS3.8 section 7."""

from __future__ import annotations

from aiodicom.ul.pdu import AssociateAC, AssociateRJ, AssociateRQ, PDataTF
from aiodicom.values import Value, frozen

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


@frozen
class AssociateIndication(Value):
    """A-ASSOCIATE indication: the peer proposes an association."""

    #: the proposal
    pdu: AssociateRQ


@frozen
class AssociateConfirm(Value):
    """A-ASSOCIATE confirmation: the peer accepted."""

    #: the answer
    pdu: AssociateAC


@frozen
class AssociateRejected(Value):
    """A-ASSOCIATE confirmation: the peer rejected; the transport connection is to be closed."""

    #: the answer
    pdu: AssociateRJ


@frozen
class DataIndication(Value):
    """P-DATA indication."""

    #: one or more PDVs
    pdu: PDataTF


@frozen
class ReleaseIndication(Value):
    """A-RELEASE indication: the peer wants to release; the user has to respond."""

    #: our own A-RELEASE-RQ was under way (PS3.8 7.2.2.7)
    collision: bool


@frozen
class ReleaseConfirm(Value):
    """A-RELEASE confirmation: the peer agreed to release."""


@frozen
class AbortIndication(Value):
    """A-ABORT indication: the peer's user aborted."""

    #: 0, the service-user
    source: int
    #: not significant
    reason: int


@frozen
class ProviderAbortIndication(Value):
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
