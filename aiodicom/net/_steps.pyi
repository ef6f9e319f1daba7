import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

def take_first_steps(
    loop: asyncio.AbstractEventLoop,
    task: asyncio.Task[None],
    context: Context,
    coroutine: Coroutine[Any, Any, Any],
    /,
) -> tuple[bool, Any]: ...
