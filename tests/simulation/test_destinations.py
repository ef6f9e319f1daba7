"""Destinations that misbehave for long, beside one that does not, before and behind a router that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from tests.faults.pacs import Gate
from tests.router.running import Archive, image, routing, store, uid_of, write
from tests.simulation.clock import SimulatedLoop

HOUR = 3600.0
#: Seconds that the clock jumps at least.
STEP = 30.0
#: Objects, and the bytes of each, nearly.
COUNT, SIZE = 20, 9_000
#: Bytes a second.
SLOW = 10_000

TO = '{{ type = "dimse", host = "127.0.0.1", port = {}, called_aet = "PACS", associations = 1, window = 1 }}\n'
ROUTES = "---\n[[routes]]\nto = {}\n"


def simulated(test: Callable[[SimulatedLoop], Coroutine[Any, Any, None]], step: float) -> None:
    """Runs a test on a loop whose clock jumps."""
    loop = SimulatedLoop(step)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(test(loop))


async def until(condition: Callable[[], object], seconds: float, looks: int) -> None:
    """Returns when something holds, which is looked at so often every so many seconds of the simulation."""
    for _ in range(looks):
        if condition():
            return
        await asyncio.sleep(seconds)
    raise AssertionError("it does not hold")


def test_a_destination_that_is_full_for_an_hour(tmp_path: Path) -> None:
    async def test(loop: SimulatedLoop) -> None:
        began = loop.time()
        answers: list[float] = []

        def answer(_: aiodicom.StoreRequest) -> int:
            answers.append(loop.time() - began)
            return 0xA700 if answers[-1] < HOUR else 0

        async with Archive(answer) as full, Archive() as good:
            text = f"destinations.full = {TO.format(full.port)}destinations.good = {TO.format(good.port)}"
            path = write(tmp_path, text + ROUTES.format('["full", "good"]'))
            async with routing(path, clocks=loop.clocks) as running:
                with loop.without_jumps():
                    assert await store(running.port, map(image, range(COUNT))) == [0] * COUNT
                    await good.got(*map(uid_of, range(COUNT)))
                assert loop.time() - began < HOUR
                await until(lambda: len(full.received) == COUNT, 60, 120)
                assert running.watch.count("dead") == 0
        assert sorted(full.uids) == sorted(map(uid_of, range(COUNT)))
        # It was asked from time to time, and then soon.
        assert len([at for at in answers if at < HOUR]) < 20
        # Whenever the machine holds the router up, the clock may jump.
        assert min(at for at in answers if at >= HOUR) < HOUR + 600 + 10 * STEP

    simulated(test, STEP)


def test_a_destination_that_takes_10_kB_a_second(tmp_path: Path, port: int) -> None:
    """What goes to the other one takes as long as without it."""

    async def test(loop: SimulatedLoop) -> None:
        async with Archive() as slow, Archive() as good:
            gate = Gate(slow.port, SLOW, None)
            text = f"destinations.slow = {TO.format(port)}destinations.good = {TO.format(good.port)}"
            alone, both = ROUTES.format('["good"]'), ROUTES.format('["good", "slow"]')
            async with (
                await asyncio.start_server(gate.pass_on, "127.0.0.1", port, limit=16384),
                routing(write(tmp_path, text + alone), clocks=loop.clocks) as running,
            ):

                async def through(study: int) -> float:
                    began = loop.time()
                    await store(running.port, (image(number, study) for number in range(COUNT)))
                    await good.got(*(uid_of(number, study) for number in range(COUNT)))
                    return loop.time() - began

                with loop.without_jumps():
                    await through(1)
                    without = min(await through(2), await through(3))
                    write(tmp_path, text + both)
                    await running.router.reload()
                    beside = min(await through(4), await through(5))
                    assert beside < 2 * without + 0.5
                    assert len(slow.received) < COUNT
                began = loop.time()
                left = 2 * COUNT - len(slow.received)
                await until(lambda: len(slow.received) == 2 * COUNT, 10, 60)
                assert loop.time() - began == pytest.approx(left * SIZE / SLOW, rel=0.25, abs=15)
                assert running.watch.count("failed") == 0

    simulated(test, 0.0)
