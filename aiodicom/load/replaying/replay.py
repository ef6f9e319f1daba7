"""A replay, as a run needs it: the plan of a trace, and the model that goes by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from aiodicom.load.attempts import Attempts
from aiodicom.load.replaying.model import ReplayModel
from aiodicom.load.replaying.operations import Replayer
from aiodicom.load.replaying.plan import Opening, read_plan
from aiodicom.load.scenario import Scenario, ScenarioError
from aiodicom.load.scu import Associating, Scu
from aiodicom.load.share import Share

__all__ = ["Replay"]


class Replay:
    """A share of the trace that `scenario` names. Raises `ScenarioError` for one that is none, and OSError."""

    def __init__(self, scenario: Scenario, share: Share, seed: int | str) -> None:
        assert scenario.trace is not None
        try:
            self._plan = read_plan(Path(scenario.trace), scenario.speed).part(share)
        except ValueError as error:
            where, _, reason = str(error).partition(": ")
            raise ScenarioError(where, reason) from None
        self._scenario = scenario
        self._seed = seed

    @property
    def most_associations(self) -> int:
        """How many associations are open at a time, at most."""
        return self._plan.most_associations

    @property
    def skipped(self) -> Mapping[str, int]:
        """Operations of the trace that are not done again, by service."""
        return self._plan.skipped

    def model(self, scus: list[Scu], associating: Associating, attempts: Attempts, origin: float) -> ReplayModel:
        """Returns the model of a run that begins at `origin`; `scus` are those that have an association."""

        def make(opening: Opening) -> Scu:
            options = {"contexts": opening.contexts, "receives": opening.receives, "window": opening.window}
            own = replace(associating, options={**associating.options, **options})
            scu = Scu(opening.association, self._scenario, own)
            scu.slots = opening.window
            scus.append(scu)
            return scu

        return ReplayModel(
            self._plan,
            Replayer(self._scenario, self._seed),
            attempts.begin,
            attempts.recorder,
            origin=origin,
            make=make,
            retire=scus.remove,
            spawn=attempts.spawn,
            on_over=lambda: attempts.on_idle(),
        )
