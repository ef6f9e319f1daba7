"""The states of a Unified Procedure Step: PS3.4 CC.1.1 as one table, and the final state requirements of CC.2.5.1.1."""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

from aiodicom.dataset import Dataset
from aiodicom.standard.status import Status

__all__ = [
    "CANCELED",
    "COMPLETED",
    "IN_PROGRESS",
    "SCHEDULED",
    "STATES",
    "TABLE",
    "Event",
    "change_event",
    "missing_for",
    "outcome",
]

SCHEDULED: Final = "SCHEDULED"
IN_PROGRESS: Final = "IN PROGRESS"
COMPLETED: Final = "COMPLETED"
CANCELED: Final = "CANCELED"


class Event(Enum):
    """What is asked of a step: the rows of PS3.4 table CC.1.1-2."""

    CREATE = "N-CREATE"
    TO_IN_PROGRESS = "to IN PROGRESS, with correct Transaction UID"
    TO_IN_PROGRESS_WRONGLY = "to IN PROGRESS, without correct Transaction UID"
    TO_SCHEDULED = "to SCHEDULED"
    TO_COMPLETED = "to COMPLETED, with correct Transaction UID"
    TO_COMPLETED_WRONGLY = "to COMPLETED, without correct Transaction UID"
    REQUEST_CANCEL = "Request Cancel"
    TO_CANCELED = "to CANCELED, with correct Transaction UID"
    TO_CANCELED_WRONGLY = "to CANCELED, without correct Transaction UID"


#: What comes of it: the state to go to, or the status to answer with.
Outcome: TypeAlias = str | Status

_DUPLICATE: Final = Status.DUPLICATE_SOP_INSTANCE
_ENDED: Final = Status.UPS_MAY_NO_LONGER_BE_UPDATED
_WRONG_UID: Final = Status.UPS_TRANSACTION_UID_NOT_CORRECT
_ALREADY: Final = Status.UPS_ALREADY_IN_PROGRESS
_NOT_SCHEDULED: Final = Status.UPS_MAY_ONLY_BECOME_SCHEDULED_BY_N_CREATE
_UNKNOWN: Final = Status.UPS_DOES_NOT_EXIST
_NOT_YET: Final = Status.UPS_NOT_YET_IN_PROGRESS
_IS_COMPLETED: Final = Status.UPS_IS_COMPLETED
_WAS_CANCELED: Final = Status.UPS_ALREADY_CANCELED
_WAS_COMPLETED: Final = Status.UPS_ALREADY_COMPLETED

#: The columns of the table; None is a step that is not there.
STATES: Final = (None, SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED)

#: PS3.4 table CC.1.1-2. That a request to cancel leaves a step IN PROGRESS means that its performer is told of it.
TABLE: Final[dict[Event, tuple[Outcome, ...]]] = {
    #                             null        SCHEDULED       IN PROGRESS     COMPLETED       CANCELED
    Event.CREATE:                 (SCHEDULED, _DUPLICATE,     _DUPLICATE,     _DUPLICATE,     _DUPLICATE),
    Event.TO_IN_PROGRESS:         (_UNKNOWN,  IN_PROGRESS,    _ALREADY,       _ENDED,         _ENDED),
    Event.TO_IN_PROGRESS_WRONGLY: (_UNKNOWN,  _WRONG_UID,     _WRONG_UID,     _WRONG_UID,     _WRONG_UID),
    Event.TO_SCHEDULED:           (_UNKNOWN,  _NOT_SCHEDULED, _NOT_SCHEDULED, _NOT_SCHEDULED, _NOT_SCHEDULED),
    Event.TO_COMPLETED:           (_UNKNOWN,  _NOT_YET,       COMPLETED,      _WAS_COMPLETED, _ENDED),
    Event.TO_COMPLETED_WRONGLY:   (_UNKNOWN,  _WRONG_UID,     _WRONG_UID,     _WRONG_UID,     _WRONG_UID),
    Event.REQUEST_CANCEL:         (_UNKNOWN,  CANCELED,       IN_PROGRESS,    _IS_COMPLETED,  _WAS_CANCELED),
    Event.TO_CANCELED:            (_UNKNOWN,  _NOT_YET,       CANCELED,       _ENDED,         _WAS_CANCELED),
    Event.TO_CANCELED_WRONGLY:    (_UNKNOWN,  _WRONG_UID,     _WRONG_UID,     _WRONG_UID,     _WRONG_UID),
}  # fmt: skip

#: The events of N-ACTION Change UPS State, with and without the correct Transaction UID.
_CHANGES: Final = {
    SCHEDULED: (Event.TO_SCHEDULED, Event.TO_SCHEDULED),
    IN_PROGRESS: (Event.TO_IN_PROGRESS, Event.TO_IN_PROGRESS_WRONGLY),
    COMPLETED: (Event.TO_COMPLETED, Event.TO_COMPLETED_WRONGLY),
    CANCELED: (Event.TO_CANCELED, Event.TO_CANCELED_WRONGLY),
}


def outcome(event: Event, state: str | None) -> Outcome:
    """The cell of the table."""
    return TABLE[event][STATES.index(state)]


def change_event(state: str, *, is_correct: bool) -> Event | None:
    """The event of asking for `state`, with or without the correct Transaction UID; None for what is no state."""
    events = _CHANGES.get(state)
    return None if events is None else events[0 if is_correct else 1]


#: Final state code P of PS3.4 table CC.2.5-3, in an item of Unified Procedure Step Performed Procedure Sequence.
_PERFORMED: Final = (
    "PerformedStationNameCodeSequence",
    "PerformedProcedureStepStartDateTime",
    "PerformedWorkitemCodeSequence",
    "PerformedProcedureStepEndDateTime",
)


def missing_for(state: str, step: Dataset) -> str | None:
    """The keyword of an attribute that a step lacks for a final state, or None.

    Output Information Sequence may be empty, but has to be there.
    """
    if state == COMPLETED:
        performed = step.get("UnifiedProcedureStepPerformedProcedureSequence")
        if not performed:
            return "UnifiedProcedureStepPerformedProcedureSequence"
        for keyword in _PERFORMED:
            if not performed[0].get(keyword):
                return keyword
        return None if "OutputInformationSequence" in performed[0] else "OutputInformationSequence"
    progress = step.get("ProcedureStepProgressInformationSequence")
    if not progress or not progress[0].get("ProcedureStepDiscontinuationReasonCodeSequence"):
        return "ProcedureStepDiscontinuationReasonCodeSequence"
    return None
