"""The pages of a router, as its configuration has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from aiodicom.router.config.secrets import first_line
from aiodicom.web.router.client import ControlClient
from aiodicom.web.router.operations import health_routes, operations_routes
from aiodicom.web.serving import serving

if TYPE_CHECKING:
    from aiodicom.router.audit.auditing import Auditor
    from aiodicom.router.config.root import Config

__all__ = ["serving_pages"]


@asynccontextmanager
async def serving_pages(config: Config, auditor: Auditor | None) -> AsyncIterator[list[str]]:
    """Serves the page of operators, and metrics, for all processes of a router; gives a line on each for people.

    Raises OSError, LocalError.
    """
    client = ControlClient(config.queue.directory)
    lines = []
    async with AsyncExitStack() as stack:
        if config.operations is not None:
            token = first_line(config.operations.token_file)
            logged_in = (lambda _address, _right: None) if auditor is None else auditor.logged_in
            routes = [*operations_routes(client, token, logged_in), *health_routes(client)]
            page = await stack.enter_async_context(
                serving(
                    routes,
                    host=config.operations.host,
                    port=config.operations.port,
                    ssl=None if config.operations.tls is None else config.operations.tls.context(),
                )
            )
            lines.append(f"page at {page.url}/")
        if config.metrics is not None:
            metrics = await stack.enter_async_context(
                serving(health_routes(client), host=config.metrics.host, port=config.metrics.port)
            )
            lines.append(f"metrics at {metrics.url}/metrics")
        yield lines
