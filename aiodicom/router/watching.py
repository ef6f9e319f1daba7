"""Who watches a router: audit trail, metrics, traces, as the configuration has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from aiodicom.errors import LocalError

if TYPE_CHECKING:
    from aiodicom.router.audit.auditing import Auditor
    from aiodicom.router.metering import MeteringObserver
    from aiodicom.router.router import Router

__all__ = ["Watchers", "watching"]


class Watchers:
    """Those that there are."""

    def __init__(self, auditor: Auditor | None = None, metering: MeteringObserver | None = None) -> None:
        self.auditor = auditor
        self.metering = metering


@asynccontextmanager
async def watching(router: Router) -> AsyncIterator[Watchers]:
    """Has a router watched that starts after this and ends before it, so that nothing is missed. Raises LocalError,
    OSError; LocalError too for what is not installed.
    """
    config = router.config
    watchers = Watchers()
    async with AsyncExitStack() as stack:
        if config.audit is not None:
            from aiodicom.router.audit.auditing import auditing

            watchers.auditor = await stack.enter_async_context(auditing(config.audit, config.ae_titles))
            router.observers.add(watchers.auditor)
        if config.metrics is not None:
            try:
                from aiodicom.router.metering import MeteringObserver
            except ModuleNotFoundError:
                raise LocalError("metrics need more packages: pip install 'aiodicom[metrics]'") from None
            watchers.metering = MeteringObserver()
            router.observers.add(watchers.metering)
        if config.tracing is not None:
            try:
                from aiodicom.router.tracing import TracingObserver, tracer_of
            except ModuleNotFoundError:
                raise LocalError("tracing needs more packages: pip install 'aiodicom[tracing]'") from None
            tracer, end = tracer_of(config.tracing)
            stack.push_async_callback(asyncio.to_thread, end)
            router.observers.add(TracingObserver(tracer, config.tracing.ratio))
        yield watchers
