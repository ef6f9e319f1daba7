"""Thresholds: what has to hold of a run, such as ``store.p99<200ms``, ``errors<0.1%`` or ``rate>400/s``.

Parsed once, judged on a result: that of the whole run, or what it has come to so far.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from aiodicom.load import figures, formatting, units
from aiodicom.load.results import Operation, Percentiles, Result, Threshold

__all__ = ["AbortOnFail", "Condition", "judge", "parse", "value_text"]

Kind = Literal["time", "count", "rate", "bytes", "percent"]

_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EXPRESSION: Final = re.compile(r"([a-z][\w.-]*)\s*(<=|>=|<|>)\s*([\d.].*)", re.ASCII)
_LATENCY_METRICS: Final = ("p50", "p90", "p95", "p99", "p99_9", "max", "mean")
#: Of an operation, or of all together.
_OPERATION_METRICS: Final[dict[str, Kind]] = {"errors": "count", "count": "count", "rate": "rate", "bytes": "bytes"}
_RUN_METRICS: Final[dict[str, Kind]] = {
    "dropped": "count",
    "associations.opened": "count",
    "associations.peak": "count",
    "associations.rejected": "count",
    "associations.aborted": "count",
    "generator.lag_p99": "time",
    "generator.lag_max": "time",
    "generator.cpu": "percent",
}
#: What may be given as a share of all instead.
_SHARES: Final = ("errors", "dropped")
#: Grow only: who is above a limit stays there.
_GROWING: Final = frozenset(("errors", "count", "dropped", "max", "opened", "peak", "rejected", "aborted", "lag_max"))
_EXAMPLES: Final[Mapping[Kind, str]] = {
    "time": "a time, such as 200ms or 2s",
    "count": "a number",
    "rate": "a rate, such as 400/s or 30/min",
    "bytes": "bytes a second, such as 100MB/s",
    "percent": "per cent, such as 90%",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A threshold, understood."""

    expression: str
    #: Of which operation; empty for the run.
    operation: str
    #: "planned", "actual" or "first_response" where it is about a latency, else empty.
    latency: str
    metric: str
    comparison: str
    #: In milliseconds, events or bytes a second, per cent, or a number, as `kind` says.
    limit: float
    kind: Kind

    @property
    def is_upper_bound(self) -> bool:
        """Whether the value is to be below the limit."""
        return self.comparison.startswith("<")

    @property
    def is_final(self) -> bool:
        """Whether a value that is above the limit can never come below it again."""
        name = self.metric.rpartition(".")[2]
        return self.is_upper_bound and name in _GROWING and self.kind in ("count", "time")

    def judge(self, result: Result) -> Threshold:
        """What it is now. What was never measured has not been shown to hold."""
        value = self._value(result)
        holds = value is not None and _COMPARE[self.comparison](value, self.limit)
        return Threshold(expression=self.expression, value=value, crossed=not holds)

    def _value(self, result: Result) -> float | None:
        if self.metric in _RUN_METRICS:
            return self._of_run(result)
        if self.operation:
            operation = result.operations.get(self.operation)
            if operation is None or not operation.count:
                return None if self.latency or self.kind == "percent" or not result.seconds else 0.0
            if self.latency:
                return self._of_latency(operation)
            moved = figures.bytes_per_s(operation, result.seconds)
            totals = figures.Total(operation.count, operation.errors, operation.rate_per_s, moved)
        else:
            totals = figures.total(result)
        match self.metric:
            case "errors" if self.kind == "percent":
                return figures.share(totals.errors, totals.count) * 100 if totals.count else None
            case "errors":
                return totals.errors
            case "count":
                return totals.count
            case "rate":
                return totals.rate_per_s
            case _:
                return totals.bytes_per_s

    def _of_latency(self, operation: Operation) -> float | None:
        percentiles: Percentiles = getattr(operation, figures.LATENCIES[self.latency])
        # None at all: every operation failed, or there are no first responses.
        return getattr(percentiles, self.metric) if percentiles.max else None

    def _of_run(self, result: Result) -> float | None:
        part, _, name = self.metric.rpartition(".")
        match part:
            case "associations":
                return float(getattr(result.associations, name))
            case "generator":
                return float(getattr(result.generator, {"cpu": "cpu_percent"}.get(name, f"{name}_ms")))
        if self.kind == "count":
            return result.dropped
        return figures.dropped_share(result) * 100


