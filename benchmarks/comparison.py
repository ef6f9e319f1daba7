"""Comparisons: several contenders do the same work in turns; medians, ratios, targets.

A comparison is a `Row`: its contenders do the same work, one after another, a fresh one each time unless they share one
run, and round after round, so that whatever drifts on the machine drifts for all. A contender's work gives its
`Metrics`, and the medians of those are compared.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.interop.processes import PeerMissing

#: What one run of one contender was like, by the names of the row's metrics. A name may be missing: not measured.
Metrics = dict[str, float]


@dataclass(frozen=True)
class Metric:
    """A column of the table; `higher` is better, or lower."""

    name: str
    higher: bool = True
    digits: int = 0


@dataclass(frozen=True)
class Contender:
    """One who does the work of a row. `ours`: targets apply to it."""

    name: str
    work: Callable[[], Metrics]
    ours: bool = False


@dataclass(frozen=True)
class Target:
    """What our contenders are to reach: a ratio to the contender `against`, or (None) a bound of the metric itself.

    `of`: the only contender that it applies to, None for all of ours.
    """

    metric: str
    value: float
    against: str | None
    of: str | None = None


@dataclass(frozen=True)
class Point:
    """Where a row stands on a curve: so many associations."""

    curve: str
    associations: int


@dataclass(frozen=True)
class Row:
    """One comparison. Ratios are shown to the contender named `baseline`."""

    title: str
    metrics: tuple[Metric, ...]
    contenders: tuple[Contender, ...]
    baseline: str
    targets: tuple[Target, ...] = ()
    point: Point | None = None


@dataclass(frozen=True)
class Verdict:
    """What one of our contenders reached of a target; None: it was not measured, or who it is held against was not."""

    contender: str
    target: Target
    reached: float | None
    enough: bool


@dataclass
class Outcome:
    """A row when it has run: the samples of each contender, and why others have none."""

    row: Row
    samples: dict[str, list[Metrics]] = field(default_factory=dict)
    #: Those that did not do the work.
    failures: dict[str, str] = field(default_factory=dict)
    #: Those that are not installed.
    absent: dict[str, str] = field(default_factory=dict)

    def values(self, contender: str, metric: str) -> list[float]:
        """Of every run, none when it failed in one."""
        if contender in self.failures:
            return []
        return [sample[metric] for sample in self.samples.get(contender, []) if metric in sample]

    def median(self, contender: str, metric: str) -> float | None:
        values = self.values(contender, metric)
        return statistics.median(values) if values else None

    def ratio(self, contender: str, metric: Metric, against: str) -> float | None:
        """How many times better than `against`, by the medians."""
        mine, theirs = self.median(contender, metric.name), self.median(against, metric.name)
        if not mine or not theirs:
            return None
        return mine / theirs if metric.higher else theirs / mine

    def verdicts(self) -> list[Verdict]:
        """For each of our contenders and each target; none where who it is held against is not installed."""
        return [
            self._verdict(contender.name, target)
            for contender in self.row.contenders
            for target in self.row.targets
            if contender.ours and target.of in (None, contender.name) and target.against not in self.absent
        ]

    def _verdict(self, contender: str, target: Target) -> Verdict:
        metric = next(each for each in self.row.metrics if each.name == target.metric)
        if target.against is None:
            reached = self.median(contender, target.metric)
            enough = reached is not None and (reached == target.value or (reached > target.value) is metric.higher)
        else:
            reached = self.ratio(contender, metric, target.against)
            enough = reached is not None and reached >= target.value
        return Verdict(contender, target, reached, enough)

    @property
    def has_failed(self) -> bool:
        """Whether one of ours did not do its work."""
        return any(contender.ours and contender.name in self.failures for contender in self.row.contenders)


def run(row: Row, runs: int) -> Outcome:
    """`runs` rounds over all contenders of a row; one that fails, or is not installed, is not asked again."""
    outcome = Outcome(row)
    for _ in range(runs):
        for contender in row.contenders:
            if contender.name in outcome.failures or contender.name in outcome.absent:
                continue
            try:
                outcome.samples.setdefault(contender.name, []).append(contender.work())
            except PeerMissing as missing:
                outcome.absent[contender.name] = str(missing)
            except Exception as error:
                outcome.failures[contender.name] = f"{type(error).__name__}: {error}"
    return outcome


def table(outcome: Outcome) -> str:
    """The row as plain text: medians, and in brackets how many times better than the baseline."""
    row = outcome.row
    lines = [["", *(metric.name for metric in row.metrics)]]
    for contender in row.contenders:
        cells = [cell(outcome, contender.name, metric) for metric in row.metrics]
        lines.append([contender.name, *cells])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [f"\n{row.title}"]
    for name, *values in lines:
        cells = [name.ljust(widths[0]), *(value.rjust(width) for value, width in zip(values, widths[1:], strict=True))]
        text.append(("  " + "  ".join(cells)).rstrip())
    text += [f"  left out {name}: {reason}" for name, reason in outcome.absent.items()]
    text += [f"  FAILED   {name}: {last_line(failure)}" for name, failure in outcome.failures.items()]
    for verdict in outcome.verdicts():
        judged, target = "reached" if verdict.enough else "MISSED ", verdict.target
        text.append(f"  {judged}  {verdict.contender}, {target.metric}: {reached(verdict)} of {wanted(target)}")
    return "\n".join(text)


def cell(outcome: Outcome, contender: str, metric: Metric) -> str:
    """A median, and in brackets how many times better than the baseline it is."""
    text = number(outcome.median(contender, metric.name), metric.digits)
    ratio = outcome.ratio(contender, metric, outcome.row.baseline)
    return text if ratio is None or contender == outcome.row.baseline else f"{text} ({ratio:.2f} x)"


def number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def reached(verdict: Verdict) -> str:
    value = verdict.reached
    return number(value, 4 if value is not None and value < 0.1 else 2)


def wanted(target: Target) -> str:
    return f"{target.value:g}" if target.against is None else f"{target.value:g} x {target.against}"


def last_line(failure: str) -> str:
    return failure.strip().splitlines()[-1][:300]


def all_verdicts(outcomes: Iterable[Outcome]) -> list[tuple[Outcome, Verdict]]:
    return [(outcome, verdict) for outcome in outcomes for verdict in outcome.verdicts()]
