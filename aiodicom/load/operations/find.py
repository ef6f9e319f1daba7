"""C-FIND: queries of an archive and of a modality worklist (PS3.4 annexes C and K)."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from aiodicom.load.operations.identifiers import model_of, query_identifier, worklist_identifier
from aiodicom.load.operations.operation import Outcome, Waiting
from aiodicom.load.scenario import Scenario
from aiodicom.net.operations import sop_class_of
from aiodicom.standard.models import ModalityWorklist

if TYPE_CHECKING:
    from aiodicom.dataset import Dataset
    from aiodicom.load.attempts import Attempt
    from aiodicom.net.connect import ContextProposal
    from aiodicom.standard.models import InformationModel

__all__ = ["Find", "find", "worklist"]


class Find(Waiting):
    """Asks, and reads all matches."""

    def __init__(self, name: str, model: InformationModel, identifier: Dataset) -> None:
        self.name = name
        self._model = model
        self._identifier = identifier
        self.contexts: Sequence[ContextProposal] = (sop_class_of(model, "find"),)

    async def __call__(self, attempt: Attempt) -> Outcome:
        association = await attempt.associate()
        first: float | None = None
        async with association.c_find(self._identifier, self._model) as matches:
            async for _ in matches:
                if first is None:
                    first = perf_counter() - attempt.started
        return Outcome(first_response=first)


def find(scenario: Scenario) -> Find:
    """The query of a scenario."""
    return Find("find", model_of(scenario.query), query_identifier(scenario.query))


def worklist(scenario: Scenario) -> Find:
    """The worklist query of a scenario."""
    return Find("worklist", ModalityWorklist, worklist_identifier(scenario))
