"""Several service classes on one server: requests go to the service of their presentation context."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from aiodicom.dimse.messages import (
    CFindRQ,
    CGetRQ,
    CMoveRQ,
    NActionRQ,
    NCreateRQ,
    NDeleteRQ,
    NEventReportRQ,
    NGetRQ,
    NSetRQ,
    Request,
)
from aiodicom.errors import LocalError, OperationRefused
from aiodicom.net.handlers import Handlers
from aiodicom.standard.status import Status

__all__ = ["attach", "heard"]

Function = Callable[[Any], Any]

_KINDS: dict[str, type[Request]] = {
    "on_c_find": CFindRQ,
    "on_c_get": CGetRQ,
    "on_c_get_relayed": CGetRQ,
    "on_c_move": CMoveRQ,
    "on_c_move_relayed": CMoveRQ,
    "on_n_get": NGetRQ,
    "on_n_set": NSetRQ,
    "on_n_action": NActionRQ,
    "on_n_create": NCreateRQ,
    "on_n_delete": NDeleteRQ,
    "on_n_event_report": NEventReportRQ,
}
_YIELDING = ("on_c_find", "on_c_get", "on_c_get_relayed", "on_c_move", "on_c_move_relayed")

#: By handlers and name of the handler: functions by abstract syntax.
_attached: WeakKeyDictionary[Handlers, dict[str, dict[str, Function]]] = WeakKeyDictionary()


def attach(
    handlers: Handlers, abstract_syntaxes: Iterable[str], *, reported: Iterable[str] = (), **functions: Function
) -> None:
    """Has `functions`, named as the decorators of `Handlers`, perform what is asked in contexts of `abstract_syntaxes`.

    What is asked in other contexts goes to the handler that was registered before, where there is one; else those
    contexts are not accepted by default. In contexts of `reported` events are reported. Raises `LocalError` where
    another service has the abstract syntax.
    """
    by_name = _attached.setdefault(handlers, {})
    syntaxes = tuple(abstract_syntaxes)
    for name, function in functions.items():
        kind = _KINDS[name]
        table = by_name.get(name)
        before = handlers.handler_of(kind)
        if table is None:
            table = by_name[name] = {}
            fallback = None if before is None else before.function
            getattr(handlers, name)(_dispatching(table, fallback, is_yielding=name in _YIELDING))
        for uid in syntaxes:
            if uid in table:
                raise LocalError(f"a service has the {name} of {uid} already")
            table[uid] = function
        if before is None or before.abstract_syntaxes is not None:
            handlers.limit(kind, frozenset(table), reported)


def _dispatching(table: dict[str, Function], fallback: Function | None, *, is_yielding: bool) -> Function:
    def choose(request: Any) -> Any:
        function = table.get(request.context.abstract_syntax, fallback)
        if function is None:
            raise OperationRefused(Status.SOP_CLASS_NOT_SUPPORTED)
        return function(request)

    async def perform(request: Any) -> Any:
        answer = choose(request)
        return await answer if hasattr(answer, "__await__") else answer

    return choose if is_yielding else perform


async def heard(answer: object) -> None:
    """Waits until what a function of the embedder's was told has been heard: ``answer`` is what it gave, and may be
    ``async``.
    """
    if inspect.isawaitable(answer):
        await answer
