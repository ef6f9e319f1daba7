"""The alarm rings when it is set for, and then only."""

from __future__ import annotations

import asyncio
from time import perf_counter

import pytest

from aiodicom.load import alarm as module
from aiodicom.load.alarm import Alarm


@pytest.fixture(params=["own", "loop"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By a timer of its own, where there is one, and by the loop's."""
    if request.param == "loop":
        monkeypatch.setattr(module, "_timer_descriptor", lambda: None)
    return str(request.param)


async def test_it_rings_when_it_is_set_for(kind: str) -> None:
    rang: list[float] = []
    done = asyncio.Event()

    def ring() -> None:
        rang.append(perf_counter())
        if len(rang) == 2:
            done.set()
        else:
            alarm.set(begun)  # over: at once

    alarm = Alarm(ring)
    begun = perf_counter()
    alarm.set(begun + 1000)
    alarm.set(begun + 0.005)
    async with asyncio.timeout(30):
        await done.wait()
    alarm.close()
    alarm.close()
    assert len(rang) == 2
    assert rang[0] >= begun + (0.005 if kind == "own" else 0.003)  # a loop rounds


async def test_closed_it_does_not_ring(kind: str) -> None:
    rang: list[str] = []
    alarm = Alarm(lambda: rang.append(kind))
    alarm.set(perf_counter())
    alarm.close()
    for _ in range(5):
        await asyncio.sleep(0)
    assert rang == []
