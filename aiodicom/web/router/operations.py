"""The page of those who look after a router, what it asks for, and what other programs ask for: metrics, readiness."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from importlib.resources import files
from typing import Final

import msgspec
from aiohttp import web

from aiodicom.errors import RemoteError
from aiodicom.web.router.client import ControlClient, NotRunning
from aiodicom.web.router.control import Meant, json_response

__all__ = ["Attempts", "health_routes", "operations_routes"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Hears of who has shown a token: the address, and whether it was the right one.
LoggedIn = Callable[[str, bool], None]

_FILES: Final = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Attempts:
    """Wrong tokens by address: after `most` within `seconds` an address has to wait. It is told the time."""

    def __init__(self, most: int = 10, seconds: float = 60.0, addresses: int = 10_000) -> None:
        self._most = most
        self._seconds = seconds
        self._addresses = addresses
        #: When the first wrong token came, and how many have.
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def may_try(self, address: str, now: float) -> bool:
        """Whether an address may show another token."""
        since, count = self._wrong.get(address, (now, 0))
        return count < self._most or now - since >= self._seconds

    def failed(self, address: str, now: float) -> None:
        """It was the wrong one."""
        since, count = self._wrong.pop(address, (now, 0))
        self._wrong[address] = (now, 1) if now - since >= self._seconds else (since, count + 1)
        while len(self._wrong) > self._addresses:
            self._wrong.popitem(last=False)


def operations_routes(client: ControlClient, token: str, logged_in: LoggedIn) -> Iterable[web.RouteDef]:
    """The page, and its API behind the token."""
    attempts = Attempts()

    def guarded(handler: Handler, *, is_login: bool = False) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            address, now = request.remote or "", time.monotonic()
            if not attempts.may_try(address, now):
                return json_response({"error": "too many wrong tokens: wait a minute"}, 429)
            shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(shown.encode(), token.encode()):
                attempts.failed(address, now)
                logged_in(address, False)
                return json_response({"error": "this is not the token"}, 401)
            if is_login:
                logged_in(address, True)
            try:
                return await handler(request)
            except NotRunning as error:
                return json_response({"error": str(error)}, 503)
            except (RemoteError, ValueError, KeyError, msgspec.DecodeError) as error:
                return json_response({"error": str(error)}, 400)

        return handle

    async def login(_request: web.Request) -> web.Response:
        return json_response({})

    async def status(_request: web.Request) -> web.Response:
        return json_response(await client.status())

    async def queue(request: web.Request) -> web.Response:
        meant = Meant(destination=request.query.get("destination"), state=request.query.get("state"))
        after, limit = int(request.query.get("after", 0)), int(request.query.get("limit", 100))
        return json_response(await client.listed(meant, after, limit))

    async def search(request: web.Request) -> web.Response:
        return json_response(await client.search(request.query["text"]))

    async def change(request: web.Request) -> web.Response:
        meant = msgspec.json.decode(await request.read(), type=Meant)
        return json_response({"changed": await client.change(request.match_info["what"], meant)})

    yield from (web.get(path, _file(*found)) for path, found in _FILES.items())
    yield web.post("/api/login", guarded(login, is_login=True))
    yield web.get("/api/status", guarded(status))
    yield web.get("/api/queue", guarded(queue))
    yield web.get("/api/search", guarded(search))
    yield web.post("/api/{what:retry|hold|release|drop}", guarded(change))


def _file(name: str, content_type: str) -> Handler:
    text = files(__package__).joinpath(name).read_text("utf-8")

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type, headers=_HEADERS)

    return answer


def health_routes(client: ControlClient) -> Iterable[web.RouteDef]:
    """``/livez``: whether this process answers; ``/readyz``: whether the router takes objects; ``/metrics`` of all its
    processes. Without a token.
    """

    async def live(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_request: web.Request) -> web.Response:
        try:
            processes = await client.status()
        except (NotRunning, RemoteError) as error:
            return web.Response(text=f"{error}\n", status=503)
        if all(each.disk_full for each in processes):
            return web.Response(text="the queue's disk is nearly full\n", status=503)
        return web.Response(text="ok\n")

    async def metrics(_request: web.Request) -> web.Response:
        from aiodicom.web.router.metrics import added

        try:
            body = added(await client.metrics())
        except (NotRunning, RemoteError) as error:
            return web.Response(text=f"# {error}\n", status=503)
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    yield web.get("/livez", live)
    yield web.get("/readyz", ready)
    yield web.get("/metrics", metrics)
