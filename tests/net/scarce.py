"""A server in a process that may have few open files: `python -m tests.net.scarce LOOP LIMIT`."""

from __future__ import annotations

import asyncio
import logging
import resource
import sys

import aiodicom


async def serve() -> None:
    """Says its port, then serves until its standard input ends."""
    server = aiodicom.Server()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    async with server.listen("127.0.0.1", 0) as listening:
        sys.stdout.write(f"{listening.port}\n")
        sys.stdout.flush()
        loop.add_reader(sys.stdin.fileno(), ended.set)
        await ended.wait()
        loop.remove_reader(sys.stdin.fileno())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    if sys.argv[1] == "uvloop":
        aiodicom.run(serve())
    else:
        asyncio.run(serve())
