"""What all associations of one event loop share: the receive buffer, timer wheel, turns to read, codec threads."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from aiodicom.net._transport import Turns

if TYPE_CHECKING:
    from aiodicom.net.codec_threads import CodecThreads

__all__ = ["LoopResources", "ReadingTurns", "Timed", "TimerWheel", "resources_of"]

#: Bytes that one read of a socket may bring; what the kernel has for a fast sender, without leaving the caches.
SCRATCH_SIZE = 1 << 18

#: Of how many that wait for a turn to read one has it in each turn of the event loop.
TAKING_TURNS: Final = 16

#: Bytes that are read before those with much pause, if anybody on this machine has sent little meanwhile, and for how
#: many seconds: the fewest that event loops know.
BEFORE_PAUSE: Final = 1 << 19
PAUSE: Final = 0.001


class Timed(Protocol):
    """What a `TimerWheel` calls when its time has come."""

    #: The wheel's own mark: in which slot this is.
    wheel_slot: int | None

    def on_timer(self, now: float) -> float | None:
        """Does what is due and returns the next time to be called, None for never."""


class TimerWheel:
    """Calls many things at their time with one timer of the event loop, late by up to `resolution` seconds.

    Invariants: an item is in the slot that its `wheel_slot` names and in no other, or about to be called with it; the
    loop's timer is set for the earliest slot, or not at all when there is none.
    """

    resolution = 0.05

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Timed]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_slot = 0

    def schedule(self, item: Timed, when: float) -> None:
        """Has `item` called at `when` (the loop's time) instead of when it was to be."""
        slot = math.ceil(when / self.resolution)
        if item.wheel_slot == slot:
            return
        if item.wheel_slot is not None:
            self.cancel(item)
        item.wheel_slot = slot
        self._slots.setdefault(slot, set()).add(item)
        if self._timer is None or slot < self._timer_slot:
            self._set_timer(slot)

    def cancel(self, item: Timed) -> None:
        """Has `item` not called."""
        if item.wheel_slot is None:
            return
        items = self._slots.get(item.wheel_slot)
        if items is not None:
            items.discard(item)
            if not items:
                del self._slots[item.wheel_slot]
        item.wheel_slot = None
        if not self._slots and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, slot: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_slot = slot
        self._timer = self._loop.call_at(slot * self.resolution, self._on_timer)

    def _on_timer(self) -> None:
        now = self._loop.time()
        self._timer = None
        for slot in sorted(slot for slot in self._slots if slot * self.resolution <= now):
            self._call(slot, now)
        if self._slots and self._timer is None:
            self._set_timer(min(self._slots))

    def _call(self, slot: int, now: float) -> None:
        for item in self._slots.pop(slot, ()):
            if item.wheel_slot != slot:
                continue  # one that was called before it has had it called at another time, or not at all
            item.wheel_slot = None
            try:
                when = item.on_timer(now)
            except Exception as error:  # the others have their time none the less
                self._loop.call_exception_handler({"message": f"the timer of {item!r} failed", "exception": error})
                continue
            if when is not None and item.wheel_slot is None:
                self.schedule(item, max(when, now + self.resolution))


class ReadingTurns:
    """Has those read on that have much to read: in each turn of the event loop one, of more than 16 a sixteenth.

    Who has little to read is read in every turn, and so waits for one of them instead of for all. While there is
    somebody like that on the same machine they pause now and then: the system lets who always has something to do
    finish a time slice of milliseconds before another one, who waits for an answer, gets a processor to take it.

    `seen` is what those who are read say.

    Invariants: while anybody waits, `_next` is about to be called.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seen = Turns()
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def has_waiting(self) -> bool:
        """Whether anybody waits for a turn."""
        return bool(self._waiting)

    def wait(self, read_on: Callable[[], None]) -> None:
        """Has `read_on` called when it is its turn."""
        if not self._waiting:
            self._go_on()
        self._waiting.append(read_on)

    def _go_on(self) -> None:
        pauses = False
        seen = self.seen
        if seen.has_little and seen.brought >= BEFORE_PAUSE:
            pauses = seen.is_here
            seen.has_little = seen.is_here = False
            seen.brought = 0
        if pauses:
            self._loop.call_later(PAUSE, self._next)
        else:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        count = -(-len(self._waiting) // TAKING_TURNS)
        turns = [self._waiting.popleft() for _ in range(count)]
        if self._waiting:
            self._go_on()
        for read_on in turns:
            try:
                read_on()
            except Exception as error:  # the others have their turn none the less
                self._loop.call_exception_handler({"message": "reading on failed", "exception": error})


class LoopResources:
    """The receive buffer, the timer wheel, the turns to read and the threads for codecs of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        #: Filled by a read and parsed before the next: no view of it outlives the callback. A memoryview, because TLS
        #: on asyncio writes into a copy of anything else.
        self.scratch = memoryview(bytearray(SCRATCH_SIZE))
        self.wheel = TimerWheel(loop)
        self.turns = ReadingTurns(loop)
        #: How many connections there are.
        self.connections = 0
        #: Made by `codec_threads()` when they are first needed.
        self.codecs: CodecThreads | None = None


_resources: dict[asyncio.AbstractEventLoop, LoopResources] = {}


def resources_of(loop: asyncio.AbstractEventLoop) -> LoopResources:
    """Returns what the associations of this loop share."""
    found = _resources.get(loop)
    if found is None:
        # Weak references would not do it: what is shared knows its loop.
        for closed in [known for known in _resources if known.is_closed()]:
            del _resources[closed]
        found = _resources[loop] = LoopResources(loop)
    return found
