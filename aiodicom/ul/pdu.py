"""The PDUs of PS3.8 9.3 and the items that they are made of, as values; `codec` turns them into bytes and back."""

from __future__ import annotations

from dataclasses import field
from enum import IntEnum

from aiodicom.errors import ProtocolViolation
from aiodicom.standard.uids import APPLICATION_CONTEXT_NAME, IMPLEMENTATION_CLASS_UID
from aiodicom.values import Value, frozen

__all__ = [
    "MOST_CONTEXTS",
    "PDU",
    "PDV",
    "Abort",
    "AbortReason",
    "AssociateAC",
    "AssociateRJ",
    "AssociateRQ",
    "AsynchronousOperationsWindow",
    "ContextResult",
    "PDataTF",
    "PduError",
    "PduType",
    "ProposedContext",
    "ReleaseRP",
    "ReleaseRQ",
    "ResultReason",
    "RoleSelection",
    "SOPClassCommonExtendedNegotiation",
    "SOPClassExtendedNegotiation",
    "UserIdentity",
    "UserIdentityResponse",
    "UserIdentityType",
    "UserInformation",
]


class PduType(IntEnum):
    """The first byte of a PDU."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


class AbortReason(IntEnum):
    """Reason/Diag. of an A-ABORT whose source is the service-provider (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER_VALUE = 6


class ResultReason(IntEnum):
    """Result/Reason of a presentation context in an A-ASSOCIATE-AC (PS3.8 table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class UserIdentityType(IntEnum):
    """User-Identity-Type (PS3.7 table D.3-14)."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS_SERVICE_TICKET = 3
    SAML_ASSERTION = 4
    JSON_WEB_TOKEN = 5


class PduError(ProtocolViolation):
    """A PDU that is no PDU of PS3.8 9.3, or one that is too large. ``reason`` is the `AbortReason` that fits."""

    def __init__(self, reason: int, message: str) -> None:
        super().__init__(message, reason)

    def __reduce__(self) -> tuple[type[PduError], tuple[int, str]]:
        return PduError, (self.reason, str(self))


#: How many presentation contexts an association has at the most: their IDs are the odd numbers of one byte (PS3.8
#: 9.3.2.2).
MOST_CONTEXTS = 128


@frozen
class ProposedContext(Value):
    """Presentation Context Item of an A-ASSOCIATE-RQ (PS3.8 9.3.2.2)."""

    #: odd, 1 to 255
    context_id: int
    abstract_syntax: str
    #: at least one, in the proposer's order
    transfer_syntaxes: tuple[str, ...]


@frozen
class ContextResult(Value):
    """Presentation Context Item of an A-ASSOCIATE-AC (PS3.8 9.3.3.2)."""

    #: the proposed context that this answers
    context_id: int
    result: ResultReason
    #: what was chosen; empty and without meaning unless the result is acceptance
    transfer_syntax: str = ""


@frozen
class AsynchronousOperationsWindow(Value):
    """PS3.7 D.3.3.3; 0 is unlimited, 1 synchronous. Both fields are the association-requestor's point of view in the
    A-ASSOCIATE-RQ as well as in the -AC."""

    #: operations and sub-operations that the requestor may have outstanding with the acceptor
    invoked: int
    #: those that the acceptor may have outstanding with the requestor
    performed: int


@frozen
class RoleSelection(Value):
    """SCP/SCU Role Selection (PS3.7 D.3.3.4): the roles of the association-requestor, proposed or accepted."""

    sop_class_uid: str
    scu: bool
    scp: bool


@frozen
class SOPClassExtendedNegotiation(Value):
    """PS3.7 D.3.3.5."""

    sop_class_uid: str
    #: what the service class of PS3.4 says
    application_information: bytes


@frozen
class SOPClassCommonExtendedNegotiation(Value):
    """PS3.7 D.3.3.6; in an A-ASSOCIATE-RQ only."""

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...] = ()


