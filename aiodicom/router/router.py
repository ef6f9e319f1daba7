"""One process of a router: what it listens on, its part of the queue, what it delivers."""

from __future__ import annotations

import logging
import os
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from aiodicom.errors import AiodicomError
from aiodicom.router.config.destinations import DimseDestination
from aiodicom.router.config.reloading import reload
from aiodicom.router.cut_through import CutThrough
from aiodicom.router.destinations import Destinations
from aiodicom.router.equipment import Equipment
from aiodicom.router.forwarded import Forwarding
from aiodicom.router.intake import Intake
from aiodicom.router.listening import Listeners
from aiodicom.router.observing import Observers
from aiodicom.router.opening import Adoption, make_completions, open_queue
from aiodicom.router.queue.objects import Selection
from aiodicom.router.routing import Routing

if TYPE_CHECKING:
    from aiodicom.net.server import Server
    from aiodicom.router.completing import Completions
    from aiodicom.router.config.root import Config
    from aiodicom.router.listening import Sockets
    from aiodicom.router.queue.protocol import Queue
    from aiodicom.router.shared_completing import SharedCompletions
    from aiodicom.router.transformations.pipeline import Pipeline

__all__ = ["DRAIN", "Router"]

_log = logging.getLogger("aiodicom.router")

#: Seconds that associations and deliveries have to come to their end.
DRAIN: Final = 30.0


class Router:
    """To be entered, which opens its queue and listens; leaving it drains.

    `sockets`: those that are bound already, by whoever has several such processes: then each takes the first part of
    the queue that nobody has, and takes over those that others leave when they die.
    """

    def __init__(
        self,
        config: Config,
        *,
        path: str | os.PathLike[str] | None = None,
        sockets: Sockets | None = None,
    ) -> None:
        self.config = config
        self._path = path
        self._sockets = sockets
        self._routing = Routing(config)
        #: Why the configuration that was read last is not used, a line each.
        self.problems: tuple[str, ...] = ()
        self.observers = Observers()
        self.queue: Queue
        self.intake: Intake
        self.completions: Completions | SharedCompletions
        self.destinations: Destinations
        self.equipment: Equipment
        self.listeners: Listeners

    async def __aenter__(self) -> Self:
        settings = self.config.queue
        self.queue = await open_queue(settings, is_shared=self._sockets is not None)
        forwarding = Forwarding()
        self.observers.add(forwarding)
        self._cut_through = CutThrough(
            lambda: self._routing, lambda name: self.destinations.cut_through(name), self._is_cutting_through
        )
        self.intake = Intake(
            self.queue,
            lambda: self._routing,
            settings,
            self.observers,
            forwarding,
            self._cut_through,
            drops_unrouted=lambda: self.config.unrouted == "drop",
        )
        self.completions = make_completions(self.queue)
        self.observers.add(self.completions)
        self.destinations = Destinations(self.queue, self.pipeline_of, self.observers)
        self._adoption = Adoption(settings, self._deliver)
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

    @property
    def directory(self) -> str:
        """The folder of its part of the queue."""
        return self.queue.path

    @property
    def shard(self) -> str:
        """The name of that."""
        return os.path.basename(self.directory)

    async def _deliver(self, queue: Queue) -> Destinations:
        """What delivers from another part of the queue, which was taken over."""
        destinations = Destinations(queue, self.pipeline_of, self.observers)
        await destinations.apply(self.config.destinations, self.config.calling_aet)
        return destinations

    def _is_cutting_through(self) -> bool:
        destinations = self.config.destinations.values()
        return any(isinstance(each, DimseDestination) and each.cut_through for each in destinations)

    def pipeline_of(self, route: str) -> Pipeline | None:
        """What a route makes of objects. Raises KeyError where there is no such route any more."""
        return self._routing.pipeline_of(route)

    def _equip(self, server: Server) -> None:
        self.intake.attach(server)
        self.equipment.equip(server)

    async def _apply(self, config: Config, before: Config | None = None) -> None:
        for destinations in (self.destinations, *self._adoption.destinations):
            await destinations.apply(config.destinations, config.calling_aet)
        for name, destination in config.destinations.items():
            if destination.hold:
                await self.queue.hold(Selection(name))
        anew = before is None or _equipment_of(before) != _equipment_of(config)
        if anew:
            await self.equipment.apply(config, self.directory)
        await self.listeners.apply(config.listeners, DRAIN, anew=anew)

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
        if self._sockets is not None and not _places(reloaded.config) <= self._sockets.keys():
            self.problems = ("listen: with several workers, where is listened changes with a restart alone",)
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
        await self.listeners.close(DRAIN)
        await self._cut_through.close()
        await self.equipment.close()
        await self.completions.close()
        await self._adoption.close(DRAIN)
        await self.destinations.close(DRAIN)
        await self.queue.close()


def _equipment_of(config: Config) -> object:
    """What listeners are equipped by: when it changes, they are opened anew."""
    return config.pass_through, config.queue.commitment, config.destinations


def _places(config: Config) -> set[tuple[str, int]]:
    return {(listener.host, listener.port) for listener in config.listeners}
