"""Serving HTTP as long as something runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from aiodicom.net.sockets import bind

__all__ = ["Listening", "serving"]

#: Bytes of a request's body: none is wanted.
_MOST_BODY = 1 << 16
#: Seconds that a connection without a request is kept, and that an answer may take when serving ends.
_IDLE = 60.0
_GRACE = 2.0
#: Connections that may wait to be accepted.
_BACKLOG = 16


@dataclass(frozen=True, slots=True)
class Listening:
    """Where it is served."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@asynccontextmanager
async def serving(
    routes: Iterable[web.AbstractRouteDef], *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Listening]:
    """Serves `routes` on this event loop until the context is left; port 0 takes a free one. Raises OSError.

    When it is left, answers that have begun may end within seconds; cancelling that closes their connections at once.
    """
    application = web.Application(client_max_size=_MOST_BODY)
    application.add_routes(routes)
    runner = web.AppRunner(
        application, access_log=None, handle_signals=False, keepalive_timeout=_IDLE, shutdown_timeout=_GRACE
    )
    sockets = await bind(host, port, _BACKLOG)
    try:
        await runner.setup()
        for sock in sockets:
            await web.SockSite(runner, sock).start()
        yield Listening(host, sockets[0].getsockname()[1])
    finally:
        await runner.cleanup()
        for sock in sockets:
            sock.close()
