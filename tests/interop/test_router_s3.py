"""A server that speaks S3 behind a router: as a destination, and as the store of a queue that nodes share."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import GenericError
from obstore.store import MemoryStore

from aiodicom import dcmread
from aiodicom.router.object_stores import reason_of
from aiodicom.router.queue.postgres.store import ObjectStore
from aiodicom.router.queue.postgres.upkeep import Bytes
from tests.router.running import image, routing, store, uid_of, write


@pytest.fixture(autouse=True, scope="module")
def _threads_of_obstore() -> None:
    """They stay for as long as the process does."""

    async def put() -> None:
        await obstore.put_async(MemoryStore(), "a", b"a")

    asyncio.run(put())


@pytest.fixture
def bucket(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a bucket, whose name is `archive`."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    _ask(moto, "PUT", "archive")
    return moto


def _ask(server: str, method: str, path: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(f"{server}/{path}", method=method), timeout=10) as response:
        return bytes(response.read())


def _configuration(server: str, url: str) -> str:
    options = f'{{ aws_endpoint = "{server}", aws_region = "us-east-1" }}'
    path = "incoming/{StudyInstanceUID}/{SOPInstanceUID}.dcm"
    return (
        f'[destinations.cloud]\ntype = "objects"\nurl = "{url}"\npath = "{path}"\noptions = {options}\n'
        '---\n[[routes]]\nto = ["cloud"]\n'
    )


async def test_objects_arrive_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    # The second one goes in several parts.
    images = [image(1), image(2, PixelData=bytes(12 << 20), Rows=2048, Columns=3072)]
    async with routing(write(tmp_path, _configuration(bucket, "s3://archive"))) as running:
        await store(running.port, images)
        await running.watch.until(lambda: running.watch.count("delivered") == 2)
    for sent in images:
        path = f"archive/incoming/{sent.StudyInstanceUID}/{sent.SOPInstanceUID}.dcm"
        (tmp_path / "got.dcm").write_bytes(await asyncio.to_thread(_ask, bucket, "GET", path))
        assert dcmread(tmp_path / "got.dcm").to_bytes() == sent.to_bytes()


async def test_a_bucket_that_is_not_there_costs_no_object(bucket: str, tmp_path: Path) -> None:
    async with routing(write(tmp_path, _configuration(bucket, "s3://missing"))) as running:
        await store(running.port, [image(1)])
        await running.watch.saw("left alone", "cloud")
        reason = "the object store: NoSuchBucket: The specified bucket does not exist"
        assert ("failed", uid_of(1), "cloud", reason) in running.watch.events
        assert await running.steps(uid_of(1)) == {"cloud": ("delayed", reason)}


def test_what_is_said_of_a_store_without_keys() -> None:
    error = GenericError(
        "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 4 ms\n\nmore"
    )
    assert reason_of(error).startswith("there are no keys for it, such as AWS_ACCESS_KEY_ID")
    assert (
        reason_of(GenericError("Generic S3 error: no connection\n\nDebug source:")) == "Generic S3 error: no connection"
    )


async def test_what_nodes_share(bucket: str) -> None:
    objects = ObjectStore("s3://archive/queue", {"aws_endpoint": bucket, "aws_region": "us-east-1"}, is_synced=True)
    places = [Bytes(7, number) for number in range(3)]
    for place in places:
        await objects.put(place, b"some bytes")
    assert bytes(await objects.read(places[0], 5, 10)) == b"bytes"
    await objects.delete([*places[:2], Bytes(7, 99)])
    assert [number async for numbers in objects.numbers(7) for number in numbers] == [2]
    with pytest.raises(FileNotFoundError):
        await objects.read(places[0], 0, 4)
    await objects.close()
