"""The model that a scenario asks for, and which operation is next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from itertools import chain, count, repeat
from random import Random
from typing import Final

import numpy as np

from aiodicom.load.models import Begin, ClosedModel, Model, OpenModel
from aiodicom.load.operations.operation import Operation
from aiodicom.load.pacing import Arrivals, Leg, Ramp, legs_of
from aiodicom.load.recorder import Recorder
from aiodicom.load.scenario import Executor, Scenario
from aiodicom.load.scu import Scu
from aiodicom.load.share import Share

__all__ = ["chooser", "make_model"]

#: Choices that are made at once.
_CHOICES: Final = 1024


def chooser(mix: Mapping[str, float], operations: Mapping[str, Operation], seed: int | str) -> Callable[[], Operation]:
    """Returns what gives operations at random in the proportions of the mix, the same for the same seed."""
    weights = {name: weight for name, weight in mix.items() if weight > 0}
    known = [operations[name] for name in weights]
    if len(known) == 1:
        return repeat(known[0]).__next__
    random = Random(f"mix {seed}")
    shares = list(weights.values())
    return chain.from_iterable(random.choices(known, shares, k=_CHOICES) for _ in count()).__next__


def make_model(
    scenario: Scenario,
    choose: Callable[[], Operation],
    begin: Begin,
    recorder: Recorder,
    *,
    origin: float,
    retire: Callable[[Scu], None],
    share: Share,
    seed: int | str,
) -> Model:
    """Returns the model of a share of a scenario; the run begins at `origin`."""
    if scenario.executor.is_open:
        rate = float(scenario.rate or 0)
        stages = [(float(stage.duration), float(stage.rate or 0)) for stage in scenario.stages]
        legs = legs_of(rate, stages) if stages else [Leg(0.0, float(scenario.duration or 0), rate, rate)]
        random = None
        if scenario.poisson:
            random = np.random.default_rng(list(blake2b(f"arrivals {seed}".encode()).digest()))
        return OpenModel(
            Arrivals(legs, origin, random, share),
            choose,
            begin,
            recorder,
            max_wait=scenario.max_wait,
            max_waiting=share.part(scenario.max_waiting),
        )
    if scenario.executor is Executor.RAMPING_ASSOCIATIONS:
        legs = legs_of(0.0, [(float(stage.duration), float(stage.associations or 0)) for stage in scenario.stages])
    else:
        legs = [Leg(0.0, 0.0, scenario.associations, scenario.associations)]
    return ClosedModel(
        Ramp(legs),
        choose,
        begin,
        recorder,
        origin=origin,
        think_time=scenario.think_time,
        count=None if scenario.operations is None else share.part(scenario.operations),
        retire=retire,
    )
