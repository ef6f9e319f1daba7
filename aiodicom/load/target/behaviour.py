"""What a bad PACS decides: about each association, each operation, each match and each commitment.

It is told the time since the start and reads no clock; the same scenario and seed decide alike about the same
association and operation, by their numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeVar

from aiodicom.load.target.chance import Matter, variate
from aiodicom.load.target.distributions import Distribution
from aiodicom.load.target.faults import Fault
from aiodicom.load.target.scenario import OPERATIONS, OperationRules, TargetScenario, status_code
from aiodicom.load.target.stalls import Stalls
from aiodicom.standard.status import Status

__all__ = ["AssociationPlan", "Behaviour", "CommitmentPlan", "Fate", "OperationPlan", "Standing"]

Choice = TypeVar("Choice")


class Fate(Enum):
    """What becomes of an association that is asked for."""

    ACCEPT = "accepted"
    REJECT = "rejected"
    ABORT = "aborted"
    CLOSE = "closed"
    IGNORE = "ignored"


class AssociationPlan(NamedTuple):
    """What is done about who asks for an association, after `delay` seconds."""

    fate: Fate
    delay: float


class OperationPlan(NamedTuple):
    """What is done about an operation, after `delay` seconds: it is answered with the status, unless there is a fault.

    `number`: which operation of its association it is.
    """

    delay: float
    status: Status
    fault: Fault | None
    number: int


class CommitmentPlan(NamedTuple):
    """What is reported of a transaction after `delay` seconds; its `number`."""

    delay: float
    number: int


@dataclass(slots=True)
class Standing:
    """An association: its number, and how many operations it has had."""

    number: int
    operations: int = 0


class _Rules(NamedTuple):
    latency: Distribution | None
    statuses: tuple[tuple[float, Status], ...]
    faults: tuple[tuple[float, Fault], ...]


class Behaviour:
    """Decides as a scenario says."""

    def __init__(self, scenario: TargetScenario) -> None:
        self.stalls = Stalls([rule.stall for rule in scenario.stalls])
        self._scenario = scenario
        self._seed = scenario.seed
        self._numbers = itertools.count(1)
        self._requests = itertools.count(1)
        self._reports = itertools.count(1)
        rules = scenario.associations
        self._fates = _cumulated(
            {Fate.REJECT: rules.reject, Fate.ABORT: rules.abort, Fate.CLOSE: rules.close, Fate.IGNORE: rules.ignore}
        )
        self._rules = {kind: _rules(getattr(scenario.operations, kind), scenario.operations.all) for kind in OPERATIONS}

    def associate(self, present: int, elapsed: float) -> tuple[Standing, AssociationPlan]:
        """Decides about who asks for an association, with which there are so many `present`."""
        standing = Standing(next(self._numbers))
        rules = self._scenario.associations
        if rules.most is not None and present > rules.most:
            fate = Fate.REJECT
        else:
            chance = variate(self._seed, Matter.ASSOCIATION, standing.number)
            fate = _chosen(self._fates, chance, Fate.ACCEPT)
        delay = rules.delay.quantile(variate(self._seed, Matter.ASSOCIATION_DELAY, standing.number))
        return standing, AssociationPlan(fate, self._past_stalls(delay, elapsed))

    def operate(self, standing: Standing, kind: str, elapsed: float) -> OperationPlan:
        """Decides about the next operation of an association; `kind` is one of `OPERATIONS`."""
        rules = self._rules[kind]
        standing.operations += 1
        about = standing.number, standing.operations
        fault: Fault | None = None
        if standing.operations == self._scenario.associations.abort_after:
            fault = Fault.ABORT
        elif rules.faults:
            fault = _chosen(rules.faults, variate(self._seed, Matter.FAULT, *about), None)
        status = Status.SUCCESS
        if rules.statuses:
            status = _chosen(rules.statuses, variate(self._seed, Matter.STATUS, *about), status)
        delay = 0.0
        if rules.latency is not None:
            delay = rules.latency.quantile(variate(self._seed, Matter.LATENCY, *about))
        return OperationPlan(self._past_stalls(delay, elapsed), status, fault, standing.operations)

    def interval(self, standing: Standing, operation: int, match: int, elapsed: float) -> float:
        """Decides how many seconds pass before a match of a query."""
        chance = variate(self._seed, Matter.INTERVAL, standing.number, operation, match)
        return self._past_stalls(self._scenario.match_interval.quantile(chance), elapsed)

    def forgets(self) -> bool:
        """Decides whether nothing will ever be reported of a storage commitment transaction."""
        chance = variate(self._seed, Matter.FORGETTING, next(self._requests))
        return chance < self._scenario.commitment.never

    def report(self) -> CommitmentPlan:
        """Decides about the report of a storage commitment transaction."""
        number = next(self._reports)
        chance = variate(self._seed, Matter.REPORT_DELAY, number)
        return CommitmentPlan(self._scenario.commitment.delay.quantile(chance), number)

    def failed(self, plan: CommitmentPlan, instances: Iterable[str]) -> Mapping[str, int]:
        """Decides which SOP instances are not committed to: their UIDs, and why not."""
        rules = self._scenario.commitment
        return {
            uid: rules.reason
            for place, uid in enumerate(instances)
            if variate(self._seed, Matter.COMMITMENT, plan.number, place) < rules.fail
        }

    def _past_stalls(self, delay: float, elapsed: float) -> float:
        end = self.stalls.end(elapsed + delay)
        return delay if end is None else end - elapsed


def _rules(own: OperationRules, all_: OperationRules) -> _Rules:
    statuses = own.statuses if own.statuses is not None else all_.statuses or {}
    faults = own.faults if own.faults is not None else all_.faults or {}
    return _Rules(
        own.latency or all_.latency,
        _cumulated({Status(status_code(code)): share for code, share in statuses.items()}),
        _cumulated({Fault(fault): share for fault, share in faults.items()}),
    )


def _cumulated(shares: Mapping[Choice, float]) -> tuple[tuple[float, Choice], ...]:
    """The choices that have a share, each with what it and those before it have together."""
    found = [(choice, share) for choice, share in shares.items() if share]
    totals = itertools.accumulate(share for _, share in found)
    return tuple((total, choice) for total, (choice, _) in zip(totals, found, strict=True))


def _chosen(choices: tuple[tuple[float, Choice], ...], chance: float, otherwise: Choice) -> Choice:
    for total, choice in choices:
        if chance < total:
            return choice
    return otherwise
