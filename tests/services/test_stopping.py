"""Ending early."""

from __future__ import annotations

import asyncio

import pytest

from aiodicom.services.stopping import Interrupted, unless_stopped


async def test_done_first() -> None:
    assert await unless_stopped(asyncio.Event(), asyncio.sleep(0, "result")) == "result"


async def test_what_it_raises() -> None:
    async def fail() -> None:
        raise ValueError("so")

    with pytest.raises(ValueError, match="so"):
        await unless_stopped(asyncio.Event(), fail())


async def test_stopped_first() -> None:
    stop, begun = asyncio.Event(), asyncio.Event()
    cleaned_up = False

    async def wait() -> None:
        nonlocal cleaned_up
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up = True

    running = asyncio.create_task(unless_stopped(stop, wait()))
    await begun.wait()
    stop.set()
    with pytest.raises(Interrupted, match="interrupted"):
        await running
    assert cleaned_up


async def test_stopped_before() -> None:
    stop = asyncio.Event()
    stop.set()
    begun = False

    async def begin() -> None:
        nonlocal begun
        begun = True

    with pytest.raises(Interrupted):
        await unless_stopped(stop, begin())
    assert not begun


async def test_cancelled() -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(unless_stopped(asyncio.Event(), wait()))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
