"""Starts handlers: a coroutine runs until it first waits before its task has to be scheduled.

Most handlers never wait, and a task for each costs several times what such a handler does. From Python 3.12 on asyncio
has eager tasks. Before that, one spare task stands ready: a coroutine takes its first steps as if it ran in that task.
If it ends there, the task is spare again; if it waits for something, the task takes it over and goes on with it.
"""

from __future__ import annotations

import asyncio
import sys
import types
from asyncio.tasks import _enter_task, _leave_task  # documented from Python 3.12 on
from collections.abc import Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any

__all__ = ["TaskStarter"]


class TaskStarter:
    """Starts coroutines in tasks of their own, with a context each. `close()` it when no more are to come."""

    __slots__ = ("_spare",)

    def __init__(self) -> None:
        self._spare: _SpareTask | None = None

    def start(self, coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
        """Runs the coroutine until it waits and returns its task, or None when it has ended.

        An exception that ends the coroutine at once is raised here, later it is the task's.
        """
        if sys.version_info >= (3, 12):
            task = asyncio.Task(coroutine, loop=loop, eager_start=True)
            if not task.done():
                return task
            task.result()
            return None
        context = copy_context()
        spare, self._spare = self._spare, None
        if spare is None or not spare.fits(context, loop):
            if spare is not None:
                spare.task.cancel()
            spare = _SpareTask(context, loop)
        try:
            _enter_task(loop, spare.task)
        except RuntimeError:
            # Another task runs: one whose handler has ended and which now begins what had to wait for that.
            self._spare = spare
            return loop.create_task(coroutine)
        try:
            waits_for = spare.context.run(coroutine.send, None)
        except StopIteration:
            self._spare = spare
            return None
        except BaseException:
            spare.task.cancel()
            raise
        finally:
            _leave_task(loop, spare.task)
        spare.take_over(coroutine, waits_for)
        return spare.task

    async def close(self) -> None:
        """Ends the spare task."""
        spare, self._spare = self._spare, None
        if spare is not None and not spare.task.get_loop().is_closed():
            spare.task.cancel()
            await asyncio.wait((spare.task,))


class _SpareTask:
    """A task that waits for a coroutine to take over.

    Invariants: until `take_over()` nothing but the first steps of coroutines has run in `context`.
    """

    __slots__ = ("_called", "_coroutine", "_original", "_waits_for", "context", "task")

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self.context = context
        self._original = context.copy()
        self._called: asyncio.Future[None] = loop.create_future()
        self._coroutine: Coroutine[Any, Any, None] | None = None
        self._waits_for: Any = None
        self.task: asyncio.Task[None] = asyncio.Task(self._run(), loop=loop, context=context)

    def fits(self, context: Context, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it is as good as a new task in this context: a coroutine may have changed that, or cancelled it."""
        return (
            self.context == self._original == context
            and not self.task.cancelling()
            and not self.task.done()
            and self.task.get_loop() is loop
        )

    def take_over(self, coroutine: Coroutine[Any, Any, None], waits_for: Any) -> None:
        """Goes on with a coroutine that waits for what it has yielded."""
        self._coroutine = coroutine
        self._waits_for = waits_for
        if not self._called.done():  # cancelled already: by its own first steps
            self._called.set_result(None)

    async def _run(self) -> None:
        cancelled: asyncio.CancelledError | None = None
        try:
            await self._called
        except asyncio.CancelledError as error:
            if self._coroutine is None:
                raise
            cancelled = error
        assert self._coroutine is not None
        await _go_on(self._coroutine, self._waits_for, cancelled)


@types.coroutine
def _go_on(
    coroutine: Coroutine[Any, Any, None], waits_for: Any, error: BaseException | None
) -> Generator[Any, Any, None]:
    """Goes on with a coroutine that has yielded `waits_for`, or throws an error into it at that place."""
    try:
        while True:
            if error is None:
                try:
                    yield waits_for
                except BaseException as thrown:
                    error = thrown
                else:
                    # Whatever it waited for is there, and from here on the interpreter hands everything through.
                    yield from coroutine
                    return
            waits_for, error = coroutine.throw(error), None
    except StopIteration:
        return
