"""Thousands of associations: open at once, and one after the other."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys

import pytest

import aiodicom
from aiodicom.errors import LocalError
from aiodicom.net.descriptors import allow_descriptors
from aiodicom.net.loops import resources_of
from tests.cli.conftest import Command
from tests.net.hostile import until
from tests.net.processes import MIB, resident

OPEN_AT_ONCE = 5000
#: Bytes of the server's memory for each.
MEMORY = 16384
IN_TURN, BATCH = 10_000, 250

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def test_5000_associations_open_at_once() -> None:
    try:
        allow_descriptors(OPEN_AT_ONCE)
    except LocalError as error:
        pytest.skip(str(error))
    command = Command("storescp", 0, "--discard")
    try:
        port = int(command.wait_for_line("listening on").rpartition(":")[2])
        used = aiodicom.run(_open_and_echo(port, command.pid))
        assert command.terminate().code == 0
    finally:
        command.close()
    assert used <= MEMORY, f"{used:.0f} bytes each"


async def _open_and_echo(port: int, pid: int) -> float:
    async def opened(count: int) -> list[aiodicom.Association]:
        associations: list[aiodicom.Association] = []
        while len(associations) < count:
            batch = (_connected(port) for _ in range(min(BATCH, count - len(associations))))
            associations += await asyncio.gather(*batch)
        return associations

    # What the server loads and allocates once is not counted.
    await asyncio.gather(*(association.release() for association in await opened(BATCH)))
    before = resident(pid)
    associations = await opened(OPEN_AT_ONCE)
    answers = await asyncio.gather(*(association.c_echo() for association in associations))
    assert {answer.status for answer in answers} == {0}
    used = (resident(pid) - before) / OPEN_AT_ONCE
    await asyncio.gather(*(association.release() for association in associations))
    return used


async def _connected(port: int) -> aiodicom.Association:
    return await aiodicom.connect("127.0.0.1", port)


async def test_10000_associations_in_turn_leave_nothing() -> None:
    server = aiodicom.Server()
    async with server.listen("127.0.0.1", 0) as listening:

        async def once() -> None:
            async with aiodicom.connect("127.0.0.1", listening.port) as association:
                await association.c_echo()

        sizes: list[int] = []
        for done in itertools.count(BATCH, BATCH):
            await asyncio.gather(*(once() for _ in range(BATCH)))
            if done % (IN_TURN // 4) == 0:
                await until(lambda: not server.associations)
                gc.collect()
                sizes.append(resident())
            if done == IN_TURN:
                break
        assert server.counters.associations == IN_TURN
        assert server.counters.associations_open == server.counters.aborts == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        wheel = resources_of(asyncio.get_running_loop()).wheel
        assert (wheel._slots, wheel._timer) == ({}, None)
        # Once warm: less than 200 bytes for each association; what stayed of one would cost more.
        assert sizes[-1] - sizes[0] < 200 * IN_TURN, [size / MIB for size in sizes]
