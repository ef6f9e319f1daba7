"""With Orthanc, both ways.

Orthanc encodes anew what it receives and what it sends. So what it keeps of an object that we send must be what it
keeps when pynetdicom sends the same bytes, and what it sends to us must be what DCMTK's storescp gets of it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiodicom
from tests.interop import objects, ours, peers
from tests.interop.objects import Part10
from tests.interop.processes import Running


async def test_echo(orthanc: peers.Orthanc) -> None:
    async with aiodicom.connect("127.0.0.1", orthanc.port, called_aet="ORTHANC") as association:
        response = await association.c_echo()
        assert response.status is aiodicom.Status.SUCCESS


async def test_orthanc_echoes(orthanc: peers.Orthanc) -> None:
    async with ours.receiving() as receiving:
        modality = {"AET": "AIODICOM", "Host": "127.0.0.1", "Port": receiving.port}
        await asyncio.to_thread(orthanc.request, "PUT", "/modalities/ours", modality)
        await asyncio.to_thread(orthanc.request, "POST", "/modalities/ours/echo", b"")
        assert receiving.echoes == 1


async def test_store(kept_object: Part10, empty_orthanc: peers.Orthanc, tmp_path: Path) -> None:
    contexts = ours.contexts(kept_object)
    async with aiodicom.connect("127.0.0.1", empty_orthanc.port, contexts=contexts) as association:
        response = await association.c_store(kept_object.path)
        assert response.status is aiodicom.Status.SUCCESS
    kept = await asyncio.to_thread(empty_orthanc.file, kept_object.sop_instance_uid)
    empty_orthanc.clear()

    same = tmp_path / "same.dcm"
    same.write_bytes(kept_object.path.read_bytes()[: kept_object.offset] + ours.sent(kept_object).data_set)
    assert await asyncio.to_thread(peers.pynetdicom_scu, empty_orthanc.port, "store", same) == [0]
    reference = await asyncio.to_thread(empty_orthanc.file, kept_object.sop_instance_uid)
    assert objects.data_set_of(kept) == objects.data_set_of(reference)
    assert objects.split(kept)[0][0x0002, 0x0010] == objects.split(reference)[0][0x0002, 0x0010]


async def test_what_orthanc_sends_arrives(
    kept_object: Part10, empty_orthanc: peers.Orthanc, storescp: Running, tmp_path: Path
) -> None:
    await asyncio.to_thread(empty_orthanc.request, "POST", "/instances", kept_object.path.read_bytes())
    instance = empty_orthanc.instance(kept_object.sop_instance_uid)
    async with ours.receiving() as receiving:
        for port in (storescp.port, receiving.port):
            await asyncio.to_thread(empty_orthanc.store_to, port, instance)
        (reference,) = map(objects.part10, (tmp_path / "received").iterdir())
        assert receiving.objects == {kept_object.sop_instance_uid: ours.sent(reference)}


def test_commands(empty_orthanc: peers.Orthanc, tmp_path: Path) -> None:
    files = list(objects.write_cts(tmp_path / "files", 5))
    port = str(empty_orthanc.port)
    ours.command("echoscu", "127.0.0.1", port, "-aec", "ORTHANC", "--repeat", "3", "--associations", "2")
    ours.command("storescu", "127.0.0.1", port, "-aec", "ORTHANC", "--associations", "2", tmp_path / "files")
    assert len(empty_orthanc.json("GET", "/instances")) == len(files)
