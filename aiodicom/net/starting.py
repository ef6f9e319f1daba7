"""Starts handlers: a coroutine runs until it first waits before its task has to be scheduled.

Most handlers never wait, and a task for each costs several times what such a handler does. From Python 3.12 on asyncio
has eager tasks. Before that, one spare task stands ready: a coroutine takes its first steps as if it ran in that task.
If it ends there, the task is spare again; if it waits for something, the task takes it over and goes on with it.
"""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any, NamedTuple, TypeVar

from aiodicom.net._steps import FirstSteps, Spare

__all__ = ["TaskStarter"]

_Subject = TypeVar("_Subject")

#: Told what a coroutine was for, its result, and the exception that ended it in place of a result.
Done = Callable[[_Subject, Any, BaseException | None], None]


class TaskStarter(FirstSteps):
    """Starts coroutines in tasks of their own, with a context each. `close()` it when no more are to come."""

    __slots__ = ()

    if sys.version_info >= (3, 12):

        def start(
            self,
            coroutine: Coroutine[Any, Any, Any],
            loop: asyncio.AbstractEventLoop,
            done: Done[_Subject],
            subject: _Subject,
        ) -> asyncio.Task[None] | None:
            """As it does without eager tasks."""
            task = asyncio.Task(_finish(coroutine, _within(copy_context(), done), subject), loop=loop, eager_start=True)
            return None if task.done() else task

    def __reduce__(self) -> tuple[type[TaskStarter], tuple[()]]:
        return TaskStarter, ()  # a copy of handlers has a spare task of its own

    def renew(self, spare: _SpareTask | None, context: Context, loop: asyncio.AbstractEventLoop) -> _SpareTask:
        """Makes a spare task, in place of one that is of no use in this context."""
        if spare is not None:
            spare.task.cancel()
        return _SpareTask(context, loop)

    def let_go(self) -> None:
        """Has the spare task end, without a wait for that; another is made when it is needed."""
        spare, self.spare = self.spare, None
        if spare is not None:
            spare.task.cancel()

    async def close(self) -> None:
        """Ends the spare task."""
        spare, self.spare = self.spare, None
        if spare is not None and not spare.task.get_loop().is_closed():
            spare.task.cancel()
            await asyncio.wait((spare.task,))


class _Begun(NamedTuple):
    """A coroutine that waits for what it has yielded."""

    coroutine: Coroutine[Any, Any, Any]
    waits_for: Any
    done: Done[Any]
    subject: Any


class _SpareTask(Spare):
    """A task that waits for a coroutine to take over."""

    __slots__ = ("_begun", "_called")

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(context, loop)
        self._called: asyncio.Future[None] = loop.create_future()
        self._begun: _Begun | None = None
        run = self._run()
        run.send(None)
        self.task = asyncio.Task(run, loop=loop, context=context)

    def take_over(
        self, coroutine: Coroutine[Any, Any, Any], waits_for: Any, done: Done[_Subject], subject: _Subject
    ) -> None:
        """Goes on with a coroutine that waits."""
        self._begun = _Begun(coroutine, waits_for, done, subject)
        if not self._called.done():  # cancelled already: by its own first steps
            self._called.set_result(None)

    async def _run(self) -> None:
        cancelled: asyncio.CancelledError | None = None
        try:
            # As far as this it runs before there is a task: a cancellation before the first step of that is thrown in
            # here, and not into a coroutine that has not begun and would not notice.
            await asyncio.sleep(0)
            await self._called
        except asyncio.CancelledError as error:
            if self._begun is None:
                raise
            cancelled = error
        begun, self._begun = self._begun, None
        assert begun is not None
        rest = _go_on(begun.coroutine, begun.waits_for, cancelled)
        done = _within(self.original, begun.done)
        # The exception that ends this has its frame, and the task has the exception: with these here all of it, and
        # what the coroutine has, would wait for the garbage collector.
        del self, cancelled
        await _finish(rest, done, begun.subject)


def _within(context: Context, done: Done[_Subject]) -> Done[_Subject]:
    return lambda subject, result, error: context.run(done, subject, result, error)


async def _finish(awaitable: Awaitable[Any], done: Done[_Subject], subject: _Subject) -> None:
    try:
        result = await awaitable
    except Exception as error:
        done(subject, None, error)
    except asyncio.CancelledError as error:
        done(subject, None, error)
        raise
    else:
        done(subject, result, None)


@types.coroutine
def _go_on(
    coroutine: Coroutine[Any, Any, Any], waits_for: Any, error: BaseException | None
) -> Generator[Any, Any, Any]:
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
                    return (yield from coroutine)
            try:
                waits_for = coroutine.throw(error)
            finally:
                error = None  # which has this frame, once it has gone through here
    except StopIteration as stop:
        return stop.value
