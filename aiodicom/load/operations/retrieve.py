"""C-GET and C-MOVE of studies (PS3.4 annex C)."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from aiodicom.load.operations.identifiers import Studies, model_of
from aiodicom.load.operations.operation import Outcome, Waiting
from aiodicom.load.receiver import Counted, size_of
from aiodicom.load.scenario import Scenario
from aiodicom.net.operations import sop_class_of

if TYPE_CHECKING:
    from aiodicom.load.attempts import Attempt
    from aiodicom.net.connect import ContextProposal
    from aiodicom.net.results import RetrieveResult

__all__ = ["Get", "Move"]


class Get(Waiting):
    """Retrieves a study on the association, and throws its objects away."""

    name = "get"
    is_receiving = True

    def __init__(self, scenario: Scenario, studies: Studies) -> None:
        self._model = model_of(scenario.query)
        self._studies = studies
        self.contexts: Sequence[ContextProposal] = (sop_class_of(self._model, "get"), sop_class_of(self._model, "find"))

    async def __call__(self, attempt: Attempt) -> Outcome:
        association = await attempt.associate()
        identifier = await self._studies.next(association)
        first: float | None = None
        received = 0
        async with association.c_get(identifier, self._model, body=Counted) as objects:
            async for received_object in objects:
                received += size_of(received_object)
                if first is None:
                    first = perf_counter() - attempt.started
            status = 0 if objects.result is None else int(objects.result.status)
        return Outcome(status, received=received, first_response=first)


class Move(Waiting):
    """Has the peer send a study to the scenario's destination."""

    name = "move"

    def __init__(self, scenario: Scenario, studies: Studies) -> None:
        self._model = model_of(scenario.query)
        self._studies = studies
        receiver = scenario.receiver
        self._destination = scenario.query.destination or (receiver.ae_title if receiver else "AIODICOM")
        self.contexts: Sequence[ContextProposal] = (
            sop_class_of(self._model, "move"),
            sop_class_of(self._model, "find"),
        )

    async def __call__(self, attempt: Attempt) -> Outcome:
        association = await attempt.associate()
        identifier = await self._studies.next(association)
        first: float | None = None

        def on_progress(_so_far: RetrieveResult) -> None:
            nonlocal first
            if first is None:
                first = perf_counter() - attempt.started

        result = await association.c_move(identifier, self._destination, self._model, on_progress=on_progress)
        return Outcome(int(result.status), first_response=first)
