"""What an attempt at a delivery has come to: whether, and whose fault it was."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from aiodicom.errors import (
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    CodecMissing,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    DecodeError,
    LocalError,
    ProtocolViolation,
    StatusError,
    TransformationFailed,
    WebRefused,
)
from aiodicom.store.records import DamagedRecord

__all__ = ["Fault", "Outcome", "outcome_of", "outcome_of_status"]


class Fault(Enum):
    """Whose fault a failure was, which decides what is held back: one object, or all that waits for a destination."""

    #: nobody's: it is delivered
    NONE = "none"
    #: This object is not taken; another may be. Whether it is tried again is for the retry policy to say.
    OBJECT = "object"
    #: This object never will be: it cannot even be sent.
    HOPELESS = "hopeless"
    #: The destination takes nothing now. That is no reason to give any object up.
    DESTINATION = "destination"
    #: The association ended while the object was on its way, which may be the fault of either.
    EITHER = "either"


class Outcome(NamedTuple):
    """What has become of an attempt."""

    fault: Fault
    #: For people: what the destination said, or a warning with which it has taken the object.
    reason: str = ""
    #: Seconds that the destination wants to be left alone.
    pause: float | None = None
    #: What it has answered with, where that is what failed.
    status: int | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the destination has it."""
        return self.fault is Fault.NONE


def outcome_of_status(status: int) -> Outcome:
    """Of the final status of a C-STORE (PS3.4 table B.2-1), or of a reason in a STOW-RS response."""
    shown = f"status {int(status):04X}H"
    if status == 0 or status >> 12 == 0xB or status in (0x0001, 0x0107, 0x0116):
        return Outcome(Fault.NONE, shown if status else "")
    # Out of resources, and 0213H, resource limitation (PS3.7 C.5.18): it may have some again for any object.
    if status >> 8 == 0xA7 or status == 0x0213:
        return Outcome(Fault.DESTINATION, shown, status=status)
    return Outcome(Fault.OBJECT, shown, status=status)


def outcome_of(error: Exception) -> Outcome:
    """Of what an attempt has raised."""
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, StatusError):
        return outcome_of_status(error.status)._replace(reason=reason)
    if isinstance(error, WebRefused):
        fault = Fault.DESTINATION if error.is_transient or error.status in (401, 403, 404) else Fault.OBJECT
        return Outcome(fault, reason, error.retry_after)
    if isinstance(error, ConnectFailed | AssociationRejected | AssociationClosed):
        return Outcome(Fault.DESTINATION, reason)
    if isinstance(error, ConnectionLost | AssociationAborted | DeadlineExceeded | ProtocolViolation):
        return Outcome(Fault.EITHER, reason)
    if isinstance(error, DecodeError | CodecMissing | TransformationFailed | DamagedRecord):
        return Outcome(Fault.HOPELESS, reason)
    # The peer accepts no context for it, which it may do once it has been configured.
    if isinstance(error, LocalError):
        return Outcome(Fault.OBJECT, reason)
    if isinstance(error, OSError):
        return Outcome(Fault.DESTINATION, reason)
    return Outcome(Fault.OBJECT, f"{type(error).__name__}: {reason}")
