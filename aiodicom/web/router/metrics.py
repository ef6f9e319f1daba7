"""The metrics of several processes as those of one: the same samples added."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

__all__ = ["added"]

#: What is the same thing seen by all processes: the least is told, of the first two, and the most of the third.
_LEAST: Final = ("aiodicom_router_disk_free_bytes", "aiodicom_router_destination_open")
_MOST: Final = ("aiodicom_router_disk_full",)


class _Added(Collector):
    def __init__(self, texts: Sequence[bytes]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for text in self._texts:
            for family in text_string_to_metric_families(text.decode()):
                families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                found = values.setdefault(family.name, {})
                for sample in family.samples:
                    key = sample.name, tuple(sorted(sample.labels.items()))
                    found[key] = _together(sample.name, found.get(key), sample.value)
        for name, family in families.items():
            for (sample_name, labels), value in values[name].items():
                family.add_sample(sample_name, dict(labels), value)
            yield family


def _together(name: str, before: float | None, value: float) -> float:
    if before is None or name.endswith("_created"):
        return value
    if name in _LEAST:
        return min(before, value)
    return max(before, value) if name in _MOST else before + value


def added(texts: Iterable[bytes]) -> bytes:
    """Adds expositions in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Added(list(texts)))
    return generate_latest(registry)
