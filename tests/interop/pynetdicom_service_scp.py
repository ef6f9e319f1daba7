"""An SCP of worklists, performed procedure steps and storage commitment made with pynetdicom, run as a process:

pynetdicom_service_scp.py PORT FOLDER [REPORT_PORT]: keeps each step in FOLDER/UID.json; reports commitments on
the association that asks, or on one that it opens to REPORT_PORT.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
)

WELL_KNOWN = "1.2.840.10008.1.20.1.1"
STEPS: dict[str, Dataset] = {}


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    report_port = int(sys.argv[3]) if len(sys.argv) > 3 else None

    def keep(uid: str) -> None:
        (folder / f"{uid}.json").write_text(json.dumps(STEPS[uid].to_json_dict()))

    def create(event: evt.Event) -> tuple[int, Dataset]:
        uid = event.request.AffectedSOPInstanceUID
        STEPS[uid] = event.attribute_list
        keep(uid)
        return 0x0000, event.attribute_list

    def change(event: evt.Event) -> tuple[int, Dataset | None]:
        uid = event.request.RequestedSOPInstanceUID
        if uid not in STEPS:
            return 0x0112, None
        STEPS[uid].update(event.modification_list)
        keep(uid)
        return 0x0000, STEPS[uid]

    def commit(event: evt.Event) -> tuple[int, None]:
        information = event.action_information
        report = Dataset()
        report.TransactionUID = information.TransactionUID
        report.ReferencedSOPSequence = information.ReferencedSOPSequence[:1]
        failed = list(information.ReferencedSOPSequence[1:])
        for item in failed:
            item.FailureReason = 0x0112
        if failed:
            report.FailedSOPSequence = failed
        threading.Thread(target=tell, args=(event.assoc, report, 2 if failed else 1)).start()
        return 0x0000, None

    def tell(association: Any, report: Dataset, event_type: int) -> None:
        if report_port is not None:
            ae = AE(ae_title="PYNETDICOM")
            ae.add_requested_context(StorageCommitmentPushModel)
            role = build_role(StorageCommitmentPushModel, scp_role=True)
            association = ae.associate("127.0.0.1", report_port, ext_neg=[role])
        association.send_n_event_report(report, event_type, StorageCommitmentPushModel, WELL_KNOWN)
        if report_port is not None:
            association.release()

    def find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        for number in range(3):
            match = event.identifier
            match.PatientName = f"Doe^{number}"
            yield 0xFF00, match

    ae = AE(ae_title="PYNETDICOM")
    for uid in (
        ModalityPerformedProcedureStep,
        ModalityWorklistInformationFind,
        StorageCommitmentPushModel,
        StudyRootQueryRetrieveInformationModelFind,
    ):
        ae.add_supported_context(uid)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    handlers = [
        (evt.EVT_N_CREATE, create),
        (evt.EVT_N_SET, change),
        (evt.EVT_N_ACTION, commit),
        (evt.EVT_C_FIND, find),
    ]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    ended.wait()
    server.shutdown()


if __name__ == "__main__":
    main()
