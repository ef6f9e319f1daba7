"""The public `Server` with async handlers, as an embedder would write it.

server_handler.py PORT FOLDER [--durability written|synced] [--tls]: it throws away what it receives, unless a
durability is named; then it writes to FOLDER/received. With --tls its certificate and key are FOLDER/server.pem.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
from pathlib import Path

import aiodicom
from aiodicom import EchoRequest, Server, Status, StoreRequest
from aiodicom.services.storage import FolderStorage
from aiodicom.store.files import Durability


def make_server() -> Server:
    server = Server()

    @server.on_c_echo
    async def answer(request: EchoRequest) -> Status:
        return Status.SUCCESS

    return server


def discard(server: Server) -> None:
    @server.on_c_store
    async def receive(request: StoreRequest) -> Status:
        return Status.SUCCESS if len(request.data) else Status.CANNOT_UNDERSTAND


def write(server: Server, storage: FolderStorage) -> None:
    @server.on_c_store(body=storage.body)
    async def keep(request: StoreRequest) -> Status:
        return await storage.keep(request)


async def main(options: argparse.Namespace) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.folder / "server.pem")
    server = make_server()
    if options.durability is None:
        discard(server)
    else:
        write(server, FolderStorage(options.folder / "received", durability=Durability(options.durability)))
    async with server.listen("127.0.0.1", options.port, ssl=context):
        await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--durability", choices=["written", "synced"])
    parser.add_argument("--tls", action="store_true")
    aiodicom.run(main(parser.parse_args()))
