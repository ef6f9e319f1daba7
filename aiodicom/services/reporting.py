"""N-EVENT-REPORTs from an SCP to its SCUs: on an association that is there, or on one that is opened for it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodicom.errors import AiodicomError
from aiodicom.net.connect import connect
from aiodicom.services.characters import sayable

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.net.association import Association
    from aiodicom.net.handlers import Handlers
    from aiodicom.net.suboperations import Destination

__all__ = ["Report", "Reporter", "Target"]

_log = logging.getLogger(__name__)

#: Reports that may wait for one AE; the next one is dropped.
_MOST_WAITING: Final = 1000


class Report(NamedTuple):
    """One event."""

    sop_class_uid: str
    sop_instance_uid: str
    event_type_id: int
    dataset: Dataset | None


class Target(NamedTuple):
    """Who is told: whoever has an association, an AE, or an AE on the association that it asked on if that is open."""

    association: Association | None = None
    ae_title: str | None = None
    #: Where to open an association with the AE.
    destination: Destination | None = None


class Reporter:
    """Sends reports in contexts of one abstract syntax, those to one AE in their order."""

    def __init__(self, handlers: Handlers, abstract_syntax: str) -> None:
        self._handlers = handlers
        self._abstract_syntax = abstract_syntax
        self._waiting: dict[object, deque[tuple[Target, Report]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def associations(self) -> list[Association]:
        """The associations that requestors have opened and on which reports can be sent."""
        return [each for each in getattr(self._handlers, "associations", ()) if self._can_tell(each)]

    def _can_tell(self, association: Association) -> bool:
        return association.is_open and bool(association.accepted(self._abstract_syntax))

    def report(self, target: Target, report: Report) -> None:
        """Has a report sent when those before it have been; what cannot be sent is logged (PS3.4 CC.2.4.3)."""
        key = target.ae_title or target.association
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = deque()
            task = asyncio.get_running_loop().create_task(self._work(key, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if len(waiting) >= _MOST_WAITING:
            _log.warning("an event was not reported: %d wait for the same AE", len(waiting))
            return
        waiting.append((target, report))

    async def _work(self, key: object, waiting: deque[tuple[Target, Report]]) -> None:
        try:
            while waiting:
                try:
                    await self.send(*waiting.popleft())
                except AiodicomError as error:
                    _log.warning("an event was not reported: %s", error)
        finally:
            del self._waiting[key]

    async def send(self, target: Target, report: Report) -> None:
        """Sends a report and waits for its response, where possible on an association that is open.

        Raises the `AiodicomError` of the last attempt.
        """
        trouble: AiodicomError | None = None
        if report.dataset is not None:
            report = report._replace(dataset=sayable(report.dataset))
        for association in self._candidates(target):
            try:
                await association.n_event_report(*report, abstract_syntax=self._abstract_syntax)
                return
            except AiodicomError as error:
                trouble = error
        destination = target.destination
        if destination is None or target.ae_title is None:
            raise trouble or AiodicomError("there is no association any more, and none can be opened")
        async with connect(
            destination.host,
            destination.port,
            calling_aet=getattr(self._handlers, "ae_title", None) or "AIODICOM",
            called_aet=target.ae_title,
            contexts=[self._abstract_syntax],
            roles={self._abstract_syntax: (False, True)},
            ssl=destination.ssl,
            server_hostname=destination.server_hostname,
            timeouts=destination.timeouts,
        ) as association:
            await association.n_event_report(*report, abstract_syntax=self._abstract_syntax)

    def _candidates(self, target: Target) -> list[Association]:
        found: list[Association] = []
        if target.association is not None and self._can_tell(target.association):
            found.append(target.association)
        if target.ae_title is not None:
            found += [
                each
                for each in self.associations()
                if each.calling_aet == target.ae_title and each is not target.association
            ]
        return found

    async def close(self) -> None:
        """Ends what is being sent."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
