"""With pynetdicom, both ways: files go and arrive as they are."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiodicom
from tests.interop import objects, ours, peers
from tests.interop.objects import Part10
from tests.interop.processes import Running


def stored(folder: Path) -> dict[str, ours.Arrived]:
    return {each.sop_instance_uid: ours.as_it_is(each) for each in map(objects.part10, folder.iterdir())}


async def test_pynetdicom_echoes() -> None:
    async with ours.receiving() as receiving:
        assert await asyncio.to_thread(peers.pynetdicom_scu, receiving.port, "echo") == [0]
        assert receiving.echoes == 1


async def test_what_pynetdicom_sends_arrives(tmp_path: Path) -> None:
    files = [*objects.some_instances(), objects.write_ct(tmp_path / "ct.dcm")]
    async with ours.receiving() as receiving:
        paths = [each.path for each in files]
        statuses = await asyncio.to_thread(peers.pynetdicom_scu, receiving.port, "store", *paths)
        assert statuses == [0] * len(files)
        assert receiving.objects == {each.sop_instance_uid: ours.as_it_is(each) for each in files}


async def test_pynetdicom_receives(tmp_path: Path, start: Any) -> None:
    server = start(peers.pynetdicom_scp(tmp_path / "received"))
    files = [*objects.some_instances(), objects.write_ct(tmp_path / "ct.dcm")]
    contexts = [peers.VERIFICATION, *ours.contexts(*files)]
    async with aiodicom.connect("127.0.0.1", server.port, contexts=contexts) as association:
        response = await association.c_echo()
        assert response.status is aiodicom.Status.SUCCESS
        for each in files:
            await association.c_store(each.path)
    assert stored(tmp_path / "received") == {each.sop_instance_uid: ours.sent(each) for each in files}


async def test_pynetdicom_receives_everything(tmp_path: Path, start: Any) -> None:
    """Every object of pydicom's test data, the damaged ones too: nothing of them is parsed on the way."""
    server = start(peers.pynetdicom_scp(tmp_path / "received"))
    files = objects.pydicom_objects()
    async with aiodicom.connect("127.0.0.1", server.port, contexts=ours.contexts(*files)) as association:
        for each in files:  # some are the same instance
            await association.c_store(each.path)
            assert stored(tmp_path / "received") == {each.sop_instance_uid: ours.sent(each)}, each.path
            (tmp_path / "received" / f"{each.sop_instance_uid}.dcm").unlink()


def test_storescu_command(tmp_path: Path, start: Any) -> None:
    server = start(peers.pynetdicom_scp(tmp_path / "received"))
    chosen = objects.some_instances()
    ours.command("echoscu", "127.0.0.1", str(server.port))
    ours.command("storescu", "127.0.0.1", str(server.port), *(each.path for each in chosen))
    assert stored(tmp_path / "received") == {each.sop_instance_uid: ours.sent(each) for each in chosen}


def test_storescp_command(real_object: Part10, our_storescp: Running, tmp_path: Path) -> None:
    assert peers.pynetdicom_scu(our_storescp.port, "store", real_object.path) == [0]
    assert stored(tmp_path / "ours") == {real_object.sop_instance_uid: ours.as_it_is(real_object)}