@frozen
class UserIdentity(Value):
    """User Identity of an A-ASSOCIATE-RQ (PS3.7 D.3.3.7.1). Its fields are credentials: they never show in ``repr``."""

    #: a `UserIdentityType`, or what else the peer sent
    identity_type: int
    positive_response_requested: bool
    #: user name (UTF-8), Kerberos ticket, SAML assertion or JSON web token
    primary_field: bytes = field(repr=False)
    #: the passcode of type 2, otherwise empty
    secondary_field: bytes = field(default=b"", repr=False)


@frozen
class UserIdentityResponse(Value):
    """User Identity of an A-ASSOCIATE-AC (PS3.7 D.3.3.7.2)."""

    #: Kerberos server ticket, SAML response or JSON web token; empty for types 1 and 2
    server_response: bytes = field(default=b"", repr=False)


@frozen
class UserInformation(Value):
    """User Information Item (PS3.8 9.3.2.3, annex D; PS3.7 D.3.3)."""

    #: of the variable field of a P-DATA-TF that the sender can receive, in bytes; 0 is no maximum
    maximum_length: int = 0
    #: empty where the peer left it out
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    #: at most 16 characters; empty is left out
    implementation_version_name: str = ""
    asynchronous_operations_window: AsynchronousOperationsWindow | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[SOPClassExtendedNegotiation, ...] = ()
    #: of an A-ASSOCIATE-RQ
    common_extended: tuple[SOPClassCommonExtendedNegotiation, ...] = ()
    #: of an A-ASSOCIATE-RQ
    user_identity: UserIdentity | None = None
    #: of an A-ASSOCIATE-AC
    user_identity_response: UserIdentityResponse | None = None


@frozen
class AssociateRQ(Value):
    """A-ASSOCIATE-RQ (PS3.8 9.3.2)."""

    #: 1 to 16 characters, without the padding
    called_ae_title: str
    calling_ae_title: str
    #: at least one, at most `MOST_CONTEXTS`
    contexts: tuple[ProposedContext, ...]
    user_information: UserInformation
    application_context_name: str = APPLICATION_CONTEXT_NAME
    #: a bit for each version; bit 0 is version 1
    protocol_version: int = 1
    #: bytes 11 to 74 as they came, which the A-ASSOCIATE-AC repeats (PS3.8 9.3.3); empty in a PDU of our own
    received_header: bytes = field(default=b"", repr=False, compare=False)


@frozen
class AssociateAC(Value):
    """A-ASSOCIATE-AC (PS3.8 9.3.3)."""

    #: both titles as in the A-ASSOCIATE-RQ; not significant when received
    called_ae_title: str
    calling_ae_title: str
    #: one for each proposed context
    results: tuple[ContextResult, ...]
    user_information: UserInformation
    application_context_name: str = APPLICATION_CONTEXT_NAME
    protocol_version: int = 1
    #: bytes 11 to 74 of the A-ASSOCIATE-RQ, sent in place of the titles unless empty
    received_header: bytes = field(default=b"", repr=False, compare=False)


@frozen
class AssociateRJ(Value):
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    #: 1 permanent, 2 transient
    result: int
    #: 1 service-user, 2 service-provider (ACSE), 3 service-provider (presentation)
    source: int
    #: PS3.8 table 9-21
    reason: int


@frozen
class PDV(Value):
    """Presentation Data Value Item (PS3.8 9.3.5.1) with its message control header (annex E.2)."""

    context_id: int
    #: a fragment of a command set, not of a data set
    is_command: bool
    #: the last fragment of the command set or data set
    is_last: bool
    data: bytes


@frozen
class PDataTF(Value):
    """P-DATA-TF (PS3.8 9.3.5)."""

    #: at least one
    pdvs: tuple[PDV, ...]


@frozen
class ReleaseRQ(Value):
    """A-RELEASE-RQ (PS3.8 9.3.6)."""


@frozen
class ReleaseRP(Value):
    """A-RELEASE-RP (PS3.8 9.3.7)."""


@frozen
class Abort(Value):
    """A-ABORT (PS3.8 9.3.8)."""

    #: 0 service-user, 2 service-provider
    source: int = 0
    #: an `AbortReason`; not significant when the source is the service-user
    reason: int = 0


PDU = AssociateRQ | AssociateAC | AssociateRJ | PDataTF | ReleaseRQ | ReleaseRP | Abort