def parse(expression: str, operations: Collection[str] | None = None) -> Condition:
    """Reads a threshold; with `operations`, one about others is refused too. Raises ValueError of one line."""
    match = _EXPRESSION.fullmatch(expression.strip())
    if match is None:
        raise ValueError(f"{expression!r} is no threshold: wanted such as store.p99<200ms, errors<0.1% or rate>400/s")
    subject, comparison, amount = match.groups()
    operation, latency, metric = _subject(expression, subject)
    # Associations are opened and released in every run.
    known = None if operations is None else dict.fromkeys((*operations, *figures.ASSOCIATION_STEPS))
    if known is not None and operation and operation not in known:
        raise ValueError(f"{expression!r}: the run has no operation {operation!r}, but {', '.join(known)}")
    kind: Kind = "time" if latency else (_OPERATION_METRICS | _RUN_METRICS)[metric]
    if amount.endswith("%") and metric in _SHARES:
        kind = "percent"
    limit = _limit(kind, amount)
    if limit is None:
        wanted = _EXAMPLES[kind] + (", or per cent" if metric in _SHARES else "")
        raise ValueError(f"{expression!r}: {amount!r} is none of what {subject} is compared with: {wanted}")
    return Condition(expression.strip(), operation, latency, metric, comparison, limit, kind)


def _limit(kind: Kind, text: str) -> float | None:
    """The right side in the unit of the kind; None where it is something else."""
    try:
        match kind:
            # A number without a unit would be one of seconds, which nobody means.
            case "time":
                return None if text[-1] in "0123456789." else units.parse_seconds(text) * 1e3
            case "rate":
                return units.parse_rate(text)
            case "bytes":
                return units.parse_bytes(text[:-2]) if text.endswith("/s") else None
            case "percent":
                return float(text[:-1]) if text.endswith("%") else None
            case "count":
                return float(text)
    except ValueError:
        return None


def _subject(expression: str, subject: str) -> tuple[str, str, str]:
    """Operation, latency and metric of the left side."""
    subject = re.sub(r"\bp99[.]9\b", "p99_9", subject)
    if subject in _RUN_METRICS or subject in _OPERATION_METRICS:
        return "", "", subject
    operation, _, rest = subject.partition(".")
    if rest in _OPERATION_METRICS:
        return operation, "", rest
    latency, _, metric = rest.rpartition(".")
    latency = latency or "planned"
    if metric in _LATENCY_METRICS and latency in figures.LATENCIES:
        return operation, latency, metric
    if subject in _LATENCY_METRICS:
        raise ValueError(f"{expression!r}: a latency is one of an operation, such as store.{subject}")
    metrics = ", ".join((*_LATENCY_METRICS, *_OPERATION_METRICS)).replace("_", ".")
    of_run = ", ".join((*_OPERATION_METRICS, *_RUN_METRICS))
    raise ValueError(
        f"{expression!r}: nothing is called {subject!r}; wanted an operation with one of {metrics}, or one of {of_run}"
    )


def judge(conditions: Iterable[Condition], result: Result, failed: Threshold | None = None) -> list[Threshold]:
    """What each has come to; `failed` is that for which the run was ended, and stays crossed whatever came after."""
    return [
        failed if failed is not None and failed.expression == condition.expression else condition.judge(result)
        for condition in conditions
    ]


def value_text(threshold: Threshold) -> str:
    """The value as people read it."""
    if threshold.value is None:
        return "nothing measured"
    match parse(threshold.expression).kind:
        case "time":
            return formatting.milliseconds(threshold.value)
        case "count":
            return f"{threshold.value:,.0f}"
        case "rate":
            return formatting.per_second(threshold.value)
        case "bytes":
            return f"{formatting.size(threshold.value)}/s"
        case "percent":
            return formatting.percent(threshold.value / 100)


class AbortOnFail:
    """Decides when a run has failed before its end. It is asked about once a second and told the time.

    Invariants: an upper bound of something that only grows (a number of errors, a longest latency) has failed when it
    is crossed. Shares and percentiles may recover: they have failed once they were crossed at every asking for
    `patience` seconds. Lower bounds may be reached until the end, and never fail before it; nor does what has not been
    measured yet.
    """

    def __init__(self, conditions: Sequence[Condition], patience: float = 5.0) -> None:
        self._conditions = [condition for condition in conditions if condition.is_upper_bound]
        self._patience = patience
        self._crossed_since: dict[Condition, float] = {}
        #: For what the run was ended; None as long as it was not.
        self.failed: Threshold | None = None

    def ask(self, so_far: Result, now: float) -> Threshold | None:
        """The first threshold for which the run is to end, if there is one. `now` is of any clock in seconds."""
        for condition in self._conditions:
            threshold = condition.judge(so_far)
            if threshold.value is None or not threshold.crossed:
                self._crossed_since.pop(condition, None)
                continue
            since = self._crossed_since.setdefault(condition, now)
            if condition.is_final or now - since >= self._patience:
                self.failed = threshold
                return threshold
        return None
