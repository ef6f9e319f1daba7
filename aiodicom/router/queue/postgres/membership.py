"""A node's place among those that share the queue: its row, its leases renewed, and begun anew after every doubt."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiodicom.router.queue.objects import QueueUnavailable
from aiodicom.router.queue.postgres import nodes
from aiodicom.router.queue.postgres.clock import DatabaseClock
from aiodicom.router.queue.postgres.nodes import NodeEnded

if TYPE_CHECKING:
    from aiodicom.router.queue.postgres.link import Link

__all__ = ["Membership"]

_log = logging.getLogger("aiodicom.router")

#: Of the time of a lease, after how much it is renewed; in seconds, after how many at the latest.
_PART: Final = 0.25
_LATEST: Final = 10.0
#: Seconds between attempts to come back.
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0


class Membership:
    """Keeps the node known to the others, until it is closed.

    `held` gives the deliveries that it has leased, `told` hears what others say, `returned` that it is back after it
    was away.

    Invariant: `node` is its number while it has one that is good, else 0: from the moment that anything is in doubt
    until it has another. What was begun under one number counts only as long as `node` is that.
    """

    def __init__(
        self,
        link: Link,
        lease: float,
        held: Callable[[], Collection[tuple[int, int]]],
        told: Callable[[str], None],
        returned: Callable[[], None],
    ) -> None:
        self._link = link
        self._lease = lease
        self._held = held
        self._told = told
        self._returned = returned
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self.node = 0
        self._before = 0
        #: Why there is none.
        self.obstacle = ""
        self._since = 0.0
        self._clock = DatabaseClock(time.time(), time.monotonic())
        self._is_up = asyncio.Event()
        self._doubted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the node is there. Raises QueueUnavailable."""
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(first))
        await first

    async def close(self) -> None:
        """Ends the node: what it has leased waits again."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        node = self.node or self._before
        self.node = 0
        self._is_up.clear()
        with suppress(QueueUnavailable):
            await self._link.run(nodes.end, node)

    def now(self) -> float:
        """Returns the database's time, in seconds."""
        return self._clock.now(time.monotonic())

    async def up(self) -> int:
        """Returns the node's number, as soon as it has one."""
        while not self.node:
            await self._is_up.wait()
        return self.node

    def why_not(self) -> QueueUnavailable:
        """What is said of something that cannot be done without a number."""
        return QueueUnavailable(self.obstacle or "the shared queue was not used for a moment")

    def doubt(self, node: int, error: Exception) -> None:
        """Nobody knows what has become of something that was begun under this number: the node gets another."""
        if node and node == self.node:
            self._before, self.node = node, 0
            self.obstacle = str(error) or "the other nodes have taken this one for dead"
            self._is_up.clear()
            self._doubted.set()
            _log.warning("the shared queue is not used for a moment: %s", self.obstacle)

    async def _keep(self, first: asyncio.Future[None]) -> None:
        pause = _FIRST_PAUSE
        while True:
            self._doubted.clear()
            try:
                async with self._link.listening(self._told, self._doubted.set):
                    await self._begin()
                    pause = _FIRST_PAUSE
                    if not first.done():
                        first.set_result(None)
                    await self._beat()
            except Exception as error:
                if not isinstance(error, QueueUnavailable | NodeEnded):
                    _log.exception("the shared queue cannot be used")
                if not first.done():
                    first.set_exception(error)
                    return
                self.doubt(self.node, error)
                self.obstacle = str(error) or self.obstacle
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _begin(self) -> None:
        before = self.node or self._before
        self._before, self.node = before, 0
        link, name, lease = self._link, self._name, self._lease
        if before:
            node = await link.run(nodes.renew, before, name, lease, self._held())
        else:
            node = await link.run(nodes.begin, name, lease, is_synced=True)
        await self._see(node)
        self.node = node
        self.obstacle = ""
        self._since = time.monotonic()
        self._is_up.set()
        if before:
            _log.warning("the shared queue is used again")
            self._returned()

    async def _beat(self) -> None:
        """Returns when there is a doubt."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self._lease * _PART, _LATEST)):
                    await self._doubted.wait()
                    return
            node = self.node
            await self._see(node)
            # After the database was away, all have to have had the time to say that they are there.
            if time.monotonic() - self._since > self._lease:
                for name in await self._link.run(nodes.bury, node):
                    _log.warning("node %s is taken for dead: what it had leased waits again", name)
                    self._returned()

    async def _see(self, node: int) -> None:
        asked = time.monotonic()
        said = await self._link.run(nodes.see, node)
        self._clock.correct(said, (asked + time.monotonic()) / 2)
