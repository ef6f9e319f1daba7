"""Our SCP of the rows of services: archive_server.py PORT FOLDER [DESTINATION_PORT] [--echo].

The public `Server` with an index in memory of the files of FOLDER, which a C-MOVE sends to the port; and with handlers
of N-CREATE and N-SET that keep what they are given. With --echo there is one for C-ECHO too, which the engine answers
by itself otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

import aiodicom
from aiodicom import Dataset, Destination, EchoRequest, NCreateRequest, NSetRequest, Server
from aiodicom.errors import OperationRefused
from aiodicom.services.index import MemoryIndex
from aiodicom.services.query_retrieve import QueryRetrieve
from aiodicom.standard.status import Status


async def main(port: int, folder: str, destination: int | None, *, echo: bool) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    index = MemoryIndex()
    unusable = await index.add_files([folder])
    assert not unusable, unusable[:3]
    destinations = {} if destination is None else {"SINK": Destination("127.0.0.1", destination)}
    server = Server(ae_title="ARCHIVE", destinations=destinations)
    QueryRetrieve(index).attach(server)
    steps: dict[str, Dataset | None] = {}

    @server.on_n_create
    async def create(request: NCreateRequest) -> None:
        steps[request.sop_instance_uid] = request.dataset

    @server.on_n_set
    async def change(request: NSetRequest) -> None:
        if request.sop_instance_uid not in steps:
            raise OperationRefused(Status.NO_SUCH_SOP_INSTANCE)
        steps[request.sop_instance_uid] = request.dataset

    if echo:

        @server.on_c_echo
        async def answer(request: EchoRequest) -> None:
            pass

    async with server.listen("127.0.0.1", port):
        await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("folder")
    parser.add_argument("destination", type=int, nargs="?")
    parser.add_argument("--echo", action="store_true")
    options = parser.parse_args()
    aiodicom.run(main(options.port, options.folder, options.destination, echo=options.echo))
