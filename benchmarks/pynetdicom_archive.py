"""pynetdicom's SCP of the rows of services: pynetdicom_archive.py PORT FOLDER [DESTINATION_PORT].

It does as little as a handler can: C-FIND answers with every study, from data sets made beforehand; C-GET and C-MOVE
send every file of FOLDER.
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
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)


def main(port: int, folder: Path, destination: int = 0) -> None:
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    files = sorted(path for path in folder.iterdir() if path.suffix == ".dcm")
    studies = {study.StudyInstanceUID: study for study in (dcmread(path, stop_before_pixels=True) for path in files)}
    answers: list[Dataset] = []

    def find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        if not answers:
            for study in studies.values():
                answer = Dataset()
                for element in event.identifier:
                    answer.add(study.get(element.tag, element))
                answers.append(answer)
        for answer in answers:
            yield 0xFF00, answer

    def get(event: evt.Event) -> Iterator[Any]:
        yield len(files)
        for path in files:
            yield 0xFF00, dcmread(path)

    def move(event: evt.Event) -> Iterator[Any]:
        yield "127.0.0.1", destination, {"contexts": [build_context(CTImageStorage, "1.2.840.10008.1.2.1")]}
        yield from get(event)

    ae = AE(ae_title="ARCHIVE")
    for uid in (
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet,
        StudyRootQueryRetrieveInformationModelMove,
    ):
        ae.add_supported_context(uid)
    ae.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    handlers: Any = [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get), (evt.EVT_C_MOVE, move)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    ended.wait()
    server.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
