"""A destination that throws away what it gets, and says when it has had so many different objects.

counting_scp.py PORT COUNT: prints a line of JSON, `{"received": COUNT, "at": SECONDS}`, when that many SOP instances
have come; the seconds are those of the machine's monotonic clock. Ends when it is told to.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time

import aiodicom
from aiodicom import Discarded, Server, Status, StoreRequest


async def main(port: int, count: int) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    server = Server()
    seen: set[str] = set()

    def count_one(request: StoreRequest) -> Status:
        seen.add(request.affected_sop_instance_uid)
        if len(seen) == count:
            print(json.dumps({"received": count, "at": time.monotonic()}), flush=True)
        return Status.SUCCESS

    server.on_c_store(count_one, body=Discarded())
    async with server.listen("127.0.0.1", port):
        await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    aiodicom.run(main(options.port, options.count))
