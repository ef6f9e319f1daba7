"""A destination that writes down what it has before it answers, and may misbehave.

    python -m tests.faults.pacs PORT FILE [--status HEX] [--stall] [--only UID] [--bandwidth BYTES] [--reset BYTES]

A line `uid digest seconds` is in FILE for each object that it has as a whole, unless it fails it. `--status`: what it
answers; `--stall`: it never does; `--only`: the one SOP class that it accepts; `--bandwidth`: so many bytes a second
come through to it; `--reset`: each connection is reset after so many bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import struct
import time
from contextlib import suppress

from xxhash import xxh3_64_hexdigest

import aiodicom
from aiodicom import Server, Status, StoreRequest, Support
from aiodicom.ul.negotiation import ANY


def make_server(file: int, options: argparse.Namespace) -> Server:
    """The server, without what lies before it."""
    status = Status(int(options.status, 16))
    server = Server(contexts=None if options.only is None else Support({options.only: ANY}))

    async def stall(_request: StoreRequest) -> Status:
        await asyncio.Event().wait()
        raise AssertionError

    def store(request: StoreRequest) -> Status:
        if status == 0 or status >> 12 == 0xB:
            line = f"{request.affected_sop_instance_uid} {xxh3_64_hexdigest(request.data)} {time.monotonic():.6f}\n"
            os.write(file, line.encode())
        return status

    server.on_c_store(stall if options.stall else store)
    return server


class Gate:
    """Lets connections through to a port, as slowly as that, and no further than so many bytes."""

    def __init__(self, target: int, bandwidth: int | None, reset: int | None) -> None:
        self._target = target
        self._bandwidth = bandwidth
        self._reset = reset

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both directions of a connection."""
        inside, outside = await asyncio.open_connection("127.0.0.1", self._target)
        back = asyncio.ensure_future(_copy(inside, writer))
        with suppress(OSError):
            await self._forth(reader, outside, writer)
        back.cancel()
        for each in (outside, writer):
            each.close()

    async def _forth(
        self, reader: asyncio.StreamReader, outside: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        step = 65536 if self._bandwidth is None else max(self._bandwidth // 10, 1)
        passed = 0
        while data := await reader.read(step):
            passed += len(data)
            if self._reset is not None and passed > self._reset:
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            outside.write(data)
            await outside.drain()
            if self._bandwidth is not None:
                await asyncio.sleep(len(data) / self._bandwidth)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()


async def main(options: argparse.Namespace) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    file = os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    server = make_server(file, options)
    if options.bandwidth is None and options.reset is None:
        async with server.listen("127.0.0.1", options.port):
            await ended.wait()
        return
    async with server.listen("127.0.0.1", 0) as listening:
        gate = Gate(listening.port, options.bandwidth, options.reset)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)  # or the sender has long been done
        listener.bind(("127.0.0.1", options.port))
        async with await asyncio.start_server(gate.pass_on, sock=listener, limit=16384):
            await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("file")
    parser.add_argument("--status", default="0000")
    parser.add_argument("--stall", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--bandwidth", type=int)
    parser.add_argument("--reset", type=int)
    aiodicom.run(main(parser.parse_args()))
