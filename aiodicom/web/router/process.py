"""One process of a router with all that belongs to it: its control, and who watches it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import aiodicom
from aiodicom.router.control import Control
from aiodicom.router.router import Router
from aiodicom.router.watching import watching
from aiodicom.web.router.control import controlling

if TYPE_CHECKING:
    from aiodicom.router.config.root import Config
    from aiodicom.router.listening import Sockets
    from aiodicom.router.watching import Watchers

__all__ = ["Process", "ProcessSettings", "running"]


#: Seconds after which a thread that works in Python leaves its place to one that waits for it.
_TURN: Final = 0.0005


class ProcessSettings(NamedTuple):
    """What a process goes by."""

    config: Config
    #: The file of the configuration, to read it again.
    path: str
    #: Called first in each process that is begun for this, such as to set up its log; it has to be picklable.
    prepare: Callable[[], None] | None = None


class Process(NamedTuple):
    """What runs."""

    router: Router
    watchers: Watchers


@asynccontextmanager
async def running(settings: ProcessSettings, sockets: Sockets | None = None) -> AsyncIterator[Process]:
    """Runs a process of a router until the context is left, which drains it.

    Raises LocalError, OSError, sqlite3.Error.
    """
    # The threads of the queue have turns of microseconds: they are not to wait for the event loop as long as usual.
    sys.setswitchinterval(_TURN)
    async with AsyncExitStack() as stack:
        router = Router(settings.config, path=settings.path, sockets=sockets)
        watchers = await stack.enter_async_context(watching(router))
        await stack.enter_async_context(router)
        control = Control(router, aiodicom.__version__, os.getpid())
        await stack.enter_async_context(controlling(control, router.reload, router.directory, watchers.metering))
        gc.freeze()  # what is there so far stays: collections need not look at it among many objects
        yield Process(router, watchers)
