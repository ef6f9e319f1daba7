"""DCMTK before a router, and DCMTK's archive and worklist, or Orthanc, behind it: what is asked is passed through."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from aiodicom import Dataset, dcmread
from tests.interop import peers
from tests.interop.processes import Running
from tests.interop.test_services_dcmtk import wlmscpfs
from tests.ports import free_port
from tests.router.running import HEAD, Archive, destination, image, routing, store, uid_of, write

COUNT = 3
PASS_THROUGH = '[pass_through]\nqueries = "archive"\nworklist = "worklist"\n'


def dcmtk(tool: str, *arguments: object) -> str:
    """What a tool prints when it asks the router."""
    done = peers.dcmtk_command(tool, *map(str, arguments))
    return done.stdout + done.stderr


async def test_queries_retrievals_and_worklists_reach_dcmtk(tmp_path: Path, start: Any) -> None:
    items = [
        Dataset(PatientID=str(number), ScheduledProcedureStepSequence=[Dataset(Modality=modality)])
        for number, modality in enumerate(["CT", "MR", "CT"])
    ]
    port = free_port()
    archive: Running = start(peers.dcmqrscp(tmp_path / "archive", None, destinations={"WORKSTATION": port}))
    worklist: Running = start(wlmscpfs(tmp_path / "worklists", items))
    # DCMTK's archive may lose what comes on two associations at once: its processes write the same index.
    text = destination("archive", archive.port, "associations = 1") + destination("worklist", worklist.port)
    path = write(tmp_path, text + '---\n[[routes]]\nto = ["archive"]\n', HEAD + PASS_THROUGH)
    workstation = Archive()
    workstation.port = port
    async with workstation, routing(path) as running:
        await store(running.port, [image(number) for number in range(COUNT)])
        await running.watch.until(lambda: running.watch.count("delivered") == COUNT)
        router = ("-aec", "ROUTER", "127.0.0.1", running.port)

        keys = ("-k", "QueryRetrieveLevel=IMAGE", "-k", "StudyInstanceUID=1.2.3.1", "-k", "SeriesInstanceUID=1.2.3.1.1")
        found = await asyncio.to_thread(dcmtk, "findscu", "-v", "-S", *router, *keys, "-k", "SOPInstanceUID")
        assert sorted(re.findall(r"\(0008,0018\) UI \[([\d.]+)", found)) == sorted(map(uid_of, range(COUNT)))

        study = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3.1")
        moved = await asyncio.to_thread(dcmtk, "movescu", "-v", "-S", "-aem", "WORKSTATION", *router, *study)
        assert "Received Final Move Response (Success)" in moved
        assert sorted(workstation.uids) == sorted(map(uid_of, range(COUNT)))

        got = tmp_path / "got"
        got.mkdir()
        said = await asyncio.to_thread(dcmtk, "getscu", "-v", "-S", "+B", "-od", got, *router, *study)
        assert "Final status report from last C-GET message" in said, said
        assert f"Number of Completed Suboperations : {COUNT}" in said
        assert {str(dcmread(file).SOPInstanceUID) for file in got.iterdir()} == set(map(uid_of, range(COUNT))), said

        step = ("-k", "PatientID", "-k", "ScheduledProcedureStepSequence[0].Modality=CT")
        found = await asyncio.to_thread(dcmtk, "findscu", "-v", "-W", *router, *step)
        assert sorted(re.findall(r"\(0010,0020\) LO \[(\d)", found)) == ["0", "2"]


async def test_getscu_through_a_router_from_orthanc(tmp_path: Path, empty_orthanc: peers.Orthanc) -> None:
    text = destination("archive", empty_orthanc.port) + '---\n[[routes]]\nto = ["archive"]\n'
    async with routing(write(tmp_path, text, HEAD + '[pass_through]\nqueries = "archive"\n')) as running:
        await store(running.port, [image(number) for number in range(COUNT)])
        await running.watch.until(lambda: running.watch.count("delivered") == COUNT)
        got = tmp_path / "got"
        got.mkdir()
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3.1")
        where = ("-aec", "ROUTER", "127.0.0.1", running.port)
        said = await asyncio.to_thread(dcmtk, "getscu", "-v", "-S", "+B", "-od", got, *keys, *where)
    assert {str(dcmread(file).SOPInstanceUID) for file in got.iterdir()} == set(map(uid_of, range(COUNT))), said
