"""Codec threads give way to everybody, unless that leaves them without a core."""

from __future__ import annotations

import os
import sys
import threading
from itertools import count

import pytest

from aiodicom.net import codec_threads
from aiodicom.net.codec_threads import CodecThreads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have no nice value of their own here")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Nanoseconds that threads have waited between two looks, one after each job; between two they run for 100."""
    waits: list[int] = []
    looks = count()
    waited = 0

    def share() -> codec_threads._Share:
        nonlocal waited
        waited += waits.pop(0) if waits else 0
        return codec_threads._Share(0.0, 100 * next(looks), waited)

    monkeypatch.setattr(codec_threads, "_share", share)
    return waits


async def test_threads_give_way(shares: list[int]) -> None:
    threads = CodecThreads(1)
    ordinary = niceness()
    shares += [0, 0, 800, 0]
    assert [await threads.run(niceness) for _ in range(4)] == [max(ordinary, 19)] * 4


async def test_starved_threads_are_relieved_for_a_while(shares: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    threads = CodecThreads(1)
    ordinary = niceness()
    shares += [0, 801]
    assert await threads.run(niceness) == 19
    assert [await threads.run(niceness) for _ in range(3)] == [ordinary] * 3
    monkeypatch.setattr(threads, "_relief", 0.0)
    assert await threads.run(niceness) == 19


async def test_what_fails_is_counted_too(shares: list[int]) -> None:
    threads = CodecThreads(1)
    shares += [0, 801]
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    assert await threads.run(niceness) < 19


def test_what_linux_counts() -> None:
    first, second = codec_threads._share(), codec_threads._share()
    assert second.at >= first.at
    assert second.ran >= first.ran > 0
    assert second.waited >= first.waited >= 0
