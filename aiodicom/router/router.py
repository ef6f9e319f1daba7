"""One process of a router: what it listens on, its part of the queue, what it delivers."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from aiodicom.errors import AiodicomError
from aiodicom.router.completing import Completions
from aiodicom.router.config.queueing import Duplicates, Durability
from aiodicom.router.config.reloading import reload
from aiodicom.router.destinations import Destinations
from aiodicom.router.equipment import Equipment
from aiodicom.router.forwarded import Forwarding
from aiodicom.router.intake import Intake
from aiodicom.router.listening import Listeners
from aiodicom.router.observing import Observers
from aiodicom.router.queue.local import LocalQueue, QueueSettings
from aiodicom.router.queue.objects import Duplicates as QueueDuplicates
from aiodicom.router.queue.objects import Selection
from aiodicom.router.queue.space import Watermarks, space_of
from aiodicom.router.routing import Routing

if TYPE_CHECKING:
    from aiodicom.net.server import Server
    from aiodicom.router.config.root import Config
    from aiodicom.router.transformations.pipeline import Pipeline

__all__ = ["Router"]

_log = logging.getLogger("aiodicom.router")

_DUPLICATES: Final = {Duplicates.DROP: QueueDuplicates.DROP, Duplicates.KEEP: QueueDuplicates.FORWARD}

#: Seconds that associations and deliveries have to come to their end.
_DRAIN: Final = 30.0


class Router:
    """To be entered, which opens its queue and listens; leaving it drains.

    `shard`: the folder of its part of the queue, below the queue's directory. `sockets`: those that are bound already.
    """

    def __init__(
        self,
        config: Config,
        *,
        path: str | os.PathLike[str] | None = None,
        shard: str = "shard-000",
        sockets: Mapping[tuple[str, int], socket.socket] | None = None,
    ) -> None:
        self.config = config
        self._path = path
        self.shard = shard
        #: The folder of its part of the queue.
        self.directory = os.path.join(config.queue.directory, shard)
        self._sockets = sockets or {}
        self._routing = Routing(config)
        #: Why the configuration that was read last is not used, a line each.
        self.problems: tuple[str, ...] = ()
        self.observers = Observers()
        self.queue: LocalQueue
        self.intake: Intake
        self.completions: Completions
        self.destinations: Destinations
        self.equipment: Equipment
        self.listeners: Listeners

    async def __aenter__(self) -> Self:
        settings = self.config.queue
        directory = self.directory
        os.makedirs(directory, exist_ok=True)
        watermarks = Watermarks(lambda: space_of(directory), refuse=settings.refuse_below, resume=settings.resume_above)
        self.queue = await LocalQueue.open(
            directory,
            QueueSettings(history=settings.remember),
            watermarks,
            duplicates=_DUPLICATES[settings.duplicates],
            segment_size=settings.segment_size,
            is_synced=settings.durability in (Durability.SYNCED, Durability.FORWARDED),
        )
        forwarding = Forwarding()
        self.observers.add(forwarding)
        self.intake = Intake(
            self.queue,
            lambda: self._routing,
            settings,
            self.observers,
            forwarding,
            drops_unrouted=lambda: self.config.unrouted == "drop",
        )
        self.completions = Completions(self.queue)
        self.observers.add(self.completions)
        self.destinations = Destinations(self.queue, self.pipeline_of, self.observers)
        self.equipment = Equipment(
            self.queue,
            self.destinations.commitments,
            queried=self.observers.queried,
            performed=self.completions.performed,
        )
        self.listeners = Listeners(self._equip, self.observers, self._sockets)
        try:
            await self.completions.start(self._routing.completions)
            await self._apply(self.config)
            await self.equipment.resume()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def pipeline_of(self, route: str) -> Pipeline | None:
        """What a route makes of objects. Raises KeyError where there is no such route any more."""
        return self._routing.pipeline_of(route)

    def _equip(self, server: Server) -> None:
        self.intake.attach(server)
        self.equipment.equip(server)

    async def _apply(self, config: Config, before: Config | None = None) -> None:
        await self.destinations.apply(config.destinations, config.calling_aet)
        for name, destination in config.destinations.items():
            if destination.hold:
                await self.queue.hold(Selection(name))
        anew = before is None or _equipment_of(before) != _equipment_of(config)
        if anew:
            await self.equipment.apply(config, self.directory)
        await self.listeners.apply(config.listeners, _DRAIN, anew=anew)

    async def reload(self) -> tuple[str, ...]:
        """Reads the configuration again and goes by it, associations staying open; returns the keys that have changed.

        One that is wrong changes nothing: `problems` says why.
        """
        assert self._path is not None, "a configuration that is no file cannot be read again"
        reloaded = reload(self._path, self.config)
        self.problems = reloaded.problems
        for problem in reloaded.problems:
            _log.error("the configuration stays as it was: %s", problem)
        if not reloaded.changed:
            return ()
        try:
            routing = Routing(reloaded.config)
            await self._apply(reloaded.config, self.config)
        except (AiodicomError, OSError, ValueError) as error:
            self.problems = (str(error),)
            _log.error("the configuration stays as it was: %s", error)
            await self._apply(self.config, reloaded.config)
            return ()
        self.config = reloaded.config
        self._routing = routing
        self.completions.apply(routing.completions)
        _log.info("the configuration has changed: %s", ", ".join(reloaded.changed))
        return reloaded.changed

    async def close(self) -> None:
        """Listens no more, lets what has begun come to its end, and closes the queue."""
        await self.listeners.close(_DRAIN)
        await self.equipment.close()
        await self.completions.close()
        await self.destinations.close(_DRAIN)
        await self.queue.close()


def _equipment_of(config: Config) -> object:
    """What listeners are equipped by: when it changes, they are opened anew."""
    return config.pass_through, config.queue.commitment, config.destinations
