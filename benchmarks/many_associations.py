"""Opens many associations from this process to one server: many_associations.py PORT SERVER_PID COUNT [CERTIFICATES].

With CERTIFICATES, a file of the authorities to trust, under TLS.

Prints one JSON object: seconds to open all, C-ECHO a second over all of them, resident bytes of an association at both
ends, failures.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
from typing import Any

import aiodicom
from aiodicom.load import Run, scenario_from
from aiodicom.load.results import Result
from benchmarks.processes import resident_bytes


async def main(port: int, server_pid: int, count: int, certificates: str | None = None) -> None:
    def memory() -> tuple[int, int]:
        return resident_bytes(os.getpid()), resident_bytes(server_pid)

    async def loaded(associations: int) -> tuple[Result, tuple[int, int]]:
        """One C-ECHO on each of so many associations, and the memory when all were open."""
        values: dict[str, Any] = {"associations": associations, "operations": associations}
        values["targets"] = [{"host": "127.0.0.1", "port": port}]
        if certificates is not None:
            values["tls"] = {"ca": certificates}
        when_open = [(0, 0)]

        async def measure() -> None:
            when_open[0] = memory()

        run = Run(scenario_from(values, "many_associations.py"), before_load=measure)
        return await run.run(asyncio.Event()), when_open[0]

    # Both sides have done everything once before their memory is taken as that of idleness.
    await loaded(1)
    gc.collect()
    before = memory()
    result, after = await loaded(count)
    echo = result.operations["echo"]
    client, server = ((late - early) / count for early, late in zip(before, after, strict=True))
    report = {
        "open_s": result.associations.opening_s,
        "echo_per_s": echo.rate_per_s,
        "client_bytes": client,
        "server_bytes": server,
        "failed": echo.errors + sum(result.associations.causes.values()),
        "error": "; ".join(result.examples),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port, server_pid, count = map(int, sys.argv[1:4])
    aiodicom.run(main(port, server_pid, count, *sys.argv[4:]))
