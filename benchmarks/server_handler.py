"""The public `Server` with async handlers, as an embedder would write it: server_handler.py PORT."""

from __future__ import annotations

import asyncio
import signal
import sys

import aiodicom
from aiodicom import EchoRequest, Server, Status, StoreRequest


def make_server() -> Server:
    server = Server()

    @server.on_c_echo
    async def answer(request: EchoRequest) -> Status:
        return Status.SUCCESS

    @server.on_c_store
    async def receive(request: StoreRequest) -> Status:
        return Status.SUCCESS if len(request.data) else Status.CANNOT_UNDERSTAND

    return server


async def main(port: int) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with make_server().listen("127.0.0.1", port):
        await ended.wait()


if __name__ == "__main__":
    aiodicom.run(main(int(sys.argv[1])))
