"""Objects to folders, object stores and web services, changed on their way or not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aiodicom import dcmread
from aiodicom.dataset import Dataset
from aiodicom.router.outcomes import Fault, outcome_of
from aiodicom.store.records import DamagedRecord
from aiodicom.web.serving import serving
from tests.router.running import IMPATIENT, Archive, destination, image, routing, store, uid_of, write

pytest.importorskip("obstore")


@pytest.fixture(autouse=True, scope="module")
def _threads_of_obstore() -> None:
    """They stay for as long as the process does."""
    import obstore
    from obstore.store import MemoryStore

    async def put() -> None:
        await obstore.put_async(MemoryStore(), "a", b"a")

    asyncio.run(put())


BODY = '---\n[[routes]]\nto = ["there"]\n'


def line(kind: str, rest: str) -> str:
    return f'destinations.there = {{ type = "{kind}", {rest}, {IMPATIENT} }}\n'


async def test_files_in_a_folder(tmp_path: Path) -> None:
    path = f"{tmp_path}/out/{{StudyInstanceUID}}/{{SOPInstanceUID}}.dcm"
    async with routing(write(tmp_path, line("folder", f'path = "{path}"') + BODY)) as running:
        await store(running.port, [image(1), image(2, study=2)])
        await running.watch.until(lambda: running.watch.count("delivered") == 2)
    for number, study in ((1, 1), (2, 2)):
        found = dcmread(tmp_path / "out" / f"1.2.3.{study}" / f"{uid_of(number, study)}.dcm")
        assert found.to_bytes() == image(number, study=study).to_bytes()


async def test_objects_in_an_object_store(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    rest = f'url = "file://{tmp_path}/bucket", path = "{{SOPInstanceUID}}"'
    async with routing(write(tmp_path, line("objects", rest) + BODY)) as running:
        await store(running.port, [image(1)])
        await running.watch.saw("delivered", uid_of(1))
    assert dcmread(tmp_path / "bucket" / uid_of(1)).to_bytes() == image(1).to_bytes()


async def test_an_object_store_that_cannot_be_written_to_costs_no_object(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "sub").write_text("a file where a folder should be")
    rest = f'url = "file://{tmp_path}/bucket", path = "sub/{{SOPInstanceUID}}"'
    async with routing(write(tmp_path, line("objects", rest) + BODY)) as running:
        await store(running.port, [image(1)])
        await running.watch.saw("left alone", "there")
        assert not running.watch.count("dead")
        (tmp_path / "bucket" / "sub").unlink()
        await running.watch.saw("delivered", uid_of(1))


def test_damage_of_the_queue_is_no_fault_of_a_destination() -> None:
    assert outcome_of(DamagedRecord(5, "damaged")).fault is Fault.HOPELESS


class Origin:
    """A web service that takes what it is told to take."""

    def __init__(self) -> None:
        self.requests: list[int] = []
        self.authorizations: set[str] = set()
        self.status = 200
        self.poison = b"\0"

    async def store(self, request: web.Request) -> web.Response:
        body = b"".join([piece async for piece in request.content.iter_any()])
        self.authorizations.add(request.headers.get("Authorization", ""))
        self.requests.append(body.count(b"DICM"))
        if self.poison in body:
            return web.Response(status=400, text="no")
        return web.Response(status=self.status)


async def test_several_objects_by_one_request_and_with_a_token(tmp_path: Path) -> None:
    origin = Origin()
    origin.poison = b"no such bytes"
    (tmp_path / "token").write_text("secret\n")
    async with serving([web.post("/dicom-web/studies", origin.store)]) as page:
        rest = f'url = "{page.url}/dicom-web", token_file = "token", batch = 10, requests = 1, hold = true'
        async with routing(write(tmp_path, line("stow", rest) + BODY)) as running:
            await store(running.port, [image(number) for number in range(1, 21)])
            await running.router.queue.release(_selection())
            await running.watch.until(lambda: running.watch.count("delivered") == 20)
    assert origin.requests == [10, 10]
    assert origin.authorizations == {"Bearer secret"}


def _selection() -> Any:
    from aiodicom.router.queue.objects import Selection

    return Selection("there")


async def test_one_object_of_a_request_that_is_refused_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    origin = Origin()
    origin.poison = b"POISON"
    async with serving([web.post("/studies", origin.store)]) as page:
        rest = f'url = "{page.url}", batch = 10, requests = 1, hold = true'
        text = line("stow", rest).replace("jitter = 0.0", "jitter = 0.0, attempts = 2")
        async with routing(write(tmp_path, text + BODY)) as running:
            await store(running.port, [image(number) for number in range(1, 6)] + [image(6, PatientComments="POISON")])
            await running.router.queue.release(_selection())
            await running.watch.saw("dead", uid_of(6))
            assert running.watch.count("delivered") == 5


async def test_no_token_is_no_fault_of_an_object(tmp_path: Path) -> None:
    origin = Origin()
    origin.poison = b"no such bytes"
    (tmp_path / "token").write_text("secret\n")
    async with serving([web.post("/studies", origin.store)]) as page:
        path = write(tmp_path, line("stow", f'url = "{page.url}", token_file = "token"') + BODY)
        async with routing(path) as running:
            (tmp_path / "token").unlink()
            await store(running.port, [image(1)])
            await running.watch.saw("left alone", "there")
            assert "there is no token" in str(running.watch.events)
            (tmp_path / "token").write_text("secret\n")
            await running.watch.saw("delivered", uid_of(1))


async def test_changed_on_the_way_for_one_destination_alone(tmp_path: Path) -> None:
    text = """---
[[routes]]
to = ["research"]
name = "anonymous"
transformations = [
  { type = "deidentify", profile = "basic" },
  { type = "transcode", to = "rle-lossless" },
]
[[routes]]
to = ["pacs"]
[deidentify.basic]
key_file = "key"
"""
    from aiodicom.deidentify import write_new_key

    write_new_key(tmp_path / "key")
    async with Archive() as research, Archive() as pacs:
        lines = destination("research", research.port) + destination("pacs", pacs.port)
        async with routing(write(tmp_path, lines + text)) as running:
            await store(running.port, [image(1)])
            await research.until(lambda: research.received)
            await pacs.got(uid_of(1))
    ((uid, data),) = research.received
    assert uid != uid_of(1)
    assert b"Doe^Jane" not in data
    assert pacs.received == [(uid_of(1), image(1).to_bytes())]


async def test_a_large_object_is_changed_and_sent(tmp_path: Path) -> None:
    text = """---
[[routes]]
to = ["pacs"]
transformations = [{ type = "set", values = { InstitutionName = "Elsewhere" } }]
"""
    one = image(1, Rows=3000, Columns=1500)
    one.PixelData = bytes(range(256)) * (9_000_000 // 256)
    one = Dataset.from_bytes(one.to_bytes())
    async with Archive() as pacs, routing(write(tmp_path, destination("pacs", pacs.port) + text)) as running:
        await store(running.port, [one])
        await pacs.got(uid_of(1))
    sent = Dataset.from_bytes(pacs.received[0][1])
    assert sent.InstitutionName == "Elsewhere"
    assert bytes(sent.PixelData) == bytes(one.PixelData)
