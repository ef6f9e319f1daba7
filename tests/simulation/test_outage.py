"""A destination that is away for a day, of which nothing but the waiting is left out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
#: Objects of 525 kB: those that are there before are more than are kept in memory, and so many come within the day.
BEFORE, COME = 140, 48


def test_memory_is_flat_and_everything_arrives(tmp_path: Path) -> None:
    options = map(str, (tmp_path, 512, BEFORE, 24, COME, 1200))
    script = [sys.executable, "-W", "error", "-m", "tests.simulation.outage", *options]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    hours, back = result["day"], result["back"]
    assert [hour["waiting"] for hour in hours] == [BEFORE + 2 * hour for hour in range(25)]
    # 24 MiB have come meanwhile. The first hour has what is made at its first use.
    assert hours[24]["bytes"] - hours[1]["bytes"] < 2 * MIB
    # It is hardly bothered, and nothing is given up.
    assert hours[24]["tried"] < 24 * 12
    assert hours[24]["dead"] == 0
    # It is sent to again within the longest pause, each object once; what comes meanwhile is there before all that.
    assert back["hours"] * 60 <= 10 + 2 * 20
    assert back["twice"] == 0
    assert back["live_waited"]
    assert max(back["live_waited"]) < BEFORE + COME
