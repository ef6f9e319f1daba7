"""DIMSE messages as typed objects (PS3.7 9.3 and 10.3).

The fields of a message are the elements of its command set, named by their keywords; `ELEMENTS` says which element each
name is. The codec in ``ext/command.pyx`` works from these classes, so an element is declared here and nowhere else.
A field whose default is None (or an empty tuple) is optional and left out of the command set while it has that value.
"""

from __future__ import annotations

from typing import ClassVar

from aiodicom.standard.status import Status
from aiodicom.values import Value, frozen

__all__ = [
    "ELEMENTS",
    "MESSAGES",
    "CCancelRQ",
    "CEchoRQ",
    "CEchoRSP",
    "CFindRQ",
    "CFindRSP",
    "CGetRQ",
    "CGetRSP",
    "CMoveRQ",
    "CMoveRSP",
    "CStoreRQ",
    "CStoreRSP",
    "Message",
    "NActionRQ",
    "NActionRSP",
    "NCreateRQ",
    "NCreateRSP",
    "NDeleteRQ",
    "NDeleteRSP",
    "NEventReportRQ",
    "NEventReportRSP",
    "NGetRQ",
    "NGetRSP",
    "NSetRQ",
    "NSetRSP",
    "Request",
    "Response",
    "UnrecognizedRequest",
    "UnrecognizedResponse",
]

#: PS3.7 table E.1-1: field name, element number in group 0000, how its value is coded. ``DATA_SET`` is the flag that
#: (0000,0800) carries, ``STATUS`` a US that becomes a `Status`; the others are VRs.
ELEMENTS: dict[str, tuple[int, str]] = {
    "affected_sop_class_uid": (0x0002, "UI"),
    "requested_sop_class_uid": (0x0003, "UI"),
    "command_field": (0x0100, "US"),
    "message_id": (0x0110, "US"),
    "message_id_being_responded_to": (0x0120, "US"),
    "move_destination": (0x0600, "AE"),
    "priority": (0x0700, "US"),
    "has_data_set": (0x0800, "DATA_SET"),
    "status": (0x0900, "STATUS"),
    "offending_elements": (0x0901, "AT"),
    "error_comment": (0x0902, "LO"),
    "error_id": (0x0903, "US"),
    "affected_sop_instance_uid": (0x1000, "UI"),
    "requested_sop_instance_uid": (0x1001, "UI"),
    "event_type_id": (0x1002, "US"),
    "attribute_identifier_list": (0x1005, "AT"),
    "action_type_id": (0x1008, "US"),
    "number_of_remaining_suboperations": (0x1020, "US"),
    "number_of_completed_suboperations": (0x1021, "US"),
    "number_of_failed_suboperations": (0x1022, "US"),
    "number_of_warning_suboperations": (0x1023, "US"),
    "move_originator_ae_title": (0x1030, "AE"),
    "move_originator_message_id": (0x1031, "US"),
}


class Message(Value):
    """Any DIMSE message."""

    __slots__ = ()
    #: (0000,0100) of the message; None for the bases.
    COMMAND_FIELD: ClassVar[int | None] = None
    #: The service as the standard writes it, such as ``C-STORE``.
    SERVICE: ClassVar[str] = ""
    has_data_set: bool


@frozen
class Request(Message):
    """A request; every one but C-CANCEL asks for a response."""

    #: Identifies the operation among those in flight on the association.
    message_id: int


@frozen
class Response(Message):
    """A response, with the optional elements that its status class brings (PS3.7 annex C)."""

    message_id_being_responded_to: int
    status: Status
    affected_sop_class_uid: str | None = None
    #: Whether a data set follows.
    has_data_set: bool = False
    #: Tags in which the error was detected, as 32-bit numbers.
    offending_elements: tuple[int, ...] = ()
    #: At most 64 characters about the error.
    error_comment: str | None = None
    #: An implementation's own error code.
    error_id: int | None = None


@frozen
class UnrecognizedRequest(Request):
    """A request whose command field PS3.7 doesn't define; it is answered 0211H."""

    command_field: int
    affected_sop_class_uid: str | None = None
    has_data_set: bool = False
    SERVICE = "unrecognized"


