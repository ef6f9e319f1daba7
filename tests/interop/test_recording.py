"""Others on both sides of the recording proxy: what arrives is what arrives without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiodicom.load.recording.proxy import RecordingProxy, Titles
from aiodicom.load.recording.trace import AssociationRecord, EndRecord, OperationRecord, Record
from tests.interop import objects, ours, peers
from tests.interop.objects import Part10


@asynccontextmanager
async def recorded(port: int) -> AsyncIterator[tuple[list[Record], int]]:
    """A proxy to this port; what it records, and its own port."""
    records: list[Record] = []
    proxy = RecordingProxy("127.0.0.1", port, records.append, Titles(are_recorded=False))
    ((_, listening),) = await proxy.listen("127.0.0.1", 0)
    try:
        yield records, listening
        await proxy.drain(20)
    finally:
        await proxy.close()


def stored(folder: Path) -> dict[str, ours.Arrived]:
    return {each.sop_instance_uid: ours.as_it_is(each) for each in map(objects.part10, folder.iterdir())}


def summary(records: list[Record]) -> list[tuple[str, int, str]]:
    operations = [record for record in records if isinstance(record, OperationRecord)]
    assert all(each.latency_s is not None and each.latency_s > 0 for each in operations)
    return [(each.service, each.request_bytes, each.status) for each in operations]


def test_pynetdicom_to_pynetdicom(tmp_path: Path, start: Any, ct: Part10) -> None:
    server = start(peers.pynetdicom_scp(tmp_path / "received"))
    files = [*objects.some_instances(), ct]
    paths = [each.path for each in files]

    async def run() -> list[Record]:
        async with recorded(server.port) as (records, port):
            assert await asyncio.to_thread(peers.pynetdicom_scu, port, "store", *paths) == [0] * len(files)
        return records

    records = asyncio.run(run())  # on one loop: each process of pynetdicom takes a second
    assert stored(tmp_path / "received") == {each.sop_instance_uid: ours.as_it_is(each) for each in files}
    sizes = [len(ours.as_it_is(each).data_set) for each in files]
    assert summary(records) == [("C-STORE", size, "0000") for size in sizes]
    assert [record.how for record in records if isinstance(record, EndRecord)] == ["released"]


async def test_dcmtk_to_dcmtk(tmp_path: Path, start: Any, ct: Part10) -> None:
    arrived = []
    for name in ("direct", "recorded"):
        server = start(peers.storescp(tmp_path / name))
        async with recorded(server.port) as (records, port):
            to = str(server.port if name == "direct" else port)
            await asyncio.to_thread(peers.dcmtk_command, "echoscu", "127.0.0.1", to)
            await asyncio.to_thread(peers.dcmtk_command, "storescu", "127.0.0.1", to, str(ct.path))
        arrived.append(stored(tmp_path / name))
    assert arrived[0] == arrived[1]
    assert [(service, status) for service, _, status in summary(records)] == [("C-ECHO", "0000"), ("C-STORE", "0000")]
    titles = [(record.calling, record.called) for record in records if isinstance(record, AssociationRecord)]
    assert titles == [("AE1", "AE2"), ("AE3", "AE2")]


async def test_nobody_waits_for_the_acknowledgement_of_the_proxy(tmp_path: Path, start: Any) -> None:
    server = start(peers.storescp(tmp_path / "received", nodelay=False))
    async with recorded(server.port) as (records, port):
        await asyncio.to_thread(
            lambda: peers.dcmtk_command("echoscu", "--repeat", "20", "127.0.0.1", str(port), nodelay=False)
        )
    echoes = [record for record in records if isinstance(record, OperationRecord)]
    assert len(echoes) == 20
    # 40 ms for each otherwise, on either side.
    assert echoes[-1].at_s - echoes[0].at_s < 0.6
