"""The destinations of a configuration, each with its deliverer, as configurations come and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aiodicom.router.config.destinations import DimseDestination
from aiodicom.router.delivery import Deliverer
from aiodicom.router.senders.dimse import DimseSender
from aiodicom.router.senders.making import make_sender
from aiodicom.services.storage_commitment import CommitmentListener

if TYPE_CHECKING:
    from aiodicom.net.pool import Pool
    from aiodicom.router.config.destinations import Destination
    from aiodicom.router.delivery import Deliveries
    from aiodicom.router.observing import Observer
    from aiodicom.router.transformations.pipeline import Pipeline

__all__ = ["Destinations"]

_log = logging.getLogger("aiodicom.router")


class Destinations:
    """Keeps a deliverer running for each destination."""

    def __init__(self, queue: Deliveries, pipeline_of: Callable[[str], Pipeline | None], observer: Observer) -> None:
        #: Hears of the storage commitments that destinations report.
        self.commitments = CommitmentListener()
        self._queue = queue
        self._pipeline_of = pipeline_of
        self._observer = observer
        self.deliverers: dict[str, Deliverer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        #: Deliverers that are stopping, and what was on its way with them.
        self._leaving: set[asyncio.Task[None]] = set()

    async def apply(self, wanted: Mapping[str, Destination], calling_aet: str) -> None:
        """Has these destinations delivered to. Those that are as they were are left alone; what is on its way to others
        comes to its end beside. Raises LocalError, OSError, ValueError: then all is as it was.
        """
        changed = {
            name: Deliverer(
                name,
                settings,
                self._queue,
                make_sender(settings, calling_aet, self.commitments),
                self._pipeline_of,
                self._observer,
            )
            for name, settings in wanted.items()
            if name not in self.deliverers or self.deliverers[name].settings != settings
        }
        for name in [name for name in self.deliverers if name in changed or name not in wanted]:
            self._see_out(name)
        for name, deliverer in changed.items():
            self.deliverers[name] = deliverer
            self._tasks[name] = asyncio.get_running_loop().create_task(self._keep(deliverer))

    def cut_through(self, name: str) -> Pool | None:
        """The associations with a destination, where objects may be forwarded to it now while they arrive."""
        deliverer = self.deliverers.get(name)
        if deliverer is None or not isinstance(deliverer.sender, DimseSender):
            return None
        settings = deliverer.settings
        is_wanted = isinstance(settings, DimseDestination) and settings.cut_through
        return deliverer.sender.pool if is_wanted and deliverer.is_free() else None

    async def _keep(self, deliverer: Deliverer) -> None:
        try:
            await deliverer.run()
        except Exception:
            _log.exception("%s is not delivered to any more, by a fault of ours", deliverer.name)

    def _see_out(self, name: str) -> None:
        self.deliverers.pop(name).stop()
        task = self._tasks.pop(name)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def close(self, timeout: float) -> None:
        """Begins nothing more, and returns when what is on its way has been settled; after `timeout` seconds it is
        given back, to be sent again.
        """
        for name in list(self.deliverers):
            self._see_out(name)
        if self._leaving:
            _, late = await asyncio.wait(self._leaving, timeout=timeout)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