@frozen
class UnrecognizedResponse(Response):
    """The answer to an `UnrecognizedRequest`; its command field is the request's with the bit of a response."""

    command_field: int = 0x8000
    SERVICE = "unrecognized"


@frozen
class CEchoRQ(Request):
    """C-ECHO-RQ (PS3.7 9.3.5.1)."""

    affected_sop_class_uid: str
    has_data_set: bool = False
    COMMAND_FIELD = 0x0030
    SERVICE = "C-ECHO"


@frozen
class CEchoRSP(Response):
    """C-ECHO-RSP (PS3.7 9.3.5.2)."""

    COMMAND_FIELD = 0x8030
    SERVICE = "C-ECHO"


@frozen
class CStoreRQ(Request):
    """C-STORE-RQ (PS3.7 9.3.1.1)."""

    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    #: 0 medium, 1 high, 2 low.
    priority: int = 0
    has_data_set: bool = True
    move_originator_ae_title: str | None = None
    move_originator_message_id: int | None = None
    COMMAND_FIELD = 0x0001
    SERVICE = "C-STORE"


@frozen
class CStoreRSP(Response):
    """C-STORE-RSP (PS3.7 9.3.1.2)."""

    affected_sop_instance_uid: str | None = None
    COMMAND_FIELD = 0x8001
    SERVICE = "C-STORE"


@frozen
class CFindRQ(Request):
    """C-FIND-RQ (PS3.7 9.3.2.1)."""

    affected_sop_class_uid: str
    priority: int = 0
    has_data_set: bool = True
    COMMAND_FIELD = 0x0020
    SERVICE = "C-FIND"


@frozen
class CFindRSP(Response):
    """C-FIND-RSP (PS3.7 9.3.2.2)."""

    COMMAND_FIELD = 0x8020
    SERVICE = "C-FIND"


@frozen
class CGetRQ(Request):
    """C-GET-RQ (PS3.7 9.3.3.1)."""

    affected_sop_class_uid: str
    priority: int = 0
    has_data_set: bool = True
    COMMAND_FIELD = 0x0010
    SERVICE = "C-GET"


@frozen
class CGetRSP(Response):
    """C-GET-RSP with its counters of sub-operations (PS3.7 9.3.3.2)."""

    number_of_remaining_suboperations: int | None = None
    number_of_completed_suboperations: int | None = None
    number_of_failed_suboperations: int | None = None
    number_of_warning_suboperations: int | None = None
    COMMAND_FIELD = 0x8010
    SERVICE = "C-GET"


@frozen
class CMoveRQ(Request):
    """C-MOVE-RQ (PS3.7 9.3.4.1)."""

    affected_sop_class_uid: str
    move_destination: str
    priority: int = 0
    has_data_set: bool = True
    COMMAND_FIELD = 0x0021
    SERVICE = "C-MOVE"


@frozen
class CMoveRSP(Response):
    """C-MOVE-RSP with its counters of sub-operations (PS3.7 9.3.4.2)."""

    number_of_remaining_suboperations: int | None = None
    number_of_completed_suboperations: int | None = None
    number_of_failed_suboperations: int | None = None
    number_of_warning_suboperations: int | None = None
    COMMAND_FIELD = 0x8021
    SERVICE = "C-MOVE"


@frozen
class CCancelRQ(Message):
    """C-CANCEL-RQ for a C-FIND, C-GET or C-MOVE in flight (PS3.7 9.3.2.3); it has no response."""

    message_id_being_responded_to: int
    has_data_set: bool = False
    COMMAND_FIELD = 0x0FFF
    SERVICE = "C-CANCEL"


@frozen
class NEventReportRQ(Request):
    """N-EVENT-REPORT-RQ (PS3.7 10.3.1.1)."""

    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    event_type_id: int
    has_data_set: bool = False
    COMMAND_FIELD = 0x0100
    SERVICE = "N-EVENT-REPORT"


