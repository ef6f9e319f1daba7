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
import ssl
import sys
import time

import aiodicom
from aiodicom import Association
from benchmarks.processes import resident_bytes

#: Associations being opened at one time: below the listening socket's backlog.
OPENING = 1000


async def main(port: int, server_pid: int, count: int, certificates: str | None = None) -> None:
    context = None if certificates is None else ssl.create_default_context(cafile=certificates)
    opening = asyncio.Semaphore(OPENING)
    errors: list[Exception] = []

    async def opened() -> Association | None:
        try:
            async with opening:
                return await aiodicom.connect("127.0.0.1", port, ssl=context)
        except Exception as error:
            errors.append(error)
            return None

    async def echoed(association: Association) -> None:
        try:
            await association.c_echo()
        except Exception as error:
            errors.append(error)

    # Both sides have done everything once before their memory is taken as that of idleness.
    async with aiodicom.connect("127.0.0.1", port, ssl=context) as first:
        await first.c_echo()
    gc.collect()
    client_before, server_before = resident_bytes(os.getpid()), resident_bytes(server_pid)

    started = time.perf_counter()
    associations = [each for each in await asyncio.gather(*(opened() for _ in range(count))) if each is not None]
    open_s = time.perf_counter() - started
    client_after, server_after = resident_bytes(os.getpid()), resident_bytes(server_pid)

    started = time.perf_counter()
    await asyncio.gather(*(echoed(each) for each in associations))
    echo_s = time.perf_counter() - started

    await asyncio.gather(*(each.release() for each in associations), return_exceptions=True)
    report = {
        "open_s": open_s,
        "echo_per_s": len(associations) / echo_s,
        "client_bytes": (client_after - client_before) / count,
        "server_bytes": (server_after - server_before) / count,
        "failed": len(errors),
        "error": repr(errors[0]) if errors else "",
    }
    print(json.dumps(report))


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port, server_pid, count = map(int, sys.argv[1:4])
    aiodicom.run(main(port, server_pid, count, *sys.argv[4:]))
