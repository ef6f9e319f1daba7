"""The load generator: scenarios, what begins their operations, what is counted, and the data that is sent.

A scenario in Python needs no more than `User` and `task` from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiodicom.load.run import Run
    from aiodicom.load.scenario import Scenario, read_scenario, scenario_from
    from aiodicom.load.scripted import User, task

__all__ = ["Run", "Scenario", "User", "read_scenario", "scenario_from", "task"]

_MODULES = {
    "Run": "run",
    "Scenario": "scenario",
    "User": "scripted",
    "read_scenario": "scenario",
    "scenario_from": "scenario",
    "task": "scripted",
}


def __getattr__(name: str) -> Any:
    # When it is asked for: what makes data needs none of it, nor the packages that it takes.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
