"""From an association through the queue to another one."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

import aiodicom
from aiodicom.net.sinks import Spooled
from aiodicom.router.queue.local import LocalQueue, QueueSettings
from aiodicom.router.queue.objects import Delivery, Incoming, State
from aiodicom.router.queue.source import data_of
from aiodicom.store.records import DamagedRecord
from aiodicom.ul._pdu import Body

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
SIZES = [8, 9_000, 70_000, 525_004, 1_100_002, 3_000_000]


def data_set(number: int) -> bytes:
    """A private element, and pixels that are none: nobody looks at them."""
    size = SIZES[number % len(SIZES)]
    return b"\x09\x00\x10\x00OB\x00\x00" + size.to_bytes(4, "little") + bytes([number]) * size


@pytest.mark.parametrize("memory", [0, 1 << 30])
async def test_every_object_arrives_as_it_was(tmp_path: Path, memory: int) -> None:
    queue = await LocalQueue.open(tmp_path / "shard", QueueSettings(memory=memory, interval=0))
    count = 2 * len(SIZES)

    router = aiodicom.Server()

    @router.on_c_store(body=Spooled(above=1 << 20, directory=tmp_path))
    async def take(request: aiodicom.StoreRequest) -> aiodicom.Status:
        body = request.body
        assert isinstance(body, Body)
        incoming = Incoming(
            request.affected_sop_class_uid,
            request.affected_sop_instance_uid,
            request.context.transfer_syntax,
            *("1.2.3", "1.2.3.4", "P"),
            *("SENDER", "ROUTER", "127.0.0.1"),
            queue.now(),
            (Delivery("pacs"),),
        )
        await queue.enqueue(incoming, data_of(body))
        return aiodicom.Status.SUCCESS

    received: dict[str, str] = {}
    pacs = aiodicom.Server()

    @pacs.on_c_store
    def keep(request: aiodicom.StoreRequest) -> aiodicom.Status:
        received[request.affected_sop_instance_uid] = hashlib.sha256(request.data).hexdigest()
        return aiodicom.Status.SUCCESS

    contexts = [(CT, [EXPLICIT])]
    async with router.listen("127.0.0.1", 0) as first, pacs.listen("127.0.0.1", 0) as second:
        async with aiodicom.connect("127.0.0.1", first.port, contexts=contexts) as association:
            for number in range(count):
                response = await association.c_store(
                    data_set(number),
                    sop_class_uid=CT,
                    sop_instance_uid=f"1.2.3.{number}",
                    transfer_syntax=EXPLICIT,
                )
                assert response.status == 0
        async with aiodicom.connect("127.0.0.1", second.port, contexts=contexts) as association:
            for lease in await queue.claim("pacs", 100):
                await association.c_store(queue.source(lease))
                queue.delivered(lease)
        await queue.flush()
        assert await queue.counts() == {"pacs": {State.DELIVERED: count}}
    await queue.close()
    await asyncio.sleep(0)
    assert received == {f"1.2.3.{n}": hashlib.sha256(data_set(n)).hexdigest() for n in range(count)}


@pytest.mark.parametrize("size", [9_000, 3_000_000])
async def test_no_destination_gets_an_object_that_was_damaged(tmp_path: Path, size: int) -> None:
    queue = await LocalQueue.open(tmp_path / "shard", QueueSettings(memory=0, interval=0))
    incoming = Incoming(CT, "1.2.3.1", EXPLICIT, "1.2.3", "", "", "", "", "", 0.0, (Delivery("pacs"),))
    await queue.enqueue(incoming, bytes(size))
    (lease,) = await queue.claim("pacs", 1)
    (path,) = (tmp_path / "shard" / "segments").iterdir()
    with path.open("r+b") as file:
        file.seek(lease.place.offset + size // 2)
        file.write(b"damage")
    received: list[str] = []
    pacs = aiodicom.Server()

    @pacs.on_c_store
    def keep(request: aiodicom.StoreRequest) -> aiodicom.Status:
        received.append(request.affected_sop_instance_uid)
        return aiodicom.Status.SUCCESS

    async with pacs.listen("127.0.0.1", 0) as listening:
        association = await aiodicom.connect("127.0.0.1", listening.port, contexts=[(CT, [EXPLICIT])])
        with pytest.raises(DamagedRecord):
            await association.c_store(queue.source(lease))
        association.abort()
    assert received == []
    await queue.close()
