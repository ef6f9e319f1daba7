"""Routes that send whole series or studies: their objects go when these are complete."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from aiodicom.errors import AiodicomError
from aiodicom.router.completion import Completion
from aiodicom.router.observing import Observer

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.router.config.routes import Completion as Settings
    from aiodicom.router.queue.objects import Incoming

__all__ = ["Completions", "expected_of", "made_by"]

_log = logging.getLogger("aiodicom.router")

#: How many instances a series, or a study, has, where an object says so.
_COUNTS: Final = {"series": "NumberOfSeriesRelatedInstances", "study": "NumberOfStudyRelatedInstances"}


class Gathering(Protocol):
    """A queue, as far as completion needs it."""

    async def complete(self, route: str, group: str) -> None: ...

    async def gathering(self, after: int = 0) -> Sequence[tuple[int, str, str, str]]: ...


class Completions(Observer):
    """Watches the series and studies of all routes that wait for them; one task serves them all.

    What waited when the process ended before begins its quiet time anew.
    """

    def __init__(self, queue: Gathering) -> None:
        self._queue = queue
        self._settings: dict[str, Settings] = {}
        self._watched: dict[str, Completion] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, routes: Mapping[str, Settings]) -> None:
        """Begins with what waits already."""
        self.apply(routes)
        now = time.monotonic()
        after = 0
        while waiting := await self._queue.gathering(after):
            for object, route, group, uid in waiting:
                after = object
                # Of a route that is gone, or waits for nothing any more, it goes at once.
                self._watch(route).arrived(group, uid, now)
        self._task = asyncio.get_running_loop().create_task(self._work())

    def apply(self, routes: Mapping[str, Settings]) -> None:
        """The routes that wait, from now on."""
        self._settings = dict(routes)
        for route, settings in routes.items():
            watched = self._watched.get(route)
            if watched is not None:
                watched.change(settings.quiet, settings.most)
        for route, watched in self._watched.items():
            if route not in routes:
                watched.change(0.0, 0.0)
        self._wake.set()

    def _watch(self, route: str) -> Completion:
        watched = self._watched.get(route)
        if watched is None:
            settings = self._settings.get(route)
            watched = Completion(0.0, 0.0) if settings is None else Completion(settings.quiet, settings.most)
            self._watched[route] = watched
        return watched

    def received(self, incoming: Incoming, size: int, header: Dataset, association: Association) -> None:
        """An object has been taken."""
        now = time.monotonic()
        for route, group in {(each.route, each.group) for each in incoming.deliveries if each.group}:
            settings = self._settings.get(route)
            if settings is None:
                continue  # it waits for something else: see `cut_through`
            expected = expected_of(header, settings)
            self._watch(route).arrived(group, incoming.sop_instance_uid, now, expected)
            self._wake.set()

    def performed(self, step: Dataset) -> None:
        """A performed procedure step has ended, and says what it has made (PS3.4 F.7.2.2)."""
        for route, group, instances in made_by(step, self._settings):
            self._watch(route).performed(group, instances)
        self._wake.set()

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            now = time.monotonic()
            for route, watched in list(self._watched.items()):
                for group, reason in watched.due(now):
                    _log.info("%s: %s is complete: %s", route, group, reason)
                    await self._complete(route, group)
            deadlines = [each.next_deadline for each in self._watched.values()]
            pause = min((deadline for deadline in deadlines if deadline is not None), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if pause is None else max(pause - time.monotonic(), 0)):
                    await self._wake.wait()

    async def _complete(self, route: str, group: str) -> None:
        try:
            await self._queue.complete(route, group)
        except Exception:
            _log.exception("%s: %s is complete, which could not be noted: it waits for its quiet time", route, group)
            self._watch(route).arrived(group, "", time.monotonic())

    async def close(self) -> None:
        """Watches no more; what waits goes on waiting in the queue."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task


def made_by(step: Dataset, settings: Mapping[str, Settings]) -> Iterator[tuple[str, str, list[str]]]:
    """The groups of a performed procedure step that has ended, with the instances that it says it has made: route,
    group, SOP Instance UIDs; of those routes that go by it.
    """
    if step.get("PerformedProcedureStepStatus") not in ("COMPLETED", "DISCONTINUED"):
        return
    by_series = dict(_series_of(step))
    for route, each in settings.items():
        if not each.mpps:
            continue
        if each.level == "series":
            for uid, instances in by_series.items():
                yield route, uid, instances
        else:
            made = [uid for instances in by_series.values() for uid in instances]
            for study in _studies_of(step):
                yield route, study, made


def expected_of(header: Dataset, settings: Settings) -> int:
    """How many instances the group of an object will have, as it says; 0 where its route does not go by that."""
    return _count(header, settings.level) if settings.counts else 0


def _count(header: Dataset, level: str) -> int:
    try:
        value = header.get(_COUNTS[level])
        return int(value) if isinstance(value, int | str) and value else 0
    except (AiodicomError, ValueError):
        return 0


def _series_of(step: Dataset) -> Iterable[tuple[str, list[str]]]:
    """The series of a step with the instances that it names (PS3.3 C.4.14)."""
    for series in step.get("PerformedSeriesSequence") or ():
        made = [
            str(item.get("ReferencedSOPInstanceUID") or "")
            for keyword in ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")
            for item in series.get(keyword) or ()
        ]
        yield str(series.get("SeriesInstanceUID") or ""), made


def _studies_of(step: Dataset) -> set[str]:
    """The studies of a step (PS3.3 C.4.13)."""
    scheduled = step.get("ScheduledStepAttributesSequence") or ()
    return {str(item.get("StudyInstanceUID") or "") for item in scheduled} - {""}
