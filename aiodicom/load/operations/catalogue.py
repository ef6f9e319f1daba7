"""The operations that a scenario's mix names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiodicom.load.operations.echo import Echo
from aiodicom.load.operations.operation import Operation
from aiodicom.load.operations.store import Store
from aiodicom.load.scenario import Scenario
from aiodicom.load.supply import Supply
from aiodicom.load.synthetic import SyntheticCT

__all__ = ["catalogue"]


def catalogue(scenario: Scenario, supply: Supply | None) -> Mapping[str, Operation]:
    """Returns the operations of the mix by their names."""

    def stored() -> Supply:
        return supply or SyntheticCT(scenario.data.rows, scenario.data.columns)

    makers: dict[str, Callable[[], Operation]] = {"echo": Echo, "store": lambda: Store(stored())}
    return {name: makers[name]() for name, weight in scenario.mix.items() if weight > 0}
