"""Bytes in an object store: what is asked of one that speaks S3, and what becomes of its failures."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from aiodicom.router.queue.objects import QueueUnavailable
from aiodicom.router.queue.postgres.store import ObjectStore
from aiodicom.router.queue.postgres.upkeep import Bytes
from tests.ports import free_port

S3 = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Bucket:
    """As much of S3 as one bucket needs."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.is_failing = False

    async def answer(self, request: web.Request) -> web.Response:
        key = request.path.removeprefix("/bucket").removeprefix("/")
        body = await request.read()
        if self.is_failing:
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        if request.method == "PUT":
            self.objects[key] = body
            return web.Response(headers={"ETag": '"1"'})
        if request.method == "POST":
            names = [each.decode() for each in re.findall(rb"<Key>(.*?)</Key>", body)]
            for name in names:
                self.objects.pop(name, None)
            deleted = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
            return web.Response(text=f"<DeleteResult {S3}>{deleted}</DeleteResult>", content_type="application/xml")
        if "list-type" in request.query:
            found = "".join(
                f"<Contents><Key>{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                f'<ETag>"1"</ETag><Size>{len(data)}</Size></Contents>'
                for name, data in sorted(self.objects.items())
                if name.startswith(request.query["prefix"])
            )
            text = f"<ListBucketResult {S3}><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
            return web.Response(text=text, content_type="application/xml")
        if key not in self.objects:
            return web.Response(status=404)
        start, end = map(int, re.findall(r"\d+", request.headers["Range"]))
        data = self.objects[key]
        headers = {
            "ETag": '"1"',
            "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
            "Content-Range": f"bytes {start}-{end}/{len(data)}",
        }
        return web.Response(status=206, body=data[start : end + 1], headers=headers)


@asynccontextmanager
async def s3(bucket: Bucket) -> AsyncIterator[ObjectStore]:
    """A store in it."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", bucket.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    options = {
        "aws_endpoint": f"http://127.0.0.1:{port}",
        "aws_region": "here",
        "aws_access_key_id": "key",
        "aws_secret_access_key": "secret",
    }
    store = ObjectStore("s3://bucket/queue", options, is_synced=True)
    try:
        yield store
    finally:
        await store.close()
        await runner.cleanup()


@pytest.mark.leaves_open  # the store keeps connections that it may use again
async def test_objects_in_s3() -> None:
    bucket = Bucket()
    async with s3(bucket) as store:
        for number in (0, 3000):
            await store.put(Bytes(7, number), memoryview(b"0123456789"))
        assert bucket.objects == {"queue/7/00/0": b"0123456789", "queue/7/02/3000": b"0123456789"}
        assert bytes(await store.read(Bytes(7, 3000), 2, 5)) == b"234"
        assert [numbers async for numbers in store.numbers(7)] == [[0, 3000]]
        with pytest.raises(FileNotFoundError):
            await store.read(Bytes(7, 1), 0, 5)
        await store.delete([Bytes(7, 0), Bytes(7, 1)])
        assert list(bucket.objects) == ["queue/7/02/3000"]
        bucket.is_failing = True
        with pytest.raises(QueueUnavailable, match="the object store cannot be used"):
            await store.put(Bytes(7, 2), b"x")
        with pytest.raises(QueueUnavailable):
            await store.read(Bytes(7, 3000), 2, 5)
        with pytest.raises(QueueUnavailable):
            await store.delete([Bytes(7, 3000)])
        with pytest.raises(QueueUnavailable):
            _ = [numbers async for numbers in store.numbers(7)]


async def test_a_folder_that_can_be_written_no_more(tmp_path: Path) -> None:
    store = ObjectStore((tmp_path / "with space").as_uri(), {}, is_synced=True)
    assert store.folder == str(tmp_path / "with space")
    await store.put(Bytes(1, 2), b"x")
    await store.delete([Bytes(1, 2), Bytes(1, 3)])
    assert [numbers async for numbers in store.numbers(1)] == []
    (tmp_path / "with space" / "2").write_bytes(b"")
    with pytest.raises(QueueUnavailable, match="the object store cannot be used"):
        await store.put(Bytes(2, 5), b"x")
    await store.close()
    with pytest.raises(ValueError, match="no object store"):
        ObjectStore("s3://bucket/queue", {"no_such_option": "x"}, is_synced=True)
