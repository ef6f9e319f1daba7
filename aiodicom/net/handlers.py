"""The functions that perform a peer's requests."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from aiodicom.dimse.messages import CEchoRQ, CStoreRQ, Request
from aiodicom.errors import LocalError
from aiodicom.net.requests import EchoRequest, StoreRequest
from aiodicom.net.sinks import BodyChoice, Discarded, Spooled, Streamed
from aiodicom.net.starting import TaskStarter
from aiodicom.standard.status import Status

__all__ = ["EchoHandler", "Handler", "Handlers", "StoreHandler", "is_asynchronous"]

Answer = Status | int | None
EchoHandler = Callable[[EchoRequest], Answer | Awaitable[Answer]]
StoreHandler = Callable[[StoreRequest], Answer | Awaitable[Answer]]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Handler(NamedTuple):
    """One handler, and what the engine has to know of it."""

    function: Callable[[Any], Any]
    is_asynchronous: bool
    #: Chooses the sink of the data set; None for requests that have none.
    body: BodyChoice | None = None


class Handlers:
    """The handlers of an SCP, by the kind of request, and what starts the asynchronous ones."""

    __slots__ = ("_handlers", "starter")

    def __init__(self) -> None:
        self._handlers: dict[type[Request], Handler] = {}
        self.starter = TaskStarter()

    def find(self, kind: type[Request]) -> Handler | None:
        """Returns the handler for this kind of request."""
        return self._handlers.get(kind)

    def set_echo(self, function: EchoHandler) -> None:
        """Has `function` answer C-ECHO."""
        _check(function)
        self._handlers[CEchoRQ] = Handler(function, is_asynchronous(function))

    def set_store(self, function: StoreHandler, body: BodyChoice | None) -> None:
        """Has `function` answer C-STORE; `body` chooses the sink of the data set, `Spooled` by default."""
        _check(function)
        if isinstance(body, Streamed) and not is_asynchronous(function):
            raise LocalError("a handler that streams has to be `async def`")
        self._handlers[CStoreRQ] = Handler(function, is_asynchronous(function), body or Spooled())


def _check(function: object) -> None:
    if not callable(function) or isinstance(function, (Discarded, Spooled, Streamed)):
        raise LocalError(
            f"{function!r} is no function that could be a handler (where data sets go is said by body=...)"
        )


def is_asynchronous(function: Callable[..., Any]) -> bool:
    """Whether calling this gives a coroutine; also for objects with an ``async def __call__``."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
