"""The Unified Procedure Step service class as SCP (PS3.4 annex CC): steps to be claimed, done and watched.

    steps = UnifiedProcedureSteps(MemoryInstances())
    steps.attach(server)

Event reports go to the AEs that have subscribed: on an association of theirs that has a context of UPS Event, or on one
that is opened with the server's destination of their title.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from copy import deepcopy
from datetime import datetime
from typing import TYPE_CHECKING, Final

from aiodicom.dataset import Dataset
from aiodicom.errors import OperationRefused
from aiodicom.net.answers import Answer
from aiodicom.net.suboperations import find_destination
from aiodicom.services.characters import sayable
from aiodicom.services.decoding import attributes_of, identifier_of
from aiodicom.services.dispatch import attach, heard
from aiodicom.services.instances import Instances, Locks, changed_by, selected
from aiodicom.services.matching import Keys
from aiodicom.services.reporting import Report, Reporter, Target
from aiodicom.services.ups_states import (
    CANCELED,
    COMPLETED,
    IN_PROGRESS,
    SCHEDULED,
    Event,
    change_event,
    missing_for,
    outcome,
)
from aiodicom.services.ups_subscriptions import Subscriptions
from aiodicom.standard.dictionary import tag_for_keyword
from aiodicom.standard.models import UPSPull, UPSQuery, UPSWatch
from aiodicom.standard.status import Status, StatusCategory
from aiodicom.standard.uids import (
    UNIFIED_PROCEDURE_STEP_EVENT,
    UNIFIED_PROCEDURE_STEP_PUSH,
    UPS_FILTERED_GLOBAL_SUBSCRIPTION,
    UPS_GLOBAL_SUBSCRIPTION,
    generate_uid,
    is_valid_uid,
)

if TYPE_CHECKING:
    from aiodicom.net.association import Association
    from aiodicom.net.handlers import Handlers
    from aiodicom.net.requests import FindRequest, NActionRequest, NCreateRequest, NGetRequest, NSetRequest

__all__ = ["UnifiedProcedureSteps"]

# Every step is an instance of UPS Push, whatever the context of the operation (PS3.4 CC.3.1).
_WATCH, _PULL, _QUERY = UPSWatch.find or "", UPSPull.find or "", UPSQuery.find or ""

# Action types (PS3.4 tables CC.2.1-1, CC.2.2-1 and CC.2.3-1), and in which contexts there are which
_CHANGE_STATE, _REQUEST_CANCEL, _SUBSCRIBE, _UNSUBSCRIBE, _SUSPEND = 1, 2, 3, 4, 5
_ACTIONS: Final = {
    UNIFIED_PROCEDURE_STEP_PUSH: (_REQUEST_CANCEL,),
    _PULL: (_CHANGE_STATE,),
    _WATCH: (_REQUEST_CANCEL, _SUBSCRIBE, _UNSUBSCRIBE, _SUSPEND),
}
# Event types (PS3.4 table CC.2.4-1)
_STATE_REPORT, _CANCEL_REQUESTED, _PROGRESS_REPORT, _SCP_STATUS_CHANGE, _ASSIGNED = 1, 2, 3, 4, 5

_TRANSACTION_UID: Final = 0x00081195
#: Attributes of type 1 in N-CREATE (PS3.4 table CC.2.5-3), besides Procedure Step State.
_REQUIRED: Final = (
    "ScheduledProcedureStepPriority",
    "ProcedureStepLabel",
    "ScheduledProcedureStepStartDateTime",
    "InputReadinessState",
)
#: Enumerated values (PS3.3 C.30.1 and C.30.2).
_ENUMERATED: Final = {
    "ScheduledProcedureStepPriority": ("HIGH", "MEDIUM", "LOW"),
    "InputReadinessState": ("INCOMPLETE", "UNAVAILABLE", "READY"),
}
#: What an N-SET may not set (PS3.4 table CC.2.5-3).
_NOT_SET: Final = frozenset(
    map(
        tag_for_keyword,
        (
            "AdmissionID",
            "AdmittingDiagnosesCodeSequence",
            "AdmittingDiagnosesDescription",
            "IssuerOfAdmissionIDSequence",
            "PatientBirthDate",
            "PatientID",
            "PatientName",
            "PatientSex",
            "ProcedureStepState",
            "ReferencedRequestSequence",
            "ReplacedProcedureStepSequence",
            "SOPClassUID",
            "SOPInstanceUID",
        ),
    )
)
#: What a request to cancel may say, and what is told of it.
_REASONS: Final = (
    "ReasonForCancellation",
    "ProcedureStepDiscontinuationReasonCodeSequence",
    "ContactURI",
    "ContactDisplayName",
)
#: What a change of is told to the subscribers, and as which event.
_TOLD: Final = {
    "InputReadinessState": _STATE_REPORT,
    "ScheduledStationNameCodeSequence": _ASSIGNED,
    "ScheduledHumanPerformersSequence": _ASSIGNED,
    "ProcedureStepProgressInformationSequence": _PROGRESS_REPORT,
}

#: Hears of a step that was created or changed, before that is answered. Plain or ``async``.
Changed = Callable[[str, Dataset], Awaitable[None] | None]


class UnifiedProcedureSteps:
    """Performs what PS3.4 CC.2 has for UPS Push, Pull, Watch, Event and Query.

    `instances`: where the steps are kept. `changed`: a function, plain or ``async``, that hears of a step, its SOP
    Instance UID and its attributes, before it is kept; it may raise `OperationRefused`. `cancel_requested`: one that
    hears of a request to cancel a step that is IN PROGRESS, with what was said about it; it may refuse with C312H or
    C313H. `worklist_label`: that of steps that come without one.

    Subscriptions are in memory: after a restart tell everybody by `report_restart`. Steps are never deleted here, and
    while `is_locked` says so they must not be.
    """

    def __init__(
        self,
        instances: Instances,
        *,
        changed: Changed | None = None,
        cancel_requested: Changed | None = None,
        worklist_label: str = "WORKLIST",
    ) -> None:
        self.instances = instances
        self.worklist_label = worklist_label
        self._changed = changed
        self._cancel_requested = cancel_requested
        self._subscriptions = Subscriptions()
        self._locks = Locks()
        self._handlers: Handlers | None = None
        self._reporter: Reporter | None = None

    def attach(self, handlers: Handlers) -> None:
        """Has this perform what a server is asked in contexts of the five SOP classes."""
        reported = [UNIFIED_PROCEDURE_STEP_EVENT]
        attach(handlers, [UNIFIED_PROCEDURE_STEP_PUSH], reported=reported, on_n_create=self.create)
        attach(handlers, [UNIFIED_PROCEDURE_STEP_PUSH, _PULL, _WATCH], on_n_action=self.action, on_n_get=self.get)
        attach(handlers, [_PULL], on_n_set=self.set)
        attach(handlers, [_PULL, _WATCH, _QUERY], on_c_find=self.find)
        self._handlers = handlers
        self._reporter = Reporter(handlers, UNIFIED_PROCEDURE_STEP_EVENT)

    def is_locked(self, sop_instance_uid: str) -> bool:
        """Whether somebody has a deletion lock on a step (PS3.4 CC.2.3)."""
        return self._subscriptions.is_locked(sop_instance_uid)

    async def close(self) -> None:
        """Ends the reports that are being sent."""
        if self._reporter is not None:
            await self._reporter.close()

    # Steps

    async def create(self, request: NCreateRequest) -> Answer:
        """Answers an N-CREATE (PS3.4 CC.2.5), for a handler of your own. Raises `OperationRefused`."""
        uid, step = request.sop_instance_uid, attributes_of(request).copy()
        if step.get("ProcedureStepState") != SCHEDULED:
            raise OperationRefused(Status.UPS_STATE_NOT_SCHEDULED, "a step is created SCHEDULED")
        for keyword in _REQUIRED:
            if keyword not in step:
                raise OperationRefused(
                    Status.MISSING_ATTRIBUTE, f"{keyword} is missing", (tag_for_keyword(keyword) or 0,)
                )
        _check_values(step)
        is_modified = not step.get("WorklistLabel")
        if is_modified:
            step.WorklistLabel = self.worklist_label
        step.TransactionUID = ""
        step.SOPClassUID, step.SOPInstanceUID = UNIFIED_PROCEDURE_STEP_PUSH, uid
        step.ScheduledProcedureStepModificationDateTime = _now()
        async with self._locks.of(uid):
            existing = await self.instances.get(uid)
            result = outcome(Event.CREATE, None if existing is None else str(existing.ProcedureStepState))
            if isinstance(result, Status):
                raise OperationRefused(result)
            await self._keep(uid, step)
            self._subscriptions.created(uid, step)
            self._report(uid, _STATE_REPORT, _state_of(step))
            if step.get("ScheduledStationNameCodeSequence") or step.get("ScheduledHumanPerformersSequence"):
                self._report(uid, _ASSIGNED, _assignment_of(step))
        if is_modified:
            label = sayable(Dataset(WorklistLabel=self.worklist_label))
            return Answer(Status.UPS_CREATED_WITH_MODIFICATIONS, label, sop_instance_uid=uid)
        return Answer(sop_instance_uid=uid)

    async def get(self, request: NGetRequest) -> Dataset:
        """Answers an N-GET (PS3.4 CC.2.7), for a handler of your own. Raises `OperationRefused`."""
        step = (await self._step(request.sop_instance_uid)).copy()
        if _TRANSACTION_UID in step:
            del step[_TRANSACTION_UID]  # which is the key to changing it
        return selected(step, request.attributes)

    async def set(self, request: NSetRequest) -> Status:
        """Answers an N-SET (PS3.4 CC.2.6), for a handler of your own. Raises `OperationRefused`."""
        uid, changes = request.sop_instance_uid, attributes_of(request).copy()
        transaction_uid = str(changes.get("TransactionUID") or "")
        if _TRANSACTION_UID in changes:
            del changes[_TRANSACTION_UID]
        forbidden = tuple(int(element.tag) for element in changes if element.tag in _NOT_SET)
        if forbidden:
            raise OperationRefused(Status.INVALID_ATTRIBUTE_VALUE, "what an N-SET may not set", forbidden)
        _check_values(changes)
        async with self._locks.of(uid):
            step = await self._step(uid)
            state = step.ProcedureStepState
            if state in (COMPLETED, CANCELED):
                raise OperationRefused(Status.UPS_MAY_NO_LONGER_BE_UPDATED)
            if state == SCHEDULED and transaction_uid:
                raise OperationRefused(Status.UPS_NOT_YET_IN_PROGRESS)
            if state == IN_PROGRESS and transaction_uid != step.TransactionUID:
                raise OperationRefused(Status.UPS_TRANSACTION_UID_NOT_CORRECT)
            step = changed_by(step, changes)
            step.ScheduledProcedureStepModificationDateTime = _now()
            await self._keep(uid, step)
            for event_type_id in dict.fromkeys(event for keyword, event in _TOLD.items() if keyword in changes):
                self._report(uid, event_type_id, _EVENT_INFORMATION[event_type_id](step))
        return Status.SUCCESS

    async def find(self, request: FindRequest) -> AsyncIterator[Dataset]:
        """Yields the answers to a C-FIND (PS3.4 CC.2.8), for a handler of your own. Raises `OperationRefused`."""
        keys = _keys(identifier_of(request))
        async for _, step in self.instances.all():
            if keys.match(step):
                yield keys.answer(step)

    # Actions

    async def action(self, request: NActionRequest) -> Status:
        """Answers an N-ACTION (PS3.4 CC.2.1 to CC.2.3), for a handler of your own. Raises `OperationRefused`."""
        kind = request.action_type_id
        if kind not in _ACTIONS.get(request.context.abstract_syntax, ()):
            raise OperationRefused(Status.NO_SUCH_ACTION_TYPE)
        uid, association = request.sop_instance_uid, request.association
        if kind == _REQUEST_CANCEL:
            reasons = attributes_of(request) if request.message.has_data_set else Dataset()
            return await self._request_cancel(uid, reasons, association.calling_aet)
        information = attributes_of(request)
        if kind == _CHANGE_STATE:
            return await self._change_state(uid, information)
        ae_title = str(information.get("ReceivingAE") or "")
        if not ae_title:
            raise OperationRefused(Status.INVALID_ARGUMENT_VALUE, "no Receiving AE", (0x00741234,))
        if kind == _SUBSCRIBE:
            return await self._subscribe(uid, ae_title, information, association)
        is_global = uid in (UPS_GLOBAL_SUBSCRIPTION, UPS_FILTERED_GLOBAL_SUBSCRIPTION)
        if kind == _SUSPEND:
            if not is_global:
                raise OperationRefused(Status.UPS_ACTION_NOT_APPROPRIATE)
            self._subscriptions.suspend(ae_title)
        elif is_global:
            self._subscriptions.unsubscribe(ae_title)
        else:
            await self._step(uid)
            self._subscriptions.unsubscribe(ae_title, uid)
        return Status.SUCCESS

    async def _change_state(self, uid: str, information: Dataset) -> Status:
        wanted = str(information.get("ProcedureStepState") or "")
        transaction_uid = str(information.get("TransactionUID") or "")
        async with self._locks.of(uid):
            step = await self.instances.get(uid)
            state = None if step is None else str(step.ProcedureStepState)
            is_correct = is_valid_uid(transaction_uid) and (
                state == SCHEDULED or (step is not None and transaction_uid == step.get("TransactionUID"))
            )
            event = change_event(wanted, is_correct=is_correct)
            if event is None:
                raise OperationRefused(Status.INVALID_ARGUMENT_VALUE, "no such state", (0x00741000,))
            result = outcome(event, state)
            if isinstance(result, Status):
                return _told(result)
            assert step is not None
            step = step.copy()
            step.ProcedureStepState = result
            if result == IN_PROGRESS:
                step.TransactionUID = transaction_uid
            elif (missing := missing_for(result, step)) is not None:
                raise OperationRefused(
                    Status.UPS_FINAL_STATE_REQUIREMENTS_NOT_MET,
                    f"{missing} is missing",
                    (tag_for_keyword(missing) or 0,),
                )
            elif result == CANCELED:
                _date_cancellation(step)
            await self._keep(uid, step)
            self._report(uid, _STATE_REPORT, _state_of(step))
        return Status.SUCCESS

    async def _request_cancel(self, uid: str, information: Dataset, requesting_ae: str) -> Status:
        reasons = information.select(_REASONS)
        async with self._locks.of(uid):
            step = await self.instances.get(uid)
            result = outcome(Event.REQUEST_CANCEL, None if step is None else str(step.ProcedureStepState))
            if isinstance(result, Status):
                return _told(result)
            assert step is not None
            told = Dataset(reasons)
            told.RequestingAE = requesting_ae
            if result == IN_PROGRESS:
                if self._cancel_requested is not None:
                    await heard(self._cancel_requested(uid, told))
                elif not self._subscriptions.subscribers(uid):
                    raise OperationRefused(Status.UPS_PERFORMER_CANNOT_BE_CONTACTED)
                self._report(uid, _CANCEL_REQUESTED, told)
                return Status.SUCCESS
            step = _canceled(step, reasons)
            await self._keep(uid, step)
            self._report(uid, _CANCEL_REQUESTED, told)
            self._report(uid, _STATE_REPORT, _state_of(step, IN_PROGRESS))
            self._report(uid, _STATE_REPORT, _state_of(step))
        return Status.SUCCESS

    async def _subscribe(self, uid: str, ae_title: str, information: Dataset, association: Association) -> Status:
        lock = information.get("DeletionLock") or "FALSE"
        if lock not in ("TRUE", "FALSE"):
            raise OperationRefused(Status.INVALID_ARGUMENT_VALUE, "Deletion Lock is TRUE or FALSE", (0x00741230,))
        has_lock = lock == "TRUE"
        keys: Keys | None = None
        if uid == UPS_FILTERED_GLOBAL_SUBSCRIPTION:
            keys = _keys(information, ("ReceivingAE", "DeletionLock"))
        elif uid != UPS_GLOBAL_SUBSCRIPTION:
            step = await self._step(uid)
        assert self._handlers is not None
        destination = await find_destination(self._handlers.destinations, ae_title, association)
        if destination is None and association.calling_aet != ae_title:
            raise OperationRefused(Status.UPS_RECEIVING_AE_UNKNOWN)
        target = Target(None, ae_title, destination)
        self._subscriptions.know(target)
        if uid not in (UPS_GLOBAL_SUBSCRIPTION, UPS_FILTERED_GLOBAL_SUBSCRIPTION):
            self._subscriptions.subscribe(ae_title, uid, has_lock)
            self._tell(target, uid, _STATE_REPORT, _state_of(step))
            return Status.SUCCESS
        self._subscriptions.subscribe_globally(ae_title, keys, has_lock)
        async for each, step in self.instances.all():
            if self._subscriptions.is_subscribed(ae_title, each) or not (keys is None or keys.match(step)):
                continue
            self._subscriptions.subscribe(ae_title, each, has_lock)
            if has_lock:
                self._tell(target, each, _STATE_REPORT, _state_of(step))
        return Status.SUCCESS

    # Events

    def report_restart(self, ae_titles: Iterable[str], *, has_steps: bool) -> None:
        """Tells AEs that this SCP has been restarted (PS3.4 CC.2.4.3), without the subscriptions, and with the steps or
        without.

        The server's destinations have to be a mapping for that; AEs that it has not are not told.
        """
        assert self._handlers is not None
        destinations = self._handlers.destinations
        information = Dataset(
            SCPStatus="RESTARTED",
            SubscriptionListStatus="COLD START",
            UnifiedProcedureStepListStatus="WARM START" if has_steps else "COLD START",
        )
        for ae_title in ae_titles:
            destination = destinations.get(ae_title) if isinstance(destinations, Mapping) else None
            if destination is not None:
                target = Target(None, ae_title, destination)
                self._tell(target, UPS_GLOBAL_SUBSCRIPTION, _SCP_STATUS_CHANGE, information)

    def _report(self, uid: str, event_type_id: int, information: Dataset) -> None:
        for target in self._subscriptions.subscribers(uid):
            self._tell(target, uid, event_type_id, information)

    def _tell(self, target: Target, uid: str, event_type_id: int, information: Dataset) -> None:
        assert self._reporter is not None
        self._reporter.report(target, Report(UNIFIED_PROCEDURE_STEP_PUSH, uid, event_type_id, information))

    async def _step(self, uid: str) -> Dataset:
        step = await self.instances.get(uid)
        if step is None:
            raise OperationRefused(Status.UPS_DOES_NOT_EXIST)
        return step

    async def _keep(self, uid: str, step: Dataset) -> None:
        if self._changed is not None:
            await heard(self._changed(uid, step))
        await self.instances.put(uid, step)


def _check_values(attributes: Dataset) -> None:
    """Raises `OperationRefused` for attributes that have no value, or none of those that they can have."""
    for keyword in _REQUIRED:
        if keyword not in attributes:
            continue
        value = attributes.get(keyword)
        if value in (None, ""):
            status, text = Status.MISSING_ATTRIBUTE_VALUE, f"{keyword} is missing"
        elif value not in _ENUMERATED.get(keyword, (value,)):
            status, text = Status.INVALID_ATTRIBUTE_VALUE, f"{keyword} is {', '.join(_ENUMERATED[keyword])}"
        else:
            continue
        raise OperationRefused(status, text, (tag_for_keyword(keyword) or 0,))


def _told(status: Status) -> Status:
    """A warning is returned, a failure raised."""
    if status.category is StatusCategory.WARNING:
        return status
    raise OperationRefused(status)


def _keys(identifier: Dataset, others: tuple[str, ...] = ()) -> Keys:
    """The keys of an identifier; the Transaction UID cannot be queried (PS3.4 table CC.2.5-3)."""
    asked = identifier.copy()
    for keyword in ("TransactionUID", *others):
        if keyword in asked:
            del asked[keyword]
    return Keys(asked)


def _now() -> str:
    return f"{datetime.now().astimezone():%Y%m%d%H%M%S%z}"


def _state_of(step: Dataset, state: str | None = None) -> Dataset:
    """What a UPS State Report says."""
    information = step.select(("SpecificCharacterSet", "InputReadinessState"))
    information.ProcedureStepState = state or step.ProcedureStepState
    progress = step.get("ProcedureStepProgressInformationSequence")
    if progress and information.ProcedureStepState == CANCELED:
        information.update(
            progress[0].select(("ReasonForCancellation", "ProcedureStepDiscontinuationReasonCodeSequence"))
        )
    return information


def _assignment_of(step: Dataset) -> Dataset:
    """What a UPS Assigned says."""
    information = step.select(("SpecificCharacterSet", "ScheduledStationNameCodeSequence"))
    performers = step.get("ScheduledHumanPerformersSequence")
    if performers:
        information.update(performers[0].select(("HumanPerformerCodeSequence", "HumanPerformerOrganization")))
    return information


def _progress_of(step: Dataset) -> Dataset:
    """What a UPS Progress Report says."""
    return step.select(("SpecificCharacterSet", "ProcedureStepProgressInformationSequence"))


_EVENT_INFORMATION: Final = {_STATE_REPORT: _state_of, _ASSIGNED: _assignment_of, _PROGRESS_REPORT: _progress_of}


def _canceled(step: Dataset, reasons: Dataset) -> Dataset:
    """A step that is canceled before it was begun, with what PS3.4 CC.2.2.3 wants of it."""
    step = step.copy()
    step.ProcedureStepState = CANCELED
    step.TransactionUID = generate_uid()
    item = Dataset(reasons)
    if not item.get("ProcedureStepDiscontinuationReasonCodeSequence"):
        unspecified = Dataset(
            CodeValue="110513", CodingSchemeDesignator="DCM", CodeMeaning="Discontinued for unspecified reason"
        )
        item.ProcedureStepDiscontinuationReasonCodeSequence = [unspecified]
    step.ProcedureStepProgressInformationSequence = [item]
    _date_cancellation(step)
    return step


def _date_cancellation(step: Dataset) -> None:
    item = deepcopy(step.ProcedureStepProgressInformationSequence[0])
    if not item.get("ProcedureStepCancellationDateTime"):
        item.ProcedureStepCancellationDateTime = _now()
    step.ProcedureStepProgressInformationSequence = [item]
