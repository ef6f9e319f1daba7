"""kill -9 under load: some rounds of `python -m tests.faults.rounds`, which plays as many as are wanted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.rounds import play
from tests.faults.site import Site


@pytest.mark.parametrize(("workers", "rounds", "seed"), [(1, 3, 3), (2, 2, 8)])
def test_nothing_acknowledged_is_lost(tmp_path: Path, workers: int, rounds: int, seed: int) -> None:
    with Site(tmp_path, workers=workers) as site:
        verdict = asyncio.run(play(site, rounds, seed, longest=0.5))
    assert verdict.faults == []
    assert verdict.acknowledged > 10 * rounds
