"""Results as runs write them, made from what is given: nothing is measured."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aiodicom.load.histogram import Histogram
from aiodicom.load.results import (
    Associations,
    Generator,
    Interval,
    IntervalOperation,
    Operation,
    Result,
)


def operation(
    seconds: Sequence[float], *, during: float = 10.0, waited: Sequence[float] | None = None, **more: Any
) -> Operation:
    """An operation whose latencies are `seconds` from the actual start, each `waited` longer from the planned one."""
    actual = np.asarray(seconds, dtype=float)
    planned = actual + (np.asarray(waited, dtype=float) if waited is not None else 0.0)
    made = Operation(count=len(actual) + more.get("errors", 0))
    made.rate_per_s = made.count / during if during else 0.0
    for kind, values in (("planned", planned), ("actual", actual)):
        histogram = Histogram()
        histogram.record_all(values)
        setattr(made, f"{kind}_latency_ms", histogram.milliseconds())
        made.histograms[kind] = histogram.encode()
    for name, value in more.items():
        setattr(made, name, value)
    return made


def run(seconds: int = 60, warm_up: int = 5, *, seed: int = 1, slow: float = 1.0, **more: Any) -> Result:
    """A run of a mix at 100 operations a second, with some failures and one stall, as long as it may be."""
    chance = random.Random(seed)
    rates: Mapping[str, tuple[int, float]] = {"store": (80, 0.02), "find": (10, 0.05), "echo": (10, 0.001)}
    latencies: dict[str, list[float]] = {name: [] for name in rates}
    causes: dict[str, dict[str, int]] = {name: {} for name in rates}
    series = []
    for second in range(seconds + warm_up):
        shown = {}
        stalls = second == warm_up + seconds // 2
        for name, (rate, typical) in rates.items():
            new = [typical * slow * math.exp(chance.gauss(0, 0.5)) + (0.9 if stalls else 0) for _ in range(rate)]
            failed = {"status A700H": 3, "timeout: dimse": 1} if stalls and name == "store" else {}
            if second >= warm_up:
                latencies[name] += new
                causes[name] |= failed
            new.sort()
            shown[name] = IntervalOperation(
                count=rate + sum(failed.values()),
                errors=sum(failed.values()),
                bytes=rate * 525_000 if name == "store" else 0,
                p50_ms=new[rate // 2] * 1e3,
                p99_ms=new[-1 - rate // 100] * 1e3,
                max_ms=new[-1] * 1e3,
                causes=failed,
            )
        series.append(
            Interval(
                start_s=float(second),
                is_warm_up=second < warm_up,
                operations=shown,
                associations_open=min(20, 5 * second),
                dropped=7 if stalls else 0,
                planned_per_s=100.0,
                lag_p99_ms=0.2 + chance.random() / 10,
                cpu_percent=12.0 + chance.random(),
            )
        )
    made = Result(
        version="0.1.0",
        started="2026-01-01T12:00:00+00:00",
        seconds=float(seconds),
        warm_up_s=float(warm_up),
        title="the made-up PACS",
        targets=["127.0.0.1:11112"],
        scenario={"executor": "constant-rate", "stages": [{"rate": 100, "duration": seconds}], "mix": {"store": 8}},
        operations={
            name: operation(
                values,
                during=seconds,
                waited=np.where(np.asarray(values) > 0.5, 0.05, 0.0001).tolist(),
                errors=sum(causes[name].values()),
                causes=causes[name],
                statuses={"0000H": len(values)} | ({"A700H": 3} if causes[name] else {}),
                bytes_sent=len(values) * 525_000 if name == "store" else 0,
            )
            for name, values in latencies.items()
        },
        associations=Associations(opened=21, peak=20, released=20, aborted=1, causes={"aborted by peer": 1}),
        dropped=7,
        generator=Generator(lag_p99_ms=0.3, lag_max_ms=1.2, cpu_percent=12.5, peak_memory_bytes=80_000_000),
        series=series,
        examples=["store: the peer answered with status A700H (out of resources)"],
    )
    made.operations["associate"] = operation([0.002] * 21, during=seconds)
    first = Histogram()
    first.record_all(np.asarray(latencies["find"]) / 4)
    made.operations["find"].first_response_ms = first.milliseconds()
    made.operations["find"].histograms["first_response"] = first.encode()
    for name, value in more.items():
        setattr(made, name, value)
    return made
