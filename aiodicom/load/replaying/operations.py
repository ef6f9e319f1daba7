"""The operations of a replay: each does what one record says, with a patient, studies and objects that are made up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from aiodicom.dataset import Dataset
from aiodicom.load.operations.find import counted
from aiodicom.load.operations.identifiers import worklist_identifier
from aiodicom.load.operations.operation import Outcome
from aiodicom.load.operations.retrieve import got, moved
from aiodicom.load.sized import PATIENT_ID, PATIENT_NAME, SizedObjects
from aiodicom.net.unawaited import begin_echo, begin_store
from aiodicom.services.mpps import created, ended
from aiodicom.services.performed import scheduled_step
from aiodicom.standard.uids import (
    MODALITY_PERFORMED_PROCEDURE_STEP,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.load.replaying.plan import Invocation
    from aiodicom.load.scenario import Scenario
    from aiodicom.net.association import Association
    from aiodicom.net.connect import ContextProposal
    from aiodicom.net.sources import GatheredSource

__all__ = ["Replayed", "Replayer"]

_REQUEST_COMMITMENT: Final = 1
#: Stored instances that storage commitment is asked for together, at most.
_MOST_REFERENCES: Final = 1000


class Replayer:
    """What the operations of one replay share: what has been stored, so that it can be asked for."""

    def __init__(self, scenario: Scenario, seed: int | str) -> None:
        self.scenario = scenario
        self.objects = SizedObjects(seed)
        #: By association: SOP class and instance of what has been stored since commitment was asked for, and the
        #: performed procedure step that was begun.
        self._stored: dict[int, list[tuple[str, str]]] = {}
        self._steps: dict[int, str] = {}

    def operation(self, invocation: Invocation) -> Replayed:
        """Returns the operation for a recorded one."""
        return Replayed(self, invocation)

    def close(self, association: int) -> None:
        """Nothing more is done on an association of this number."""
        self._stored.pop(association, None)
        self._steps.pop(association, None)
        self.objects.forget(association)

    def object(self, invocation: Invocation) -> GatheredSource:
        """Returns the object for a C-STORE."""
        record = invocation.record
        instance = self.objects.instance(
            record.sop_class, record.transfer_syntax, record.request_bytes, invocation.association
        )
        stored = self._stored.setdefault(invocation.association, [])
        if len(stored) < _MOST_REFERENCES:
            stored.append((instance.sop_class_uid, instance.sop_instance_uid))
        return instance.source

    def query(self, invocation: Invocation) -> Dataset:
        """The identifier of a C-FIND, C-GET or C-MOVE: of what the replay stores, or as the scenario says."""
        level = invocation.record.level or "STUDY"
        study = self.objects.study_instance_uid(invocation.association)
        keys: dict[str, Any] = {"PatientID": PATIENT_ID}
        if level != "PATIENT":
            keys["StudyInstanceUID"] = "" if level == "STUDY" and invocation.name == "find" else study
        if level in ("SERIES", "IMAGE") and invocation.name == "find":
            keys["SeriesInstanceUID"] = ""
        return Dataset(QueryRetrieveLevel=level, **{**keys, **self.scenario.query.keys})

    def references(self, association: int) -> Dataset:
        """The request for commitment to what has been stored, or to something that has not."""
        stored = self._stored.pop(association, None) or [("1.2.840.10008.5.1.4.1.1.7", self.objects.uid())]
        items = [Dataset(ReferencedSOPClassUID=kind, ReferencedSOPInstanceUID=uid) for kind, uid in stored]
        return Dataset(TransactionUID=self.objects.uid(), ReferencedSOPSequence=items)

    def step(self, association: int, *, is_new: bool) -> str:
        """The performed procedure step of an association."""
        if is_new or association not in self._steps:
            self._steps[association] = self.objects.uid()
        return self._steps[association]

    def begun(self, invocation: Invocation, station: str) -> Dataset:
        """The attribute list of a performed procedure step that begins (PS3.4 table F.7.2-1)."""
        study = self.objects.study_instance_uid(invocation.association)
        step = scheduled_step(Dataset(StudyInstanceUID=study, PatientName=PATIENT_NAME, PatientID=PATIENT_ID))
        step.Modality = "OT"
        step.PerformedStationAETitle = station
        return created(step)

    def ended(self) -> Dataset:
        """The modification list of one that is complete."""
        series = Dataset(SeriesInstanceUID=self.objects.uid(), ProtocolName="load")
        return ended(Dataset(PerformedSeriesSequence=[series]), "COMPLETED")


class Replayed:
    """One recorded operation; its association proposes what was proposed then."""

    __slots__ = ("_invocation", "_replayer", "name")
    contexts: Sequence[ContextProposal] = ()
    is_receiving = False

    def __init__(self, replayer: Replayer, invocation: Invocation) -> None:
        self.name = invocation.name
        self._replayer = replayer
        self._invocation = invocation

    def begin(self, association: Association, attempt: Attempt) -> bool:
        """Begins what can be begun at once."""
        if self.name == "echo":
            return begin_echo(association, attempt)
        if self.name == "store":
            attempt.source = source = self._replayer.object(self._invocation)
            attempt.sent = source.size
            return begin_store(association, source, attempt)
        return False

    async def __call__(self, attempt: Attempt) -> Outcome:
        """Performs it on the association, which is opened where there is none."""
        association = await attempt.associate()
        return await _PERFORM[self.name](self, association, attempt)

    async def _echo(self, association: Association, _attempt: Attempt) -> Outcome:
        return Outcome((await association.c_echo()).status)

    async def _store(self, association: Association, attempt: Attempt) -> Outcome:
        source = attempt.source or self._replayer.object(self._invocation)
        attempt.sent = source.size
        return Outcome((await association.c_store(source)).status, sent=source.size)

    async def _find(self, association: Association, attempt: Attempt) -> Outcome:
        record = self._invocation.record
        is_worklist = self.name == "worklist"
        query = worklist_identifier(self._replayer.scenario) if is_worklist else self._replayer.query(self._invocation)
        most = max(record.pending, 1) if record.cancelled else None
        return await counted(attempt, association, query, record.sop_class, most)

    async def _get(self, association: Association, attempt: Attempt) -> Outcome:
        return await got(
            attempt, association, self._replayer.query(self._invocation), self._invocation.record.sop_class
        )

    async def _move(self, association: Association, attempt: Attempt) -> Outcome:
        destination = self._replayer.scenario.move_destination
        query = self._replayer.query(self._invocation)
        return await moved(attempt, association, query, self._invocation.record.sop_class, destination)

    async def _commitment(self, association: Association, _attempt: Attempt) -> Outcome:
        result = await association.n_action(
            STORAGE_COMMITMENT_PUSH_MODEL,
            STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
            _REQUEST_COMMITMENT,
            self._replayer.references(self._invocation.association),
        )
        return Outcome(result.status)

    async def _mpps(self, association: Association, _attempt: Attempt) -> Outcome:
        is_new = self._invocation.record.service == "N-CREATE"
        uid = self._replayer.step(self._invocation.association, is_new=is_new)
        kind = MODALITY_PERFORMED_PROCEDURE_STEP
        if is_new:
            step = self._replayer.begun(self._invocation, association.calling_aet)
            return Outcome((await association.n_create(kind, step, uid)).status)
        return Outcome((await association.n_set(kind, uid, self._replayer.ended())).status)


_PERFORM: Final[dict[str, Callable[[Replayed, Association, Attempt], Awaitable[Outcome]]]] = {
    "echo": Replayed._echo,
    "store": Replayed._store,
    "find": Replayed._find,
    "worklist": Replayed._find,
    "get": Replayed._get,
    "move": Replayed._move,
    "commitment": Replayed._commitment,
    "mpps": Replayed._mpps,
}
