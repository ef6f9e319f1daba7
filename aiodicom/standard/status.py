"""Status codes of DIMSE responses: PS3.7 annex C and the service classes of PS3.4."""

from __future__ import annotations

from enum import Enum, IntEnum

__all__ = ["Status", "StatusCategory"]


class StatusCategory(Enum):
    """The status classes of PS3.7 annex C."""

    SUCCESS = "Success"
    PENDING = "Pending"
    CANCEL = "Cancel"
    WARNING = "Warning"
    FAILURE = "Failure"


class Status(IntEnum):
    """The value of Status (0000,0900).

    Any 16 bit value is a ``Status``: one that has no name here gets a member of its own, equal to every other of that
    value, such as ``<Status.UNKNOWN_C123: 49443>``.
    """

    # An Enum's own hash is a call of Python code, and every response's status is looked up.
    __hash__ = int.__hash__

    # PS3.7 annex C
    SUCCESS = 0x0000
    REQUESTED_OPTIONAL_ATTRIBUTES_NOT_SUPPORTED = 0x0001
    NO_SUCH_ATTRIBUTE = 0x0105
    INVALID_ATTRIBUTE_VALUE = 0x0106
    ATTRIBUTE_LIST_ERROR = 0x0107
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_SOP_INSTANCE = 0x0112
    NO_SUCH_EVENT_TYPE = 0x0113
    NO_SUCH_ARGUMENT = 0x0114
    INVALID_ARGUMENT_VALUE = 0x0115
    ATTRIBUTE_VALUE_OUT_OF_RANGE = 0x0116
    INVALID_SOP_INSTANCE = 0x0117
    NO_SUCH_SOP_CLASS = 0x0118
    CLASS_INSTANCE_CONFLICT = 0x0119
    MISSING_ATTRIBUTE = 0x0120
    MISSING_ATTRIBUTE_VALUE = 0x0121
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION_TYPE = 0x0123
    NOT_AUTHORIZED = 0x0124
    DUPLICATE_INVOCATION = 0x0210
    UNRECOGNIZED_OPERATION = 0x0211
    MISTYPED_ARGUMENT = 0x0212
    RESOURCE_LIMITATION = 0x0213
    CANCEL = 0xFE00
    PENDING = 0xFF00

    # PS3.4 tables B.2-1 (storage), C.4-1 (C-FIND), C.4-2 (C-MOVE) and C.4-3 (C-GET)
    OUT_OF_RESOURCES = 0xA700
    UNABLE_TO_CALCULATE_NUMBER_OF_MATCHES = 0xA701
    UNABLE_TO_PERFORM_SUB_OPERATIONS = 0xA702
    MOVE_DESTINATION_UNKNOWN = 0xA801
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    COERCION_OF_DATA_ELEMENTS = 0xB000
    SUB_OPERATIONS_COMPLETE_WITH_FAILURES = 0xB000
    ELEMENTS_DISCARDED = 0xB006
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING = 0xB007
    CANNOT_UNDERSTAND = 0xC000
    UNABLE_TO_PROCESS = 0xC000
    PENDING_WARNING = 0xFF01

    # PS3.4 annex CC (Unified Procedure Step)
    UPS_CREATED_WITH_MODIFICATIONS = 0xB300
    UPS_DELETION_LOCK_NOT_GRANTED = 0xB301
    UPS_ALREADY_CANCELED = 0xB304
    UPS_COERCED_INVALID_VALUES = 0xB305
    UPS_ALREADY_COMPLETED = 0xB306
    UPS_MAY_NO_LONGER_BE_UPDATED = 0xC300
    UPS_TRANSACTION_UID_NOT_CORRECT = 0xC301
    UPS_ALREADY_IN_PROGRESS = 0xC302
    UPS_MAY_ONLY_BECOME_SCHEDULED_BY_N_CREATE = 0xC303
    UPS_FINAL_STATE_REQUIREMENTS_NOT_MET = 0xC304
    UPS_DOES_NOT_EXIST = 0xC307
    UPS_RECEIVING_AE_UNKNOWN = 0xC308
    UPS_STATE_NOT_SCHEDULED = 0xC309
    UPS_NOT_YET_IN_PROGRESS = 0xC310
    UPS_IS_COMPLETED = 0xC311
    UPS_PERFORMER_CANNOT_BE_CONTACTED = 0xC312
    UPS_PERFORMER_DOES_NOT_CANCEL = 0xC313
    UPS_ACTION_NOT_APPROPRIATE = 0xC314
    UPS_EVENT_REPORTS_NOT_SUPPORTED = 0xC315

    @classmethod
    def _missing_(cls, value: object) -> Status | None:
        if not isinstance(value, int) or not 0 <= value <= 0xFFFF:
            return None
        # Enum doesn't remember what this gives, so a peer that sends every value costs nothing.
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value:04X}"
        member._value_ = value
        return member

    def name_in(self, service: str) -> str:
        """The name that the value has in a service, such as ``"C-FIND"`` (PS3.7 9.1): some values have several, and
        some names a range of values (PS3.4 tables B.2-1, C.4-1 to C.4-3).
        """
        for (least, most), name in _NAMES.get(service, {}).items():
            if least <= self <= most:
                return name
        return self.name

    def __reduce_ex__(self, _protocol: object) -> tuple[type[Status], tuple[int]]:
        # By its value: some releases of Python 3.11 pickle by name, which what is unknown has only for people.
        return type(self), (self._value_,)

    @property
    def category(self) -> StatusCategory:
        """The status class that PS3.7 annex C puts the value in; what it doesn't mention is a failure."""
        if self == 0x0000:
            return StatusCategory.SUCCESS
        if self in (0xFF00, 0xFF01):
            return StatusCategory.PENDING
        if self == 0xFE00:
            return StatusCategory.CANCEL
        if self in (0x0001, 0x0107, 0x0116) or self & 0xF000 == 0xB000:
            return StatusCategory.WARNING
        return StatusCategory.FAILURE


_STORED = {
    (0xA700, 0xA7FF): "OUT_OF_RESOURCES",
    (0xA900, 0xA9FF): "DATA_SET_DOES_NOT_MATCH_SOP_CLASS",
    (0xC000, 0xCFFF): "CANNOT_UNDERSTAND",
}
_FOUND = {
    (0xA900, 0xA900): "IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS",
    (0xC000, 0xCFFF): "UNABLE_TO_PROCESS",
}
_RETRIEVED = _FOUND | {(0xB000, 0xB000): "SUB_OPERATIONS_COMPLETE_WITH_FAILURES"}

#: First and last value of what has another name in a service than of itself.
_NAMES = {"C-STORE": _STORED, "C-FIND": _FOUND, "C-GET": _RETRIEVED, "C-MOVE": _RETRIEVED}
