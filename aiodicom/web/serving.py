"""Serving HTTP as long as something runs."""

from __future__ import annotations

import os
import socket
import ssl as tls
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from aiodicom.net.sockets import bind

__all__ = ["Listening", "serving", "serving_at", "short_path"]

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
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@asynccontextmanager
async def serving(
    routes: Iterable[web.AbstractRouteDef],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl: tls.SSLContext | None = None,
    middlewares: Sequence[Middleware] = (),
) -> AsyncIterator[Listening]:
    """Serves `routes` on this event loop until the context is left; port 0 takes a free one. Raises OSError.

    When it is left, answers that have begun may end within seconds; cancelling that closes their connections at once.
    """
    sockets = await bind(host, port, _BACKLOG)
    async with _running(routes, sockets, ssl, middlewares):
        yield Listening(host, sockets[0].getsockname()[1], "http" if ssl is None else "https")


@asynccontextmanager
async def serving_at(routes: Iterable[web.AbstractRouteDef], path: str) -> AsyncIterator[None]:
    """Serves `routes` at a unix socket that this user alone may open, in place of what was there. Raises OSError.

    As `serving`. The socket's file is removed at the end.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
        with short_path(path) as short:
            sock.bind(short)
        os.chmod(path, 0o600)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    try:
        async with _running(routes, [sock], None, ()):
            yield
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


@contextmanager
def short_path(path: str) -> Iterator[str]:
    """A name of a unix socket for as long as it is needed: the address of one has room for some hundred bytes, and
    folders may be deep. Raises OSError.
    """
    folder, name = os.path.split(path)
    descriptor = os.open(folder or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


@asynccontextmanager
async def _running(
    routes: Iterable[web.AbstractRouteDef],
    sockets: Sequence[socket.socket],
    ssl: tls.SSLContext | None,
    middlewares: Sequence[Middleware],
) -> AsyncIterator[None]:
    application = web.Application(client_max_size=_MOST_BODY, middlewares=middlewares)
    application.add_routes(routes)
    runner = web.AppRunner(
        application, access_log=None, handle_signals=False, keepalive_timeout=_IDLE, shutdown_timeout=_GRACE
    )
    try:
        await runner.setup()
        for sock in sockets:
            await web.SockSite(runner, sock, ssl_context=ssl).start()
        yield
    finally:
        await runner.cleanup()
        for sock in sockets:
            sock.close()
