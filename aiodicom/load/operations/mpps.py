"""Modality Performed Procedure Step (PS3.4 annex F): N-CREATE when it begins, N-SET when it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiodicom.dataset import Dataset
from aiodicom.load.operations.operation import Outcome, Waiting
from aiodicom.services.mpps import created, ended
from aiodicom.services.performed import scheduled_step
from aiodicom.standard.uids import MODALITY_PERFORMED_PROCEDURE_STEP, generate_uid

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.load.supply import Study
    from aiodicom.net.association import Association
    from aiodicom.net.connect import ContextProposal

__all__ = ["Step", "StepBegin", "StepEnd"]

_CONTEXTS: Sequence[ContextProposal] = (MODALITY_PERFORMED_PROCEDURE_STEP,)


class Step(Waiting):
    """A step that is complete as soon as it has begun."""

    name = "mpps"
    contexts = _CONTEXTS

    async def __call__(self, attempt: Attempt) -> Outcome:
        association = await attempt.associate()
        uid = generate_uid()
        await _create(association, uid, None)
        return await _complete(association, uid, None)


class StepBegin(Waiting):
    """The step of a study begins."""

    name = "mpps-create"
    contexts = _CONTEXTS

    def __init__(self, uid: str, study: Study) -> None:
        self._uid = uid
        self._study = study

    async def __call__(self, attempt: Attempt) -> Outcome:
        return await _create(await attempt.associate(), self._uid, self._study)


class StepEnd(Waiting):
    """The step of a study is complete."""

    name = "mpps-set"
    contexts = _CONTEXTS

    def __init__(self, uid: str, study: Study) -> None:
        self._uid = uid
        self._study = study

    async def __call__(self, attempt: Attempt) -> Outcome:
        return await _complete(await attempt.associate(), self._uid, self._study)


async def _create(association: Association, uid: str, study: Study | None) -> Outcome:
    item = Dataset(PatientName="Load^Test", PatientID="LOAD")
    modality = "OT"
    if study is not None:
        item = Dataset(
            StudyInstanceUID=study.study_instance_uid,
            AccessionNumber=study.accession_number,
            PatientName=study.patient_name,
            PatientID=study.patient_id,
        )
        modality = study.series[0].modality
    step = scheduled_step(item)
    step.Modality = modality
    step.PerformedStationAETitle = association.calling_aet
    result = await association.n_create(MODALITY_PERFORMED_PROCEDURE_STEP, created(step), uid)
    return Outcome(int(result.status))


async def _complete(association: Association, uid: str, study: Study | None) -> Outcome:
    series = [Dataset(SeriesInstanceUID=generate_uid(), ProtocolName="load")]
    if study is not None:
        series = [
            Dataset(
                SeriesInstanceUID=each.series_instance_uid,
                ProtocolName="load",
                ReferencedImageSequence=[
                    Dataset(
                        ReferencedSOPClassUID=instance.sop_class_uid, ReferencedSOPInstanceUID=instance.sop_instance_uid
                    )
                    for instance in each.instances
                ],
            )
            for each in study.series
        ]
    changes = ended(Dataset(PerformedSeriesSequence=series), "COMPLETED")
    result = await association.n_set(MODALITY_PERFORMED_PROCEDURE_STEP, uid, changes)
    return Outcome(int(result.status))
