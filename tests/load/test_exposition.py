"""A run as Prometheus reads it."""

from __future__ import annotations

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from aiodicom.load.exposition import registry_of
from aiodicom.load.results import Result
from tests.load.made import run


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and labels."""
    return {
        (sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


def test_what_a_run_has_come_to() -> None:
    result = run()
    found = samples(generate_latest(registry_of(lambda: result)).decode())
    assert found["aiodicom_load_operations_total", "operation=store"] == 4804
    assert found["aiodicom_load_errors_total", "cause=status A700H", "operation=store"] == 3
    assert found["aiodicom_load_bytes_total", "direction=sent", "operation=store"] == 4800 * 525_000
    assert found["aiodicom_load_dropped_total",] == 7
    assert found["aiodicom_load_associations_open",] == 20
    assert found["aiodicom_load_associations_aborted_total",] == 1
    assert found["aiodicom_load_planned_per_second",] == 100
    latency = found["aiodicom_load_latency_seconds", "from=planned", "operation=store", "quantile=0.99"]
    assert latency == pytest.approx(result.operations["store"].planned_latency_ms.p99 / 1e3)
    assert ("aiodicom_load_latency_seconds", "from=first_response", "operation=find", "quantile=1") in found
    assert ("aiodicom_load_latency_seconds", "from=first_response", "operation=store", "quantile=1") not in found


def test_each_scrape_asks_again() -> None:
    results = [Result(dropped=1), Result(dropped=2)]
    registry = registry_of(lambda: results.pop(0))
    found = [samples(generate_latest(registry).decode())["aiodicom_load_dropped_total",] for _ in range(2)]
    assert found == [1, 2]


def test_openmetrics_too() -> None:
    families = list(parse_openmetrics(openmetrics(registry_of(run)).decode()))
    assert {"aiodicom_load_operations", "aiodicom_load_latency_seconds"} <= {family.name for family in families}
