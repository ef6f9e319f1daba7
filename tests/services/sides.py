"""What the tests of services share: an association with a server that has a service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiodicom


@asynccontextmanager
async def served(
    *services: Any, contexts: Iterable[str], destinations: Any = None, **options: Any
) -> AsyncIterator[tuple[aiodicom.Server, aiodicom.Association]]:
    """A server with these services, and an association with it."""
    server = aiodicom.Server(ae_title="SCP", destinations=destinations)
    for service in services:
        service.attach(server)
    async with (
        server.listen("127.0.0.1", 0) as listening,
        aiodicom.connect(
            "127.0.0.1", listening.port, called_aet="SCP", calling_aet="SCU", contexts=list(contexts), **options
        ) as association,
    ):
        yield server, association
    for service in services:
        if hasattr(service, "close"):
            await service.close()


def hearing(function: Callable[..., None], kind: str) -> Callable[..., Any]:
    """A function of the embedder's that is told something: as it is, or ``async``."""

    async def asynchronous(*arguments: Any) -> None:
        await asyncio.sleep(0)
        function(*arguments)

    return function if kind == "plain" else asynchronous
