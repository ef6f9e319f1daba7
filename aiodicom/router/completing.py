"""Routes that send whole series or studies: their objects go when these are complete."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
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

__all__ = ["Completions", "Steps", "expected_of"]

_log = logging.getLogger("aiodicom.router")

#: How many instances a series, or a study, has, where an object says so.
_COUNTS: Final = {"series": "NumberOfSeriesRelatedInstances", "study": "NumberOfStudyRelatedInstances"}
#: Performed procedure steps in progress that are remembered; of those before them only what is quiet is complete.
_STEPS: Final = 10_000


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
        self._time = asyncio.get_running_loop().time
        self._settings: dict[str, Settings] = {}
        self._watched: dict[str, Completion] = {}
        self._steps = Steps()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, routes: Mapping[str, Settings]) -> None:
        """Begins with what waits already."""
        self.apply(routes)
        now = self._time()
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
        now = self._time()
        for route, group in {(each.route, each.group) for each in incoming.deliveries if each.group}:
            settings = self._settings.get(route)
            if settings is None:
                continue  # it waits for something else: see `cut_through`
            expected = expected_of(header, settings)
            self._watch(route).arrived(group, incoming.sop_instance_uid, now, expected)
            self._wake.set()

    def performed(self, uid: str, step: Dataset) -> None:
        """A performed procedure step was created or set (PS3.4 F.7.2)."""
        now = self._time()
        for route, group, instances in self._steps.made(uid, step, self._settings):
            self._watch(route).performed(group, instances, now)
        self._wake.set()

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            now = self._time()
            for route, watched in list(self._watched.items()):
                for group, reason in watched.due(now):
                    _log.info("%s: %s is complete: %s", route, group, reason)
                    await self._complete(route, group)
            deadlines = [each.next_deadline for each in self._watched.values()]
            pause = min((deadline for deadline in deadlines if deadline is not None), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if pause is None else max(pause - self._time(), 0)):
                    await self._wake.wait()

    async def _complete(self, route: str, group: str) -> None:
        try:
            await self._queue.complete(route, group)
        except Exception:
            _log.exception("%s: %s is complete, which could not be noted: it waits for its quiet time", route, group)
            self._watch(route).again(group, self._time())

    async def close(self) -> None:
        """Watches no more; what waits goes on waiting in the queue."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task


class Steps:
    """Performed procedure steps in progress, of which some thousands are remembered: to which studies one belongs it
    says at its beginning alone.
    """

    def __init__(self) -> None:
        #: The studies, by SOP Instance UID.
        self._studies: OrderedDict[str, set[str]] = OrderedDict()

    def made(
        self, uid: str, step: Dataset, settings: Mapping[str, Settings]
    ) -> Iterator[tuple[str, str, Sequence[str]]]:
        """A step was created or set: gives, when it has ended, the groups of the routes that go by it, with the
        instances that it says it has made: route, group, SOP Instance UIDs.
        """
        if studies := _studies_of(step):
            self._studies[uid] = studies
            if len(self._studies) > _STEPS:
                self._studies.popitem(last=False)
        if step.get("PerformedProcedureStepStatus") not in ("COMPLETED", "DISCONTINUED"):
            return
        studies = self._studies.pop(uid, set())
        by_series = dict(_series_of(step))
        made = [each for instances in by_series.values() for each in instances]
        for route, each in settings.items():
            if each.mpps:
                groups = by_series if each.level == "series" else dict.fromkeys(studies, made)
                yield from ((route, group, instances) for group, instances in groups.items())


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
