"""The operations that a scenario's mix names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from aiodicom.load.operations.associate import Associate
from aiodicom.load.operations.commitment import Commitment
from aiodicom.load.operations.echo import Echo
from aiodicom.load.operations.find import find, worklist
from aiodicom.load.operations.identifiers import Studies
from aiodicom.load.operations.mpps import Step
from aiodicom.load.operations.operation import Operation
from aiodicom.load.operations.retrieve import Get, Move
from aiodicom.load.operations.store import Store
from aiodicom.load.operations.study import SendStudy
from aiodicom.load.scenario import Scenario
from aiodicom.load.supply import Supply
from aiodicom.services.storage_commitment import CommitmentListener, Unexpected

__all__ = ["Catalogue"]


class Catalogue:
    """Makes the operations of a scenario, and what they share: the supply, and what is known of the peer's studies.

    `make_supply` is called once something is to be stored, `on_report` with reports of storage commitment that nobody
    here waits for.
    """

    def __init__(
        self, scenario: Scenario, make_supply: Callable[[], Supply], on_report: Unexpected | None = None
    ) -> None:
        self._scenario = scenario
        self._make_supply = make_supply
        #: Hears of reports of storage commitment.
        self.listener = CommitmentListener(unexpected=on_report, max_waiting=100_000)
        self._studies = Studies(scenario)

    @cached_property
    def _supply(self) -> Supply:
        return self._make_supply()

    @cached_property
    def _store(self) -> Store:
        return Store(self._supply, remembers=self._scenario.mix.get("commitment", 0) > 0)

    def operations(self, names: Iterable[str]) -> Mapping[str, Operation]:
        """Those of these names. Raises `LocalError` and OSError for data that cannot be had."""
        scenario = self._scenario
        makers: dict[str, Callable[[], Operation]] = {
            "echo": Echo,
            "store": lambda: self._store,
            "find": lambda: find(scenario),
            "worklist": lambda: worklist(scenario),
            "get": lambda: Get(scenario, self._studies),
            "move": lambda: Move(scenario, self._studies),
            "mpps": Step,
            "commitment": lambda: Commitment(self.listener, float(scenario.commitment_timeout), self._store),
            "associate-only": Associate,
            "study": lambda: SendStudy(scenario, self._supply, self._studies, self.listener),
        }
        return {name: makers[name]() for name in names}
