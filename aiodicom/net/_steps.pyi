import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

_Subject = TypeVar("_Subject")

class Spare:
    task: asyncio.Task[None]
    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop, /) -> None: ...
    @property
    def context(self) -> Context: ...
    @property
    def original(self) -> Context: ...
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

class FirstSteps:
    spare: Spare | None
    def start(
        self,
        coroutine: Coroutine[Any, Any, Any],
        loop: asyncio.AbstractEventLoop,
        done: Callable[[_Subject, Any, BaseException | None], None],
        subject: _Subject,
    ) -> asyncio.Task[None] | None:
        """Runs the coroutine until it waits and returns its task, or None when it has ended.

        ``done(subject, result, error)`` is called as soon as it has ended, here or by the task, also when that is
        cancelled; not in its context, for what comes next is no affair of the coroutine's.
        """