@frozen
class NEventReportRSP(Response):
    """N-EVENT-REPORT-RSP (PS3.7 10.3.1.2)."""

    affected_sop_instance_uid: str | None = None
    event_type_id: int | None = None
    COMMAND_FIELD = 0x8100
    SERVICE = "N-EVENT-REPORT"


@frozen
class NGetRQ(Request):
    """N-GET-RQ (PS3.7 10.3.2.1)."""

    requested_sop_class_uid: str
    requested_sop_instance_uid: str
    #: Tags asked for, as 32-bit numbers; empty asks for all.
    attribute_identifier_list: tuple[int, ...] = ()
    has_data_set: bool = False
    COMMAND_FIELD = 0x0110
    SERVICE = "N-GET"


@frozen
class NGetRSP(Response):
    """N-GET-RSP (PS3.7 10.3.2.2)."""

    affected_sop_instance_uid: str | None = None
    attribute_identifier_list: tuple[int, ...] = ()
    COMMAND_FIELD = 0x8110
    SERVICE = "N-GET"


@frozen
class NSetRQ(Request):
    """N-SET-RQ (PS3.7 10.3.3.1)."""

    requested_sop_class_uid: str
    requested_sop_instance_uid: str
    has_data_set: bool = True
    COMMAND_FIELD = 0x0120
    SERVICE = "N-SET"


@frozen
class NSetRSP(Response):
    """N-SET-RSP (PS3.7 10.3.3.2)."""

    affected_sop_instance_uid: str | None = None
    attribute_identifier_list: tuple[int, ...] = ()
    COMMAND_FIELD = 0x8120
    SERVICE = "N-SET"


@frozen
class NActionRQ(Request):
    """N-ACTION-RQ (PS3.7 10.3.4.1)."""

    requested_sop_class_uid: str
    requested_sop_instance_uid: str
    action_type_id: int
    has_data_set: bool = False
    COMMAND_FIELD = 0x0130
    SERVICE = "N-ACTION"


@frozen
class NActionRSP(Response):
    """N-ACTION-RSP (PS3.7 10.3.4.2)."""

    affected_sop_instance_uid: str | None = None
    action_type_id: int | None = None
    COMMAND_FIELD = 0x8130
    SERVICE = "N-ACTION"


@frozen
class NCreateRQ(Request):
    """N-CREATE-RQ (PS3.7 10.3.5.1); without an instance UID the SCP chooses one."""

    affected_sop_class_uid: str
    affected_sop_instance_uid: str | None = None
    has_data_set: bool = False
    COMMAND_FIELD = 0x0140
    SERVICE = "N-CREATE"


@frozen
class NCreateRSP(Response):
    """N-CREATE-RSP (PS3.7 10.3.5.2)."""

    affected_sop_instance_uid: str | None = None
    attribute_identifier_list: tuple[int, ...] = ()
    COMMAND_FIELD = 0x8140
    SERVICE = "N-CREATE"


@frozen
class NDeleteRQ(Request):
    """N-DELETE-RQ (PS3.7 10.3.6.1)."""

    requested_sop_class_uid: str
    requested_sop_instance_uid: str
    has_data_set: bool = False
    COMMAND_FIELD = 0x0150
    SERVICE = "N-DELETE"


@frozen
class NDeleteRSP(Response):
    """N-DELETE-RSP (PS3.7 10.3.6.2)."""

    affected_sop_instance_uid: str | None = None
    COMMAND_FIELD = 0x8150
    SERVICE = "N-DELETE"


#: Every message that PS3.7 defines, requests before their responses.
MESSAGES: tuple[type[Message], ...] = (
    CStoreRQ,
    CStoreRSP,
    CGetRQ,
    CGetRSP,
    CFindRQ,
    CFindRSP,
    CMoveRQ,
    CMoveRSP,
    CEchoRQ,
    CEchoRSP,
    CCancelRQ,
    NEventReportRQ,
    NEventReportRSP,
    NGetRQ,
    NGetRSP,
    NSetRQ,
    NSetRSP,
    NActionRQ,
    NActionRSP,
    NCreateRQ,
    NCreateRSP,
    NDeleteRQ,
    NDeleteRSP,
)
