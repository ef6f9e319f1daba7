"""The Modality Performed Procedure Step service class (PS3.4 annex F), both sides.

As SCP, with instances that are kept wherever the embedder wants:

    PerformedProcedureSteps(MemoryInstances()).attach(server)

As SCU:

    async with mpps(association, Dataset(...)) as step:
        step.add_series(Dataset(...))
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from aiodicom.dataset import Dataset
from aiodicom.dataset.interop import ours
from aiodicom.errors import OperationRefused
from aiodicom.net.answers import Answer
from aiodicom.services.characters import sayable
from aiodicom.services.decoding import attributes_of
from aiodicom.services.dispatch import attach, heard
from aiodicom.services.instances import Instances, Locks, changed_by, selected
from aiodicom.services.reporting import Report, Reporter, Target
from aiodicom.standard.status import Status
from aiodicom.standard.uids import (
    MODALITY_PERFORMED_PROCEDURE_STEP,
    MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION,
    MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE,
    generate_uid,
)

if TYPE_CHECKING:
    from aiodicom.net.handlers import Handlers
    from aiodicom.net.requests import NCreateRequest, NGetRequest, NSetRequest
    from aiodicom.net.results import Result

__all__ = ["PerformedProcedureStep", "PerformedProcedureSteps", "created", "ended", "mpps"]

_log = logging.getLogger(__name__)

_STATUS: Final = 0x00400252
_FINAL: Final = ("COMPLETED", "DISCONTINUED")
#: Event types of the notification SOP class (PS3.4 table F.9.2-1); any other change is an update.
_EVENTS: Final = {"IN PROGRESS": 1, "COMPLETED": 2, "DISCONTINUED": 3}
_UPDATED: Final = 4
#: Error ID of an N-SET to a step that has ended (PS3.4 table F.7.2-2).
_NO_LONGER_UPDATED: Final = 0xA710

#: Hears of a step that was created or changed, before that is answered. Plain or ``async``.
Changed = Callable[[str, Dataset], Awaitable[None] | None]


class PerformedProcedureSteps:
    """Performs N-CREATE and N-SET of performed procedure steps, N-GET of the retrieve SOP class, and reports events of
    the notification SOP class to the requestors of open associations that have a context for it.

    `instances`: where the steps are kept. `changed`: a function, plain or ``async``, that hears of a step, its SOP
    Instance UID and its attributes, before it is kept; it may raise `OperationRefused`.

    A step begins IN PROGRESS (else 0106H) and ends COMPLETED or DISCONTINUED; after that an N-SET is answered 0110H
    with Error ID A710H. An N-SET replaces the attributes that it has. Whether a step that ends has all that PS3.4 F.7.2
    wants of it is left to `changed`.
    """

    def __init__(self, instances: Instances, *, changed: Changed | None = None) -> None:
        self.instances = instances
        self._changed = changed
        self._locks = Locks()
        self._reporter: Reporter | None = None

    def attach(self, handlers: Handlers) -> None:
        """Has this perform what a server is asked in contexts of the three SOP classes."""
        attach(handlers, [MODALITY_PERFORMED_PROCEDURE_STEP], on_n_create=self.create, on_n_set=self.set)
        reported = [MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION]
        attach(handlers, [MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE], reported=reported, on_n_get=self.get)
        self._reporter = Reporter(handlers, MODALITY_PERFORMED_PROCEDURE_STEP_NOTIFICATION)

    async def create(self, request: NCreateRequest) -> Answer:
        """Answers an N-CREATE (PS3.4 F.7.2.1), for a handler of your own. Raises `OperationRefused`."""
        uid, step = request.sop_instance_uid, attributes_of(request)
        if step.get("PerformedProcedureStepStatus") != "IN PROGRESS":
            status = Status.INVALID_ATTRIBUTE_VALUE if _STATUS in step else Status.MISSING_ATTRIBUTE
            raise OperationRefused(status, "a step is created IN PROGRESS", (_STATUS,))
        async with self._locks.of(uid):
            if await self.instances.get(uid) is not None:
                raise OperationRefused(Status.DUPLICATE_SOP_INSTANCE)
            await self._keep(uid, step, _EVENTS["IN PROGRESS"])
        return Answer(sop_instance_uid=uid)

    async def set(self, request: NSetRequest) -> Answer:
        """Answers an N-SET (PS3.4 F.7.2.2), for a handler of your own. Raises `OperationRefused`."""
        uid, changes = request.sop_instance_uid, attributes_of(request)
        async with self._locks.of(uid):
            step = await self.instances.get(uid)
            if step is None:
                raise OperationRefused(Status.NO_SUCH_SOP_INSTANCE)
            if step.get("PerformedProcedureStepStatus") in _FINAL:
                comment = "Performed Procedure Step Object may no longer be updated"
                return Answer(Status.PROCESSING_FAILURE, error_comment=comment, error_id=_NO_LONGER_UPDATED)
            if _STATUS in changes and str(changes.get("PerformedProcedureStepStatus")) not in _EVENTS:
                raise OperationRefused(Status.INVALID_ATTRIBUTE_VALUE, None, (_STATUS,))
            step = changed_by(step, changes)
            status = str(step.PerformedProcedureStepStatus)
            await self._keep(uid, step, _EVENTS[status] if status in _FINAL else _UPDATED)
        return Answer()

    async def get(self, request: NGetRequest) -> Dataset:
        """Answers an N-GET (PS3.4 F.8.2.1), for a handler of your own. Raises `OperationRefused`."""
        step = await self.instances.get(request.sop_instance_uid)
        if step is None:
            raise OperationRefused(Status.NO_SUCH_SOP_INSTANCE)
        return selected(step, request.attributes)

    async def _keep(self, uid: str, step: Dataset, event_type_id: int) -> None:
        if self._changed is not None:
            await heard(self._changed(uid, step))
        await self.instances.put(uid, step)
        if self._reporter is not None:
            report = Report(MODALITY_PERFORMED_PROCEDURE_STEP, uid, event_type_id, None)
            for association in self._reporter.associations():
                self._reporter.report(Target(association), report)

    async def close(self) -> None:
        """Ends the reports that are being sent."""
        if self._reporter is not None:
            await self._reporter.close()


class NormalizedOperations(Protocol):
    """An `Association`, or a `Pool` of them."""

    async def n_create(
        self, sop_class_uid: str, dataset: Dataset | None = None, sop_instance_uid: str | None = None
    ) -> Result:
        """See `Association.n_create`."""
        ...

    async def n_set(self, sop_class_uid: str, sop_instance_uid: str, dataset: Dataset) -> Result:
        """See `Association.n_set`."""
        ...


class PerformedProcedureStep:
    """A step in progress, from `mpps()`."""

    def __init__(self, operations: NormalizedOperations, sop_instance_uid: str) -> None:
        self._operations = operations
        self._series: list[Dataset] = []
        self.sop_instance_uid = sop_instance_uid
        #: What the final N-SET says besides, such as Performed Procedure Step Discontinuation Reason Code Sequence.
        self.final = Dataset()

    def add_series(self, series: Dataset) -> None:
        """Adds an item of Performed Series Sequence (0040,0340), which the next N-SET says."""
        self._series.append(ours(series))

    async def update(self, changes: Dataset | None = None) -> Result:
        """Tells the SCP what has changed, and the series so far (N-SET). Raises what `Association.n_set` does."""
        data_set = Dataset() if changes is None else ours(changes).copy()
        data_set.PerformedSeriesSequence = self._series
        return await self._operations.n_set(MODALITY_PERFORMED_PROCEDURE_STEP, self.sop_instance_uid, sayable(data_set))

    async def _end(self, status: str) -> None:
        await self.update(ended(self.final, status))


@contextlib.asynccontextmanager
async def mpps(
    operations: NormalizedOperations,
    attributes: Dataset,
    *,
    sop_instance_uid: str | None = None,
    grace: float = 10.0,
) -> AsyncIterator[PerformedProcedureStep]:
    """Tells an SCP of a performed procedure step: N-CREATE at the beginning, N-SET at the end (PS3.4 F.7.2).

    `operations` is an `Association` or a `Pool`, `attributes` are those of PS3.4 table F.7.2-1. What they lack of the
    status, IN PROGRESS, of the start date and time (local, now), the step's ID and the attributes that are empty in
    the beginning is added; text that its character set lacks is sent in UTF-8. The block is the step: left in order it
    is COMPLETED, left by an exception or cancelled DISCONTINUED, for which `grace` seconds at most are taken.

    Raises what `Association.n_create` and `n_set` do. Where the block itself raised, a failing N-SET is logged, and the
    exception of the block goes on.
    """
    uid = sop_instance_uid or generate_uid()
    await operations.n_create(MODALITY_PERFORMED_PROCEDURE_STEP, created(attributes), uid)
    step = PerformedProcedureStep(operations, uid)
    try:
        yield step
    except BaseException:
        ending = asyncio.get_running_loop().create_task(step._end("DISCONTINUED"))
        try:
            done, _ = await asyncio.wait([ending], timeout=grace)
        finally:
            ending.cancel()  # harmless when it is done
        error = None if not done else ending.exception()
        if not done or error is not None:
            _log.warning("the end of a performed procedure step was not reported: %s", error or "no answer in time")
        raise
    await step._end("COMPLETED")


#: Attributes that N-CREATE has to have, if empty (type 2 of PS3.4 table F.7.2-1).
_CREATED_EMPTY: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "ReferencedPatientSequence",
    "PerformedStationName",
    "PerformedLocation",
    "PerformedProcedureStepDescription",
    "PerformedProcedureTypeDescription",
    "ProcedureCodeSequence",
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "StudyID",
    "PerformedProtocolCodeSequence",
    "PerformedSeriesSequence",
)


def created(attributes: Dataset) -> Dataset:
    """What N-CREATE says of a step: the attributes, with what `mpps` adds."""
    step = ours(attributes).copy()
    now = datetime.now()
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    if not step.get("PerformedProcedureStepStartDate"):
        step.PerformedProcedureStepStartDate = f"{now:%Y%m%d}"
    if not step.get("PerformedProcedureStepStartTime"):
        step.PerformedProcedureStepStartTime = f"{now:%H%M%S}"
    if not step.get("PerformedProcedureStepID"):
        step.PerformedProcedureStepID = f"{now:%y%m%d%H%M%S}"
    for keyword in _CREATED_EMPTY:
        if keyword not in step:
            setattr(step, keyword, [] if keyword.endswith("Sequence") else "")
    return sayable(step)


def ended(attributes: Dataset, status: str) -> Dataset:
    """What the last N-SET says of a step, which is COMPLETED or DISCONTINUED: the attributes, and when it ended unless
    they say it (local, now).
    """
    step = ours(attributes).copy()
    now = datetime.now()
    step.PerformedProcedureStepStatus = status
    if not step.get("PerformedProcedureStepEndDate"):
        step.PerformedProcedureStepEndDate = f"{now:%Y%m%d}"
    if not step.get("PerformedProcedureStepEndTime"):
        step.PerformedProcedureStepEndTime = f"{now:%H%M%S}"
    return step
