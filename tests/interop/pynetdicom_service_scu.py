"""An SCU of the services made with pynetdicom, run as a process: pynetdicom_service_scu.py PORT SERVICE.

Prints what came of it as one JSON object.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    BasicFilmSession,
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
WELL_KNOWN = "1.2.840.10008.1.20.1.1"


def data_set(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def status(answer: Any) -> int:
    return int((answer[0] if isinstance(answer, tuple) else answer).Status)


class Careful:
    """An association of pynetdicom's that does not lose a response that comes at once, nor release while it answers.

    Its own thread looks for requests of the peer a thousand times a second, and pauses for an operation. It says that
    it has paused a moment before it looks for the last time, and throws away a response that it then finds.
    """

    def __init__(self, association: Association) -> None:
        self._association = association

    def __getattr__(self, name: str) -> Any:
        if name.startswith("send_") or name == "release":
            while self._association._is_paused:
                time.sleep(0)
            self._association._reactor_checkpoint.clear()
            while not self._association._is_paused:
                time.sleep(0)
            time.sleep(0.01)
        return getattr(self._association, name)


def associate(port: int, contexts: list[str], **options: Any) -> Careful:
    ae = AE(ae_title="PYNETDICOM")
    for uid in contexts:
        ae.add_requested_context(uid)
    association = ae.associate("127.0.0.1", port, **options)
    if not association.is_established:
        sys.exit("no association")
    return Careful(association)


def mpps(port: int) -> dict[str, Any]:
    uid = generate_uid()
    association = associate(port, [ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve])
    begun = data_set(PerformedProcedureStepStatus="IN PROGRESS", PatientName="Doe^Jane", Modality="CT")
    ended = data_set(PerformedProcedureStepStatus="COMPLETED", PerformedSeriesSequence=[data_set(ProtocolName="A")])
    statuses = [
        status(association.send_n_create(begun, ModalityPerformedProcedureStep, uid)),
        status(association.send_n_create(begun, ModalityPerformedProcedureStep, uid)),
        status(association.send_n_set(ended, ModalityPerformedProcedureStep, uid)),
        status(association.send_n_set(ended, ModalityPerformedProcedureStep, uid)),
    ]
    answer, step = association.send_n_get([0x00400252, 0x00100010], ModalityPerformedProcedureStepRetrieve, uid)
    association.release()
    return {"statuses": [*statuses, status(answer)], "step": step.to_json_dict()}


def commitment(port: int) -> dict[str, Any]:
    reported: list[Any] = []
    done = threading.Event()

    def hear(event: evt.Event) -> tuple[int, None]:
        reported.append([event.event_type, event.event_information.to_json_dict()])
        done.set()
        return 0x0000, None

    handlers = [(evt.EVT_N_EVENT_REPORT, hear)]
    association = associate(port, [StorageCommitmentPushModel], evt_handlers=handlers)
    items = [data_set(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=f"1.2.{number}") for number in (1, 2)]
    request = data_set(TransactionUID="1.2.3", ReferencedSOPSequence=items)
    answer = association.send_n_action(request, 1, StorageCommitmentPushModel, WELL_KNOWN)
    done.wait(30)
    association.release()
    return {"statuses": [status(answer)], "reported": reported}


def find(association: Careful, query: Dataset, model: str) -> dict[str, Any]:
    answers = list(association.send_c_find(query, model))
    association.release()
    matches = [identifier.to_json_dict() for _, identifier in answers if identifier is not None]
    return {"statuses": [status(answer) for answer in answers], "matches": matches}


def worklist(port: int) -> dict[str, Any]:
    step = data_set(Modality="CT", ScheduledProcedureStepStartDate="20240101-20240102", ScheduledStationAETitle="")
    query = data_set(SpecificCharacterSet="ISO_IR 192", PatientName="*", ScheduledProcedureStepSequence=[step])
    return find(associate(port, [ModalityWorklistInformationFind]), query, ModalityWorklistInformationFind)


def studies(port: int) -> dict[str, Any]:
    query = data_set(QueryRetrieveLevel="STUDY", PatientID="A", StudyInstanceUID="", StudyDate="", PatientName="")
    query.NumberOfStudyRelatedInstances = None
    model = PatientRootQueryRetrieveInformationModelFind
    return find(associate(port, [model, StudyRootQueryRetrieveInformationModelFind]), query, model)


def retrieve(port: int) -> dict[str, Any]:
    received: list[str] = []

    def keep(event: evt.Event) -> int:
        received.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    association = associate(
        port,
        [StudyRootQueryRetrieveInformationModelGet, CT],
        ext_neg=[build_role(CT, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    query = data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
    answers = list(association.send_c_get(query, StudyRootQueryRetrieveInformationModelGet))
    association.release()
    return {"statuses": [status(answers[-1])], "received": sorted(received)}


def move(port: int) -> dict[str, Any]:
    model = StudyRootQueryRetrieveInformationModelMove
    association = associate(port, [model])
    query = data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
    statuses = []
    for destination in ("STORE", "NOWHERE"):
        *_, final = association.send_c_move(query, destination, model)
        statuses.append(status(final))
    association.release()
    return {"statuses": statuses}


def session(port: int) -> dict[str, Any]:
    association = associate(port, [BasicFilmSession])
    statuses = [
        status(association.send_n_create(data_set(NumberOfCopies=1), BasicFilmSession, "1.2.3")),
        status(association.send_n_delete(BasicFilmSession, "1.2.3")),
        status(association.send_n_delete(BasicFilmSession, "1.2.3")),
    ]
    association.release()
    return {"statuses": statuses}


def ups(port: int) -> dict[str, Any]:
    events: list[Any] = []
    arrived = threading.Semaphore(0)

    def hear(event: evt.Event) -> tuple[int, None]:
        events.append([event.event_type, event.event_information.get("ProcedureStepState")])
        arrived.release()
        return 0x0000, None

    contexts = [
        UnifiedProcedureStepPush,
        UnifiedProcedureStepPull,
        UnifiedProcedureStepWatch,
        UnifiedProcedureStepQuery,
    ]
    association = associate(port, contexts)
    # One of its own: pynetdicom cannot send a request while it answers one.
    listening = associate(port, [UnifiedProcedureStepEvent], evt_handlers=[(evt.EVT_N_EVENT_REPORT, hear)])
    uid, push = generate_uid(), UnifiedProcedureStepPush
    step = data_set(
        ScheduledProcedureStepPriority="HIGH",
        ProcedureStepLabel="Contour",
        WorklistLabel="RT",
        ScheduledProcedureStepStartDateTime="20240101120000",
        InputReadinessState="READY",
        ProcedureStepState="SCHEDULED",
    )
    claim = data_set(ProcedureStepState="IN PROGRESS", TransactionUID="1.2.3")
    complete = data_set(ProcedureStepState="COMPLETED", TransactionUID="1.2.3")
    performed = data_set(
        PerformedStationNameCodeSequence=[data_set(CodeValue="1")],
        PerformedProcedureStepStartDateTime="20240101120000",
        PerformedWorkitemCodeSequence=[data_set(CodeValue="2")],
        PerformedProcedureStepEndDateTime="20240101130000",
        OutputInformationSequence=[],
    )
    results = data_set(TransactionUID="1.2.3", UnifiedProcedureStepPerformedProcedureSequence=[performed])
    # An empty data set pynetdicom announces and never sends.
    reason = data_set(ReasonForCancellation="late")
    subscription = data_set(ReceivingAE="PYNETDICOM", DeletionLock="FALSE")
    statuses = [
        status(association.send_n_create(step, push, uid)),
        status(association.send_n_action(subscription, 3, push, uid, meta_uid=UnifiedProcedureStepWatch)),
        status(association.send_n_action(claim, 1, push, uid, meta_uid=UnifiedProcedureStepPull)),
        status(association.send_n_action(complete, 1, push, uid, meta_uid=UnifiedProcedureStepPull)),
        status(association.send_n_set(results, push, uid, meta_uid=UnifiedProcedureStepPull)),
        status(association.send_n_action(complete, 1, push, uid, meta_uid=UnifiedProcedureStepPull)),
        status(association.send_n_action(reason, 2, push, uid, meta_uid=UnifiedProcedureStepPush)),
    ]
    answer, got = association.send_n_get([0x00741000], push, uid, meta_uid=UnifiedProcedureStepWatch)
    query = data_set(ProcedureStepState="COMPLETED", SOPInstanceUID="")
    found = list(association.send_c_find(query, UnifiedProcedureStepQuery))
    for _ in range(3):
        arrived.acquire(timeout=30)
    association.release()
    listening.release()
    return {
        "statuses": [*statuses, status(answer)],
        "state": got.ProcedureStepState,
        "found": [identifier.SOPInstanceUID == uid for _, identifier in found if identifier is not None],
        "events": events,
    }


def availability(port: int) -> dict[str, Any]:
    association = associate(port, [InstanceAvailabilityNotification])
    notification = data_set(StudyInstanceUID="1.2", ReferencedSeriesSequence=[data_set(SeriesInstanceUID="1.3")])
    answer = association.send_n_create(notification, InstanceAvailabilityNotification, "1.2.3")
    association.release()
    return {"statuses": [status(answer)]}


SERVICES: dict[str, Callable[[int], dict[str, Any]]] = {
    each.__name__: each for each in (mpps, commitment, worklist, studies, retrieve, move, session, ups, availability)
}


if __name__ == "__main__":
    json.dump(SERVICES[sys.argv[2]](int(sys.argv[1])), sys.stdout)
