"""Lets a world grow, and prints what it has come to at each size: growth.py SIZE...

Runs as a process of its own: what it takes of memory is then the associations', whatever ran before.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from tests.simulation.world import IDLE, Acceptance, End, World

#: So many associations are opened at a time, in so many seconds, in which they then send a C-ECHO each: few enough for
#: what is on its way to be little beside what is there, and soon enough for the first to live to see the last.
STEP, OPENING, ECHOING = 2500, 0.3, 0.7
#: One peer in so many stalls inside its request, for so many seconds.
STALLING, STALL = 8, 0.2

_PAGE = os.sysconf("SC_PAGESIZE")


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


class Growth:
    """One world, its peers' scripts, and the measurements."""

    def __init__(self) -> None:
        self.world = World()
        self.random = random.Random(4)
        gc.disable()  # nothing here is in a cycle, and its passes over all objects would be the longest work of all
        self._blocks, self._resident = sys.getallocatedblocks(), resident()

    def grow(self, size: int) -> dict[str, Any]:
        """Opens associations until there are so many; the new ones answer a C-ECHO each."""
        world = self.world
        new = size - len(world.associations)
        opening = echoing = 0.0
        for _ in range(0, new, STEP):
            started = time.process_time()
            self._open(STEP)
            opened = time.process_time()
            self._echo(STEP)
            opening += opened - started
            echoing += time.process_time() - opened
        return {
            "associations": sum(each.end is None for each in world.associations),
            "asked": world.asked,
            "answered": world.answered,
            "wrong": len(world.wrong),
            "deadlines_asked": world.deadlines_asked,
            "blocks_each": (sys.getallocatedblocks() - self._blocks) / size,
            "bytes_each": (resident() - self._resident) / size,
            "us_to_open": 1e6 * opening / new,
            "us_to_echo": 1e6 * echoing / new,
        }

    def _open(self, count: int) -> None:
        since = self.world.now
        for _ in range(count):
            self.world.connect(since + OPENING * self.random.random())
        self.world.run(since + OPENING)

    def _echo(self, count: int) -> None:
        world, since = self.world, self.world.now
        for number, association in enumerate(world.associations[-count:]):
            stalls = STALL if number % STALLING == 0 else 0.0
            at = since + (ECHOING - STALL) * self.random.random()
            world.echo(association, at, number + 1, stalls=stalls)
        world.run(since + ECHOING)

    def end(self) -> dict[str, Any]:
        """Every other peer releases its association, the others are never heard of again."""
        world = self.world
        for association in world.associations[::2]:
            world.release(association, world.now + ECHOING * self.random.random())
        world.run(world.now + IDLE)
        ends = [each.end for each in world.associations]
        punctual = sum(map(_is_punctual, world.associations))
        world.associations.clear()
        return {
            "released": ends.count(End.RELEASED),
            "idle": ends.count(End.IDLE),
            "punctual": punctual,
            "wrong": len(world.wrong),
            "blocks_left": sys.getallocatedblocks() - self._blocks,
        }


def _is_punctual(association: Acceptance) -> bool:
    """Whether it was ended by the clock exactly when it was due."""
    return association.end is End.IDLE and association.ended_at == association.heard_at + IDLE


def main(sizes: list[int]) -> None:
    growth = Growth()
    stages = [growth.grow(size) for size in sizes]
    sys.stdout.write(json.dumps({"stages": stages, "end": growth.end()}) + "\n")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]])
