"""What a run has come to so far, as Prometheus reads it.

Counters and latencies are of the measured part of the run: they begin again when the warm-up is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aiodicom.load import figures
from aiodicom.load.results import Percentiles, Result

__all__ = ["registry_of"]

_QUANTILES = {"0.5": "p50", "0.9": "p90", "0.95": "p95", "0.99": "p99", "0.999": "p99_9", "1": "max"}


def registry_of(snapshot: Callable[[], Result]) -> CollectorRegistry:
    """A registry with the metrics of a run; `snapshot` is asked for them at every scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_RunCollector(snapshot))
    return registry


class _RunCollector(Collector):
    def __init__(self, snapshot: Callable[[], Result]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """All metrics, as of now."""
        result = self._snapshot()
        yield from _operations(result)
        yield _latency(result)
        yield from _associations(result)
        yield from _generator(result)


def _operations(result: Result) -> Iterator[Metric]:
    ended = CounterMetricFamily("aiodicom_load_operations", "Operations that ended.", labels=["operation"])
    errors = CounterMetricFamily("aiodicom_load_errors", "Operations that failed.", labels=["operation", "cause"])
    moved = CounterMetricFamily("aiodicom_load_bytes", "Bytes of data sets.", labels=["operation", "direction"])
    for name, operation in result.operations.items():
        ended.add_metric([name], operation.count)
        for cause, times in operation.causes.items():
            errors.add_metric([name, cause], times)
        moved.add_metric([name, "sent"], operation.bytes_sent)
        moved.add_metric([name, "received"], operation.bytes_received)
    dropped = CounterMetricFamily("aiodicom_load_dropped", "Operations that could not begin in time, and did not.")
    dropped.add_metric([], result.dropped)
    yield from (ended, errors, moved, dropped)


def _latency(result: Result) -> Metric:
    """A summary: the library's own has no quantiles."""
    name = "aiodicom_load_latency_seconds"
    metric = Metric(name, "Latency of operations, from their planned and their actual start.", "summary")
    for operation, each in result.operations.items():
        for start, field in figures.LATENCIES.items():
            percentiles: Percentiles = getattr(each, field)
            if not percentiles.max:
                continue
            labels = {"operation": operation, "from": start}
            for quantile, key in _QUANTILES.items():
                metric.add_sample(name, labels | {"quantile": quantile}, getattr(percentiles, key) / 1e3)
    return metric


def _associations(result: Result) -> Iterator[Metric]:
    is_open = GaugeMetricFamily("aiodicom_load_associations_open", "Associations that are open.")
    is_open.add_metric([], result.series[-1].associations_open if result.series else 0)
    yield is_open
    for name in ("opened", "released", "rejected", "aborted"):
        counter = CounterMetricFamily(f"aiodicom_load_associations_{name}", f"Associations that were {name}.")
        counter.add_metric([], getattr(result.associations, name))
        yield counter


def _generator(result: Result) -> Iterator[Metric]:
    last = result.series[-1] if result.series else None
    for name, help_, value in (
        ("planned_per_second", "Operations that are to begin a second.", last.planned_per_s if last else 0.0),
        ("generator_lag_seconds", "How late operations were begun, p99.", last.lag_p99_ms / 1e3 if last else 0.0),
        ("generator_cpu_ratio", "Use of a core by the generator.", last.cpu_percent / 100 if last else 0.0),
    ):
        gauge = GaugeMetricFamily(f"aiodicom_load_{name}", help_)
        gauge.add_metric([], value)
        yield gauge
