"""Who waits for a turn of a pool: first come, first served, among those who can use what there is."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple

from aiodicom.net.member import Member
from aiodicom.net.proposing import Need

__all__ = ["Queue", "Waiter", "Wish"]


class Wish(NamedTuple):
    """What somebody waits for: a turn on an association that has what is needed, or the whole of one."""

    need: Need | None
    is_whole: bool


class Waiter:
    """Somebody who waits."""

    __slots__ = ("deadline", "future", "number", "wish")

    def __init__(self, future: asyncio.Future[Member], wish: Wish, deadline: float, number: int) -> None:
        self.future = future
        self.wish = wish
        #: until when he waits
        self.deadline = deadline
        #: those who came earlier have smaller ones
        self.number = number


class Queue:
    """Everybody who waits, in a line for each wish.

    Invariants: no line is empty; the numbers in a line ascend.
    """

    def __init__(self) -> None:
        self._lines: dict[Wish, OrderedDict[Waiter, None]] = {}
        self._numbers = itertools.count()
        #: how many wait
        self.count = 0

    def add(self, future: asyncio.Future[Member], wish: Wish, deadline: float = math.inf) -> Waiter:
        """Somebody comes."""
        waiter = Waiter(future, wish, deadline, next(self._numbers))
        line = self._lines.get(wish)
        if line is None:
            line = self._lines[wish] = OrderedDict()
        line[waiter] = None
        self.count += 1
        return waiter

    def discard(self, waiter: Waiter) -> bool:
        """Somebody leaves; false if he had been served."""
        line = self._lines.get(waiter.wish)
        if line is None or waiter not in line:
            return False
        del line[waiter]
        self.count -= 1
        if not line:
            del self._lines[waiter.wish]
        return True

    def needs(self, most: int) -> list[Need]:
        """Returns what is needed by those who wait, what has been waited for longest first."""
        heads = sorted((next(iter(line)) for line in self._lines.values()), key=lambda waiter: waiter.number)
        needs = dict.fromkeys(waiter.wish.need for waiter in heads if waiter.wish.need is not None)
        return list(itertools.islice(needs, most))

    @property
    def first(self) -> Wish | None:
        """What who has waited longest waits for."""
        if len(self._lines) <= 1:
            return next(iter(self._lines), None)
        return min((next(iter(line)) for line in self._lines.values()), key=lambda waiter: waiter.number).wish

    def serve(self, pick: Callable[[Wish], Member | None], holds_up: Callable[[Wish], bool]) -> None:
        """Gives everybody what `pick` finds for his wish, in the order in which they came.

        Who gets nothing is passed over, unless his wish `holds_up` the others.
        """
        heads = [(next(iter(line)).number, wish) for wish, line in self._lines.items()]
        if len(heads) > 1:
            heapify(heads)
        while heads:
            wish = heads[0][1]
            line = self._lines[wish]
            waiter = next(iter(line))
            if not waiter.future.done():  # else he is about to leave
                found = pick(wish)
                if found is None:
                    if holds_up(wish):
                        break
                    heappop(heads)
                    continue
                waiter.future.set_result(found)
            del line[waiter]
            self.count -= 1
            if line:
                heapreplace(heads, (next(iter(line)).number, wish))
            else:
                del self._lines[wish]
                heappop(heads)

    def expire(self, now: float, error: Callable[[], Exception]) -> float:
        """Has everybody leave with an error whose deadline has come. Returns the first deadline of the others."""
        first = math.inf
        for wish, line in tuple(self._lines.items()):
            for waiter in tuple(line):
                if waiter.deadline > now:
                    first = min(first, waiter.deadline)
                    continue
                del line[waiter]
                self.count -= 1
                if not waiter.future.done():
                    waiter.future.set_exception(error())
            if not line:
                del self._lines[wish]
        return first

    def wishes(self) -> Iterator[Wish]:
        """Iterates over what is waited for."""
        return iter(tuple(self._lines))

    def fail(self, wish: Wish, error: Exception) -> None:
        """Has everybody with this wish leave with an error."""
        line = self._lines.pop(wish)
        self.count -= len(line)
        for waiter in line:
            if not waiter.future.done():
                waiter.future.set_exception(error)
