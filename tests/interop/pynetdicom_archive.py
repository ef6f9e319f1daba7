"""An archive, and a printer of sorts, made with pynetdicom and run as a process:

pynetdicom_archive.py PORT FOLDER [DESTINATION_PORT]: answers a query with each file of FOLDER that is of the study, and
sends them by C-GET, and by C-MOVE to the port, as AE title SINK; every N service of a film session, whose data sets it
gives back.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (
    BasicFilmSession,
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

QUERY_RETRIEVE = (
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)


def archive(folder: Path, destination: int) -> list[Any]:
    """The handlers of queries and retrievals."""

    files = sorted(folder.glob("*.dcm"))
    instances = {path: dcmread(path, stop_before_pixels=True) for path in files}
    #: by what was asked for: whoever measures this asks for the same again and again
    answers: dict[str, list[Dataset]] = {}

    def wanted(event: evt.Event) -> list[Path]:
        study = event.identifier.get("StudyInstanceUID")
        return [path for path in files if not study or instances[path].StudyInstanceUID == study]

    def answer(event: evt.Event, instance: Dataset) -> Dataset:
        made = Dataset()
        for element in event.identifier:
            made.add(instance.get(element.tag, element))
        return made

    def find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        asked = event.identifier.to_json()
        if asked not in answers:
            answers[asked] = [answer(event, instances[path]) for path in wanted(event)]
        for each in answers[asked]:
            yield 0xFF00, each

    def get(event: evt.Event) -> Iterator[Any]:
        paths = wanted(event)
        yield len(paths)
        for path in paths:
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield 0xFF00, dcmread(path)

    def move(event: evt.Event) -> Iterator[Any]:
        if event.move_destination != "SINK":
            yield None, None
            return
        yield "127.0.0.1", destination, {"contexts": [build_context(CTImageStorage, "1.2.840.10008.1.2.1")]}
        yield from get(event)

    return [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get), (evt.EVT_C_MOVE, move)]


def sessions() -> list[Any]:
    """The handlers of the N services: what there is of each instance, and what they were asked for."""
    known: dict[str, Dataset] = {}

    def create(event: evt.Event) -> tuple[int, Dataset]:
        uid = event.request.AffectedSOPInstanceUID
        if uid in known:
            return 0x0111, None
        known[uid] = event.attribute_list
        return 0x0000, known[uid]

    def change(event: evt.Event) -> tuple[int, Dataset | None]:
        uid = event.request.RequestedSOPInstanceUID
        if uid not in known:
            return 0x0112, None
        known[uid].update(event.modification_list)
        return 0x0000, known[uid]

    def get(event: evt.Event) -> tuple[int, Dataset | None]:
        instance = known.get(event.request.RequestedSOPInstanceUID)
        if instance is None:
            return 0x0112, None
        tags = event.attribute_identifiers
        answer = Dataset()
        for element in instance:
            if not tags or element.tag in tags:
                answer.add(element)
        return 0x0107 if tags and len(answer) < len(tags) else 0x0000, answer

    def act(event: evt.Event) -> tuple[int, Dataset]:
        answer = Dataset()
        answer.NumberOfCopies = event.action_type
        answer.update(event.action_information)
        return 0x0000, answer

    def delete(event: evt.Event) -> int:
        return 0x0000 if known.pop(event.request.RequestedSOPInstanceUID, None) is not None else 0x0112

    def hear(event: evt.Event) -> tuple[int, Dataset]:
        answer = Dataset()
        answer.NumberOfCopies = event.event_type
        answer.update(event.event_information)
        return 0x0000, answer

    return [
        (evt.EVT_N_CREATE, create),
        (evt.EVT_N_SET, change),
        (evt.EVT_N_GET, get),
        (evt.EVT_N_ACTION, act),
        (evt.EVT_N_DELETE, delete),
        (evt.EVT_N_EVENT_REPORT, hear),
    ]


def main(port: int, folder: Path, destination: int = 0) -> None:
    ae = AE(ae_title="ARCHIVE")
    for uid in QUERY_RETRIEVE:
        ae.add_supported_context(uid)
    ae.add_supported_context(BasicFilmSession, scu_role=True, scp_role=True)
    ae.add_supported_context(CTImageStorage, AllTransferSyntaxes, scu_role=True, scp_role=True)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    handlers = archive(folder, destination) + sessions()
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    ended.wait()
    server.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
