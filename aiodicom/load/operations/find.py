"""C-FIND: queries of an archive and of a modality worklist (PS3.4 annexes C and K)."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from aiodicom.load.operations.identifiers import model_of, query_identifier, worklist_identifier
from aiodicom.load.operations.operation import Outcome, Waiting
from aiodicom.load.scenario import Scenario
from aiodicom.net.counting import count_matches
from aiodicom.net.operations import sop_class_of
from aiodicom.standard.models import ModalityWorklist

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.load.attempts import Attempt
    from aiodicom.net.association import Association
    from aiodicom.net.connect import ContextProposal
    from aiodicom.standard.models import InformationModel

__all__ = ["Find", "counted", "find", "worklist"]


class Find(Waiting):
    """Asks, and counts what matches."""

    def __init__(self, name: str, model: InformationModel, identifier: Dataset) -> None:
        self.name = name
        self._model = model
        self._identifier = identifier
        self.contexts: Sequence[ContextProposal] = (sop_class_of(model, "find"),)

    async def __call__(self, attempt: Attempt) -> Outcome:
        return await counted(attempt, await attempt.associate(), self._identifier, self._model)


async def counted(
    attempt: Attempt,
    association: Association,
    identifier: Dataset,
    model: InformationModel | str,
    most: int | None = None,
) -> Outcome:
    """Asks, and counts what matches; cancels the query after so many, if that is given. Raises what `count_matches`
    does.
    """
    first: float | None = None

    def on_first() -> None:
        nonlocal first
        first = perf_counter() - attempt.started

    found = await count_matches(association, identifier, model, most=most, on_first=on_first)
    return Outcome(received=found.size, matches=found.matches, first_response=first)


def find(scenario: Scenario) -> Find:
    """The query of a scenario."""
    return Find("find", model_of(scenario.query), query_identifier(scenario.query))


def worklist(scenario: Scenario) -> Find:
    """The worklist query of a scenario."""
    return Find("worklist", ModalityWorklist, worklist_identifier(scenario))
