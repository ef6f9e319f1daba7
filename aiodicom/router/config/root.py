"""`Config`: the whole file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from aiodicom.router.config.destinations import Destination
from aiodicom.router.config.listening import Listener
from aiodicom.router.config.operations import Audit, Metrics, Operations, PassThrough, Tracing
from aiodicom.router.config.queueing import Queue
from aiodicom.router.config.routes import DeidentifyProfile, Route, Table
from aiodicom.router.config.values import AETitle, Section

__all__ = ["Config", "name_of"]


class Config(Section, frozen=True, kw_only=True):
    """What a router does."""

    listen: Listener | tuple[Listener, ...]
    queue: Queue
    destinations: dict[str, Destination]
    #: An object is held against all of them, in their order.
    routes: tuple[Route, ...]
    #: What becomes of an object that no route means: it is refused, or answered with Success and dropped.
    unrouted: Literal["refuse", "drop"] = "refuse"
    #: Processes that share the listeners.
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    deidentify: dict[str, DeidentifyProfile] = {}
    tables: dict[str, Table] = {}
    pass_through: PassThrough = PassThrough()
    operations: Operations | None = None
    metrics: Metrics | None = None
    tracing: Tracing | None = None
    audit: Audit | None = None

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Where objects are received, in the order of the file."""
        return (self.listen,) if isinstance(self.listen, Listener) else self.listen

    @property
    def calling_aet(self) -> AETitle:
        """What destinations are called by that do not say otherwise: the first AE title that is ours."""
        titles = [title for listener in self.listeners for title in listener.ae_titles]
        return titles[0] if titles else AETitle("AIODICOM")


def name_of(route: Route, number: int) -> str:
    """What a route is called; `number` counts from 0."""
    return route.name if route.name is not None else f"route {number + 1}"
