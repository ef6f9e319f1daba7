"""Who watches a router: audit trail, metrics, traces, as the configuration has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from aiodicom.errors import LocalError

if TYPE_CHECKING:
    from aiodicom.router.audit.auditing import Auditor
    from aiodicom.router.control import Control
    from aiodicom.router.metering import MeteringObserver
    from aiodicom.router.router import Router

__all__ = ["Watchers", "watching"]

#: Seconds between looks at what is counted elsewhere.
_LOOK: Final = 5.0


class Watchers:
    """Those that there are."""

    def __init__(self, auditor: Auditor | None = None, metering: MeteringObserver | None = None) -> None:
        self.auditor = auditor
        self.metering = metering


@asynccontextmanager
async def watching(router: Router, control: Control) -> AsyncIterator[Watchers]:
    """Has a router watched from its start to its end. Raises LocalError, OSError; LocalError too for what is not
    installed.
    """
    config = router.config
    watchers = Watchers()
    async with AsyncExitStack() as stack:
        if config.audit is not None:
            from aiodicom.router.audit.auditing import auditing

            titles = tuple(str(title) for listener in config.listeners for title in listener.ae_titles)
            watchers.auditor = await stack.enter_async_context(auditing(config.audit, titles))
            router.observers.add(watchers.auditor)
        if config.metrics is not None:
            try:
                from aiodicom.router.metering import MeteringObserver
            except ModuleNotFoundError:
                raise LocalError("metrics need more packages: pip install 'aiodicom[metrics]'") from None
            watchers.metering = MeteringObserver()
            router.observers.add(watchers.metering)
            await stack.enter_async_context(_updating(watchers.metering, control))
        if config.tracing is not None:
            try:
                from aiodicom.router.tracing import TracingObserver, tracer_of
            except ModuleNotFoundError:
                raise LocalError("tracing needs more packages: pip install 'aiodicom[metrics]'") from None
            tracer, end = tracer_of(config.tracing)
            stack.callback(end)
            router.observers.add(TracingObserver(tracer, config.tracing.ratio))
        yield watchers


@asynccontextmanager
async def _updating(metering: MeteringObserver, control: Control) -> AsyncIterator[None]:
    async def update() -> None:
        while True:
            metering.update(await control.status())
            await asyncio.sleep(_LOOK)

    task = asyncio.get_running_loop().create_task(update())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
