"""An event loop whose clock jumps to whatever is due next: hours of waiting take no time, and exactly that long."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop for coroutines that wait for nothing but time and one another."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        if not ready:
            due = min((handle.when() for handle in scheduled if not handle.cancelled()), default=self._now)
            self._now = max(self._now, due)
        super()._run_once()  # type: ignore[misc]


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs `main` to its end; fails if it leaves a task."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def whole() -> Result:
            result = await main
            assert not asyncio.all_tasks() - {asyncio.current_task()}
            return result

        result = runner.run(whole())
    gc.collect()
    return result
