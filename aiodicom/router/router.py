"""One process of a router: what it listens on, its part of the queue, what it delivers."""

from __future__ import annotations

import functools
import logging
import os
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from aiodicom.errors import AiodicomError
from aiodicom.router.completing import Completions
from aiodicom.router.config.destinations import DimseDestination
from aiodicom.router.config.reloading import reload
from aiodicom.router.cut_through import CutThrough
from aiodicom.router.destinations import Destinations
from aiodicom.router.equipment import Equipment
from aiodicom.router.forwarded import Forwarding
from aiodicom.router.intake import Intake
from aiodicom.router.listening import Listeners
from aiodicom.router.observing import Observers
from aiodicom.router.opening import Adopted, Adoption, make_completions, make_transactions, open_queue
from aiodicom.router.queue.clock import Clocks, system_clocks
from aiodicom.router.queue.objects import Selection
from aiodicom.router.queue.sharding import AllShards
from aiodicom.router.routing import Routing
from aiodicom.router.tally import Tally
from aiodicom.services.storage_commitment import CommitmentListener

if TYPE_CHECKING:
    from aiodicom.net.server import Server
    from aiodicom.router.config.root import Config
    from aiodicom.router.listening import Sockets
    from aiodicom.router.queue.local import LocalQueue
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
    the queue that nobody has, and takes over those that others leave when they die. `clocks` are those of its queue;
    everything else goes by the time of the event loop.
    """

    def __init__(
        self,
        config: Config,
        *,
        path: str | os.PathLike[str] | None = None,
        sockets: Sockets | None = None,
        clocks: Clocks = system_clocks,
    ) -> None:
        self.config = config
        self._is_cutting_through = _cuts_through(config)
        self._clocks = clocks
        self._path = path
        self._sockets = sockets
        self._routing = Routing(config)
        #: Why the configuration that was read last is not used, a line each.
        self.problems: tuple[str, ...] = ()
        #: Whether that one is right, and could not be gone by all the same.
        self.has_failed = False
        self.tally = Tally()
        self.observers = Observers([self.tally])
        #: Hears of the storage commitments that destinations report.
        self._commitments = CommitmentListener()
        self.queue: Queue
        self.intake: Intake
        self.completions: Completions | SharedCompletions
        self.destinations: Destinations
        self.equipment: Equipment
        self.listeners: Listeners

    async def __aenter__(self) -> Self:
        settings = self.config.queue
        self.queue = await open_queue(settings, is_shared=self._sockets is not None, clocks=self._clocks)
        self._forwarding = Forwarding(self.queue)
        self.observers.add(self._forwarding)
        self._cut_through = CutThrough(
            lambda: self._routing, lambda name: self.destinations.cut_through(name), lambda: self._is_cutting_through
        )
        self.intake = Intake(
            self.queue,
            lambda: self._routing,
            settings,
            self.observers,
            self._forwarding,
            self._cut_through,
            drops_unrouted=lambda: self.config.unrouted == "drop",
        )
        self.completions = make_completions(self.queue)
        self.observers.add(self.completions)
        self.destinations = self._destinations_for(self.queue)
        self._adoption = Adoption(settings, self._take, lambda part: self.equipment.adopt(part), self._clocks)
        self.equipment = Equipment(
            AllShards(self.queue),
            self._commitments,
            functools.partial(make_transactions, self.queue),
            queried=self.observers.queried,
            performed=self.completions.performed,
        )
        self.listeners = Listeners(self._equip, self.observers, self._sockets)
        try:
            await self.completions.start(self._routing.completions)
            await self._apply(self.config)
            await self.equipment.resume()
            self._adoption.start()
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

    @property
    def adopted(self) -> list[Adopted]:
        """The parts of the queue that it has taken over."""
        return self._adoption.adopted

    @property
    def queues(self) -> list[Queue]:
        """Its own part of the queue, and those."""
        return [self.queue, *(each.queue for each in self.adopted)]

    def _destinations_for(self, queue: Queue) -> Destinations:
        return Destinations(queue, self.pipeline_of, self.observers, self._commitments)

    async def _take(self, queue: LocalQueue) -> Adopted:
        """What delivers from another part of the queue, which was taken over."""
        await _hold(queue, self.config, None)
        for name in self.queue.on_hold:
            await queue.hold(Selection(name))
        destinations, completions = self._destinations_for(queue), Completions(queue)
        await completions.start(self._routing.completions)
        await destinations.apply(self.config.destinations, self.config.calling_aet)
        return Adopted(queue, destinations, completions)

    def pipeline_of(self, route: str) -> Pipeline | None:
        """What a route makes of objects. Raises KeyError where there is no such route any more."""
        return self._routing.pipeline_of(route)

    def _equip(self, server: Server) -> None:
        self.intake.attach(server)
        self.equipment.equip(server)

    async def _apply(self, config: Config, before: Config | None = None) -> None:
        for destinations in (self.destinations, *(each.destinations for each in self.adopted)):
            await destinations.apply(config.destinations, config.calling_aet)
        for queue in self.queues:
            await _hold(queue, config, before)
        anew = await self.equipment.apply(config)
        await self.listeners.apply(config.listeners, anew=anew and before is not None)

    async def reload(self) -> tuple[str, ...]:
        """Reads the configuration again and goes by it, associations staying open; returns the keys that have changed.

        One that is wrong changes nothing: `problems` says why.
        """
        assert self._path is not None, "a configuration that is no file cannot be read again"
        reloaded = reload(self._path, self.config, None if self._sockets is None else self._sockets.keys())
        problems = reloaded.problems
        self.has_failed = False
        if reloaded.changed:
            problems = await self._change_to(reloaded.config)
            self.has_failed = bool(problems)
        self.problems = problems
        return () if problems else reloaded.changed

    async def _change_to(self, config: Config) -> tuple[str, ...]:
        """Goes by another configuration; returns why not, and then goes on by the one before."""
        try:
            routing = Routing(config)
            await self._apply(config, self.config)
        except Exception as error:
            if not isinstance(error, AiodicomError | OSError | ValueError):
                _log.exception("a configuration could not be used by a fault of ours")
            try:
                await self._apply(self.config, config)
            except Exception:
                _log.exception("the configuration as it was could not be brought back")
            return (str(error) or type(error).__name__,)
        self.config = config
        self._is_cutting_through = _cuts_through(config)
        self._routing = routing
        for completions in (self.completions, *(each.completions for each in self.adopted)):
            completions.apply(routing.completions)
        return ()

    async def close(self) -> None:
        """Listens no more, lets what has begun come to its end, and closes the queue."""
        await self.listeners.close(DRAIN)
        await self._cut_through.close(DRAIN)
        await self._forwarding.close()
        await self.equipment.close()
        await self.completions.close()
        await self._adoption.close(DRAIN)
        await self.destinations.close(DRAIN)
        await self.queue.close()


async def _hold(queue: Queue, config: Config, before: Config | None) -> None:
    """Holds destinations that are delivered to by hand, and no longer those that were. What people hold and release
    while nothing about that changes in the configuration stays so.
    """
    for name, destination in config.destinations.items():
        was_held = before is not None and name in before.destinations and before.destinations[name].hold
        if destination.hold and not was_held:
            await queue.hold(Selection(name))
        elif was_held and not destination.hold:
            await queue.release(Selection(name))


def _cuts_through(config: Config) -> bool:
    """Whether objects are to be cut through to any destination."""
    destinations = config.destinations.values()
    return any(isinstance(each, DimseDestination) and each.cut_through for each in destinations)
