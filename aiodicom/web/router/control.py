"""The control of one process of a router, at a unix socket in its part of the queue: for its page and its commands."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from aiodicom.router.control import Meant
from aiodicom.router.queue.objects import QueueUnavailable
from aiodicom.web.metrics import metrics_route
from aiodicom.web.serving import serving_at

if TYPE_CHECKING:
    from aiodicom.router.control import Control
    from aiodicom.router.metering import MeteringObserver

__all__ = ["SOCKET", "controlling", "json_response"]

#: The name of the socket in the folder of a shard.
SOCKET: Final = "control.sock"


def controlling(
    control: Control,
    reload: Callable[[], Awaitable[tuple[str, ...]]],
    directory: str | os.PathLike[str],
    metering: MeteringObserver | None,
) -> AbstractAsyncContextManager[None]:
    """Serves the control of a process until the context is left. Raises OSError."""
    routes = list(_routes(control, reload))
    if metering is not None:
        routes.append(_metrics(control, metering))
    return serving_at(routes, os.path.join(directory, SOCKET))


def _metrics(control: Control, metering: MeteringObserver) -> web.RouteDef:
    """What is counted as it happens, and what is counted elsewhere at the moment."""

    async def update() -> None:
        metering.update(await control.status())

    return metrics_route(metering.registry, before=update)


def _routes(control: Control, reload: Callable[[], Awaitable[tuple[str, ...]]]) -> Iterable[web.RouteDef]:
    async def status(_request: web.Request) -> web.Response:
        return json_response(await control.status())

    async def queue(request: web.Request) -> web.Response:
        meant = Meant(destination=request.query.get("destination"), state=request.query.get("state"))
        limit = int(request.query.get("limit", 100))
        return json_response(await control.listed(meant.destination, meant.pending_state(), limit))

    async def search(request: web.Request) -> web.Response:
        return json_response(await control.search(request.query["text"]))

    async def change(request: web.Request) -> web.Response:
        meant = msgspec.json.decode(await request.read(), type=Meant)
        do = getattr(control, request.match_info["what"])
        return json_response({"changed": await do(meant)})

    async def again(_request: web.Request) -> web.Response:
        return json_response({"changed": await reload()})

    yield web.get("/status", _saying_what_is_wrong(status))
    yield web.get("/queue", _saying_what_is_wrong(queue))
    yield web.get("/search", _saying_what_is_wrong(search))
    yield web.post("/{what:retry|hold|release|drop}", _saying_what_is_wrong(change))
    yield web.post("/reload", _saying_what_is_wrong(again))


Handler = Callable[[web.Request], Awaitable[web.Response]]


def _saying_what_is_wrong(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except (ValueError, KeyError, msgspec.DecodeError) as error:
            return json_response({"error": str(error)}, status=400)
        except QueueUnavailable as error:
            return json_response({"error": str(error)}, status=503)

    return handle


def json_response(what: Any, status: int = 200) -> web.Response:
    """What msgspec makes of it."""
    return web.Response(body=msgspec.json.encode(what), status=status, content_type="application/json")
