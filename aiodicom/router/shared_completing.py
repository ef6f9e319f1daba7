"""Routes that send whole series or studies of which several nodes take objects: what each knows is in the queue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from aiodicom.router.completing import expected_of, made_by
from aiodicom.router.observing import Observer
from aiodicom.router.queue.objects import QueueUnavailable
from aiodicom.router.queue.postgres.groups import DueGroup, Waiting

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.router.config.routes import Completion as Settings
    from aiodicom.router.queue.objects import Incoming

__all__ = ["SharedCompletions"]

_log = logging.getLogger("aiodicom.router")

#: Seconds between looks at what is complete.
_LOOK: Final = 1.0


class SharedGathering(Protocol):
    """A queue, as far as completion needs it."""

    async def due(self, routes: Sequence[Waiting]) -> Sequence[DueGroup]: ...

    async def complete_due(self, group: DueGroup) -> bool: ...

    async def expect(self, expected: Collection[tuple[str, str, int]]) -> None: ...

    async def performed(self, route: str, group: str, instances: Sequence[str]) -> None: ...


class SharedCompletions(Observer):
    """Looks every second, by one statement, for the series and studies that are complete; so does every node, and
    whichever is first ends one. Where no node is left to, the next one that starts does.
    """

    def __init__(self, queue: SharedGathering, interval: float = _LOOK) -> None:
        self._queue = queue
        self._interval = interval
        self._settings: dict[str, Settings] = {}
        self._expected: dict[tuple[str, str], int] = {}
        self._performed: list[tuple[str, str, list[str]]] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self, routes: Mapping[str, Settings]) -> None:
        """Begins with what waits already."""
        self.apply(routes)
        self._task = asyncio.get_running_loop().create_task(self._work())

    def apply(self, routes: Mapping[str, Settings]) -> None:
        """The routes that wait, from now on."""
        self._settings = dict(routes)

    def received(self, incoming: Incoming, size: int, header: Dataset, association: Association) -> None:
        """An object has been taken: the queue knows, but for what the object says of others."""
        for route, group in {(each.route, each.group) for each in incoming.deliveries if each.group}:
            settings = self._settings.get(route)
            expected = 0 if settings is None else expected_of(header, settings)
            if expected:
                self._expected[route, group] = max(expected, self._expected.get((route, group), 0))

    def performed(self, step: Dataset) -> None:
        """A performed procedure step has ended, and says what it has made (PS3.4 F.7.2.2)."""
        self._performed.extend(made_by(step, self._settings))

    async def _work(self) -> None:
        while True:
            try:
                await self.look()
            except QueueUnavailable as error:
                _log.debug("completion is not looked for: %s", error)
            except Exception:
                _log.exception("completion could not be looked for")
            await asyncio.sleep(self._interval)

    async def look(self) -> None:
        """Ends what is complete. Raises QueueUnavailable: what this node knows is then told the next time."""
        while self._performed:
            await self._queue.performed(*self._performed[0])
            del self._performed[0]
        if self._expected:
            expected, self._expected = self._expected, {}
            try:
                await self._queue.expect([(*key, number) for key, number in expected.items()])
            except QueueUnavailable:
                self._expected = expected | self._expected
                raise
        routes = [Waiting(route, each.quiet, each.most) for route, each in self._settings.items()]
        while found := await self._queue.due(routes):
            for group in found:
                if await self._queue.complete_due(group):
                    _log.info("%s: %s is complete: %s", group.route, group.name, group.reason)

    async def close(self) -> None:
        """Looks no more; what waits goes on waiting in the queue."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
