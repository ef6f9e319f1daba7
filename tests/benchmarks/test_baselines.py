"""The stored baselines of the small parts."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

MICRO = Path(__file__).parents[2] / "benchmarks" / "micro"
BASELINES = sorted(MICRO.glob("baselines/*/*_baseline.json"))


def measurements() -> set[str]:
    """What is measured, as ``file::function``."""
    return {
        f"{file.name}::{function.name}"
        for file in MICRO.glob("test_*.py")
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, ast.FunctionDef) and "benchmark" in (argument.arg for argument in function.args.args)
    }


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda path: path.parent.name)
def test_a_baseline_has_all_that_is_measured(baseline: Path) -> None:
    stored = {
        measured["fullname"].split("/")[-1].split("[")[0] for measured in json.loads(baseline.read_text())["benchmarks"]
    }
    assert stored == measurements()


def test_there_is_a_baseline() -> None:
    assert BASELINES
