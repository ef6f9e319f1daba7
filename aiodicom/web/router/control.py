"""The control of one process of a router, at a unix socket in its part of the queue: for its page and its commands."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from aiodicom.router.control import names_of_states
from aiodicom.router.queue.objects import QueueUnavailable, Selection
from aiodicom.web.metrics import metrics_route
from aiodicom.web.serving import serving_at

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from aiodicom.router.control import Control

__all__ = ["SOCKET", "Meant", "controlling", "json_response"]

#: The name of the socket in the folder of a shard.
SOCKET: Final = "control.sock"


class Meant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deliveries somebody means; what is None says nothing."""

    destination: str | None = None
    state: str | None = None
    study: str | None = None
    object: int | None = None
    number: int | None = None
    #: Why something is dropped, for those who look later.
    reason: str = "dropped by an operator"

    def selection(self) -> Selection:
        """The same for the queue. Raises ValueError for a state that is none."""
        states = names_of_states()
        if self.state is not None and self.state not in states:
            raise ValueError(f"{self.state!r} is no state: {', '.join(states)}")
        state = None if self.state is None else states[self.state]
        return Selection(self.destination, state, self.study, self.object, self.number)


def controlling(
    control: Control,
    reload: Callable[[], Awaitable[tuple[str, ...]]],
    directory: str | os.PathLike[str],
    registry: CollectorRegistry | None,
) -> AbstractAsyncContextManager[None]:
    """Serves the control of a process until the context is left. Raises OSError."""
    routes = list(_routes(control, reload))
    if registry is not None:
        routes.append(metrics_route(registry))
    return serving_at(routes, os.path.join(directory, SOCKET))


def _routes(control: Control, reload: Callable[[], Awaitable[tuple[str, ...]]]) -> Iterable[web.RouteDef]:
    async def status(_request: web.Request) -> web.Response:
        return json_response(await control.status())

    async def queue(request: web.Request) -> web.Response:
        meant = Meant(destination=request.query.get("destination"), state=request.query.get("state")).selection()
        after, limit = int(request.query.get("after", 0)), int(request.query.get("limit", 100))
        return json_response(await control.listed(meant.destination, meant.state, after, limit))

    async def search(request: web.Request) -> web.Response:
        return json_response(await control.search(request.query["text"]))

    async def change(request: web.Request) -> web.Response:
        meant = msgspec.json.decode(await request.read(), type=Meant)
        selection = meant.selection()
        match request.match_info["what"]:
            case "retry":
                changed = await control.retry(selection)
            case "hold":
                changed = await control.hold(selection)
            case "release":
                changed = await control.release(selection)
            case _:
                changed = await control.drop(selection, meant.reason)
        return json_response({"changed": changed})

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
