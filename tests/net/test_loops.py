"""What the associations of one event loop share, and for how long."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable

from aiodicom.net.loops import LoopResources, resources_of
from tests.loops import run_on


async def test_all_associations_of_a_loop_share_them() -> None:
    loop = asyncio.get_running_loop()
    assert resources_of(loop) is resources_of(loop)


def test_each_loop_has_its_own_and_a_closed_one_none(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    used: list[weakref.ref[LoopResources]] = []

    async def use() -> None:
        found = resources_of(asyncio.get_running_loop())
        assert found not in [each() for each in used]
        used.append(weakref.ref(found))

    for _ in range(4):
        run_on(loop_factory, use())
        gc.collect()
    # The last one stays until the next loop comes.
    assert [each() is None for each in used] == [True, True, True, False]
