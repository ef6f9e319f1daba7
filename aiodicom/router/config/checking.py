"""What is wrong with a configuration whose sections are each right: names that nothing has, files that do not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from aiodicom.errors import LocalError
from aiodicom.router.config.destinations import Destination, DimseDestination, ObjectsDestination, StowDestination
from aiodicom.router.config.listening import Listener
from aiodicom.router.config.operations import Audit, Operations, PassThrough
from aiodicom.router.config.queueing import Queue
from aiodicom.router.config.root import name_of
from aiodicom.router.config.routes import Route
from aiodicom.router.config.secrets import first_line
from aiodicom.router.config.tls import ClientTLS, ServerTLS
from aiodicom.router.config.transformations import Drop
from aiodicom.router.config.values import key_path
from aiodicom.router.routing import compile_route
from aiodicom.router.transformations.making import Maker, unknown

__all__ = ["check"]

#: Names that are part of commands, addresses of pages, and labels of metrics.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

Parts = Mapping[str, Any]


def check(values: Mapping[str, Any], parts: Parts, partly: Mapping[str, Parts]) -> list[str]:
    """What is wrong with sections that are each right: `parts` by field of `Config`, without sections that are not; of
    these `partly` has what is right in them, by their path.

    `values` is what stands in the file, which says what names there are.
    """
    checker = _Checker(values, parts, partly)
    return [f"{path}: {reason}" for path, reason in checker.problems()]


Problem = tuple[str, str]


class _Checker:
    def __init__(self, values: Mapping[str, Any], parts: Parts, partly: Mapping[str, Parts]) -> None:
        self._values = values
        self._parts = parts
        self._partly = partly
        self._destinations: Mapping[str, Destination | None] = parts.get("destinations") or {}
        self._routes: tuple[Route | None, ...] = parts.get("routes") or ()

    def problems(self) -> Iterator[Problem]:
        yield from self._listeners()
        yield from self._names()
        yield from self._all_routes()
        yield from self._passed_through()
        yield from self._object_stores()
        yield from self._secrets()

    def _unknown(self, name: str) -> str | None:
        """Why a name is that of no destination, if so."""
        given = self._values.get("destinations")
        known = given if isinstance(given, dict) else {}
        return None if name in known else unknown("destination", name, known)

    # Listeners

    def _listeners(self) -> Iterator[Problem]:
        listen = self._parts.get("listen")
        several = (listen,) if isinstance(listen, Listener) else listen
        if several == ():
            yield "listen", "there is no listener: write [listen] with a port"
        taken: dict[tuple[str, int], str] = {}
        for number, listener in enumerate(several or ()):
            if listener is None:
                continue
            path = "listen" if isinstance(listen, Listener) else f"listen[{number}]"
            place = (listener.host, listener.port)
            if listener.port and place in taken:
                yield f"{path}.port", f"{listener.port} is that of {taken[place]} too"
            taken[place] = path
            yield from _tls(f"{path}.tls", listener.tls)

    # Names

    def _names(self) -> Iterator[Problem]:
        for section in ("destinations", "tables", "deidentify"):
            for name in self._parts.get(section) or ():
                if not _NAME.fullmatch(name):
                    yield key_path(section, name), "a name has letters, digits and ._- in it, 64 at the most"
        if self._values.get("destinations") == {}:
            yield "destinations", "there is none: write [destinations.NAME] with a type"
        for name, destination in self._destinations.items():
            if isinstance(destination, (DimseDestination, StowDestination)):
                yield from _tls(f"destinations.{name}.tls", destination.tls)

    # Routes

    def _all_routes(self) -> Iterator[Problem]:
        problems: list[Problem] = []
        maker = Maker(self._parts.get("tables") or {}, self._parts.get("deidentify") or {})
        for section, make in (("tables", maker.table), ("deidentify", maker.profile)):
            for name in self._parts.get(section) or ():
                try:
                    make(name)
                except (LocalError, ValueError) as error:
                    problems.append((f"{section}.{name}", str(error)))
        if self._values.get("routes") == []:
            yield "routes", 'there is none: write [[routes]] with to = ["NAME"]'
        names: dict[str, int] = {}
        for number, route in enumerate(self._routes):
            path = f"routes[{number}]"
            problems += self._targets(number, path)
            if route is None:
                route = _rest_of(self._partly.get(path, {}))
                compile_route(route, number, maker, _noting(problems, path))
                continue
            name = name_of(route, number)
            if name in names:
                problems.append((f"{path}.name", f"{name!r} is the name of routes[{names[name]}] too"))
            names[name] = number
            compile_route(route, number, maker, _noting(problems, path))
        yield from problems

    def _targets(self, number: int, path: str) -> Iterator[Problem]:
        """Names of destinations are looked at in what stands in the file: nothing else that is wrong hides them."""
        given = self._values["routes"][number]
        targets = given.get("to") if isinstance(given, dict) else None
        seen = set()
        for place, name in enumerate(targets if isinstance(targets, list) else ()):
            if not isinstance(name, str):
                continue
            reason = self._unknown(name)
            if reason is None and name in seen:
                reason = f"{name!r} stands here twice"
            seen.add(name)
            if reason is not None:
                yield f"{path}.to[{place}]", reason

    # What is passed through, and how the router is looked after

    def _passed_through(self) -> Iterator[Problem]:
        passing = self._parts.get("pass_through")
        if not isinstance(passing, PassThrough):
            return
        for key in ("queries", "worklist", "mpps"):
            name = getattr(passing, key)
            if name is None:
                continue
            reason = self._unknown(name)
            destination = self._destinations.get(name)
            if reason is None and destination is not None and not isinstance(destination, DimseDestination):
                reason = f"{name} is no destination of type dimse, which alone answers this"
            if reason is not None:
                yield f"pass_through.{key}", reason

    def _object_stores(self) -> Iterator[Problem]:
        """Settings that a store does not know; whether it is there is not asked."""
        stores = [
            (f"destinations.{name}.options", destination.url, destination.options)
            for name, destination in self._destinations.items()
            if isinstance(destination, ObjectsDestination)
        ]
        queue = self._parts.get("queue")
        if isinstance(queue, Queue) and queue.objects is not None:
            stores.append(("queue.object_options", queue.objects, queue.object_options))
        for path, url, options in stores:
            if not url.startswith("file:"):
                try:
                    from aiodicom.router.object_stores import open_store

                    open_store(url, options)
                except ModuleNotFoundError:
                    yield path, "an object store needs more packages: pip install 'aiodicom[s3]'"
                except ValueError as error:
                    yield path, str(error)

    def _secrets(self) -> Iterator[Problem]:
        operations, audit = self._parts.get("operations"), self._parts.get("audit")
        files = [
            (f"destinations.{name}.token_file", destination.token_file)
            for name, destination in self._destinations.items()
            if isinstance(destination, StowDestination)
        ]
        if isinstance(operations, Operations):
            files.append(("operations.token_file", operations.token_file))
            yield from _tls("operations.tls", operations.tls)
        if isinstance(audit, Audit):
            yield from _tls("audit.tls", audit.tls)
        for path, file in files:
            if file is not None:
                try:
                    first_line(file)
                except (OSError, ValueError) as error:
                    yield path, str(error)


def _rest_of(fields: Parts) -> Route:
    """A route of what is right in one: the rest of it is looked at all the same. What is wrong does nothing."""
    steps = tuple(Drop() if step is None else step for step in fields.get("transformations", ()))
    return Route(to=("",), when=fields.get("when"), unless=fields.get("unless"), transformations=steps)


def _noting(problems: list[Problem], path: str) -> Callable[[str, str], None]:
    return lambda key, reason: problems.append((f"{path}.{key}", reason))


def _tls(path: str, tls: ServerTLS | ClientTLS | None) -> Iterator[Problem]:
    if tls is not None:
        try:
            tls.context()
        except (LocalError, OSError, ValueError) as error:
            yield path, str(error)
