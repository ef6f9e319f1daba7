"""Has every measurement here be made by the `LoopClock`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.micro.clock import LoopClock

CLOCK = LoopClock()

#: What a baseline says about where it was made. By anything else pytest-benchmark would tell machines apart; the clock
#: sees to it that their figures can be compared.
_KEPT = {"python_implementation", "python_version", "python_compiler", "machine", "system"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The hook is told of the items of all folders.
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.benchmark(timer=CLOCK, min_rounds=20, max_time=0.5, warmup=True))


@pytest.fixture(autouse=True)
def _calibrated(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("benchmark_enable"):
        CLOCK.calibrate()


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    for name in machine_info.keys() - _KEPT:
        del machine_info[name]


def pytest_benchmark_update_commit_info(commit_info: dict[str, Any]) -> None:
    for name in commit_info.keys() - {"id"}:
        del commit_info[name]
