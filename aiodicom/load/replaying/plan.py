"""What a replay does when: the records of a trace, in the order of their times, at the speed that is wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from aiodicom.load.recording.trace import AssociationRecord, EndRecord, OperationRecord, Record, read_trace
from aiodicom.load.share import Share
from aiodicom.standard.models import ModalityWorklist
from aiodicom.standard.sop_classes import is_storage
from aiodicom.standard.uids import (
    MODALITY_PERFORMED_PROCEDURE_STEP,
    STORAGE_COMMITMENT_PUSH_MODEL,
    is_valid_uid,
)
from aiodicom.ul.pdu import MOST_CONTEXTS

__all__ = ["Closing", "Invocation", "Opening", "Plan", "Step", "plan_of", "read_plan"]

#: What is replayed, by service, as the results call it; of DIMSE-N what `_name` says.
_NAMES = {"C-ECHO": "echo", "C-STORE": "store", "C-FIND": "find", "C-GET": "get", "C-MOVE": "move"}


class Opening(NamedTuple):
    """An association is asked for."""

    at: float
    association: int
    contexts: tuple[tuple[str, tuple[str, ...]], ...]
    #: Those in which objects are received, for C-GET.
    receives: tuple[tuple[str, tuple[str, ...]], ...]
    window: int


class Invocation(NamedTuple):
    """An operation begins; `name` is as the results call it."""

    at: float
    association: int
    name: str
    record: OperationRecord


class Closing(NamedTuple):
    """An association is no longer needed."""

    at: float
    association: int


Step = Opening | Invocation | Closing
_ORDER = {Opening: 0, Invocation: 1, Closing: 2}


class Plan(NamedTuple):
    """A replay. Times are seconds since its start."""

    steps: tuple[Step, ...]
    #: Associations that are open at a time, at most.
    most_associations: int
    #: Operations that cannot be replayed, by service.
    skipped: Counter[str]

    def part(self, share: Share) -> Plan:
        """What happens on the associations of a share."""
        numbers = {each: number for number, each in enumerate(dict.fromkeys(step.association for step in self.steps))}
        steps = tuple(step for step in self.steps if numbers[step.association] % share.of == share.number)
        return Plan(steps, _most_at_once(steps), self.skipped)


def read_plan(path: Path, speed: float) -> Plan:
    """Reads a trace, to be replayed so many times as fast. Raises OSError, and ValueError in one line."""
    try:
        return plan_of(read_trace(path), speed)
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def plan_of(records: Iterable[Record], speed: float) -> Plan:
    """Returns the plan of a trace's records. Raises ValueError for records that do not belong together."""
    opened: dict[int, AssociationRecord] = {}
    ended: dict[int, float] = {}
    operations: list[tuple[str, OperationRecord]] = []
    skipped: Counter[str] = Counter()
    for record in records:
        if isinstance(record, AssociationRecord):
            opened[record.association] = _checked(record)
        elif isinstance(record, EndRecord):
            ended[record.association] = record.at_s
        elif isinstance(record, OperationRecord) and not record.by_acceptor:  # what the PACS does is its own affair
            name = _name(record)
            if name is None:
                skipped[record.service] += 1
            else:
                operations.append((name, record))
    retrieving = {record.association for name, record in operations if name == "get"}
    origin = min((record.at_s for record in opened.values()), default=0.0)

    def at(seconds: float) -> float:
        return max(seconds - origin, 0.0) / speed

    steps: list[Step] = [_opening(each, at(each.at_s), each.association in retrieving) for each in opened.values()]
    last = {number: record.at_s for number, record in opened.items()}
    for name, record in operations:
        number = record.association
        if number not in opened:
            raise ValueError(f"an operation of association {number}, which was not opened")
        if name in ("store", "get") and not is_valid_uid(record.transfer_syntax):
            raise ValueError(f"association {number}: {record.transfer_syntax!r} is no transfer syntax")
        steps.append(Invocation(at(record.at_s), number, name, record))
        last[number] = max(last[number], record.at_s)
    steps += [Closing(at(max(ended.get(number, 0.0), since)), number) for number, since in last.items()]
    steps.sort(key=lambda step: (step.at, _ORDER[type(step)]))
    return Plan(tuple(steps), _most_at_once(steps), skipped)


def _checked(record: AssociationRecord) -> AssociationRecord:
    uids = [uid for each in record.contexts for uid in (each.abstract_syntax, *each.transfer_syntaxes)]
    if not record.contexts or len(record.contexts) > MOST_CONTEXTS or not all(map(is_valid_uid, uids)):
        raise ValueError(f"association {record.association}: its presentation contexts cannot be proposed")
    return record


def _opening(record: AssociationRecord, at: float, is_retrieving: bool) -> Opening:
    proposed = tuple((each.abstract_syntax, each.transfer_syntaxes) for each in record.contexts)
    receives = tuple(each for each in proposed if is_retrieving and is_storage(each[0]))
    contexts = tuple(each for each in proposed if each not in receives)
    return Opening(at, record.association, contexts, receives, record.window[0])


def _name(record: OperationRecord) -> str | None:
    if record.service == "C-FIND" and record.sop_class == ModalityWorklist.find:
        return "worklist"
    if record.service == "N-ACTION" and record.sop_class == STORAGE_COMMITMENT_PUSH_MODEL:
        return "commitment"
    if record.service in ("N-CREATE", "N-SET") and record.sop_class == MODALITY_PERFORMED_PROCEDURE_STEP:
        return "mpps"
    return _NAMES.get(record.service)


def _most_at_once(steps: Iterable[Step]) -> int:
    present = most = 0
    for step in steps:
        present += isinstance(step, Opening)
        most = max(most, present)
        present -= isinstance(step, Closing)
    return most
