"""A study as a modality sends it: asked for, begun, sent series by series, completed, committed to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiodicom.load.operations.commitment import CommitmentOf
from aiodicom.load.operations.find import Find, worklist
from aiodicom.load.operations.identifiers import Studies, query_identifier
from aiodicom.load.operations.mpps import StepBegin, StepEnd
from aiodicom.load.operations.operation import Outcome, Waiting
from aiodicom.load.operations.store import StoreOf
from aiodicom.load.scenario import Query, Scenario
from aiodicom.services.storage_commitment import CommitmentListener
from aiodicom.standard.models import ModalityWorklist, StudyRoot
from aiodicom.standard.uids import MODALITY_PERFORMED_PROCEDURE_STEP, STORAGE_COMMITMENT_PUSH_MODEL, generate_uid

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.load.supply import Study, Supply
    from aiodicom.net.connect import ContextProposal

__all__ = ["SendStudy"]


class SendStudy(Waiting):
    """Does all that a scenario has a modality do for the next study of the supply.

    Each part is an operation of its own in the figures. The first that fails is what the study fails of. With an
    association per series, each series has one, and what comes before and after the images too.
    """

    name = "study"

    def __init__(self, scenario: Scenario, supply: Supply, studies: Studies, listener: CommitmentListener) -> None:
        self._procedure = scenario.study
        self._listener = listener
        self._timeout = float(scenario.commitment_timeout)
        self._is_per_series = scenario.association_per == "series"
        self._supply = supply.studies()
        self._studies = studies
        self._worklist = worklist(scenario)
        contexts: list[ContextProposal] = list(supply.contexts)
        if self._procedure.query:
            contexts.append(str(StudyRoot.find))
        if self._procedure.worklist:
            contexts.append(str(ModalityWorklist.find))
        if self._procedure.mpps:
            contexts.append(MODALITY_PERFORMED_PROCEDURE_STEP)
        if self._procedure.commitment:
            contexts.append(STORAGE_COMMITMENT_PUSH_MODEL)
        self.contexts: Sequence[ContextProposal] = contexts

    async def __call__(self, attempt: Attempt) -> Outcome:
        procedure = self._procedure
        study = next(self._supply)
        step_uid = generate_uid()
        if procedure.worklist:
            await attempt.part(self._worklist)
        if procedure.query:
            keys = {"PatientID": study.patient_id}
            await attempt.part(Find("find", StudyRoot, query_identifier(Query(keys=keys))))
        if procedure.mpps:
            await attempt.part(StepBegin(step_uid, study))
        sent = await self._send(attempt, study)
        if procedure.mpps:
            await attempt.part(StepEnd(step_uid, study))
        if procedure.commitment:
            instances = [
                (each.sop_class_uid, each.sop_instance_uid) for series in study.series for each in series.instances
            ]
            await attempt.part(CommitmentOf(self._listener, self._timeout, instances))
        self._studies.add(study.study_instance_uid)
        return Outcome(sent=sent)

    async def _send(self, attempt: Attempt, study: Study) -> int:
        """Sends the images, and returns their bytes."""
        sent = 0
        for series in study.series:
            if self._is_per_series:
                await attempt.scu.release()
            for instance in series.instances:
                outcome = await attempt.part(StoreOf(instance.source))
                sent += outcome.sent
        if self._is_per_series:
            await attempt.scu.release()
        return sent
