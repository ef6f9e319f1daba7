"""Forwarding that begins while an object still arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import aiodicom
from aiodicom.dataset import Dataset
from aiodicom.errors import AiodicomError
from aiodicom.net.sources import DataSource
from tests.leaks import no_garbage
from tests.router.objects import ct
from tests.router.running import (
    CT,
    EXPLICIT,
    HEAD,
    PATIENCE,
    Archive,
    destination,
    image,
    routing,
    soon,
    store,
    uid_of,
    write,
)

ROUTE = '---\n[[routes]]\nto = ["pacs"]\n'
LARGE = 3_000_000


def large(number: int) -> bytes:
    """A data set whose pixels are many, and not all the same."""
    data_set = ct(SOPInstanceUID=uid_of(number), Rows=1000, Columns=1500)
    data_set.PixelData = bytes(range(256)) * (LARGE // 256)
    encoded: bytes = data_set.to_bytes()
    return encoded


class Sending:
    """An association on which a data set is sent in two halves."""

    def __init__(self, port: int, number: int) -> None:
        self.data = large(number)
        self.more = asyncio.Event()
        self._uid = uid_of(number)
        self.opening = aiodicom.connect(
            "127.0.0.1", port, contexts=[(CT, [EXPLICIT])], calling_aet="CT1", called_aet="ROUTER"
        )

    async def send(self, association: aiodicom.Association) -> int:
        """Sends it; the second half once there is to be `more`."""
        return (await association.c_store(Halves(self._uid, self.data, self.more))).status


class Halves(DataSource):
    """A source whose second half is waited for."""

    def __init__(self, uid: str, data: bytes, more: asyncio.Event) -> None:
        super().__init__(CT, uid, EXPLICIT, len(data))
        self._data = data
        self._more = more

    async def chunks(self, multiple: int) -> AsyncIterator[bytes]:
        step = (1 << 19) // multiple * multiple
        for offset in range(0, len(self._data), step):
            if offset > len(self._data) // 2:
                await self._more.wait()
            yield self._data[offset : offset + step]


async def test_forwarding_begins_before_the_object_is_there(tmp_path: Path) -> None:
    async with Archive() as pacs:
        begun = asyncio.Event()

        @pacs.server.on_c_store(body=aiodicom.Streamed())
        async def keep(request: aiodicom.StoreRequest) -> aiodicom.Status:
            received = bytearray()
            async for piece in request:
                received += piece
                begun.set()
            pacs.received.append((request.affected_sop_instance_uid, bytes(received)))
            pacs.tell()
            return aiodicom.Status(0xB000)

        async with routing(write(tmp_path, destination("pacs", pacs.port, "cut_through = true") + ROUTE)) as running:
            sending = Sending(running.port, 1)
            async with sending.opening as association:
                task = asyncio.create_task(sending.send(association))
                async with asyncio.timeout(PATIENCE):
                    await begun.wait()
                assert running.router.intake.received == 0
                sending.more.set()
                assert await task == 0
            await running.watch.saw("delivered", uid_of(1), "pacs", "status B000H")
            assert await running.steps(uid_of(1)) == {"pacs": ("delivered", "status B000H")}
            assert (await running.control.status()).destinations[0].delivered_here == 1
            assert pacs.received == [(uid_of(1), sending.data)]


async def test_small_objects_arrive_as_they_are(tmp_path: Path) -> None:
    async with Archive() as pacs:
        text = destination("pacs", pacs.port, "cut_through = true") + ROUTE
        head = HEAD.replace("[queue]", '[queue]\ndurability = "forwarded"')
        async with routing(write(tmp_path, text, head)) as running:
            objects = {uid_of(number): image(number).to_bytes() for number in range(1, 11)}
            assert await store(running.port, [image(number) for number in range(1, 11)]) == [0] * 10
            await pacs.got(*objects)
    assert dict(pacs.received) == objects


async def test_nothing_holds_an_object_when_it_is_delivered(tmp_path: Path) -> None:
    async with Archive() as pacs:
        text = destination("pacs", pacs.port, "cut_through = true") + ROUTE
        async with routing(write(tmp_path, text)) as running:
            objects = [large(1), image(2).to_bytes(), large(3)]
            assert await store(running.port, [Dataset.from_bytes(objects[0])]) == [0]
            await running.watch.saw("delivered", uid_of(1), "pacs")
            with no_garbage():
                assert await store(running.port, [Dataset.from_bytes(data) for data in objects[1:]]) == [0, 0]
                await running.watch.saw("delivered", uid_of(2), "pacs")
                await running.watch.saw("delivered", uid_of(3), "pacs")


async def test_one_that_the_sender_aborts_reaches_nobody(tmp_path: Path) -> None:
    async with Archive() as pacs:
        text = destination("pacs", pacs.port, "cut_through = true") + ROUTE
        async with routing(write(tmp_path, text)) as running:
            sending = Sending(running.port, 1)
            association = await sending.opening
            task = asyncio.create_task(sending.send(association))
            await soon(lambda: pacs.server.associations)
            association.abort()
            sending.more.set()
            with pytest.raises(AiodicomError):
                await task
            assert await store(running.port, [image(2)]) == [0]
            await pacs.got(uid_of(2))
            assert uid_of(1) not in pacs.uids
            assert await running.control.search(uid_of(1)) == []


async def test_one_that_the_destination_refuses_at_first_is_delivered_from_the_queue(tmp_path: Path) -> None:
    def refuse_once(request: aiodicom.StoreRequest) -> int:
        return 0xA700 if pacs.asked[request.affected_sop_instance_uid] == 1 else 0

    async with Archive(refuse_once) as pacs:
        text = destination("pacs", pacs.port, "cut_through = true") + ROUTE
        async with routing(write(tmp_path, text)) as running:
            assert await store(running.port, [Dataset.from_bytes(large(1))]) == [0]
            await pacs.got(uid_of(1))
            await running.watch.saw("delivered", uid_of(1))
            assert await running.steps(uid_of(1)) == {"pacs": ("delivered", "")}
    assert pacs.received == [(uid_of(1), large(1))]
