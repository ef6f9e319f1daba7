"""Memory of the load generator's figures: load_memory.py RATE SECONDS, RATE operations in each of so many seconds.

What a run records for each operation, and does at the end of each second, in less time than they would take. Prints one
JSON object: resident megabytes after a tenth of it and at the end.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys

from aiodicom.load.recorder import Recorder
from aiodicom.load.scenario import scenario_from
from benchmarks.processes import resident_bytes


def main(rate: int, seconds: int) -> None:
    scenario = scenario_from({"targets": [{"host": "127.0.0.1"}], "rate": rate, "duration": seconds}, "")
    recorder = Recorder(scenario, 0.0)
    recorder.begin(0.0)
    chance = random.Random(1)
    latencies = [chance.lognormvariate(-6, 1) for _ in range(rate)]
    early = 0
    for second in range(seconds):
        echo, store = recorder.tally("echo"), recorder.tally("store")
        for number, latency in enumerate(latencies):
            planned = second + number / rate
            (store if number % 4 else echo).ended(planned, planned, planned + latency, 525_000)
        if second % 10 == 0:
            recorder.failed("store", second, second, second + 1.0, TimeoutError("no response"))
        recorder.close_interval(second + 1.0, rate)
        recorder.so_far()
        if second == seconds // 10:
            gc.collect()
            early = resident_bytes(os.getpid())
    gc.collect()
    late = resident_bytes(os.getpid())
    report = {
        "MB after 6 minutes": early / 1e6,
        "MB after an hour": late / 1e6,
        "grown, MB": (late - early) / 1e6,
        "operations": sum(each.count for each in recorder.so_far().operations.values()),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
