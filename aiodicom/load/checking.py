"""What contradicts itself in a scenario whose keys are each of the right type, or names what there is not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Protocol

from aiodicom.load.data import dates_of
from aiodicom.load.synthesis import KINDS
from aiodicom.load.thresholds import parse
from aiodicom.standard.ae_titles import ae_title
from aiodicom.standard.dictionary import tag_for_keyword
from aiodicom.standard.transfer_syntaxes import named_transfer_syntax

if TYPE_CHECKING:
    from aiodicom.load.scenario import Scenario

__all__ = ["faults_of"]

#: The operations that a mix may name; a scenario in Python adds its own.
_OPERATIONS: Final = (
    "echo",
    "store",
    "find",
    "move",
    "get",
    "commitment",
    "worklist",
    "mpps",
    "associate-only",
    "study",
)
_WITH_PARTS: Final = frozenset(("study", "commitment"))
_MOST_ASSOCIATIONS: Final = 1_000_000


class _Unless(Protocol):
    def __call__(self, is_right: bool, key: str, wanted: str) -> None:
        """Takes down what is wanted of a key, unless it is right."""


def faults_of(scenario: Scenario, own_operations: tuple[str, ...]) -> list[tuple[str, str]]:
    """Returns what is wrong: the path of the key, and what is wanted of it. `own_operations` may be in the mix too."""
    faults: list[tuple[str, str]] = []

    def unless(is_right: bool, key: str, wanted: str) -> None:
        if not is_right:
            faults.append((key, wanted))

    _check_associations(scenario, unless)
    _check_workers(scenario, unless)
    _check_time(scenario, unless)
    _check_mix(scenario, own_operations, unless)
    _check_data(scenario, unless)
    _check_queries(scenario, unless)
    return faults


def _check_associations(scenario: Scenario, unless: _Unless) -> None:
    unless(bool(scenario.targets), "targets", "wanted at least one [[targets]] with host and port")
    for number, target in enumerate(scenario.targets):
        unless(0 < target.port <= 0xFFFF, f"targets[{number}].port", f"wanted 1 to 65535, got {target.port}")
        _check_titles(target.called_aets, f"targets[{number}].called_aets", unless)
    _check_titles(scenario.calling_aets, "calling_aets", unless)
    unless(
        0 < scenario.associations <= _MOST_ASSOCIATIONS,
        "associations",
        f"wanted 1 to {_MOST_ASSOCIATIONS:,}, got {scenario.associations:,}",
    )
    if isinstance(scenario.association_per, int):
        unless(
            scenario.association_per >= 1,
            "association_per",
            f'wanted "run", "operation", "series", "study" or a number of operations, got {scenario.association_per}',
        )
    unless(1 <= scenario.window <= 0xFFFF, "window", f"wanted 1 to 65535, got {scenario.window}")
    unless(4096 <= scenario.max_pdu <= 2**31, "max_pdu", f"wanted 4096 or more bytes, got {scenario.max_pdu}")
    unless(scenario.max_waiting >= 0, "max_waiting", f"wanted 0 or more, got {scenario.max_waiting}")


def _check_workers(scenario: Scenario, unless: _Unless) -> None:
    """What several processes cannot do together."""
    unless(scenario.workers >= 1, "workers", f"wanted 1 or more, got {scenario.workers}")
    if scenario.workers > 1:
        most = scenario.most_associations if scenario.trace is None else scenario.workers
        unless(
            scenario.workers <= most, "workers", f"wanted at most one for each of {most} associations, or more of these"
        )


def _check_titles(titles: Iterable[str], key: str, unless: _Unless) -> None:
    unless(bool(titles), key, "wanted at least one AE title")
    for title in titles:
        try:
            ae_title(title)
        except ValueError as error:
            unless(False, key, str(error))


def _check_time(scenario: Scenario, unless: _Unless) -> None:
    """How long the run lasts, and at what rate."""
    unless(scenario.rate is None or scenario.rate > 0 or bool(scenario.stages), "rate", "wanted more than 0/s")
    unless(
        scenario.operations is None or scenario.operations > 0,
        "operations",
        f"wanted 1 or more, got {scenario.operations}",
    )
    if scenario.operations is not None:
        unless(scenario.rate is None and not scenario.stages, "operations", "not with a rate or stages")
    unless(scenario.trace is not None or scenario.speed == 1.0, "speed", "wanted with a trace alone")
    if scenario.trace is not None:
        alone = scenario.rate is None and not scenario.stages and scenario.operations is None
        unless(alone and scenario.duration is None, "trace", "not with a rate, stages, operations or a duration")
    elif scenario.stages:
        _check_stages(scenario, unless)
    elif scenario.operations is None:
        unless(scenario.duration is not None, "duration", "wanted, where there are neither stages nor operations")
    if scenario.seconds is not None:
        unless(scenario.seconds > 0, "stages" if scenario.stages else "duration", "wanted more than 0 s")
        unless(scenario.seconds > scenario.warm_up, "warm_up", "wanted less than the run lasts")


def _check_stages(scenario: Scenario, unless: _Unless) -> None:
    unless(scenario.duration is None, "duration", "not with stages: the run lasts as long as they do")
    by_rate = scenario.stages[0].rate is not None
    for number, stage in enumerate(scenario.stages):
        right = (stage.rate is not None) == by_rate and (stage.associations is not None) == (not by_rate)
        unless(right, f"stages[{number}]", "wanted either rate or associations, the same in all stages")
        unless((stage.associations or 0) >= 0, f"stages[{number}].associations", "wanted 0 or more")
    unless(by_rate or scenario.rate is None, "rate", "not with stages of associations")


def _check_mix(scenario: Scenario, own_operations: tuple[str, ...], unless: _Unless) -> None:
    """What is done, and what is measured of it."""
    known = (*_OPERATIONS, *own_operations)
    unless(bool(scenario.mix), "mix", "wanted at least one operation")
    for name, weight in scenario.mix.items():
        unless(name in known, f"mix.{name}", f"no such operation: wanted one of {', '.join(known)}")
        unless(0 <= weight < float("inf"), f"mix.{name}", f"wanted a weight of 0 or more, got {weight:g}")
    unless(any(weight > 0 for weight in scenario.mix.values()), "mix", "wanted a weight above 0")
    has_any = bool(scenario.thresholds)
    unless(has_any or not scenario.abort_on_fail, "abort_on_fail", "wanted with thresholds: without, nothing can fail")
    # Some consist of others, as does what is written in Python, and what is in a trace is not known yet.
    is_unknown = bool(own_operations) or not _WITH_PARTS.isdisjoint(scenario.mix) or scenario.trace is not None
    measured = known if is_unknown else tuple(scenario.mix)
    for number, expression in enumerate(scenario.thresholds):
        try:
            parse(expression, measured)
        except ValueError as error:
            unless(False, f"thresholds[{number}]", str(error))


def _check_data(scenario: Scenario, unless: _Unless) -> None:
    """What is stored."""
    data = scenario.data
    kinds = {name.lower() for name in KINDS}
    unless(bool(data.modality), "data.modality", f"wanted some of {', '.join(KINDS)}")
    for name in data.modality:
        unless(name.lower() in kinds, "data.modality", f"wanted some of {', '.join(KINDS)}, got {name!r}")
    for key in ("series", "images", "rows", "columns", "frames", "distinct"):
        number = getattr(data, key)
        unless(number is None or number >= 1, f"data.{key}", f"wanted 1 or more, got {number}")
    try:
        named_transfer_syntax(data.transfer_syntax)
    except ValueError as error:
        unless(False, "data.transfer_syntax", str(error))
    try:
        dates_of(data.dates)
    except ValueError as error:
        unless(False, "data.dates", str(error))


def _check_queries(scenario: Scenario, unless: _Unless) -> None:
    """What is asked for and retrieved, and where to."""
    for table, keys in (("query.keys", scenario.query.keys), ("worklist", scenario.worklist)):
        for keyword in keys:
            unless(tag_for_keyword(keyword) is not None, f"{table}.{keyword}", "no keyword of PS3.6")
    has_destination = scenario.query.destination is not None or scenario.receiver is not None
    unless(
        has_destination or not scenario.mix.get("move"),
        "query.destination",
        "wanted for move, or a receiver of our own, since the peer has to know where to send",
    )
    if scenario.receiver is not None:
        port = scenario.receiver.port
        unless(0 < port <= 0xFFFF, "receiver.port", f"wanted 1 to 65535, got {port}")
        _check_titles((scenario.receiver.ae_title,), "receiver.ae_title", unless)
