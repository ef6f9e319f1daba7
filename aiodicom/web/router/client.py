"""Asks and tells all processes of a running router, by the sockets in its queue."""

from __future__ import annotations

import glob
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from aiodicom.errors import LocalError, RemoteError
from aiodicom.router.control import Meant, ObjectWay, RouterStatus
from aiodicom.router.transformations.making import unknown
from aiodicom.web.router.control import SOCKET
from aiodicom.web.serving import short_path

__all__ = ["ControlClient", "NotRunning"]

#: Objects of a search that are told of.
_MOST_FOUND: Final = 100

Answer = TypeVar("Answer")


class NotRunning(LocalError):
    """No process of the router can be reached."""


class ControlClient:
    """The processes of a router whose queue is in `directory`; each is asked anew each time.

    Every call raises `NotRunning` where none can be reached, and `RemoteError` for what one of them refuses. Processes
    that end meanwhile are left out.
    """

    def __init__(self, directory: str | os.PathLike[str], timeout: float = 30.0) -> None:
        self._directory = os.fspath(directory)
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def status(self) -> list[RouterStatus]:
        """How it goes with each process."""
        return await self._ask("GET", "/status", RouterStatus)

    async def listed(self, meant: Meant, limit: int = 100) -> list[ObjectWay]:
        """What is pending, the oldest first."""
        await self._check(meant.destination)
        query = {"limit": str(limit)}
        query |= {name: value for name in ("destination", "state") if (value := getattr(meant, name)) is not None}
        found = await self._ask("GET", "/queue", list[ObjectWay], query=query)
        return sorted((way for ways in found for way in ways), key=lambda way: way.received)[:limit]

    async def search(self, text: str) -> list[ObjectWay]:
        """The ways of objects that a text names, the newest first."""
        found = await self._ask("GET", "/search", list[ObjectWay], query={"text": text})
        return sorted((way for ways in found for way in ways), key=lambda way: -way.received)[:_MOST_FOUND]

    async def change(self, what: str, meant: Meant) -> int:
        """Does ``retry``, ``hold``, ``release`` or ``drop`` with what is meant; returns how many deliveries changed."""
        await self._check(meant.destination)
        answers = await self._ask("POST", f"/{what}", dict[str, int], body=msgspec.json.encode(meant))
        return sum(answer["changed"] for answer in answers)

    async def _check(self, destination: str | None) -> None:
        """Raises RemoteError for a destination that no process knows, which would be held or looked at for nothing."""
        if destination is None:
            return
        known = {each.name for process in await self.status() for each in process.destinations}
        if destination not in known:
            raise RemoteError(unknown("destination", destination, sorted(known)))

    async def metrics(self) -> list[bytes]:
        """The metrics of each process, as Prometheus reads them."""
        return [text async for _, text in self._answers("GET", "/metrics", {}, None)]

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[Answer],
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> list[Answer]:
        return [
            msgspec.json.decode(text, type=kind) async for _, text in self._answers(method, path, query or {}, body)
        ]

    async def _answers(
        self, method: str, path: str, query: dict[str, str], body: bytes | None
    ) -> AsyncIterator[tuple[str, bytes]]:
        reached = False
        for socket in sorted(glob.glob(os.path.join(glob.escape(self._directory), "shard-*", SOCKET))):
            try:
                async with (
                    self._session(socket) as session,
                    session.request(method, f"http://router{path}", params=query, data=body) as response,
                ):
                    text = await response.read()
                    reached = True
                    if response.status != 200:
                        raise RemoteError(_reason(text, response.status))
                    yield socket, text
            except TimeoutError:
                raise RemoteError(f"{socket}: no answer within {self._timeout.total:g} s") from None
            except (aiohttp.ClientConnectionError, FileNotFoundError):
                continue  # it has ended, and left its socket
        if not reached:
            raise NotRunning(f"no router runs on the queue {self._directory} (start it: aiodicom route FILE)")

    @asynccontextmanager
    async def _session(self, socket: str) -> AsyncIterator[aiohttp.ClientSession]:
        with short_path(socket) as short:
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(short), timeout=self._timeout) as session:
                yield session


def _reason(text: bytes, status: int) -> str:
    try:
        said: Any = msgspec.json.decode(text)
        return str(said["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"the router answers {status}"
