"""C-GET and C-MOVE of studies (PS3.4 annex C)."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from aiodicom.load.operations.identifiers import Studies, model_of
from aiodicom.load.operations.operation import Outcome, Waiting
from aiodicom.load.receiver import size_of
from aiodicom.load.scenario import Scenario
from aiodicom.net.operations import sop_class_of
from aiodicom.net.sinks import Discarded

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.load.attempts import Attempt
    from aiodicom.net.association import Association
    from aiodicom.net.connect import ContextProposal
    from aiodicom.net.results import RetrieveResult
    from aiodicom.standard.models import InformationModel

__all__ = ["Get", "Move", "got", "moved"]


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
        return await got(attempt, association, await self._studies.next(association), self._model)


class Move(Waiting):
    """Has the peer send a study to the scenario's destination."""

    name = "move"

    def __init__(self, scenario: Scenario, studies: Studies) -> None:
        self._model = model_of(scenario.query)
        self._studies = studies
        self._destination = scenario.move_destination
        self.contexts: Sequence[ContextProposal] = (
            sop_class_of(self._model, "move"),
            sop_class_of(self._model, "find"),
        )

    async def __call__(self, attempt: Attempt) -> Outcome:
        association = await attempt.associate()
        identifier = await self._studies.next(association)
        return await moved(attempt, association, identifier, self._model, self._destination)


async def got(
    attempt: Attempt, association: Association, identifier: Dataset, model: InformationModel | str
) -> Outcome:
    """C-GET; the objects are thrown away. Raises what `Association.c_get` does."""
    first: float | None = None
    matches = received = 0
    async with association.c_get(identifier, model, body=Discarded()) as objects:
        async for received_object in objects:
            matches += 1
            received += size_of(received_object)
            if first is None:
                first = perf_counter() - attempt.started
        status = 0 if objects.result is None else int(objects.result.status)
    return Outcome(status, received=received, matches=matches, first_response=first)


async def moved(
    attempt: Attempt,
    association: Association,
    identifier: Dataset,
    model: InformationModel | str,
    destination: str,
) -> Outcome:
    """C-MOVE. Raises what `Association.c_move` does."""
    first: float | None = None

    def on_progress(_so_far: RetrieveResult) -> None:
        nonlocal first
        if first is None:
            first = perf_counter() - attempt.started

    result = await association.c_move(identifier, destination, model, on_progress=on_progress)
    matches = (result.completed or 0) + (result.warning or 0)
    return Outcome(int(result.status), matches=matches, first_response=first)
