"""A simulated SCU: who it says it is, whom it calls, and the association that it has at the moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import aiodicom
from aiodicom.errors import AiodicomError
from aiodicom.load.recorder import Recorder
from aiodicom.load.scenario import Scenario
from aiodicom.net.association import Association

__all__ = ["Associating", "Scu"]

#: After the first failure to associate, and at most, in seconds: doubled each time.
_FIRST_BACK_OFF: Final = 0.1
_MOST_BACK_OFF: Final = 5.0


@dataclass(frozen=True)
class Associating:
    """How the associations of a run are opened and counted."""

    recorder: Recorder
    #: Associations that are being opened or released at a time: a listen queue holds so many.
    gate: asyncio.Semaphore
    #: What `aiodicom.connect` is given besides host, port and AE titles.
    options: dict[str, Any]

    async def open(self, host: str, port: int, calling_aet: str, called_aet: str) -> Association:
        """Opens an association. Raises what `aiodicom.connect` does, once it is counted."""
        async with self.gate:
            started = perf_counter()
            try:
                association = await aiodicom.connect(
                    host, port, calling_aet=calling_aet, called_aet=called_aet, **self.options
                )
            except (AiodicomError, OSError) as error:
                self.recorder.not_associated(started, perf_counter(), error)
                raise
            self.recorder.associated(started, perf_counter())
            return association

    async def release(self, association: Association) -> None:
        """Releases an association, or counts how it has ended. Cancelled, it is aborted."""
        if not association.is_open:
            self.recorder.lost(association.why_closed())
            return
        async with self.gate:
            started = perf_counter()
            try:
                await association.release()
            except (AiodicomError, OSError) as error:
                self.recorder.lost(error)
            except asyncio.CancelledError:
                self.recorder.lost(association.why_closed())
                raise
            else:
                self.recorder.released_one(started, perf_counter())


class Scu:
    """One of the SCUs that the load comes from. It has one association at a time, for `lasting` operations.

    Invariants: `running` operations of at most `slots` run on it; `begun` have since its association was opened. Once
    it `is_used_up`, none is begun before it has been renewed; `parked` slots wait for that.
    """

    __slots__ = (
        "_associating",
        "_back_off",
        "_called",
        "_calling",
        "_host",
        "_opening",
        "_port",
        "association",
        "begun",
        "free",
        "is_used_up",
        "lasting",
        "not_before",
        "number",
        "parked",
        "running",
        "slots",
    )

    def __init__(
        self, number: int, scenario: Scenario, associating: Associating, *, one_at_a_time: bool = False
    ) -> None:
        target = scenario.targets[number % len(scenario.targets)]
        of_target = number // len(scenario.targets)
        self.number = number
        self._host, self._port = target.host, target.port
        self._calling = scenario.calling_aets[number % len(scenario.calling_aets)]
        self._called = target.called_aets[of_target % len(target.called_aets)]
        self._associating = associating
        #: How many operations an association is for; None for as many as come.
        self.lasting = _lasting(scenario.association_per)
        self.slots = 1 if one_at_a_time else min(scenario.window, self.lasting or scenario.window)
        self.association: Association | None = None
        self.running = 0
        self.begun = 0
        self.is_used_up = False
        #: Slots that an open model may begin operations on.
        self.free = 0
        self.parked = 0
        self._opening: asyncio.Lock | None = None
        self._back_off = 0.0
        #: When it may try to open an association again.
        self.not_before = 0.0

    async def renew(self) -> int:
        """Releases the association that is used up; returns how many slots have waited for that."""
        await self.release()
        self.begun = 0
        self.is_used_up = False
        parked, self.parked = self.parked, 0
        return parked

    async def associate(self) -> Association:
        """Returns the association, opening one where there is none, or no more. After a failure the next attempt waits.

        Raises what `aiodicom.connect` does.
        """
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            association = self.association
            if association is not None:
                if association.is_open:
                    return association
                self._forget(association)
            if (wait := self.not_before - perf_counter()) > 0:
                await asyncio.sleep(wait)
            try:
                association = self.association = await self.open_another()
            except (AiodicomError, OSError):
                self._back_off = min(max(2 * self._back_off, _FIRST_BACK_OFF), _MOST_BACK_OFF)
                self.not_before = perf_counter() + self._back_off
                raise
            self._back_off = 0.0
            if association.window:
                # Of those that are given out before, what the peer has not agreed to waits for its turn.
                self.slots = min(self.slots, association.window)
            return association

    async def open_another(self) -> Association:
        """Opens an association that is not the SCU's own: the caller gives it back to `release_another`."""
        return await self._associating.open(self._host, self._port, self._calling, self._called)

    async def release_another(self, association: Association) -> None:
        """Releases what `open_another` has opened."""
        await self._associating.release(association)

    async def release(self) -> None:
        """Releases the association, if there is one. Cancelled, it is aborted."""
        association, self.association = self.association, None
        if association is not None:
            await self._associating.release(association)

    def look(self) -> None:
        """Notices an association that has ended by itself."""
        if self.association is not None and not self.association.is_open and not self.running:
            self._forget(self.association)

    def abort(self) -> None:
        """Aborts the association, if there is one."""
        association, self.association = self.association, None
        if association is not None:
            association.abort()
            self._associating.recorder.lost(association.why_closed())

    def _forget(self, association: Association) -> None:
        self.association = None
        self._associating.recorder.lost(association.why_closed())


def _lasting(association_per: str | int) -> int | None:
    if isinstance(association_per, int):
        return association_per
    return None if association_per == "run" else 1
