"""STOW-RS against an origin server of aiohttp's: what is sent, and what becomes of every answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from aiodicom.dicomweb.multipart import Part, Related
from aiodicom.dicomweb.stow import StoreResponse, StowClient, WebInstance
from aiodicom.errors import ConnectFailed, DeadlineExceeded, LocalError, ProtocolViolation, WebRefused

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def origin(answer: Answer) -> AsyncIterator[str]:
    application = web.Application(client_max_size=1 << 30)
    application.router.add_post("/dicom-web/studies", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/dicom-web"
    finally:
        await runner.cleanup()


def instance(uid: str, content: bytes) -> WebInstance:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    return WebInstance(uid, len(content), pieces)


def told(referenced: dict[str, int], failed: dict[str, int]) -> str:
    def item(uid: str, tag: str, reason: int) -> dict[str, object]:
        named: dict[str, object] = {"00081155": {"vr": "UI", "Value": [uid]}}
        return named | ({tag: {"vr": "US", "Value": [reason]}} if reason else {})

    return json.dumps(
        {
            "00081199": {"vr": "SQ", "Value": [item(uid, "00081196", reason) for uid, reason in referenced.items()]},
            "00081198": {"vr": "SQ", "Value": [item(uid, "00081197", reason) for uid, reason in failed.items()]},
        }
    )


async def test_what_is_sent_is_multipart_of_a_known_length() -> None:
    contents = {"1.2.3": b"DICM" * 700, "1.2.4": b"\r\n--" * 3}
    got: list[bytes] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Content-Type"].startswith('multipart/related; type="application/dicom"; boundary=')
        assert request.headers["Accept"] == "application/dicom+json"
        assert "Transfer-Encoding" not in request.headers
        async for part in await request.multipart():
            assert part.headers["Content-Type"] == "application/dicom"
            got.append(bytes(await part.read()))
        return web.Response(text=told(dict.fromkeys(contents, 0), {}), content_type="application/dicom+json")

    async with origin(answer) as url, StowClient(url) as client:
        response = await client.store([instance(uid, content) for uid, content in contents.items()])
    assert got == list(contents.values())
    assert response == StoreResponse(frozenset(contents))


async def test_warnings_and_failures_are_told_apart() -> None:
    async def answer(_request: web.Request) -> web.Response:
        text = told({"1.1": 0, "1.2": 0xB000}, {"1.3": 0xA700})
        return web.Response(status=202, text=text, content_type="application/dicom+json")

    async with origin(answer) as url, StowClient(url) as client:
        response = await client.store([instance(uid, b"x") for uid in ("1.1", "1.2", "1.3")])
    assert response == StoreResponse(frozenset({"1.1"}), {"1.2": 0xB000}, {"1.3": 0xA700})


@pytest.mark.parametrize(
    ("status", "transient"),
    [(400, False), (401, False), (415, False), (429, True), (500, True), (501, False), (503, True)],
)
async def test_a_refusal_says_whether_it_may_succeed_later(status: int, transient: bool) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="no\nroom", headers={"Retry-After": "17"})

    async with origin(answer) as url, StowClient(url) as client:
        with pytest.raises(WebRefused, match=f"{status} .*no room") as refused:
            await client.store([instance("1.2", b"x")])
    assert refused.value.is_transient is transient
    assert refused.value.retry_after == 17


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"00081199": 3}', told({"9.9": 0}, {}), "[" * 100_000])
async def test_an_answer_that_says_nothing_of_an_instance_is_no_success(text: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/dicom+json")

    async with origin(answer) as url, StowClient(url) as client:
        with pytest.raises(ProtocolViolation):
            await client.store([instance("1.2", b"x")])


async def test_an_answer_without_end_is_not_read_to_it() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse()
        response.content_type = "application/dicom+json"
        await response.prepare(request)
        try:
            for _ in range(100):
                await response.write(b" " * 100_000)
        except ConnectionError:
            pass
        return response

    async with origin(answer) as url, StowClient(url) as client:
        with pytest.raises(ProtocolViolation, match="more than 4 MiB"):
            await client.store([instance("1.2", b"x")])


async def test_a_token_is_asked_for_again_when_it_has_expired() -> None:
    tokens = iter(("first", "second"))
    valid = "first"

    async def authorize() -> str:
        return f"Bearer {next(tokens)}"

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        if request.headers["Authorization"] != f"Bearer {valid}":
            return web.Response(status=401)
        return web.Response(text=told({"1.2": 0}, {}), content_type="application/dicom+json")

    async with origin(answer) as url, StowClient(url, authorize=authorize) as client:
        await client.store([instance("1.2", b"x")])
        valid = "second"
        await client.store([instance("1.2", b"x")])
    assert not list(tokens)


async def test_nobody_there(port: int) -> None:
    async with StowClient(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(ConnectFailed):
            await client.store([instance("1.2", b"x")])


async def test_no_answer() -> None:
    gone = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await gone.wait()
        return web.Response()

    async with origin(answer) as url:
        async with StowClient(url, timeout=0.05) as client:
            with pytest.raises(DeadlineExceeded):
                await client.store([instance("1.2", b"x")])
        gone.set()


def test_what_can_be_no_server_is_refused() -> None:
    with pytest.raises(LocalError, match="http"):
        StowClient("ftp://somewhere")


def test_a_body_without_parts_is_none() -> None:
    with pytest.raises(ValueError, match="part"):
        Related([])
    assert Related([Part("text/plain", 0, lambda: instance("1", b"").content())]).size > 0
